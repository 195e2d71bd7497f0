"""A network as stem, blocks and head, which can be run one by one."""

from typing import Any

import keras

from keras_unrolled import checks, models
from keras_unrolled.analysis.cut import cut
from keras_unrolled.analysis.pieces import BlockPiece, BlockStack, Piece, kind_of

__all__ = ["BlockPiece", "BlockStack", "Piece", "as_stack", "kind_of", "require_head"]


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

    Example:
        >>> import keras_unrolled as ku
        >>> stack = ku.analysis.as_stack(ku.models.resnet(14, dataset="cifar"))
        >>> stack.stages[0]
        ['stage1_block1', 'stage1_block2']
    """
    if isinstance(model, BlockStack):
        return model
    if isinstance(model, models.ImageClassifier):
        return _from_classifier(model, prepare)
    if isinstance(model, models.CharacterLM):
        return _from_language_model(model)
    if isinstance(model, keras.Model):
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
    if model.preprocessor is None:
        raise checks.InputError(
            "Expected a language model with a tokenizer, to read words. Received one without a "
            "preprocessor. Build it with tokenizer=..., or load a preset."
        )
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


def _as_float(images):
    return keras.ops.cast(images, "float32")
