"""The phases of a fine-tuning: the new head first, then the rest of the network."""

import math
from dataclasses import dataclass

import keras

from keras_unrolled.engine import ImageRecipe


@dataclass(frozen=True)
class Phase:
    """A part of a fine-tuning.

    Args:
        name: "head" or "network".
        epochs: int.
        learning_rate: float, or None to choose it by `choose_learning_rate`.
        whole: bool, whether more than the head is trained.
    """

    name: str
    epochs: int
    learning_rate: float | None
    whole: bool


def list_phases(options) -> list[Phase]:
    """The phases of a fine-tuning.

    The first third of the epochs trains the head, since the gradients of a random head would
    distort the features (Kumar et al. 2022).
    """
    head = options.epochs if options.head_only else math.ceil(options.epochs / 3)
    phases = [
        Phase("head", head, options.head_learning_rate, False),
        Phase("network", options.epochs - head, options.learning_rate, True),
    ]
    return [phase for phase in phases if phase.epochs]


def choose_learning_rate(accuracy: float) -> float:
    """The peak learning rate of the second phase, by how well the features fit the data.

    The fewer training images the head alone gets right, the more the network has to change. A rate
    that pictures of another kind need costs a point of accuracy where the features fit already
    (docs/finetuning.md).

    Args:
        accuracy: float, of the training images at the end of the first phase.
    """
    return LARGEST_RATE * max(SMALLEST_FRACTION, 1 - accuracy)


def make_recipe(phase, options, *, base, count, parts, augmentation, size) -> ImageRecipe:
    """The recipe of one phase: AdamW with a cosine from the phase's learning rate to 0.

    Args:
        phase: a `Phase`.
        options: `Options`.
        base: string, the preset that the network comes from.
        count: int, training images.
        parts: int, what the batch must divide by.
        augmentation: string, "shift_flip", "crop_flip" or "none".
        size: int, side of the network's images in pixels.
    """
    steps = math.ceil(count / options.batch_size)
    # Batches of one size, of which an epoch leaves out as little as possible.
    batch_size = max(parts, count // steps // parts * parts)
    return ImageRecipe(
        network={"builder": "preset", "base": base, "phase": phase.name},
        epochs=phase.epochs,
        batch_size=batch_size,
        optimizer="adamw",
        learning_rate=phase.learning_rate,
        weight_decay=options.weight_decay,
        label_smoothing=options.label_smoothing,
        augmentation=augmentation,
        size=max(8, size),
        smallest_area=SMALLEST_AREA,
        rand_augment=options.rand_augment,
        mixup=options.mixup,
        precision=options.precision,
        seed=options.seed,
    )


LARGEST_RATE, SMALLEST_FRACTION = 1e-3, 0.1
# Of a random crop: pictures of a small set lose their subject where crops are as small as in the
# training on ImageNet (0.08).
SMALLEST_AREA = 0.35


def freeze(model, *, whole, stages=None):
    """Frees the network except its batch normalization, its last stages, or the head only.

    Gates that have not learned yet, those of a regated network, keep their normalization
    trainable: its last scale is 0, and nothing else of a gate could change while it stays 0.

    Args:
        model: an `ImageClassifier`.
        whole: bool, whether more than the head is trainable.
        stages: optional int, how many of the last stages are trainable; None means all layers.
    """
    backbone = model.backbone
    backbone.trainable = whole
    free = [block for stage in backbone.stages[-(stages or 0) :] for block in stage]
    if whole and stages is not None:
        for layer in backbone.layers:
            layer.trainable = layer in free
    for layer in backbone._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    for block in free:
        for gate in (block.transform_gate, block.carry_gate):
            if whole and gate is not None and gate.is_constant():
                for norm in gate.norms:
                    norm.trainable = True


def layer_factors(model, decay) -> list[float]:
    """The factor of the learning rate for each trainable variable.

    The head has 1, the last block `decay`, the one before `decay` ** 2, and so on to the stem.

    Args:
        model: an `ImageClassifier`.
        decay: float in (0, 1].

    Returns:
        A list in the order of `model.trainable_variables`.
    """
    blocks = [block for stage in model.backbone.stages for block in stage]
    below = {id(v): len(blocks) - i for i, block in enumerate(blocks) for v in block.variables}
    # A normalization may follow the last block; everything before it is the stem.
    top = max((i for i, layer in enumerate(model.backbone.layers) if layer in blocks), default=0)
    for layer in model.backbone.layers[:top]:
        for variable in layer.variables:
            below.setdefault(id(variable), len(blocks) + 1)
    return [decay ** below.get(id(v), 0) for v in model.trainable_variables]
