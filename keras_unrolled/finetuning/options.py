"""The options of a fine-tuning, from which the command line's flags are derived."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from keras_unrolled import checks


def _option(default: Any, help: str, kind: Any, check: Callable[..., Any]) -> Any:
    return field(default=default, metadata={"help": help, "kind": kind, "check": check})


def _whole(default, help, least, most):
    return _option(default, help, int, partial(checks.whole, least=least, most=most))


def _real(default, help, least, most, *, below=False):
    return _option(default, help, float, partial(checks.real, least=least, most=most, below=below))


def _flag(help):
    return _option(False, help, bool, checks.flag)


def _choice(default, help, choices):
    check = partial(checks.one_of, options=choices)
    return _option(default, help, tuple(choices), lambda name, value: check(name, value))


PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
AUGMENTATIONS = ("auto", "shift_flip", "crop_flip", "none")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What decides a fine-tuning besides the preset and the data.

    Each field's metadata has "help", a sentence for the command line, "kind", its type (or a tuple
    of choices), and "check", which validates a value.

    Raises:
        InputError: for a value that is out of range, and for options that exclude each other.
    """

    epochs: int = _whole(15, "Passes over the training images.", 1, 100_000)
    batch_size: int = _whole(32, "Largest number of images per step.", 1, 100_000)
    learning_rate: float | None = _real(
        None,
        "Peak learning rate of the phase that trains the whole network (default: 0.001 times the "
        "training error of the new head, at least 0.0001).",
        0,
        100,
    )
    head_learning_rate: float = _real(
        1e-2, "Peak learning rate of the first phase, which trains the new head only.", 0, 100
    )
    held_out: float = _real(
        0.2,
        "Fraction of each class to hold out for scoring, unless the data are divided already.",
        1e-6,
        1,
        below=True,
    )
    head_only: bool = _flag("Train the new head only.")
    stages: int | None = _whole(
        None, "Train the head and only the last N stages (default: all of them).", 1, 100
    )
    layer_decay: float = _real(
        1.0, "Factor of the learning rate from block to block, from the head down.", 1e-6, 1
    )
    weight_decay: float = _real(0.0, "Decoupled weight decay of AdamW, on kernels.", 0, 10)
    label_smoothing: float = _real(
        0.0, "Probability mass that is spread over all classes.", 0, 1, below=True
    )
    augmentation: str = _choice(
        "auto",
        "Augmentation: small shifts and flips, random resized crops and flips, or none; auto takes "
        "shift_flip up to 64 pixels and crop_flip above.",
        AUGMENTATIONS,
    )
    rand_augment: float = _real(0.0, "Magnitude of RandAugment, up to 10; 0 for none.", 0, 10)
    mixup: float = _real(0.0, "Alpha of mixup; 0 for none.", 0, 100)
    balance: bool = _flag("Weight classes in the loss so that rare ones count as much.")
    skip_broken: bool = _flag("Leave out image files that do not decode.")
    patience: int | None = _whole(
        None, "Stop after N epochs without a better score, and keep the best epoch.", 1, 100_000
    )
    precision: str = _choice("float32", "Precision of the training.", PRECISIONS)
    seed: int = _whole(0, "Seed of split, head, order and augmentation.", 0, 2**31 - 1)

    def __post_init__(self):
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if not (value is None and each.default is None):
                each.metadata["check"](each.name, value)
        if self.stages is not None and self.head_only:
            raise checks.InputError(
                "Expected either head_only or stages. Received both: "
                f"stages={self.stages!r}. Leave one out."
            )
        without_effect = {"learning_rate": None, "layer_decay": 1.0}
        given = [n for n, default in without_effect.items() if getattr(self, n) != default]
        if self.head_only and given:
            raise checks.InputError(
                "Expected only options that have an effect with head_only, which trains the head at "
                f"head_learning_rate. Received: {', '.join(given)}. Leave it out."
            )

    def to_dict(self) -> dict[str, Any]:
        """The options as plain data, for records and checkpoints."""
        return dataclasses.asdict(self)
