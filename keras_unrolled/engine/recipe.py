"""Recipes: everything that decides a training run, as data."""

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

from keras_unrolled import checks


def _checked(check, default):
    return field(default=default, metadata={"check": check})


def _whole(default, least, most):
    return _checked(partial(checks.whole, least=least, most=most), default)


def _real(default, least, most, *, below=False):
    return _checked(partial(checks.real, least=least, most=most, below=below), default)


def _choice(default, *options):
    return _checked(lambda name, value: checks.one_of(name, value, options), default)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a training run, except the data's location and the hardware.

    The loss is the mean over the batch. Weight decay is an L2 term of its gradient (SGD), part of
    the update that LAMB scales, or decoupled from both (AdamW); it acts on kernels only.

    Args:
        network: the builder's name and arguments, such as
            `{"builder": "resnet", "depth": 20, "dataset": "cifar"}`.
        epochs: passes over the training examples.
        batch_size: examples per step, over all replicas.
        optimizer: "sgd", with Nesterov's momentum, "lamb" (You et al. 2020) or "adamw"
            (Loshchilov & Hutter 2019).
        learning_rate: its peak, reached by a linear warm-up.
        warmup_epochs: length of the warm-up.
        decay: how the rate falls to 0: "cosine" or "linear".
        milestones: epochs after which the rate is divided by 10 instead.
        momentum: momentum of SGD.
        weight_decay: coefficient of the weight decay.
        clip_norm: largest global norm of the reduced gradient, or None.
        accumulate: number of parts that a batch is divided into; their gradients are summed
            before one update. Batch normalization sees one part at a time.
        ema: decay per step of the exponential moving average of the weights, or 0 for none.
            Averaged weights get batch statistics of their own at the end of the run.
        precision: dtype policy while training.
        seed: seed of weights, order, augmentation and layer dropout.

    Every knob that can be switched off is off by default, so that a record that leaves it out can
    be read back.

    Raises:
        InputError: for a value that is out of range.
    """

    network: dict[str, Any]
    epochs: int = _whole(60, 1, 100_000)
    batch_size: int = _whole(128, 1, 1_000_000)
    optimizer: str = _choice("sgd", "sgd", "lamb", "adamw")
    learning_rate: float = _real(0.2, 0, 1_000)
    warmup_epochs: int = _whole(0, 0, 100_000)
    decay: str = _choice("cosine", "cosine", "linear")
    milestones: tuple[int, ...] = ()
    momentum: float = _real(0.0, 0, 1, below=True)
    weight_decay: float = _real(0.0, 0, 10)
    clip_norm: float | None = _real(None, 1e-12, 1e12)
    accumulate: int = _whole(1, 1, 1_000)
    ema: float = _real(0.0, 0, 1, below=True)
    precision: str = _choice(
        "mixed_bfloat16", "float32", "mixed_bfloat16", "mixed_float16", "float64"
    )
    seed: int = _whole(0, 0, 2**31 - 1)

    step_unit: ClassVar[str] = "examples"  # what a step reads, for progress and logs

    def __post_init__(self):
        for each in dataclasses.fields(self):
            value, check = getattr(self, each.name), each.metadata.get("check")
            if check is not None and not (value is None and each.default is None):
                check(each.name, value)
        checks.whole("warmup_epochs", self.warmup_epochs, least=0, most=self.epochs)
        object.__setattr__(self, "milestones", _sequence("milestones", self.milestones, "[30,60]"))
        for epoch in self.milestones:
            checks.whole("milestones", epoch, least=1, most=100_000)

    @property
    def units_per_step(self) -> int:
        """How many `step_unit` a step reads."""
        return self.batch_size

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain data, for checkpoints."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
        }

    def inactive(self) -> set[str]:
        """The fields that have no effect on this run."""
        switched_off = {
            "milestones": not self.milestones,
            "decay": bool(self.milestones),
            "momentum": self.optimizer != "sgd" or not self.momentum,
            "weight_decay": not self.weight_decay,
            "clip_norm": self.clip_norm is None,
            "accumulate": self.accumulate == 1,
            "ema": not self.ema,
        }
        return {name for name, off in switched_off.items() if off}

    def applicable(self) -> dict[str, Any]:
        """The fields that have an effect on this run, for records and cards."""
        return {
            name: value for name, value in self.to_dict().items() if name not in self.inactive()
        }

    def override(self, settings: Iterable[str]) -> "Recipe":
        """A copy with `key=value` settings applied, values written as JSON or plain words.

        A key of the network is written `network.key`, as in `network.depth=32`.

        Raises:
            InputError: for a setting without "=", an unknown key or a value out of range.
        """
        changes: dict[str, Any] = {}
        network = dict(self.network)
        names = [each.name for each in dataclasses.fields(self) if each.name != "network"]
        for setting in settings:
            key, equals, text = setting.partition("=")
            if not equals:
                raise checks.InputError(
                    f"Expected a setting as key=value. Received: {setting!r}. "
                    "Write for instance --set epochs=2."
                )
            try:
                value = json.loads(text)
            except json.JSONDecodeError:
                value = {"None": None, "True": True, "False": False}.get(text, text)
            if key.startswith("network."):
                network[key.removeprefix("network.")] = value
            else:
                checks.check_names([key], names, "the recipe")
                changes[key] = value
        return dataclasses.replace(self, network=network, **changes)


@dataclass(frozen=True, kw_only=True)
class ImageRecipe(Recipe):
    """The recipe of an image classifier.

    Args:
        loss: "cross_entropy" of a softmax, or "binary_cross_entropy" of a sigmoid per class, for
            which each of two mixed labels counts in full.
        label_smoothing: probability mass that is spread over all classes.
        synchronize: whether batch normalization uses the statistics of all replicas.
        holdout: how many of the last training examples to hold out. Choices are made on these;
            a published run trains on all, with 0.
        augmentation: "shift_flip" mirrors a border, crops at random and flips (He et al. 2015,
            section 4.2); "crop_flip" takes random resized crops and flips (Szegedy et al. 2015,
            section 6); "none".
        size: side of a random resized crop in pixels.
        start_size: its side at the start of the run, or None for the same.
        ramp: the fractions of the epochs between which the size grows, in steps of 32.
        smallest_area: the smallest part of an image that a random resized crop covers.
        rand_augment: magnitude of RandAugment, up to 10; 0 for none.
        mixup, cutmix: alpha of mixup and of CutMix, 0 for none.
        repeats: how often each image occurs in a batch (repeated augmentation).
        init: name, folder or address of a preset to start from, in the network's gating, or None.
        gate_rate: factor of the learning rate of the gates.
        teachers: presets whose mean answer to each augmented image is learned in place of its label.
        view_epochs: with teachers, epochs after which the same augmented images come again; 0 for never.
        **others: see `Recipe`.
    """

    loss: str = _choice("cross_entropy", "cross_entropy", "binary_cross_entropy")
    label_smoothing: float = _real(0.0, 0, 1, below=True)
    synchronize: bool = _checked(checks.flag, True)
    holdout: int = _whole(0, 0, 10_000_000)
    augmentation: str = _choice("shift_flip", "shift_flip", "crop_flip", "none")
    size: int = _whole(224, 8, 2_048)
    start_size: int | None = _whole(None, 8, 2_048)
    ramp: tuple[float, float] = (0.0, 1.0)
    smallest_area: float = _real(0.08, 1e-3, 1)
    rand_augment: float = _real(0.0, 0, 10)
    mixup: float = _real(0.0, 0, 100)
    cutmix: float = _real(0.0, 0, 100)
    repeats: int = _whole(1, 1, 100)
    init: str | None = None
    gate_rate: float = _real(1.0, 0, 1_000)
    teachers: tuple[str, ...] = ()
    view_epochs: int = _whole(0, 0, 10_000)

    step_unit: ClassVar[str] = "images"

    def __post_init__(self):
        super().__post_init__()
        if self.start_size is not None:
            checks.whole("start_size", self.start_size, least=8, most=self.size)
        object.__setattr__(self, "ramp", _sequence("ramp", self.ramp, "[0.5,0.8]"))
        if len(self.ramp) != 2:
            raise checks.InputError(
                f"Expected `ramp` to be two fractions of the epochs. Received: ramp={self.ramp!r}. "
                "Write for instance ramp=[0.5,0.8]."
            )
        teachers = _sequence("teachers", self.teachers, '["resnet_bn_cifar10"]')
        object.__setattr__(self, "teachers", teachers)
        for name, value, least in zip(("ramp[0]", "ramp[1]"), self.ramp, (0, self.ramp[0])):
            checks.real(name, value, least=least, most=1)

    def inactive(self) -> set[str]:
        crops = self.augmentation == "crop_flip"
        switched_off = {
            "label_smoothing": not self.label_smoothing,
            "synchronize": self.synchronize,  # as one device would do it
            "holdout": not self.holdout,
            "size": not crops,
            "start_size": not crops or self.start_size is None,
            "ramp": not crops or self.start_size is None,
            "smallest_area": not crops,
            "rand_augment": not self.rand_augment,
            "mixup": not self.mixup,
            "cutmix": not self.cutmix,
            "repeats": self.repeats == 1,
            "init": self.init is None,
            "gate_rate": self.gate_rate == 1,
            "teachers": not self.teachers,
            "view_epochs": not self.view_epochs or not self.teachers,
        }
        return super().inactive() | {name for name, off in switched_off.items() if off}

    @property
    def mixes(self) -> bool:
        """Whether images are mixed, so that labels are distributions over the classes."""
        return bool(self.mixup or self.cutmix)

    def size_of(self, epoch: int) -> int:
        """Side in pixels of the crops of one epoch, counted from 0."""
        if self.start_size is None:
            return self.size
        begin, end = (part * self.epochs for part in self.ramp)
        grown = (epoch - begin) / (end - begin) if end > begin else float(epoch >= end)
        exact = self.start_size + (self.size - self.start_size) * min(1.0, max(0.0, grown))
        return self.size if exact >= self.size else max(self.start_size, 32 * round(exact / 32))


@dataclass(frozen=True, kw_only=True)
class TextRecipe(Recipe):
    """The recipe of a language model, whose state is carried from step to step.

    Args:
        decay: as in `Recipe`, or "plateau": the rate is halved after each epoch that does not
            lower the validation perplexity by more than 1 (Kim et al. 2016, section 4).
        length: words of each of a batch's texts per step.
        **others: see `Recipe`.
    """

    decay: str = _choice("plateau", "plateau", "cosine", "linear")
    length: int = _whole(35, 1, 10_000)

    step_unit: ClassVar[str] = "words"

    @property
    def units_per_step(self) -> int:
        return self.batch_size * self.length


def read_recipe(data: dict[str, Any]) -> Recipe:
    """The recipe that `to_dict` or `applicable` wrote, also by earlier versions.

    Args:
        data: dict of a checkpoint or of a record's `training["recipe"]`.

    Returns:
        A `TextRecipe` or an `ImageRecipe`, by the network's builder.
    """
    text = data["network"].get("builder") == "character_lm"
    kind = TextRecipe if text else ImageRecipe
    data = dict(data)
    if "augment" in data:  # of version 0.1 before recipes were divided by task
        crops = data["network"].get("dataset") == "imagenet"
        data["augmentation"] = "crop_flip" if crops else "shift_flip" if data["augment"] else "none"
    names = {each.name for each in dataclasses.fields(kind)}
    return kind(**{name: value for name, value in data.items() if name in names})


def _sequence(name, values, example):
    if not isinstance(values, (list, tuple)):
        raise checks.InputError(
            f"Expected `{name}` to be a list. Received: {name}={values!r}. Write for instance "
            f"{name}={example}."
        )
    return tuple(values)
