"""Schedules of the learning rate."""

import keras


@keras.saving.register_keras_serializable(package="keras_unrolled_training")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A linear warm-up, then a linear decay to 0 or a division by 10 at each milestone.

    Args:
        rate: float, the peak.
        warmup: int, steps of the warm-up.
        total: int, steps of the run.
        milestones: list of int, steps; empty for the linear decay.
    """

    def __init__(self, rate, warmup, total, milestones=()):
        super().__init__()
        self.rate, self.warmup, self.total = rate, warmup, total
        self.milestones = list(milestones)

    def __call__(self, step):
        step = keras.ops.cast(step, "float32")
        warm = keras.ops.minimum(1.0, step / max(1, self.warmup)) if self.warmup else 1.0
        if self.milestones:
            passed = sum(keras.ops.cast(step >= m, "float32") for m in self.milestones)
            return self.rate * warm * 0.1**passed
        left = (self.total - step) / max(1, self.total - self.warmup)
        return self.rate * keras.ops.clip(left, 0.0, warm)

    def get_config(self):
        names = ("rate", "warmup", "total", "milestones")
        return {name: getattr(self, name) for name in names}


@keras.saving.register_keras_serializable(package="keras_unrolled_training")
class ExponentialRise(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that rises by one factor from step to step.

    Args:
        first: float, the rate of the first step.
        last: float, the rate of the last step.
        steps: int, the number of steps, at least 2.
    """

    def __init__(self, first, last, steps):
        super().__init__()
        self.first, self.last, self.steps = first, last, steps

    def __call__(self, step):
        step = keras.ops.cast(step, "float32")
        return self.first * (self.last / self.first) ** (step / (self.steps - 1))

    def get_config(self):
        return {name: getattr(self, name) for name in ("first", "last", "steps")}


def make_schedule(recipe, steps_per_epoch):
    """The recipe's learning rate: a schedule, or a float that the run itself lowers.

    Args:
        recipe: a `Recipe`.
        steps_per_epoch: int.
    """
    total, warmup = recipe.epochs * steps_per_epoch, recipe.warmup_epochs * steps_per_epoch
    if recipe.decay == "plateau":
        return recipe.learning_rate
    if recipe.milestones or recipe.decay == "linear":
        ends = [epoch * steps_per_epoch for epoch in recipe.milestones]
        return Schedule(recipe.learning_rate, warmup, total, ends)
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else recipe.learning_rate,
        decay_steps=max(1, total - warmup),
        warmup_target=recipe.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
