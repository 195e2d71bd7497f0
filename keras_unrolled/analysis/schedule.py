"""In which order, how often and how a network's blocks are run."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from keras_unrolled import checks, models
from keras_unrolled.layers.mixing import check_lesion
from keras_unrolled.models.copying import copy_values

MOST_STEPS = 10_000


@dataclass(frozen=True)
class Step:
    """One step of a schedule: a block, or several that read the same input.

    Attributes:
        blocks: tuple of int, indices into the stack's blocks.
        how: "run", "identity" or "keep_carry".
    """

    blocks: tuple[int, ...]
    how: str = "run"


@dataclass(frozen=True, eq=False)
class Schedule:
    """The steps between a network's stem and head. Every method returns a changed copy.

    Args:
        stack: a `BlockStack`.
        steps: optional tuple of `Step`; the default is every block once, in order.

    Raises:
        InputError: by the methods, for a block that does not exist or cannot be left out or moved,
            and for one that an earlier change has taken out.

    Example:
        >>> import keras_unrolled as ku
        >>> model = ku.models.highway(14, dataset="cifar", width_multiplier=0.25)
        >>> schedule = ku.analysis.as_stack(model).schedule().lesion("stage2_block2")
        >>> smaller = schedule.build()
        >>> smaller.count_params() < model.count_params()
        True
    """

    stack: Any
    steps: tuple[Step, ...] = ()

    def __post_init__(self):
        if not self.steps:
            steps = tuple(Step((i,)) for i in range(len(self.stack.blocks)))
            object.__setattr__(self, "steps", steps)

    def lesion(self, block: str, how: str = "identity") -> "Schedule":
        """Leaves a block out: T = 0, and C = 1 ("identity") or as it is ("keep_carry")."""
        index = self.stack.find(block)
        piece = self.stack.blocks[index]
        check_lesion(how, block, piece.gating, piece.changes_shape)
        return self._replace(index, (Step((index,), how),))

    def swap(self, first: str, second: str) -> "Schedule":
        """Exchanges two blocks of the same shape."""
        a, b = self._places(first, second)
        steps = list(self.steps)
        steps[a], steps[b] = steps[b], steps[a]
        return replace(self, steps=tuple(steps))

    def order(self, blocks: Sequence[str]) -> "Schedule":
        """Runs blocks of the same shape in another order, in the places that they have now."""
        blocks = check_blocks(blocks)
        places = self._places(*blocks)
        steps = list(self.steps)
        for place, index in zip(sorted(places), places):
            steps[place] = self.steps[index]
        return replace(self, steps=tuple(steps))

    def repeat(self, block: str, times: int) -> "Schedule":
        """Runs a block `times` times, one after the other."""
        checks.whole("times", times, least=1, most=1000)
        self._places(block)
        index = self.stack.find(block)
        if len(self.steps) + times > MOST_STEPS:
            raise checks.InputError(
                f"Expected at most {MOST_STEPS:,} steps. Received more. Repeat fewer times."
            )
        return self._replace(index, (Step((index,)),) * times)

    def parallel(self, blocks: Sequence[str]) -> "Schedule":
        """Lets consecutive blocks of the same shape read the same input; their changes are added."""
        blocks = check_blocks(blocks)
        places = self._places(*blocks)
        if len(places) < 2 or sorted(places) != list(range(min(places), min(places) + len(places))):
            raise checks.InputError(
                "Expected two or more blocks that follow each other. Received: "
                f"{', '.join(blocks)}. Choose neighbors."
            )
        start = min(places)
        together = Step(tuple(sorted(self.stack.find(b) for b in blocks)))
        steps = (*self.steps[:start], together, *self.steps[start + len(places) :])
        return replace(self, steps=steps)

    def stop_after(self, block: str) -> "Schedule":
        """Reads the head out after a block of the last stage."""
        index = self.stack.find(block)
        if self.stack.blocks[index].stage != self.stack.blocks[-1].stage:
            raise checks.InputError(
                f"Expected a block of the last stage, whose features the head can read. Received: "
                f"{block}. Choose one of {', '.join(self.stack.stages[-1])}."
            )
        place = self._place(index)
        return replace(self, steps=self.steps[: place + 1])

    def build(self, stack: Any = None) -> Any:
        """The network of this schedule, an `ImageClassifier` of its own.

        Raises:
            InputError: if no network of this package computes that, as with a gate kept, with
                parallel blocks, or with a transition block left out.
        """
        return _build(self if stack is None else replace(self, stack=stack))

    def _place(self, index):
        places = [i for i, step in enumerate(self.steps) if step == Step((index,))]
        if len(places) != 1:
            raise checks.InputError(
                f"Expected {self.stack.blocks[index].name} once in the schedule, as it is. Found it "
                f"{len(places)} times: an earlier change has left it out or repeats it. Name each block "
                "once, and reorder before that."
            )
        return places[0]

    def _places(self, *names):
        """The places of blocks that can move: of one stage, none a transition block."""
        indices = [self.stack.find(name) for name in names]
        pieces = [self.stack.blocks[i] for i in indices]
        for piece in pieces:
            if piece.changes_shape:
                raise checks.InputError(
                    f"Expected a block that keeps the shape. Received: {piece.name}, a transition "
                    "block, which can only be where it is."
                )
        if len(set(indices)) != len(indices):
            raise checks.InputError(
                f"Expected each block once. Received: {', '.join(names)}. Name different blocks."
            )
        if len({piece.stage for piece in pieces}) > 1:
            raise checks.InputError(
                f"Expected blocks of one stage. Received: {', '.join(names)}. The features of "
                "different stages have different shapes."
            )
        return [self._place(index) for index in indices]

    def _replace(self, index, steps):
        place = self._place(index)
        return replace(self, steps=(*self.steps[:place], *steps, *self.steps[place + 1 :]))


def check_blocks(blocks: Any) -> list[str]:
    """Returns a list of blocks' names, else raises `InputError`."""
    if isinstance(blocks, str) or not isinstance(blocks, Sequence) or not blocks:
        raise checks.InputError(
            f'Expected a list of blocks. Received: {blocks!r}. Write ["stage1_block1", ...].'
        )
    return list(blocks)


def _build(schedule):
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
        copy_values(old.weights, layer.weights)
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
