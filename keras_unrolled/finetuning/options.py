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


def _as_flag(flag, option):
    """An option whose flag, also in messages, is not made from its name, a word of Python."""
    check = option.metadata["check"]
    metadata = {**option.metadata, "flag": flag, "check": lambda name, value: check(flag, value)}
    return field(default=option.default, metadata=metadata)


def _choice(default, help, choices):
    check = partial(checks.one_of, options=choices)
    return _option(default, help, tuple(choices), lambda name, value: check(name, value))


PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
AUGMENTATIONS = ("auto", "shift_flip", "crop_flip", "none")


def name_flag(option: dataclasses.Field) -> str:
    """The flag of a field of `Options` on the command line."""
    return str(option.metadata.get("flag", "--" + option.name.replace("_", "-")))


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
    find_lr: bool = _flag(
        "Find the learning rate of the last phase by a range test: 50 steps at rising rates."
    )
    tries: int | None = _as_flag(
        "--try",
        _whole(
            None,
            "Try N learning rates briefly, 2 or 3, and train with the one that does best on the "
            "held-out images.",
            2,
            3,
        ),
    )
    try_minutes: float = _real(
        5.0,
        "Minutes that all trials of --try may take together; they are shortened to fit.",
        0.01,
        10_000,
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
        self._check_choices()

    def _check_choices(self):
        """Raises `InputError` for options that have no effect on what is chosen."""
        defaults = {each.name: each.default for each in dataclasses.fields(self)}
        name = "head_learning_rate" if self.head_only else "learning_rate"
        if self.find_lr and getattr(self, name) != defaults[name]:
            raise checks.InputError(
                f"Expected either find_lr or {name}. Received both: find_lr and "
                f"{name}={getattr(self, name)!r}. Leave one out."
            )
        if self.tries is None and self.try_minutes != defaults["try_minutes"]:
            raise checks.InputError(
                "Expected try_minutes with trials only. Received: try_minutes="
                f"{self.try_minutes!r} without --try (in Python: tries). Add --try 3, or leave it out."
            )

    @property
    def chooses_rate(self) -> bool:
        """Whether the learning rate of the last phase is found by short runs."""
        return self.find_lr or self.tries is not None

    @property
    def chooses_on_held(self) -> bool:
        """Whether something is chosen by the held-out images, so that a test part is not held out."""
        return self.patience is not None or self.tries is not None

    def to_dict(self) -> dict[str, Any]:
        """The options as plain data, for records and checkpoints."""
        return dataclasses.asdict(self)
