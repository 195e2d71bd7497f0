"""Training on JAX: the same recipes through Keras's `fit`, on all devices of one machine."""

import os
import time

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from keras_unrolled import checks
from training import checkpoint, loop
from training.strategy import Worker

LOOK_EVERY = 10  # steps after which a loss is looked at: each look waits for the device


def make_distribution(replicas=None, *, kind="auto"):
    """A `keras.distribution.DataParallel` over devices of this machine, or None for one.

    Args:
        replicas: int or None; None takes every device.
        kind: "auto", "one" or "mirrored".

    Raises:
        InputError: for another kind, or if there are fewer devices than asked for.
    """
    if kind not in ("auto", "one", "mirrored"):
        raise checks.InputError(
            f"Expected --strategy auto, one or mirrored on JAX. Received: {kind!r}. Several machines "
            "and TPUs train on TensorFlow: unset KERAS_BACKEND."
        )
    tf.config.set_visible_devices([], "GPU")  # which only reads the data
    devices = keras.distribution.list_devices()
    replicas = 1 if kind == "one" else len(devices) if replicas is None else replicas
    checks.whole("replicas", replicas, least=1, most=1024)
    if replicas > len(devices):
        raise checks.InputError(
            f"Expected at least {replicas} devices. JAX finds {len(devices)}. Ask for fewer replicas."
        )
    if replicas == 1:
        return None
    return keras.distribution.DataParallel(devices=devices[:replicas], auto_shard_dataset=False)


def adjust(recipe, variables):
    """The function from gradients to clipped ones with L2 decay, in that order, as `loop` has it."""
    l2 = [
        recipe.weight_decay if recipe.optimizer == "sgd" and loop.decays(v) else 0
        for v in variables
    ]

    def adjusted(gradients):
        ops = keras.ops
        norm = ops.sqrt(sum(ops.sum(ops.square(ops.cast(g, "float32"))) for g in gradients))
        scale = ops.ones_like(norm)
        if recipe.clip_norm is not None:
            scale = ops.minimum(scale, recipe.clip_norm / norm)
        # A ReLU turns NaN into 0, and with it a ruined gradient into a finite loss.
        scale = ops.where(ops.isfinite(norm), scale, float("nan"))
        return [
            g * ops.cast(scale, g.dtype) + decay * ops.cast(v, g.dtype)
            for g, v, decay in zip(gradients, variables, l2)
        ]

    return adjusted


class Steps(keras.callbacks.Callback):
    """Counts steps, shows progress, stops on SIGTERM and at a loss that is not finite."""

    def __init__(self, bar, batch_size, stop, weights):
        super().__init__()
        self.bar, self.batch_size, self.stop, self.weights = bar, batch_size, stop, weights
        self.taken, self.logs, self.raw = 0, {}, []

    def on_train_batch_end(self, batch, logs=None):
        self.taken += 1
        self.bar.update(self.batch_size)
        if self.taken % LOOK_EVERY == 0 and not np.isfinite(float(logs["loss"])):
            self.model.stop_training = True
        if self.stop.came:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        self.logs = {key: float(value) for key, value in logs.items()}
        # `fit` ends with the averaged weights in their place.
        self.raw = [keras.ops.convert_to_numpy(w) for w in self.weights]


def train(
    build,
    recipe,
    dataset,
    *,
    steps_per_epoch,
    strategy,
    workdir,
    evaluate=None,
    preprocess=None,
    checkpoint_every=None,
    timeout=None,
):
    """As `loop.train`, whose arguments it takes; `strategy` is of `make_distribution`."""
    replicas = 1 if strategy is None else strategy.device_mesh.devices.size
    for ok, what in (
        (recipe.batch_size % replicas == 0, f"a batch that divides by {replicas} devices"),
        (recipe.accumulate == 1, "accumulate=1"),
        (recipe.synchronize or replicas == 1, "synchronize=true on several devices"),
    ):
        if not ok:
            raise checks.InputError(
                f"Expected {what} on JAX. Received: batch_size={recipe.batch_size}, accumulate="
                f"{recipe.accumulate}, synchronize={recipe.synchronize}. Change it by --set, or "
                "unset KERAS_BACKEND."
            )
    os.makedirs(workdir, exist_ok=True)
    keras.distribution.set_distribution(strategy)
    keras.utils.set_random_seed(recipe.seed)
    model = build()
    network = keras.Model(model.inputs, model.outputs)  # without KerasHub's preprocessing
    optimizer = loop.make_optimizer(recipe, steps_per_epoch)
    optimizer.build(network.trainable_variables)
    plain, adjusted = optimizer.apply, adjust(recipe, network.trainable_variables)
    optimizer.apply = lambda gradients, variables=None: plain(adjusted(gradients), variables)
    network.compile(
        optimizer=optimizer,
        loss=Loss(recipe),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
    )
    variables = [*model.variables, *optimizer.variables]
    state = checkpoint.restore(workdir, variables, recipe.to_dict(), loop.DEFAULTS)
    state = state or loop.new_state(recipe)
    total, batch = recipe.epochs * steps_per_epoch, recipe.batch_size
    classes = model.num_classes

    def prepare(images, labels):
        images = images if preprocess is None else preprocess(images)
        return images, labels if labels.shape.rank == 2 else tf.one_hot(labels, classes)

    log = loop.Log(workdir, state["step"] // steps_per_epoch, Worker())
    bar = tqdm(total=total * batch, initial=state["step"] * batch, **loop.bar_options("images"))
    with bar, log, loop.StopRequest() as stop:
        while state["step"] < total:
            step = state["step"]
            epoch = step // steps_per_epoch + 1
            # An epoch, or up to the next checkpoint; where crops grow, an epoch ends too.
            count = steps_per_epoch - step % steps_per_epoch
            if checkpoint_every:
                count = min(count, checkpoint_every - step % checkpoint_every)
            bar.set_description(f"epoch {epoch}/{recipe.epochs}", False)
            steps = Steps(bar, batch, stop, network.trainable_variables)
            began = time.perf_counter()
            network.fit(dataset(step).map(prepare).take(count), verbose=0, callbacks=[steps])
            for weight, value in zip(network.trainable_variables, steps.raw):
                weight.assign(value)
            found = steps.logs
            loop.refuse_ruin(found["loss"], step + steps.taken, epoch, recipe, workdir)
            sums, seconds = state["losses"], time.perf_counter() - began
            state["losses"] = [
                sums[0] + found["loss"] * steps.taken,
                sums[1] + found["accuracy"] * steps.taken,
                sums[2] + steps.taken,
            ]
            state["step"] = step + steps.taken
            state["hours"] += seconds / 3600
            state["seconds"] = state.get("seconds", 0.0) + seconds
            bar.set_postfix(loss=f"{found['loss']:.3f}", accuracy=f"{found['accuracy']:.3f}")
            if state["step"] % steps_per_epoch == 0:
                rate = float(optimizer.learning_rate)
                figures = loop.figures(state, epoch, recipe, rate)
                log.write(figures | (evaluate(model) if evaluate is not None else {}))
                state["losses"], state["seconds"] = [0.0, 0.0, 0], 0.0
            checkpoint.save(workdir, variables, state)
            if stop.came and state["step"] < total:
                raise loop.Stopped(f"stopped at step {state['step']}, saved in {workdir}")
    if recipe.ema:
        optimizer.finalize_variable_values(network.trainable_variables)
        count = min(loop.LOOKS, steps_per_epoch)
        images = iter(dataset(total - count).map(lambda *batch: prepare(*batch)[0]))

        def look():
            network(next(images).numpy(), training=True)
            return map(keras.ops.convert_to_numpy, loop.statistics(network))

        loop.settle_statistics(network, look, count)
    keras.distribution.set_distribution(None)
    return model, state


class Loss(keras.losses.Loss):
    """The recipe's loss as `compile` takes one: the mean over a batch."""

    def __init__(self, recipe):
        super().__init__(name="loss", reduction="sum_over_batch_size")
        self.losses_of = loop.make_losses(recipe)

    def call(self, targets, logits):
        return self.losses_of(targets, logits)
