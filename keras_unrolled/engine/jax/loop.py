"""The training loop on JAX: the same jobs through Keras's `fit`, on all devices of a machine."""

import time

import keras
import numpy as np
import tensorflow as tf

from keras_unrolled import checks
from keras_unrolled.engine import checkpoint
from keras_unrolled.engine.jax.sharding import count_replicas
from keras_unrolled.engine.log import Log
from keras_unrolled.engine.objectives import make_losses, weigh
from keras_unrolled.engine.optimizers import l2_coefficients, make_optimizer
from keras_unrolled.engine.progress import make_bar
from keras_unrolled.engine.run_state import (
    add_steps,
    is_finished,
    new_state,
    start_epoch,
    summarize_epoch,
)
from keras_unrolled.engine.stopping import Stopped, StopRequest, check_finite
from keras_unrolled.models.batch_statistics import recompute_batch_statistics, statistics

LOOK_EVERY = 10  # steps after which a loss is read: each time waits for the device
STATISTICS_BATCHES = 200  # from which averaged weights get their batch statistics


def check_job(job, distribution):
    """Raises `InputError` for what a job asks for and this engine cannot do."""
    recipe, replicas = job.recipe, count_replicas(distribution)
    for possible, what in (
        (recipe.batch_size % replicas == 0, f"a batch that divides by {replicas} devices"),
        (recipe.accumulate == 1, "accumulate=1"),
        (
            getattr(recipe, "synchronize", True) or replicas == 1,
            "synchronize=true on several devices",
        ),
        (job.objective is None, "an image classifier, whose loss the recipe names,"),
        (not job.timeout, "a single process, without a timeout,"),
    ):
        if not possible:
            raise checks.InputError(
                f"Expected {what} on JAX. Received: batch_size={recipe.batch_size}, accumulate="
                f"{recipe.accumulate}, synchronize={getattr(recipe, 'synchronize', None)}, "
                f"objective={job.objective!r}, timeout={job.timeout!r}. Change it by --set, or "
                "train on TensorFlow: unset KERAS_BACKEND."
            )


def train(job, distribution):
    """Runs a job as `engine.tensorflow.loop.train` does; `distribution` is of `make_distribution`."""
    check_job(job, distribution)
    job.workdir.mkdir(parents=True, exist_ok=True)
    recipe = job.recipe
    keras.distribution.set_distribution(distribution)
    try:
        keras.utils.set_random_seed(recipe.seed)
        run = _Run(job, job.build())
        state = checkpoint.restore(job.workdir, run.variables, recipe, job.identity)
        state = state or new_state(job)
        if not is_finished(state, job):
            run.take_steps(state)
        if recipe.ema:
            run.optimizer.finalize_variable_values(run.network.trainable_variables)
            run.recompute_statistics()
    finally:
        keras.distribution.set_distribution(None)
    return run.model, state


class _Run:
    """The steps of a job, from its state to the end."""

    def __init__(self, job, model):
        self.job, self.model = job, model
        self.network = keras.Model(model.inputs, model.outputs)  # without preprocessing
        factors = job.rate_factors(model) if job.rate_factors is not None else None
        self.optimizer = make_optimizer(job.recipe, job.steps_per_epoch, factors)
        self.optimizer.build(self.network.trainable_variables)
        apply = self.optimizer.apply
        adjust = adjust_gradients(job.recipe, self.network.trainable_variables)
        self.optimizer.apply = lambda gradients, variables=None: apply(adjust(gradients), variables)
        self.network.compile(
            optimizer=self.optimizer,
            loss=_Loss(job.recipe, job.class_weights),
            metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        )
        self.variables = [*model.variables, *self.optimizer.variables]

    def take_steps(self, state):
        """Takes every step that is left and updates `state`."""
        job = self.job
        log = Log(job.workdir, state["step"] // job.steps_per_epoch)
        with make_bar(job, state) as bar, log, StopRequest() as stop:
            while not is_finished(state, job):
                self._take_some(state, bar, stop)
                if state["step"] % job.steps_per_epoch == 0:
                    figures = summarize_epoch(state, job, float(self.optimizer.learning_rate))
                    figures |= job.evaluate(self.model) if job.evaluate is not None else {}
                    log.write(figures)
                    if job.after_epoch is not None:
                        job.after_epoch(self.model, self.optimizer, figures, state)
                    start_epoch(state)
                checkpoint.save(job.workdir, self.variables, state, job.recipe, job.identity)
                if stop and not is_finished(state, job):
                    raise Stopped(
                        f"stopped at step {state['step']}, saved in {job.workdir}; the same "
                        "command resumes the run",
                        stop.exit_code,
                    )

    def _take_some(self, state, bar, stop):
        """Takes the steps up to the end of the epoch or the next checkpoint."""
        job, step = self.job, state["step"]
        count = job.steps_per_epoch - step % job.steps_per_epoch
        if job.checkpoint_every:
            count = min(count, job.checkpoint_every - step % job.checkpoint_every)
        bar.set_description(
            f"{job.title} {step // job.steps_per_epoch + 1}/{job.recipe.epochs}", refresh=False
        )
        weights = self.network.trainable_variables
        steps = _Steps(bar, job.recipe.units_per_step, stop, weights)
        batches = job.stream(step).map(self._prepare).take(count)
        began = time.perf_counter()
        self.network.fit(batches, verbose=0, callbacks=[steps])
        for weight, value in zip(weights, steps.raw):
            weight.assign(value)
        logs = steps.logs
        check_finite([logs["loss"]], step + steps.taken - 1, job)
        losses, hits = (np.full(steps.taken, logs[key]) for key in ("loss", "accuracy"))
        add_steps(state, losses, hits, time.perf_counter() - began)
        bar.set_postfix(loss=f"{logs['loss']:.3f}", accuracy=f"{logs['accuracy']:.3f}")

    def recompute_statistics(self):
        """Runs the last training batches again for the statistics of averaged weights."""
        job = self.job
        count = min(STATISTICS_BATCHES, job.steps_per_epoch)
        batches = job.stream(job.total_steps - count)
        images = iter(batches.map(lambda *batch: self._prepare(*batch)[0]))

        def batch():
            self.network(next(images).numpy(), training=True)
            return map(keras.ops.convert_to_numpy, statistics(self.network))

        recompute_batch_statistics(self.network, batch, count)

    def _prepare(self, images, labels):
        preprocess, classes = self.job.preprocess, self.model.num_classes
        images = images if preprocess is None else preprocess(images)
        return images, labels if labels.shape.rank == 2 else tf.one_hot(labels, classes)


def adjust_gradients(recipe, variables):
    """The function from gradients to clipped ones with L2 decay, in that order."""
    l2 = l2_coefficients(recipe, variables)

    def adjust(gradients):
        ops = keras.ops
        norm = ops.sqrt(sum(ops.sum(ops.square(ops.cast(g, "float32"))) for g in gradients))
        scale = ops.ones_like(norm)
        if recipe.clip_norm is not None:
            scale = ops.minimum(scale, recipe.clip_norm / norm)
        # A ReLU turns NaN into 0, and with it a broken gradient into a finite loss.
        scale = ops.where(ops.isfinite(norm), scale, float("nan"))
        return [
            g * ops.cast(scale, g.dtype) + decay * ops.cast(v, g.dtype)
            for g, v, decay in zip(gradients, variables, l2)
        ]

    return adjust


class _Steps(keras.callbacks.Callback):
    """Counts steps, shows progress, and stops on a request and at a loss that is not finite."""

    def __init__(self, bar, units_per_step, stop, weights):
        super().__init__()
        self.bar, self.units_per_step, self.stop, self.weights = bar, units_per_step, stop, weights
        self.taken, self.logs, self.raw = 0, {}, []

    def on_train_batch_end(self, batch, logs=None):
        self.taken += 1
        self.bar.update(self.units_per_step)
        if self.taken % LOOK_EVERY == 0 and not np.isfinite(float(logs["loss"])):
            self.model.stop_training = True
        if self.stop:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        self.logs = {key: float(value) for key, value in logs.items()}
        # `fit` ends with the averaged weights in place of the raw ones.
        self.raw = [keras.ops.convert_to_numpy(w) for w in self.weights]


class _Loss(keras.losses.Loss):
    """The recipe's loss as `compile` takes one: the mean over a batch."""

    def __init__(self, recipe, class_weights):
        super().__init__(name="loss", reduction="sum_over_batch_size")
        self.losses_of, self.class_weights = make_losses(recipe), class_weights

    def call(self, targets, logits):
        return weigh(self.losses_of(targets, logits), targets, self.class_weights)
