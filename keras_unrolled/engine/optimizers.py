"""Optimizers of the recipes."""

import keras

from keras_unrolled.engine.schedules import make_schedule


@keras.saving.register_keras_serializable(package="keras_unrolled_training")
class Lamb(keras.optimizers.Lamb):
    """LAMB with the weight decay of You et al. 2020 (algorithm 2), inside the scaled update.

    Keras's own layer-wise optimizer decays outside of the scaled update, many times as strongly
    for the same coefficient. Variables without decay are not scaled, as in timm, with which the
    values of Wightman et al. 2021 were found.

    Args:
        decay: float.
        decayed: function of a variable, whether it decays.
        **options: arguments of `keras.optimizers.Lamb`.
    """

    def __init__(self, *args, decay=0.0, decayed=None, **options):
        super().__init__(*args, **options)
        self.decay, self.decayed = decay, decayed or (lambda variable: True)

    def build(self, variables):
        super().build(variables)
        self._decays = [bool(self.decay) and self.decayed(v) for v in variables]

    def update_step(self, gradient, variable, learning_rate):
        ops = keras.ops
        dtype = variable.dtype
        gradient, rate = ops.cast(gradient, dtype), ops.cast(learning_rate, dtype)
        step = ops.cast(self.iterations + 1, dtype)
        i = self._get_variable_index(variable)
        m, v = self._momentums[i], self._velocities[i]
        self.assign_add(m, (gradient - m) * (1 - self.beta_1))
        self.assign_add(v, (ops.square(gradient) - v) * (1 - self.beta_2))
        first = m / (1 - ops.power(ops.cast(self.beta_1, dtype), step))
        second = v / (1 - ops.power(ops.cast(self.beta_2, dtype), step))
        update = first / (ops.sqrt(second) + self.epsilon)
        if self._decays[i]:
            update = update + self.decay * variable
            weight, norm = (ops.sqrt(ops.sum(ops.square(x))) for x in (variable, update))
            scale = ops.where((weight > 0) & (norm > 0), weight / ops.maximum(norm, 1e-30), 1.0)
            update = scale * update
        self.assign_sub(variable, rate * update)

    def get_config(self):
        return {**super().get_config(), "decay": self.decay}


def is_decayed(variable):
    """Whether weight decay acts on a variable: on kernels only."""
    return variable.path.endswith("kernel")


def l2_coefficients(recipe, variables):
    """The L2 coefficient that a gradient step adds for each variable, a list of float.

    LAMB and AdamW decay by themselves.
    """
    decay = recipe.weight_decay if recipe.optimizer == "sgd" else 0
    return [decay if is_decayed(variable) else 0 for variable in variables]


def make_optimizer(recipe, steps_per_epoch, factors=None, schedule=None):
    """The recipe's optimizer with its schedule of the learning rate.

    Args:
        recipe: a `Recipe`.
        steps_per_epoch: int.
        factors: optional list of float, a factor of the learning rate for each variable, in the
            order of the variables that the optimizer is built on.
        schedule: optional schedule of the learning rate; the recipe's by default.

    Returns:
        A Keras optimizer, not built yet.
    """
    schedule = make_schedule(recipe, steps_per_epoch) if schedule is None else schedule
    options = {"use_ema": recipe.ema > 0, "ema_momentum": recipe.ema or 0.99}
    if recipe.optimizer == "lamb":
        optimizer = Lamb(
            schedule, decay=recipe.weight_decay, decayed=is_decayed, epsilon=1e-6, **options
        )
    elif recipe.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(schedule, recipe.weight_decay, **options)
        # As `is_decayed`; names of TensorFlow's variables end in ":0".
        optimizer.exclude_from_weight_decay(var_names=["^(?!.*kernel(:0)?$)"])
    else:
        optimizer = keras.optimizers.SGD(
            schedule, momentum=recipe.momentum, nesterov=recipe.momentum > 0, **options
        )
    if factors is not None:
        _scale_rates(optimizer, factors)
    return optimizer


def _scale_rates(optimizer, factors):
    update = optimizer.update_step

    def scaled_update(gradient, variable, learning_rate):
        factor = factors[optimizer._get_variable_index(variable)]
        update(gradient, variable, learning_rate * factor)

    optimizer.update_step = scaled_update
