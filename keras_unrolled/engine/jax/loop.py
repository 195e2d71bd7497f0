"""The training loop on JAX, on one device or on all of a machine. It needs no TensorFlow."""

import time

import jax
import keras
import numpy as np

from keras_unrolled import checks
from keras_unrolled.engine import checkpoint
from keras_unrolled.engine.jax.batches import make_batches
from keras_unrolled.engine.jax.sharding import replicated
from keras_unrolled.engine.jax.step import list_variables, make_steps
from keras_unrolled.engine.log import Log
from keras_unrolled.engine.objectives import classification
from keras_unrolled.engine.optimizers import make_optimizer
from keras_unrolled.engine.progress import make_bar, show
from keras_unrolled.engine.run_state import (
    add_steps,
    is_finished,
    new_state,
    note_machine,
    start_epoch,
    summarize_epoch,
)
from keras_unrolled.engine.stopping import Stopped, StopRequest, check_finite
from keras_unrolled.models.batch_statistics import (
    STATISTICS_BATCHES,
    recompute_batch_statistics,
    statistics,
)


def check_job(job, mesh):
    """Raises `InputError` for what a job asks for and this engine cannot do."""
    recipe, replicas = job.recipe, mesh.devices.size
    job.check_batch(replicas)
    for possible, what in (
        (
            getattr(recipe, "synchronize", True) or replicas == 1,
            "synchronize=true on several devices",
        ),
        (not job.timeout, "a single process, without a timeout,"),
    ):
        if not possible:
            raise checks.InputError(
                f"Expected {what} on JAX. Received: synchronize="
                f"{getattr(recipe, 'synchronize', None)}, timeout={job.timeout!r}. Change it by "
                "--set, or train on TensorFlow: unset KERAS_BACKEND."
            )


def train(job, mesh):
    """Runs a job as `engine.tensorflow.loop.train` does; `mesh` is one of `make_mesh`."""
    check_job(job, mesh)
    job.workdir.mkdir(parents=True, exist_ok=True)
    recipe = job.recipe
    keras.utils.set_random_seed(recipe.seed)
    run = _Run(job, mesh, job.build())
    state = checkpoint.restore(job.workdir, run.variables, recipe, job.identity) or new_state(job)
    if not is_finished(state, job):
        note_machine(state)
        run.take_steps(state)
    if recipe.ema and job.average:
        run.optimizer.finalize_variable_values(run.model.trainable_variables)
        run.recompute_statistics()
    return run.model, state


class _Run:
    """The steps of a job, from its state to the end."""

    def __init__(self, job, mesh, model):
        self.job, self.mesh, self.model = job, mesh, model
        factors = job.rate_factors(model) if job.rate_factors is not None else None
        self.optimizer = make_optimizer(job.recipe, job.steps_per_epoch, factors, job.schedule)
        self.optimizer.build(model.trainable_variables)
        self.variables = [*model.variables, *self.optimizer.variables]
        self.groups = list_variables(model, self.optimizer)
        self.batches = make_batches(job, mesh)
        self.checkpoint_every = job.checkpoint_every or job.steps_per_epoch

    def take_steps(self, state):
        """Takes every step that is left and updates `state`."""
        job = self.job
        objective = job.objective or classification(job.recipe, job.class_weights)
        steps = make_steps(self.model, self.optimizer, job.recipe, objective, self.batches)
        log = Log(job.workdir, state["step"] // job.steps_per_epoch)
        with make_bar(job, state) as bar, log, StopRequest() as stop:
            while not is_finished(state, job):
                self._take_some(steps, state, bar, stop)
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

    def _take_some(self, steps, state, bar, stop):
        """Takes the steps up to the end of the epoch, the next checkpoint or a stop request."""
        job, batches = self.job, self.batches
        values = jax.device_put([[v.value for v in g] for g in self.groups], replicated(self.mesh))
        # The compiled function takes them over, and the variables keep theirs.
        values = jax.tree.map(lambda value: value.copy(), tuple(values))
        last = min(
            state["step"] + n - state["step"] % n
            for n in (job.steps_per_epoch, self.checkpoint_every)
        )
        count = min(batches.steps_per_call, last - state["step"])
        block = batches.block(state["step"], count)
        while count:
            began = time.perf_counter()
            values, losses, hits = steps(values, batches.table, block, count)
            step = state["step"] + count
            following = 0 if stop else min(batches.steps_per_call, last - step)
            if following:  # while the device computes
                block = batches.block(step, following)
            losses, hits = (np.asarray(array)[:count] for array in (losses, hits))
            if job.after_steps is not None:
                job.after_steps(losses, state)
            check_finite(losses, state["step"], job)
            add_steps(state, losses, hits, time.perf_counter() - began)
            show(bar, job, state, losses, hits)
            count = following
        for variables, group in zip(self.groups, values):
            for variable, value in zip(variables, group):
                variable.assign(value)

    def recompute_statistics(self):
        """Runs the last training batches again for the statistics of averaged weights."""
        job, batches = self.job, self.batches
        weights, others, _ = self.groups
        accumulate = job.recipe.accumulate
        count = min(STATISTICS_BATCHES, job.steps_per_epoch * accumulate)
        wanted = statistics(self.model)

        @jax.jit
        def compute(values, table, rows):
            inputs, _ = batches.read(table, *rows)
            mapping = [*zip(weights, values[0]), *zip(others, values[1])]
            with keras.StatelessScope(state_mapping=mapping) as scope:
                self.model(inputs, training=True)
            return [scope.get_current_value(v) for v in wanted]

        values = [[v.value for v in group] for group in self.groups[:2]]
        values = jax.device_put(values, replicated(self.mesh))

        def parts():
            first = job.total_steps - -(-count // accumulate)
            for step in range(first, job.total_steps):
                block = batches.block(step, 1)
                for part in range(accumulate):
                    yield [array[0, part] for array in block]

        rows = parts()
        recompute_batch_statistics(
            self.model, lambda: compute(values, batches.table, next(rows)), count
        )
