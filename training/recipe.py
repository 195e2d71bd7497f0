"""What decides a training run, as data."""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from keras_unrolled import checks


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run, but for the data's place and the hardware.

    The loss is the batch's mean, and weight decay an L2 term of its gradient.

    Args:
        network: builder's name and arguments, such as
            `{"builder": "resnet", "depth": 20, "dataset": "cifar"}`.
        text: how to run it and what to expect: command, hardware, hours, score, source.
        epochs: passes over the training examples.
        batch_size: examples a step, over all replicas.
        learning_rate: its peak, reached by a linear warm-up.
        warmup_epochs: length of the warm-up.
        milestones: epochs after which the rate is divided by 10; none means a cosine to 0.
        momentum: of SGD with Nesterov's rule.
        weight_decay: L2 coefficient on kernels; norms, biases and gates' biases have none.
        label_smoothing: probability mass spread over all classes.
        clip_norm: largest global norm of the reduced gradient, or None.
        accumulate: into how many parts a batch is divided, one after the other, before the
            gradient of all of it is applied; batch normalisation sees a part at a time.
        synchronize: whether batch normalisation sees the parts of all replicas as one.
        ema: decay of the exponential moving average of the weights a step, or 0 for none.
        holdout: how many of the last training examples to hold out. Choices are made on
            these, with 5,000; a published run trains on all, with 0.
        precision: dtype policy while training.
        augment: whether to pad by 4, crop at random and flip (CIFAR).
        size: side of a training crop in pixels (ImageNet).
        smallest_area: the least part of an image that such a crop covers.
        seed: of weights, order, augmentation and layer dropout.
    """

    network: dict[str, Any]
    text: str = field(default="", repr=False)
    epochs: int = 55
    batch_size: int = 128
    learning_rate: float = 0.2
    warmup_epochs: int = 4
    milestones: tuple[int, ...] = ()
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.05
    clip_norm: float | None = None
    accumulate: int = 1
    synchronize: bool = True
    ema: float = 0.999
    holdout: int = 0
    precision: str = "mixed_bfloat16"
    augment: bool = True
    size: int = 224
    smallest_area: float = 0.08
    seed: int = 0

    def __post_init__(self):
        checks.whole("epochs", self.epochs, least=1, most=100_000)
        checks.whole("batch_size", self.batch_size, least=1, most=1_000_000)
        checks.whole("warmup_epochs", self.warmup_epochs, least=0, most=self.epochs)
        if not isinstance(self.milestones, (list, tuple)):
            raise checks.InputError(
                f"Expected `milestones` to be a list of epochs. Received: milestones="
                f"{self.milestones!r}. Write for instance milestones=[30,60,80]."
            )
        object.__setattr__(self, "milestones", tuple(self.milestones))
        for epoch in self.milestones:
            checks.whole("milestones", epoch, least=1, most=100_000)
        checks.whole("size", self.size, least=8, most=2_048)
        checks.real("smallest_area", self.smallest_area, least=1e-3, most=1)
        checks.whole("holdout", self.holdout, least=0, most=10_000_000)
        checks.whole("seed", self.seed, least=0, most=2**31 - 1)
        checks.real("learning_rate", self.learning_rate, least=0, most=1_000)
        checks.real("momentum", self.momentum, least=0, most=1, below=True)
        checks.real("weight_decay", self.weight_decay, least=0, most=10)
        checks.real("label_smoothing", self.label_smoothing, least=0, most=1, below=True)
        checks.real("ema", self.ema, least=0, most=1, below=True)
        checks.one_of("precision", self.precision, ("float32", "mixed_bfloat16", "float64"))
        checks.flag("augment", self.augment)
        checks.flag("synchronize", self.synchronize)
        checks.whole("accumulate", self.accumulate, least=1, most=1_000)
        if self.clip_norm is not None:
            checks.real("clip_norm", self.clip_norm, least=1e-12, most=1e12)

    def to_dict(self):
        """The recipe as plain data, for records and checkpoints."""
        return {**dataclasses.asdict(self), "milestones": list(self.milestones)}

    def override(self, settings):
        """A copy with `key=value` settings applied, values written as JSON or plain words.

        A key of the network is written `network.key`, as in `network.depth=32`.

        Raises:
            InputError: for a setting without "=", an unknown key or an impossible value.
        """
        changes, network = {}, dict(self.network)
        names = [f.name for f in dataclasses.fields(self) if f.name not in ("network", "text")]
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
                checks.known([key], names, "the recipe")
                changes[key] = value
        return dataclasses.replace(self, network=network, **changes)
