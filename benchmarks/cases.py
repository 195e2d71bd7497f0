"""The networks that are compared: ours, the peer's, and what each is to do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from benchmarks.timing import compete, prediction, training_step
from keras_unrolled import convert, models
from keras_unrolled.layers import normalization
from keras_unrolled.presets.loading import from_preset


@dataclass(frozen=True)
class Case:
    """Two networks that do the same work in turn.

    Args:
        work: `training_step` or `prediction`.
        builders: functions without arguments that build ours and the peer's network.
        batch: int, images of a step.
        side: int, their side in pixels.
        by_macs: bool, whether the figures are millions of multiply-accumulates instead of images.
    """

    work: Callable[..., Any]
    builders: tuple[Callable[[], Any], Callable[[], Any]]
    batch: int
    side: int
    by_macs: bool = False

    def measure(self, rounds):
        """What ours and the peer's do in a second, medians, and the operations of one unit of it."""
        nets = [build() for build in self.builders]
        steps = [self.work(net, self.batch, self.side) for net in nets]
        rates = compete(lambda: steps[0]().numpy(), lambda: steps[1]().numpy(), self.batch, rounds)
        factor = 6 if self.work is training_step else 2
        if self.by_macs:
            return [r * count_macs(net, self.side) / 1e6 for r, net in zip(rates, nets)] + [
                factor * 1e6
            ]
        return [*rates, factor * count_macs(nets[0], self.side)]

    def take_steps(self, place, count=3):
        """Builds one of the networks, 0 for ours and 1 for the peer's, and takes a few steps."""
        step = self.work(self.builders[place](), self.batch, self.side)
        for _ in range(count):
            step().numpy()


def count_macs(model, side):
    """Multiply-accumulates of the convolutions for one image."""
    return model.count_macs((side, side))


def with_keras_normalization(build):
    """Builds a network whose normalization runs Keras's own code."""

    def stock():
        model = build()
        for layer in model._flatten_layers():
            if isinstance(layer, normalization.BatchNormalization):
                layer.call = super(normalization.BatchNormalization, layer).call  # type: ignore
        return model

    return stock


def cifar(dtype):
    return lambda: models.resnet(20, dataset="cifar", dtype=dtype)


def peer_50(dtype):
    def build():
        keras.config.set_dtype_policy(dtype)
        try:
            return keras.applications.ResNet50(weights=None, classifier_activation=None)
        finally:
            keras.config.set_dtype_policy("float32")

    return build


def ours_50(dtype):
    return lambda: models.resnet(50, stride_conv=1, dtype=dtype)


def folded(build):
    return lambda: convert.fold(build())


def preset(name, dtype):
    return lambda: from_preset(f"{name}_bn_cifar10", load_weights=False, dtype=dtype)


def list_peers(dtype):
    """Names and cases of Residual networks against those of others."""
    of_keras = "peer: keras.applications"
    nets_50 = ours_50(dtype), peer_50(dtype)
    folded_50 = folded(nets_50[0]), nets_50[1]
    return {
        "train ResNet-20, peer: same net, Keras's BatchNormalization": Case(
            training_step, (cifar(dtype), with_keras_normalization(cifar(dtype))), 128, 32
        ),
        f"train ResNet-50, {of_keras}": Case(training_step, nets_50, 8, 224),
        f"predict ResNet-50, {of_keras}": Case(prediction, nets_50, 8, 224),
        **{
            f"predict folded ResNet-50, batch {batch}, {of_keras}": Case(
                prediction, folded_50, batch, 224
            )
            for batch in (1, 8, 32)
        },
    }


def list_gatings(dtype):
    """Names and cases of Highway networks against Residual ones, by their multiply-accumulates.

    At 32 pixels they are the networks of the zoo, of one size; at 224 they have one width.
    """
    cases = {}
    for verb, work in (("train", training_step), ("predict folded", prediction)):
        for side, batch in ((32, 128), (224, 8)):
            for gating in ("coupled", "full", "c_only", "t_only"):
                if side == 32:
                    name = f"highway_{gating}".removesuffix("_coupled")
                    nets = preset(name, dtype), preset("resnet", dtype)
                else:
                    nets = (
                        lambda gating=gating: models.highway(50, gating=gating, dtype=dtype),
                        lambda: models.resnet(50, dtype=dtype),
                    )
                if work is prediction:
                    nets = folded(nets[0]), folded(nets[1])
                what = f"{gating} Highway of {side} pixels by multiply-accumulates"
                cases[f"{verb} {what}, peer: Residual"] = Case(work, nets, batch, side, True)
    return cases


CASES = {
    f"{name}, {dtype}": case
    for make in (list_peers, list_gatings)
    for dtype in ("float32", "mixed_bfloat16")
    for name, case in make(dtype).items()
}
