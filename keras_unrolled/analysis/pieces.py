"""The stem, the blocks and the head of a network, which can be run one by one."""

from dataclasses import dataclass, field
from typing import Any

from keras_unrolled import checks
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
        functions: dict of what `Runner` has compiled.
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
    functions: dict[Any, Any] = field(init=False, repr=False, default_factory=dict)

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
