"""The training loop on TensorFlow, on one device or on all of them.

It is our own because Keras's `fit` clips each replica's gradients before they are reduced, and
because it does not run on several workers.
"""

import time

import keras
import tensorflow as tf

from keras_unrolled import checks
from keras_unrolled.engine import checkpoint
from keras_unrolled.engine.log import Log
from keras_unrolled.engine.objectives import classification
from keras_unrolled.engine.optimizers import make_optimizer
from keras_unrolled.engine.progress import make_bar, show
from keras_unrolled.engine.recipe import ImageRecipe
from keras_unrolled.engine.run_state import (
    add_steps,
    is_finished,
    new_state,
    note_machine,
    start_epoch,
    summarize_epoch,
)
from keras_unrolled.engine.stopping import Stopped, StopRequest, WorkersGoneError, check_finite
from keras_unrolled.engine.tensorflow.precision import note_slow_precision
from keras_unrolled.engine.tensorflow.rendezvous import watchdog
from keras_unrolled.engine.tensorflow.step import make_step
from keras_unrolled.engine.tensorflow.strategy import find_worker
from keras_unrolled.models.batch_statistics import (
    STATISTICS_BATCHES,
    normalizations,
    recompute_batch_statistics,
    statistics,
)

STEPS_PER_CALL = 10
_WORKER_IS_GONE = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)


def train(job, strategy):
    """Runs a job, or resumes it from the last checkpoint in its folder.

    Writes checkpoints, `log.csv` and event files for TensorBoard; of several workers the chief
    does, and the others read its checkpoints.

    Args:
        job: a `Job`.
        strategy: a strategy of `make_strategy`.

    Returns:
        The trained model, with averaged weights if the recipe has them, and the state of the
        run, a dict with "step" and "hours".

    Raises:
        InputError: if the batch does not divide by the replicas and parts, or for a checkpoint
            of another run.
        NonFiniteLossError: at the first loss or gradient that is NaN or infinite.
        WorkersGoneError: if another worker has ended.
        Stopped: after SIGTERM or Ctrl-C, once a checkpoint has been written.
    """
    job.check_batch(strategy.num_replicas_in_sync)
    job.workdir.mkdir(parents=True, exist_ok=True)
    recipe = job.recipe
    keras.utils.set_random_seed(recipe.seed)
    with strategy.scope():
        model = job.build()
        factors = job.rate_factors(model) if job.rate_factors is not None else None
        optimizer = make_optimizer(recipe, job.steps_per_epoch, factors, job.schedule)
        optimizer.build(model.trainable_variables)
    synchronized = getattr(recipe, "synchronize", True) and strategy.num_replicas_in_sync > 1
    for layer in normalizations(model):
        layer.synchronized = synchronized
    run = _Run(job, strategy, model, optimizer)
    state = checkpoint.restore(job.workdir, run.variables, recipe, job.identity) or new_state(job)
    if not is_finished(state, job):
        note_machine(state)
        if isinstance(recipe, ImageRecipe):  # a product of matrices is fast in either precision
            kinds = [device.device_type for device in tf.config.list_logical_devices()]
            note_slow_precision(recipe.precision, kinds)
        run.take_steps(state)
    if recipe.ema and job.average:
        optimizer.finalize_variable_values(model.trainable_variables)
        run.recompute_statistics(state)
    return model, state


class _Run:
    """The steps of a job, from its state to the end."""

    def __init__(self, job, strategy, model, optimizer):
        self.job, self.strategy, self.model, self.optimizer = job, strategy, model, optimizer
        self.variables = [*model.variables, *optimizer.variables]
        self.worker = find_worker(strategy)
        self.checkpoint_every = job.checkpoint_every or job.steps_per_epoch

    def take_steps(self, state):
        """Takes every step that is left and updates `state`."""
        job = self.job
        objective = job.objective or classification(job.recipe, job.class_weights)
        step = make_step(
            self.model,
            self.optimizer,
            job.recipe,
            self.strategy,
            preprocess=job.preprocess,
            objective=objective,
        )
        iterator = self._distribute(state["step"])
        restarts = find_restarts(job)
        bar = make_bar(job, state, hidden=not self.worker.is_chief)
        log = Log(job.workdir, state["step"] // job.steps_per_epoch, self.worker.index)
        with bar, log, StopRequest() as stop:
            while not is_finished(state, job):
                if state["step"] in restarts:
                    iterator = self._distribute(state["step"])
                began = time.perf_counter()
                losses, hits = self._call(step, iterator, state)
                if job.after_steps is not None:
                    job.after_steps(losses, state)
                check_finite(losses, state["step"], job)
                add_steps(state, losses, hits, time.perf_counter() - began)
                show(bar, job, state, losses, hits)
                self._end_call(state, log, stop)

    def _end_call(self, state, log, stop):
        ended = state["step"] % self.job.steps_per_epoch == 0
        if ended:
            figures = self._summarize(state)
            log.write(figures)
            if self.job.after_epoch is not None:
                self.job.after_epoch(self.model, self.optimizer, figures, state)
            start_epoch(state)
        due = state["step"] % self.checkpoint_every == 0
        if (ended or due or stop) and self.worker.is_chief:
            job = self.job
            checkpoint.save(job.workdir, self.variables, state, job.recipe, job.identity)
        if stop and not is_finished(state, self.job):
            raise Stopped(
                f"stopped at step {state['step']}, saved in {self.job.workdir}; the same command "
                "resumes the run",
                stop.exit_code,
            )

    def recompute_statistics(self, state):
        """Runs the last training batches again for the statistics of averaged weights."""
        job, accumulate = self.job, self.job.recipe.accumulate
        count = min(STATISTICS_BATCHES, job.steps_per_epoch * accumulate)
        iterator = self._distribute(job.total_steps - -(-count // accumulate))

        def replica_batch(inputs, targets):
            self.model(inputs if job.preprocess is None else job.preprocess(inputs), training=True)

        @tf.function(jit_compile=False)
        def batch(iterator, steps):
            self.strategy.run(replica_batch, args=next(iterator))
            return [tf.identity(v.value) for v in statistics(self.model)]

        recompute_batch_statistics(self.model, lambda: self._call(batch, iterator, state), count)

    def _call(self, step, iterator, state):
        try:
            with watchdog(self.job.timeout, "the next steps of every worker", code=3):
                return [t.numpy() for t in step(iterator, self._stride(state))]
        except _WORKER_IS_GONE as error:
            if self.worker.count == 1:
                raise
            raise WorkersGoneError(
                f"Expected all {self.worker.count} workers to take step {state['step'] + 1}. One "
                f"of them does not answer ({checks.first_line(error)}). Start all of them "
                f"again; the last checkpoint in {self.job.workdir} is intact."
            ) from error

    def _distribute(self, start):
        """An iterator over what each replica sees of each part of each batch, in order."""
        worker, replicas = self.worker, self.strategy.num_replicas_in_sync
        batches = self.job.stream(
            start, parts=self.job.recipe.accumulate, worker=worker.index, workers=worker.count
        )
        local = replicas // worker.count
        if local > 1:

            def divide(*tensors):
                return tuple(tf.stack(tf.split(tensor, local)) for tensor in tensors)

            batches = batches.map(divide, deterministic=True).unbatch()
        if replicas == 1:
            return iter(batches)
        return iter(self.strategy.distribute_datasets_from_function(lambda context: batches))

    def _stride(self, state):
        """How many steps the next call takes: at most up to the next epoch or checkpoint."""
        ends = [n - state["step"] % n for n in (self.job.steps_per_epoch, self.checkpoint_every)]
        return tf.constant(min(STEPS_PER_CALL, *ends))

    def _summarize(self, state):
        job = self.job
        figures = summarize_epoch(state, job, float(self.optimizer.learning_rate))
        return figures | (job.evaluate(self.model) if job.evaluate is not None else {})


def find_restarts(job):
    """The steps at which the size of crops changes, so that the stream must start again."""
    size_of = getattr(job.recipe, "size_of", lambda epoch: 0)
    return {
        epoch * job.steps_per_epoch
        for epoch in range(1, job.recipe.epochs)
        if size_of(epoch) != size_of(epoch - 1)
    }
