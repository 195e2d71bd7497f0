"""A stack of stages, every stage a stack of blocks: every image network of this package."""

import keras
import keras_hub
from keras import ops

from keras_unrolled import checks
from keras_unrolled.layers.block import BLOCK_TYPES, MOST_FILTERS, Block
from keras_unrolled.layers.mixing import GATINGS
from keras_unrolled.layers.normalization import make_normalization, unfolded
from keras_unrolled.models.limits import (
    check_image_shape,
    check_stages,
    check_weight_count,
    count_kernels,
)
from keras_unrolled.models.stem import Stem
from keras_unrolled.preset_names import Named

MOST_BLOCKS = 2_000


@keras.saving.register_keras_serializable(package="keras_unrolled")
class ImageBackbone(Named, keras_hub.models.FeaturePyramidBackbone):
    """Stem, stages of blocks, and in pre-activation a last norm and ReLU.

    Layers are named `stem`, `stage1_block1`, ..., `head_norm`, `head_relu`, whatever the
    options, so that a checkpoint's names mean the same in every network.

    Args:
        stackwise_num_filters: list of int, filters of each stage's blocks, before
            `width_multiplier`; a bottleneck outputs four times as many channels.
        stackwise_num_blocks: list of int, blocks of each stage.
        stackwise_num_strides: list of int, stride of each stage's first block.
        block_type: "basic" or "bottleneck".
        gating: "plain", "residual", "full", "coupled", "c_only" or "t_only".
        gate_type: "stack" or "pointwise".
        transform_bias: float, initial bias of a free T.
        carry_bias: float, initial bias of a free C.
        normalization: "batch", "group", "folded" or None.
        activation_order: "post" or "pre".
        transform_relu: bool, whether H ends in one more ReLU.
        mix_relu: bool or None, whether a ReLU follows the mix; None: in post-activation.
        shortcut: "projection" or "pad", of transition blocks.
        stride_conv: 1 or 2, which convolution of a bottleneck strides.
        stem: "imagenet" or "cifar".
        stem_filters: int or None; None means 64 for imagenet and 16 for cifar (He et al.
            2015). `width_multiplier` does not change the stem.
        width_multiplier: float, scales the filters of every stage, rounded.
        layer_dropout: float in [0, 1), 1 - p_L of Huang et al. 2016: block l of L is left
            out in training with probability `l / L * layer_dropout`.
        layer_dropout_unit: "batch" or "sample".
        momentum, epsilon: floats, of the normalization.
        image_shape: `(height, width, channels)`, sizes may be None.
        dtype: dtype or dtype policy of the computation, such as "mixed_bfloat16".

    The options of a block are explained in `keras_unrolled.layers.Block`.

    Input: float tensor `(batch, height, width, channels)`, normalized. Output: the last
    feature map, `(batch, height / s, width / s, features)`. `pyramid_outputs` has the last output
    at each stride 2**n as "Pn", for KerasHub's detectors and segmenters.

    Raises:
        InputError: for a value out of range, for lists of different lengths, and for a
            network of more than 2**31 weights; before anything is allocated.
    """

    def __init__(
        self,
        *,
        stackwise_num_filters,
        stackwise_num_blocks,
        stackwise_num_strides,
        block_type="basic",
        gating="residual",
        gate_type="stack",
        transform_bias=-1.0,
        carry_bias=1.0,
        normalization="batch",
        activation_order="post",
        transform_relu=False,
        mix_relu=None,
        shortcut="projection",
        stride_conv=2,
        stem="imagenet",
        stem_filters=None,
        width_multiplier=1.0,
        layer_dropout=0.0,
        layer_dropout_unit="batch",
        momentum=0.9,
        epsilon=1e-5,
        image_shape=(None, None, 3),
        dtype=None,
        **kwargs,
    ):
        checks.check_names(kwargs, ("name", "trainable"), "ImageBackbone")
        filters = check_stages("stackwise_num_filters", stackwise_num_filters, MOST_FILTERS)
        blocks = check_stages("stackwise_num_blocks", stackwise_num_blocks, MOST_BLOCKS)
        strides = check_stages("stackwise_num_strides", stackwise_num_strides, 16)
        if not len(filters) == len(blocks) == len(strides):
            raise checks.InputError(
                "Expected as many filters, blocks and strides as there are stages. Received: "
                f"stackwise_num_filters of {len(filters)}, stackwise_num_blocks of "
                f"{len(blocks)}, stackwise_num_strides of {len(strides)}. "
                "Give each list one number a stage."
            )
        checks.whole("the sum of stackwise_num_blocks", sum(blocks), least=1, most=MOST_BLOCKS)
        checks.real("width_multiplier", width_multiplier, least=0.01, most=100)
        checks.one_of("stem", stem, ("imagenet", "cifar"))
        checks.one_of("gating", gating, GATINGS)
        checks.one_of("block_type", block_type, BLOCK_TYPES)
        checks.real("layer_dropout", layer_dropout, least=0, most=1, below=True)
        if stem_filters is None:
            stem_filters = 64 if stem == "imagenet" else 16
        checks.whole("stem_filters", stem_filters, least=1, most=MOST_FILTERS)
        image_shape = check_image_shape(image_shape)
        widths = [
            checks.whole("filters", max(1, round(f * width_multiplier)), least=1, most=MOST_FILTERS)
            for f in filters
        ]
        checks.one_of("gate_type", gate_type, ("stack", "pointwise"))
        channels = image_shape[-1]
        _check_size(widths, blocks, block_type, gating, gate_type, stem_filters, channels)
        options = {
            "block_type": block_type,
            "gating": gating,
            "gate_type": gate_type,
            "transform_bias": transform_bias,
            "carry_bias": carry_bias,
            "normalization": normalization,
            "activation_order": activation_order,
            "transform_relu": transform_relu,
            "mix_relu": mix_relu,
            "shortcut": shortcut,
            "stride_conv": stride_conv,
            "layer_dropout_unit": layer_dropout_unit,
            "momentum": momentum,
            "epsilon": epsilon,
        }

        # === Layers ===
        total, count, stages = sum(blocks), 0, []
        for s, (width, depth, stride) in enumerate(zip(widths, blocks, strides), start=1):
            stage = []
            for b in range(1, depth + 1):
                count += 1
                stage.append(
                    Block(
                        width,
                        strides=stride if b == 1 else 1,
                        layer_dropout=count / total * layer_dropout,
                        dtype=dtype,
                        name=f"stage{s}_block{b}",
                        **options,
                    )
                )
            stages.append(stage)
        common = {"momentum": momentum, "epsilon": epsilon, "dtype": dtype}
        stem_layer = Stem(
            stem,
            stem_filters,
            normalization=normalization,
            activation_order=activation_order,
            name="stem",
            **common,
        )

        # === Functional Model ===
        inputs = keras.Input(image_shape, name="images")
        x, levels = stem_layer(inputs), {}
        stride = 4 if stem == "imagenet" else 1
        for stage, step in zip(stages, strides):
            stride *= step
            for block in stage:
                x = block(x)
            levels[stride] = x
        if activation_order == "pre":
            kind = unfolded(normalization)
            norm = make_normalization(kind, x.shape[-1], name="head_norm", **common)
            if norm is not None:
                x = norm(x)
            x = keras.layers.ReLU(dtype=dtype, name="head_relu")(x)
        super().__init__(inputs=inputs, outputs=x, dtype=dtype, **{"name": "backbone", **kwargs})

        # === Config ===
        self.stackwise_num_filters = filters
        self.stackwise_num_blocks = blocks
        self.stackwise_num_strides = strides
        self.stem = stem
        self.stem_filters = stem_filters
        self.width_multiplier = width_multiplier
        self.layer_dropout = layer_dropout
        self.image_shape = image_shape
        self.data_format = "channels_last"
        self.options = {**options, "mix_relu": stages[0][0].mix_relu}
        for name, value in self.options.items():
            setattr(self, name, value)
        levels = {**levels, stride: x}  # with the last norm and ReLU
        self.pyramid_outputs = {
            f"P{stride.bit_length() - 1}": x
            for stride, x in levels.items()
            if stride.bit_count() == 1
        }

    @property
    def stages(self):
        """The blocks of each stage, a list of lists of `keras_unrolled.layers.Block`."""
        return [
            [self.get_layer(f"stage{s}_block{b}") for b in range(1, depth + 1)]
            for s, depth in enumerate(self.stackwise_num_blocks, start=1)
        ]

    def forward_intermediates(self, images, training=False, *, start=None, stop=None, keep=None):
        """Runs the network, or a part of it, and keeps named intermediates.

        Args:
            images: float tensor `(batch, height, width, channels)`, normalized as the
                preset's preprocessor does it; with `start`, the input of that block.
            training: bool, mode of normalization and layer dropout.
            start: optional string, the first block to run, such as "stage2_block1".
            stop: optional string, the last block to run.
            keep: optional function from a name to whether its tensor is kept; the default keeps all.

        Returns:
            A dict from name to tensor, in order of computation: "stem"; for each block
            its parts, "stage1_block1/transform", ".../shortcut", ".../transform_gate",
            ".../carry_gate" and ".../mix" (`Block.parts`), and its output
            "stage1_block1"; "head" where the network ends in a norm and ReLU; last
            "features", which equals what calling the backbone returns. With `stop` the last is
            that block's output.

        Raises:
            InputError: for a block that does not exist, or `stop` before `start`.
        """
        blocks = [block for stage in self.stages for block in stage]
        names = [block.name for block in blocks]
        for name in (start, stop):
            if name is not None:
                checks.one_of("block", name, names)
        first = names.index(start) if start else 0
        last = names.index(stop) if stop else len(names) - 1
        if last < first:
            raise checks.InputError(
                f"Expected `stop` at or after `start`. Received: start={start!r}, stop={stop!r}. "
                "Exchange them."
            )
        found = {}

        def note(name, value):
            if keep is None or keep(name):
                found[name] = value

        x = ops.convert_to_tensor(images)
        if start is None:
            x = self.get_layer("stem")(x, training=training)
            note("stem", x)
        for block in blocks[first : last + 1]:
            parts = block.parts(x, training=training)
            x = parts.pop("output")
            for part, value in parts.items():
                note(f"{block.name}/{part}", value)
            note(block.name, x)
        if stop is not None:
            return found
        for layer in self.layers:
            if layer.name in ("head_norm", "head_relu"):
                x = layer(x, training=training) if layer.name == "head_norm" else layer(x)
                note("head", x)
        note("features", x)
        return found

    def count_macs(self, image_size: tuple[int, int]) -> int:
        """Multiply-accumulates of every convolution for one image of `(height, width)`."""
        shape = (1, *image_size, self.image_shape[-1])
        macs = 0
        for layer in (self.get_layer("stem"), *(block for stage in self.stages for block in stage)):
            macs += layer.count_macs(shape)
            shape = layer.compute_output_shape(shape)
        return macs

    def get_config(self):
        return {
            **super().get_config(),
            "stackwise_num_filters": self.stackwise_num_filters,
            "stackwise_num_blocks": self.stackwise_num_blocks,
            "stackwise_num_strides": self.stackwise_num_strides,
            **self.options,
            "stem": self.stem,
            "stem_filters": self.stem_filters,
            "width_multiplier": self.width_multiplier,
            "layer_dropout": self.layer_dropout,
            "image_shape": self.image_shape,
        }


def _check_size(*shape):
    """Raises `InputError` for a network with more weights than a machine could hold."""
    check_weight_count(
        count_kernels(*shape), f"filters {shape[0]}, blocks {shape[1]}, gating {shape[3]!r}"
    )
