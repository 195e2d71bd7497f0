"""A network as stem, blocks and head, which can be run one by one."""

from dataclasses import dataclass, field
from typing import Any

import keras

from keras_unrolled import checks, models
from keras_unrolled.analysis.schedule import Schedule
from keras_unrolled.layers.mixing import GATINGS


class Piece:
    """A part of a network that runs by itself: the stem, a block or the head.

    Args:
        name: string.
        layers: list of Keras layers, which hold its variables.
        run: function from a tensor and `training` to a tensor.
        key: hashable. Pieces with the same key compute the same function of their variables and
            inputs, and share what is compiled; None for a piece like no other.
    """

    def __init__(self, name, layers, run, key=None):
        self.name, self.layers, self.run = name, layers, run
        self.key = (key, tuple(v.shape for v in self.variables)) if key is not None else id(self)

    @property
    def variables(self):
        """Every variable of the layers, in their order."""
        return list({id(v): v for layer in self.layers for v in layer.variables}.values())


class BlockPiece(Piece):
    """A block.

    Attributes:
        stage: int, from 1.
        changes_shape: bool, whether it is a transition block.
        gating: string.
        parts: function from a tensor and `training` to a dict, as `Block.parts`.
        lesion: function from a tensor, "identity" or "keep_carry", and `training` to the output
            without the block's own estimate.
        leave: function from the mix to the output.
    """

    def __init__(self, name, layers, run, key=None, *, stage, changes_shape, gating, functions):
        super().__init__(name, layers, run, key)
        self.stage, self.changes_shape, self.gating = stage, changes_shape, gating
        self.parts, self.lesion, self.leave = functions

    @property
    def removable(self):
        """Whether it can be left out: all but the transition blocks of plain networks."""
        return not self.changes_shape or GATINGS[self.gating].carries


@dataclass(frozen=True, eq=False)
class BlockStack:
    """A network as stem, blocks and head: `head(block(...block(stem(x))))` is what it computes.

    Attributes:
        stem: a `Piece`, from the network's input to the first block's.
        blocks: tuple of `BlockPiece`, in order, named "stage1_block1" and so on.
        head: a `Piece` from the last block's output to the scores, or None for a network whose
            blocks are inside of it, as those of a language model.
        prepare: function from raw data, a slice of what the user passes, to the stem's input.
        model: the network.
        kind: "logits" or "probabilities", what the head gives.
        channels: int or None, channels of the images that `prepare` takes.
    """

    stem: Piece
    blocks: tuple[BlockPiece, ...]
    head: Piece | None
    prepare: Any
    model: Any
    kind: str = "logits"
    channels: int | None = None
    num_classes: int | None = None
    by_name: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self):
        object.__setattr__(self, "by_name", {b.name: i for i, b in enumerate(self.blocks)})

    @property
    def stages(self) -> list[list[str]]:
        """The names of the blocks of each stage."""
        count = max(block.stage for block in self.blocks)
        return [[b.name for b in self.blocks if b.stage == s] for s in range(1, count + 1)]

    @property
    def removable(self) -> list[str]:
        """The names of the blocks that can be left out."""
        return [block.name for block in self.blocks if block.removable]

    @property
    def movable(self) -> list[list[str]]:
        """Of each stage the blocks of one shape, which can change places."""
        return [
            [name for name in stage if not self.blocks[self.by_name[name]].changes_shape]
            for stage in self.stages
        ]

    def find(self, block: str) -> int:
        """The index of a block.

        Raises:
            InputError: for a name that no block has.
        """
        if block not in self.by_name:
            raise checks.InputError(
                f"Expected a block of the network: {self.blocks[0].name} to "
                f"{self.blocks[-1].name}. Received: {block!r}. "
                f"{checks.did_you_mean(block, self.by_name)}".rstrip()
            )
        return self.by_name[block]

    def schedule(self) -> Schedule:
        """The `Schedule` of the network as it is."""
        return Schedule(self)


def as_stack(model: Any, *, prepare: Any = None) -> BlockStack:
    """Takes a network apart.

    Args:
        model: an `ImageClassifier`, a `CharacterLM` (its gated layers), a `BlockStack` (returned as
            it is), or a functional ResNet such as those of `keras.applications` and KerasHub, which is
            cut at its additions.
        prepare: optional function from raw data to the input of a network without a preprocessor.

    Returns:
        A `BlockStack`; recomposed, it gives what the network gives.

    Raises:
        InputError: for a model that is no stack of blocks.
    """
    if isinstance(model, BlockStack):
        return model
    if isinstance(model, models.ImageClassifier):
        return _from_classifier(model, prepare)
    if isinstance(model, models.CharacterLM):
        return _from_language_model(model)
    if isinstance(model, keras.Model):
        from keras_unrolled.analysis.cut import cut

        return cut(model, prepare)
    raise checks.InputError(
        f"Expected a network with residual or gated blocks. Received a {type(model).__name__}. Load "
        "one with `from_preset`, or pass a functional Keras model."
    )


def require_head(stack: BlockStack) -> BlockStack:
    """Returns a stack that has a head, else raises `InputError`."""
    if stack.head is None:
        raise checks.InputError(
            "Expected a network whose blocks lead to class scores. Received a language model, whose "
            "gated layers are within it. Choose estimation_error, gate_stats or geometry."
        )
    return stack


def _block_piece(block, name, stage, changes_shape):
    """A `Block` or a `Highway` layer as a piece; those of one configuration share a key."""
    config = {k: v for k, v in block.get_config().items() if k not in ("name", "trainable")}
    return BlockPiece(
        name,
        [block],
        block.__call__,
        repr((type(block).__name__, changes_shape, sorted(config.items(), key=lambda i: i[0]))),
        stage=stage,
        changes_shape=changes_shape,
        gating=block.gating,
        functions=(block.parts, block.lesion, getattr(block, "leave", lambda y: y)),
    )


def _from_classifier(model, prepare):
    backbone = model.backbone
    last = [layer for layer in backbone.layers if layer.name in ("head_norm", "head_relu")]
    head = [*last, model.pooler, model.output_dropout, model.output_dense]

    def run_head(x, training=False):
        for layer in head:
            x = layer(x, training=training) if layer._call_has_training_arg else layer(x)
        return x

    stem = backbone.get_layer("stem")
    return BlockStack(
        stem=Piece("stem", [stem], stem.__call__),
        blocks=tuple(
            _block_piece(block, block.name, number, block.changes_shape)
            for number, stage in enumerate(backbone.stages, start=1)
            for block in stage
        ),
        head=Piece("head", head, run_head),
        prepare=prepare or model.preprocessor or _as_float,
        model=model,
        kind=kind_of(model.output_dense.activation),
        channels=backbone.image_shape[-1] if prepare is None and model.preprocessor else None,
        num_classes=model.num_classes,
    )


def _from_language_model(model):
    encoder = model.backbone.encoder
    if not encoder.layers:
        raise checks.InputError(
            "Expected a language model with gated layers. Received one with num_layers=0. Choose "
            "another preset."
        )

    def run_stem(x, training=False):
        return encoder.convolve(x)

    return BlockStack(
        stem=Piece("stem", [encoder], run_stem),
        blocks=tuple(
            _block_piece(layer, f"stage1_block{i}", 1, False)
            for i, layer in enumerate(encoder.layers, start=1)
        ),
        head=None,
        prepare=model.preprocessor.tokenizer.spell,
        model=model,
    )


def kind_of(activation):
    """What scores are after an activation.

    Raises:
        InputError: for one that gives neither logits nor probabilities.
    """
    name = getattr(activation, "__name__", str(activation))
    kinds = {"linear": "logits", "softmax": "probabilities"}
    if name not in kinds:
        raise checks.InputError(
            f"Expected scores that are logits or probabilities. Received a network that ends in {name}. "
            "Use one with activation None or 'softmax'."
        )
    return kinds[name]


def _as_float(images):
    return keras.ops.cast(images, "float32")
