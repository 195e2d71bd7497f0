"""Networks with fewer blocks, or with blocks in another order, as networks of their own."""

import copy

import keras
import numpy as np

from keras_unrolled import checks, models
from keras_unrolled.analysis.geometry import geometry
from keras_unrolled.analysis.lesion import lesion
from keras_unrolled.analysis.samples import Samples
from keras_unrolled.analysis.schedule import Step
from keras_unrolled.analysis.stack import as_stack
from keras_unrolled.models.batch_statistics import recompute_batch_statistics, statistics

BY = ("influence", "lesion")


def build(schedule):
    """The `ImageClassifier` that computes what a schedule does; see `Schedule.build`."""
    stack = schedule.stack
    model = stack.model
    if not isinstance(model, models.ImageClassifier):
        raise checks.InputError(
            "Expected an ImageClassifier, of which another can be made. Received a "
            f"{type(model).__name__}. Convert it first: from_preset loads files of keras.applications, "
            "timm, torchvision and KerasHub."
        )
    if model.backbone.layer_dropout:
        raise checks.InputError(
            "Expected a network without layer dropout, whose rates depend on the number of blocks. "
            f"Received layer_dropout={model.backbone.layer_dropout}. Load it with layer_dropout=0, which "
            "computes something else, or fine-tune it so first."
        )
    kept = [_only(stack, step) for step in schedule.steps]
    blocks = [stack.blocks[i] for i in kept if i is not None]
    counts = [sum(b.stage == s for b in blocks) for s in range(1, len(stack.stages) + 1)]
    if 0 in counts:
        raise checks.InputError(
            f"Expected a block in each stage. Stage {counts.index(0) + 1} has none left. Leave fewer out."
        )
    config = copy.deepcopy(model.get_config())
    config["backbone"]["config"]["stackwise_num_blocks"] = counts
    new = type(model).from_config(config)
    layers = [block for stage in new.backbone.stages for block in stage]
    pairs = [(block.layers[0], layer) for block, layer in zip(blocks, layers)]
    pairs += [
        (layer, new.backbone.get_layer(layer.name))
        for layer in model.backbone.layers
        if layer.name in ("stem", "head_norm")
    ]
    for old, layer in [*pairs, (model.output_dense, new.output_dense)]:
        for source, target in zip(old.weights, layer.weights, strict=True):
            target.assign(source)
    if hasattr(model, "provenance"):
        new.provenance = model.provenance
    return new


def _only(stack, step):
    """The block that a step runs, or None where it leaves one out; refuses all else."""
    (index, *others) = step.blocks
    piece = stack.blocks[index]
    if not others and step == Step((index,)):
        return index
    if others or step.how != "identity" or piece.changes_shape:
        what = "blocks side by side" if others else f"{piece.name} by {step.how!r}"
        raise checks.InputError(
            "Expected a schedule that runs blocks in some order or leaves blocks of one shape out by "
            f"'identity', which a network of this package can compute. Received: {what}. Use "
            "run_schedules for it."
        )
    first = piece is stack.blocks[0] and stack.model.backbone.activation_order == "pre"
    if first and stack.model.backbone.mix_relu:
        raise checks.InputError(
            f"Expected a block whose input is its own ReLU. Received: {piece.name}, which reads the "
            "stem. Leave another one out."
        )
    return None


def prune_depth(model, keep, images, labels=None, *, by="influence", recalibrated=True):
    """A network with fewer blocks.

    Blocks of one shape are ranked by how little they matter, and left out from the least on; every
    stage keeps one block at least. Then the batch statistics are computed again, for after a block
    has gone the features that later ones see have others.

    Args:
        model: an `ImageClassifier` without layer dropout.
        keep: int, the number of blocks to keep.
        images: uint8 array `(n, height, width, channels)`, or as `Samples` takes them: what blocks are
            ranked on and batch statistics come from. Training images keep the test set unseen.
        labels: optional int array `(n,)`, not needed.
        by: "influence", 1 less the cosine between a block's input and output (`geometry`), or
            "lesion", the divergence of the scores when the block alone is left out, with recalibrated
            batch statistics.
        recalibrated: bool, whether batch statistics are computed again.

    Returns:
        A new, compiled `ImageClassifier` with the head, labels and preprocessor of the model.

    Raises:
        InputError: for another model, and if fewer blocks can be left out than that takes.
    """
    checks.one_of("by", by, BY)
    stack = as_stack(model)
    schedule, names = stack.schedule(), rank(stack, images, labels, by)
    least = len(stack.blocks) - len(names)
    checks.whole("keep", keep, least=least, most=len(stack.blocks))
    for name in names[: len(stack.blocks) - keep]:
        schedule = schedule.lesion(name)
    new = schedule.build()
    if recalibrated:
        recalibrate(new, images)
    return new


def rank(model, images, labels=None, by="influence"):
    """The blocks that can be left out together, the least important first; a list of names."""
    stack = as_stack(model)
    if by == "influence":
        found = {row["block"]: row["influence"] for row in geometry(stack, images)}
        # A plain block has no shortcut to compare with; it is left out last.
        weights = {name: found.get(name, np.inf) for names in stack.movable for name in names}
    else:
        names = [name for names in stack.movable for name in names]
        table = lesion(stack, images, labels, blocks=names, how="identity", recalibrate=True)
        weights = {row["block"]: row["kl"] for row in table if row["recalibrated"]}
    chosen = []
    for names, stage in zip(stack.movable, stack.stages):
        ranked = sorted(names, key=weights.__getitem__)
        chosen += ranked[: len(names) - (len(names) == len(stage))]
    return sorted(chosen, key=weights.__getitem__)


def recalibrate(model, images, size=100):
    """Sets a model's batch statistics to the means of those of batches of some images.

    Args:
        model: what `as_stack` takes.
        images: as `Samples` takes them.
        size: int, images of a batch; a rest is left out.
    """
    samples = Samples(as_stack(model), images)
    batches = list(range(0, max(1, len(samples) - size + 1), size))
    source = samples.batches(size, order=np.random.default_rng(0).permutation(len(samples)))

    def batch():
        x, _ = next(source)
        model(x, training=True)
        return [keras.ops.convert_to_numpy(v) for v in statistics(model)]

    recompute_batch_statistics(model, batch, len(batches))
