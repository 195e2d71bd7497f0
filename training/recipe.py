"""What decides a training run, as data."""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from keras_unrolled import checks


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run, but for the data's place and the hardware.

    The loss is the batch's mean, and weight decay an L2 term of its gradient (SGD), of the update
    that LAMB scales, or apart from both (AdamW).

    Args:
        network: builder's name and arguments, such as
            `{"builder": "resnet", "depth": 20, "dataset": "cifar"}`.
        text: how to run it and what to expect: command, hardware, hours, score, source.
        epochs: passes over the training examples.
        batch_size: examples a step, over all replicas.
        optimizer: "sgd", with Nesterov's momentum, "lamb" (You et al. 2020) or "adamw"
            (Loshchilov & Hutter 2019).
        learning_rate: its peak, reached by a linear warm-up.
        warmup_epochs: length of the warm-up.
        decay: how the rate goes to 0, as a "cosine" or "linear"; or "plateau", by halves whenever
            an epoch has not improved the score on held-out data (text).
        milestones: epochs after which the rate is divided by 10 instead.
        momentum: of SGD.
        weight_decay: L2 coefficient on kernels; norms, biases and gates' biases have none.
        loss: "cross_entropy" of a softmax, or "binary_cross_entropy" of a sigmoid for each class,
            for which each of two mixed labels counts whole.
        label_smoothing: probability mass spread over all classes.
        clip_norm: largest global norm of the reduced gradient, or None.
        accumulate: into how many parts a batch is divided, one after the other, before the
            gradient of all of it is applied; batch normalisation sees a part at a time.
        synchronize: whether batch normalisation sees the parts of all replicas as one.
        ema: decay of the exponential moving average of the weights a step, or 0 for none. What is
            averaged gets batch statistics of its own in the end.
        holdout: how many of the last training examples to hold out. Choices are made on
            these, with 5,000; a published run trains on all, with 0.
        precision: dtype policy while training.
        augment: whether to mirror 4 pixels of border, crop at random and flip (CIFAR).
        size: side of a training crop in pixels (ImageNet, as all that follow).
        start_size: its side in the beginning, or None for the same.
        ramp: between which parts of the epochs the one grows to the other, in steps of 32.
        smallest_area: the least part of an image that such a crop covers.
        rand_augment: magnitude of RandAugment, up to 10; 0 for none.
        mixup: alpha of mixup, 0 for none.
        cutmix: alpha of CutMix, 0 for none.
        length: words of each of a batch's texts a step (text).
        sampled: words that stand for the whole vocabulary in the loss of a step; 0 means all of
            it (text).
        repeats: how often each image stands in a batch (repeated augmentation).
        seed: of weights, order, augmentation and layer dropout.
    """

    network: dict[str, Any]
    text: str = field(default="", repr=False)
    epochs: int = 55
    batch_size: int = 128
    optimizer: str = "sgd"
    learning_rate: float = 0.2
    warmup_epochs: int = 4
    decay: str = "cosine"
    milestones: tuple[int, ...] = ()
    momentum: float = 0.9
    weight_decay: float = 5e-4
    loss: str = "cross_entropy"
    label_smoothing: float = 0.05
    clip_norm: float | None = None
    accumulate: int = 1
    synchronize: bool = True
    ema: float = 0.999
    holdout: int = 0
    precision: str = "mixed_bfloat16"
    augment: bool = True
    size: int = 224
    start_size: int | None = None
    ramp: tuple[float, float] = (0.0, 1.0)
    smallest_area: float = 0.08
    rand_augment: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    repeats: int = 1
    length: int = 35
    sampled: int = 0
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
        if self.start_size is not None:
            checks.whole("start_size", self.start_size, least=8, most=self.size)
        if not isinstance(self.ramp, (list, tuple)) or len(self.ramp) != 2:
            raise checks.InputError(
                "Expected `ramp` to be two parts of the epochs. Received: ramp="
                f"{self.ramp!r}. Write for instance ramp=[0.5,0.8]."
            )
        object.__setattr__(self, "ramp", tuple(self.ramp))
        checks.real("ramp[0]", self.ramp[0], least=0, most=1)
        checks.real("ramp[1]", self.ramp[1], least=self.ramp[0], most=1)
        checks.one_of("optimizer", self.optimizer, ("sgd", "lamb", "adamw"))
        checks.one_of("decay", self.decay, ("cosine", "linear", "plateau"))
        checks.one_of("loss", self.loss, ("cross_entropy", "binary_cross_entropy"))
        checks.real("rand_augment", self.rand_augment, least=0, most=10)
        checks.real("mixup", self.mixup, least=0, most=100)
        checks.real("cutmix", self.cutmix, least=0, most=100)
        checks.whole("length", self.length, least=1, most=10_000)
        checks.whole("sampled", self.sampled, least=0, most=10_000_000)
        checks.whole("repeats", self.repeats, least=1, most=100)
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
        tuples = {"milestones": list(self.milestones), "ramp": list(self.ramp)}
        return {**dataclasses.asdict(self), **tuples}

    def size_of(self, epoch):
        """Side in pixels of the crops of one epoch, counted from 0."""
        if self.start_size is None:
            return self.size
        begin, end = (part * self.epochs for part in self.ramp)
        grown = (epoch - begin) / (end - begin) if end > begin else float(epoch >= end)
        whole = self.start_size + (self.size - self.start_size) * min(1.0, max(0.0, grown))
        return self.size if whole >= self.size else max(self.start_size, 32 * round(whole / 32))

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
                checks.check_names([key], names, "the recipe")
                changes[key] = value
        return dataclasses.replace(self, network=network, **changes)
