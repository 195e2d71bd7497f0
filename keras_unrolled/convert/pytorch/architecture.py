"""Which residual net a state dict belongs to, found from names and shapes."""

import itertools
import re
from dataclasses import dataclass
from typing import Any

from keras_unrolled.convert.pytorch import others
from keras_unrolled.convert.timm.layout import EPSILON
from keras_unrolled.layers.block import BLOCK_TYPES

# Other names of the same weights: kuangliu's and akamaster's programs for CIFAR, and others.
ALIASES = (
    (r"^(linear|classifier)\.(weight|bias)$", r"fc.\2"),
    (r"\.shortcut\.", ".downsample."),
)
STEMS = {7: "imagenet", 3: "cifar"}  # by the size of the first kernel


@dataclass(frozen=True)
class Architecture:
    """A residual net as its state dict tells it.

    Args:
        network: dict of the arguments of `ImageBackbone`.
        num_classes: int.
    """

    network: dict[str, Any]
    num_classes: int

    @property
    def pads(self) -> bool:
        """Whether transition blocks pad with zeros (option A) instead of projecting."""
        return self.network["shortcut"] == "pad"


def rename(name: str) -> str:
    """A weight's name as torchvision has it."""
    for pattern, new in ALIASES:
        name = re.sub(pattern, new, name)
    return name


def find_architecture(shapes: dict[str, tuple[int, ...]], where: str) -> Architecture:
    """The architecture of a state dict.

    Strides are not seen in a state dict: the first stage is taken to have 1 and the others 2,
    in a bottleneck in the 3x3 convolution, and a stem with a kernel of 7 to pool, one with a
    kernel of 3 neither to stride nor to pool.

    Args:
        shapes: dict from a weight's name, renamed, to its shape.
        where: where it comes from, for messages.

    Raises:
        InputError: if it belongs to another network, with what that is.
    """
    if "stages.0.blocks.0.conv1.weight" in shapes and "norm.weight" in shapes:
        names = _Names("stem.conv", "norm", "stages.{}.blocks.{}", "downsample.conv", "head.fc")
    elif "layer1.0.conv1.weight" in shapes and "conv1.weight" in shapes:
        names = _Names("conv1", "bn1", "layer{}.{}", "downsample.0", "fc")
    else:
        others.refuse(where, others.explain(shapes))
    return _Reader(shapes, names, where).read()


@dataclass(frozen=True)
class _Names:
    """How a layout names its stem, the norm of stem or head, blocks, their projection and the head."""

    stem: str
    norm: str
    block: str
    projection: str
    head: str

    @property
    def is_pre(self):
        return self.norm == "norm"

    @property
    def first(self):
        """The number of the first stage."""
        return 0 if self.is_pre else 1


class _Reader:
    """Reads the shapes of one state dict; every method raises `InputError` for what it is not."""

    def __init__(self, shapes, names, where):
        self.shapes, self.names, self.where = shapes, names, where

    def refuse(self, what):
        others.refuse(self.where, what)

    def shape(self, name, dimensions):
        """The shape of a weight that must be there with so many dimensions."""
        shape = self.shapes.get(f"{name}.weight")
        if shape is None or len(shape) != dimensions:
            found = "none" if shape is None else f"one of shape {list(shape)}"
            self.refuse(f"a network whose {name}.weight is not as in a ResNet ({found})")
        return shape

    def read(self):
        relative = others.find_relative(self.shapes)
        if relative:
            self.refuse(f"a relative of ResNet that {relative}")
        self.check_norms()
        filters, channels, *kernel = self.shape(self.names.stem, 4)
        stem = STEMS.get(kernel[0]) if kernel[0] == kernel[1] else None
        if stem is None or (self.names.is_pre and stem != "imagenet"):
            self.refuse(f"a stem with a kernel of {kernel[0]}x{kernel[1]}")
        stages = self.read_stages()
        block_type = stages[0]["block_type"]
        if any(stage["block_type"] != block_type for stage in stages):
            self.refuse("blocks of both types")
        strides = [1] + [2] * (len(stages) - 1)
        outs = [stage["width"] * BLOCK_TYPES[block_type][1] for stage in stages]
        network = {
            "stackwise_num_filters": [stage["width"] for stage in stages],
            "stackwise_num_blocks": [stage["blocks"] for stage in stages],
            "stackwise_num_strides": strides,
            "block_type": block_type,
            "activation_order": "pre" if self.names.is_pre else "post",
            "shortcut": self.find_shortcut(stem, [filters, *outs], strides, stages),
            "stem": stem,
            "stem_filters": filters,
            "image_shape": (None, None, channels),
            "epsilon": EPSILON,
        }
        return Architecture(network, self.read_head())

    def check_norms(self):
        if f"{self.names.norm}.weight" not in self.shapes:
            self.refuse(f"a pre-activated net without a last normalization ({self.names.norm})")
        if f"{self.names.norm}.running_mean" not in self.shapes:
            self.refuse("normalization without moving statistics, which is not batch normalization")
        if self.names.is_pre:
            return
        (norm,) = self.shape("bn1", 1)
        inside = self.shapes.get("layer2.0.bn1.weight", (None,))
        conv = self.shapes.get("layer2.0.conv1.weight", (None, None))
        if norm != self.shape("conv1", 4)[0] or (inside[0] == conv[1] != conv[0]):
            self.refuse("a pre-activated net, of which timm's layout (resnetv2_50) alone is known")

    def read_stages(self):
        stages: list[dict[str, Any]] = []
        while True:
            s, blocks = len(stages) + self.names.first, 0
            while f"{self.names.block.format(s, blocks)}.conv1.weight" in self.shapes:
                blocks += 1
            if not blocks:
                return stages
            all_widths = {self.read_block(self.names.block.format(s, b)) for b in range(blocks)}
            if len(all_widths) > 1:
                self.refuse(f"blocks of several widths in one stage ({sorted(all_widths)})")
            ((block_type, width),) = all_widths
            at = f"{self.names.block.format(s, 0)}.{self.names.projection}.weight"
            projects = at in self.shapes
            stages.append(
                {"block_type": block_type, "width": width, "blocks": blocks, "projects": projects}
            )

    def read_block(self, at):
        """Type and width of one block."""
        block_type = "bottleneck" if f"{at}.conv3.weight" in self.shapes else "basic"
        kernels, expansion = BLOCK_TYPES[block_type]
        convs = [self.shape(f"{at}.conv{i}", 4) for i in range(1, len(kernels) + 1)]
        if [tuple(conv[2:]) for conv in convs] != [(k, k) for k in kernels]:
            found = ", ".join(f"{conv[2]}x{conv[3]}" for conv in convs)
            self.refuse(f"a block with kernels of {found}")
        width = convs[0][0]
        if any(conv[1] != before[0] for before, conv in itertools.pairwise(convs)):
            self.refuse("grouped convolutions (ResNeXt)")
        if convs[-1][0] != width * expansion:
            self.refuse("blocks that are wider inside than a ResNet's (Wide ResNet)")
        return block_type, width

    def find_shortcut(self, stem, channels, strides, stages):
        """ "projection" or "pad", by which stages have a projection."""
        transitions = [
            stride != 1 or before != after
            for stride, before, after in zip(strides, channels, channels[1:])
        ]
        projects = [stage["projects"] for stage in stages]
        if projects == transitions:
            return "projection"
        grows = all(
            after > before
            for change, before, after in zip(transitions, channels, channels[1:])
            if change
        )
        if stem == "cifar" and not any(projects) and grows and not self.names.is_pre:
            return "pad"
        wrong = next(i for i, pair in enumerate(zip(projects, transitions)) if pair[0] != pair[1])
        has = "a projection it does not need" if projects[wrong] else "no projection"
        at = self.names.block.format(wrong + self.names.first, 0)
        self.refuse(f"{has} in the shortcut of {at}")

    def read_head(self):
        head = self.names.head
        shape = self.shapes.get(f"{head}.weight")
        if shape is None:
            self.refuse(f"a network without its dense layer {head}")
        if len(shape) not in (2, 4):
            self.refuse(f"a head {head}.weight of shape {list(shape)}")
        return shape[0]
