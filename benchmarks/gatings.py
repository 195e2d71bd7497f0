"""Highway networks compared with Residual ones, by the multiply-accumulates that they need."""

from benchmarks.timing import compete, prediction, training_step
from keras_unrolled import convert, models
from keras_unrolled.presets.loading import from_preset

GATED = {
    f"{verb} {gating} Highway of {side} pixels by multiply-accumulates, peer: Residual, {dtype}": (
        work,
        gating,
        side,
        dtype,
    )
    for verb, work in (("train", training_step), ("predict folded", prediction))
    for side in (32, 224)
    for gating in ("coupled", "full", "c_only", "t_only")
    for dtype in ("float32", "mixed_bfloat16")
}


def measure(work, gating, side, dtype, rounds):
    """Millions of multiply-accumulates a second of a Highway network and of a Residual one.

    At 32 pixels they are the networks of the zoo, of one size; at 224 they have one width.
    """
    batch = 128 if side == 32 else 8
    if side == 32:
        highway = f"highway_{gating}".removesuffix("_coupled")
        nets = [
            from_preset(f"{name}_bn_cifar10", load_weights=False, dtype=dtype)
            for name in (highway, "resnet")
        ]
    else:
        nets = [models.highway(50, gating=gating, dtype=dtype), models.resnet(50, dtype=dtype)]
    macs = [net.count_macs((side, side)) / 1e6 for net in nets]
    if work is prediction:
        nets = [convert.fold(net) for net in nets]
    steps = [work(net, batch, side) for net in nets]
    rates = compete(lambda: steps[0]().numpy(), lambda: steps[1]().numpy(), batch, rounds)
    operations = 6e6 if work is training_step else 2e6
    return [*(rate * per_image for rate, per_image in zip(rates, macs)), operations]
