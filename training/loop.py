"""The training loop: `strategy.run`, several steps a call, on one device or all of them.

It is our own because Keras's `fit` clips each replica's gradients before they are reduced,
and because it does not run on several workers. On JAX `training.fit` takes its place.
"""

import csv
import importlib.util
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from keras_unrolled import checks
from training import checkpoint
from training.recipe import Recipe
from training.strategy import find_worker, watchdog

STEPS_PER_CALL = 10
LOOKS = 200  # batches that settle the statistics of averaged weights
DEFAULTS = Recipe(network={}).to_dict()


class NonFiniteLossError(ArithmeticError):
    """The loss or its gradient was NaN or infinite; the message says at which step."""


def commit():
    """The commit of this checkout, with "+" where files differ from it; or None."""
    here = Path(__file__).parent
    try:
        git = ["git", "-C", str(here), "describe", "--always", "--abbrev=40", "--dirty=+"]
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


@keras.saving.register_keras_serializable(package="keras_unrolled_training")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A linear warm-up, then a rate that falls to 0 in a line, or by 10 at each of some steps.

    Args:
        rate: float, the peak.
        warmup: int, steps of the warm-up.
        total: int, steps in all.
        milestones: list of int, steps; none for a line.
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
class Lamb(keras.optimizers.Lamb):
    """LAMB with weight decay as You et al. 2020 (algorithm 2) have it, within what is scaled.

    Keras's own decays apart from the scaled update, many times as strongly at the same
    coefficient. Variables without decay are not scaled, as in timm's, by which the values of
    Wightman et al. 2021 were found.

    Args:
        decay: float.
        decayed: function of a variable, whether it decays.
        **options: of `keras.optimizers.Lamb`.
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


def decays(variable):
    """Whether weight decay acts on a variable: on kernels alone."""
    return variable.path.endswith("kernel")


def make_optimizer(recipe, steps_per_epoch):
    """The recipe's optimizer with its schedule of the learning rate."""
    total, warmup = recipe.epochs * steps_per_epoch, recipe.warmup_epochs * steps_per_epoch
    if recipe.decay == "plateau":
        schedule = recipe.learning_rate
    elif recipe.milestones or recipe.decay == "linear":
        ends = [epoch * steps_per_epoch for epoch in recipe.milestones]
        schedule = Schedule(recipe.learning_rate, warmup, total, ends)
    else:
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else recipe.learning_rate,
            decay_steps=max(1, total - warmup),
            warmup_target=recipe.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
    options = {"use_ema": recipe.ema > 0, "ema_momentum": recipe.ema or 0.99}
    if recipe.optimizer == "lamb":
        return Lamb(schedule, decay=recipe.weight_decay, decayed=decays, epsilon=1e-6, **options)
    if recipe.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(schedule, recipe.weight_decay, **options)
        # As `decays` has it; names of TensorFlow's variables end in ":0".
        optimizer.exclude_from_weight_decay(var_names=["^(?!.*kernel(:0)?$)"])
        return optimizer
    nesterov = recipe.momentum > 0
    return keras.optimizers.SGD(schedule, momentum=recipe.momentum, nesterov=nesterov, **options)


def make_losses(recipe):
    """The function from float targets and logits, `(n, classes)`, to each example's loss, `(n,)`."""
    options = {"from_logits": True, "label_smoothing": recipe.label_smoothing}
    if recipe.loss == "cross_entropy":
        return lambda y, logits: keras.losses.categorical_crossentropy(y, logits, **options)
    # Wightman et al. 2021, section 2: the mixed classes are all there, each as a label of its own.
    return lambda y, logits: keras.losses.binary_crossentropy(
        keras.ops.cast(y > 0.2, y.dtype), logits, **options
    )


def classification(recipe):
    """The objective of a classifier: see `make_step`."""
    losses_of = make_losses(recipe)

    def objective(model, images, labels):
        logits = model(images, training=True)
        if labels.shape.rank == 2:  # of a mixture
            targets = tf.cast(labels, logits.dtype)
            labels = tf.argmax(labels, -1)
        else:
            targets = tf.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
        loss = tf.reduce_sum(losses_of(targets, logits)) / recipe.batch_size
        hits = tf.equal(tf.argmax(logits, -1, output_type=labels.dtype), labels)
        return loss, tf.reduce_sum(tf.cast(hits, loss.dtype)) / recipe.batch_size

    return objective


def make_step(model, optimizer, recipe, strategy, preprocess=None, objective=None):
    """A compiled function that takes some steps and returns their losses and hits.

    Gradients are summed over the parts of a batch and over the replicas first and clipped then,
    so that the result does not depend on how many there are; weight decay is added after
    clipping, as in torch.

    Args:
        model: an image classifier built in the strategy's scope; its outputs are logits.
        optimizer: a Keras optimizer built on the model's trainable variables.
        recipe: a `Recipe`.
        strategy: a `tf.distribute.Strategy`.
        preprocess: optional function from what the iterator gives to the network's input, for
            the device to compute.
        objective: optional function of (model, inputs, targets) that returns this part's share of
            the batch's loss and of its right answers; a classifier's by default.

    Returns:
        A function of (iterator, steps) that returns two float tensors of shape `(steps,)`:
        each step's mean loss and its share of right answers before the update. A step takes
        `recipe.accumulate` elements of the iterator.
    """
    variables = model.trainable_variables
    objective = objective or classification(recipe)
    # The others have their own decay.
    l2 = [recipe.weight_decay if recipe.optimizer == "sgd" and decays(v) else 0 for v in variables]
    share = 1
    if hasattr(optimizer, "_all_reduce_sum_gradients"):
        optimizer._all_reduce_sum_gradients = list  # they are summed before they are clipped
    else:  # Keras's optimizer sums over the replicas once more: each hands in its share
        share = strategy.num_replicas_in_sync

    def part(images, labels):
        if preprocess is not None:
            images = preprocess(images)
        with tf.GradientTape() as tape:
            loss, hits = objective(model, images, labels)
        return tape.gradient(loss, variables), loss, hits

    def replica_step(parts):
        found = [part(images, labels) for images, labels in parts]
        gradients = [tf.add_n(list(gs)) for gs in zip(*(gradients for gradients, _, _ in found))]
        loss, hits = (tf.add_n([row[i] for row in found]) for i in (1, 2))
        context = tf.distribute.get_replica_context()
        gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        norm = tf.linalg.global_norm(gradients)
        if recipe.clip_norm is not None:
            gradients, _ = tf.clip_by_global_norm(gradients, recipe.clip_norm, use_norm=norm)
        # A ReLU turns NaN into 0, so that the loss alone may stay finite in a ruined network.
        loss = tf.where(tf.math.is_finite(norm), loss, tf.cast(float("nan"), loss.dtype))
        gradients = [
            g + tf.cast(decay, g.dtype) * v.value if decay else g
            for g, v, decay in zip(gradients, variables, l2)
        ]
        optimizer.apply([g / share for g in gradients])
        return loss, hits

    @tf.function(jit_compile=False)
    def run(iterator, steps):
        dtype = model.compute_dtype if model.compute_dtype == "float64" else "float32"
        losses = tf.TensorArray(dtype, size=steps)
        hits = tf.TensorArray(dtype, size=steps)
        for i in tf.range(steps):
            parts = [next(iterator) for _ in range(recipe.accumulate)]
            loss, hit = strategy.run(replica_step, args=(parts,))
            losses = losses.write(i, strategy.reduce("SUM", loss, axis=None))
            hits = hits.write(i, strategy.reduce("SUM", hit, axis=None))
        return losses.stack(), hits.stack()

    return run


def synchronize_normalization(model, recipe, strategy):
    """Lets batch normalisation see what all replicas see, where the recipe wants it."""
    for layer in normalizations(model):
        layer.synchronized = recipe.synchronize and strategy.num_replicas_in_sync > 1


def settle_statistics(model, look, count):
    """Gives batch normalisation the statistics of the weights as they are.

    Averaged weights need statistics of their own (Izmailov et al. 2018, section 3.2): those that
    moved along in training belong to weights that were not averaged, and cost ResNet-20 2.7
    points of accuracy after 24 epochs.

    Args:
        model: a model whose layers may normalise by batches.
        look: function without arguments that runs the model on one more batch as in training, and
            returns the values of `statistics(model)` after it.
        count: int, batches whose statistics are averaged.
    """
    layers = normalizations(model)
    if not layers:
        return
    kept = [layer.momentum for layer in layers]
    try:
        for layer in layers:
            layer.momentum = 0.0  # each batch's own
        found = [[np.asarray(v, "float64") for v in look()] for _ in range(count)]
    finally:
        for layer, momentum in zip(layers, kept):
            layer.momentum = momentum
    for variable, values in zip(statistics(model), zip(*found)):
        variable.assign(np.mean(values, 0))


def normalizations(model):
    """The layers that normalise by batches."""
    layers = model._flatten_layers()
    return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]


def statistics(model):
    """Their moving means and variances, each of shape `(channels,)`."""
    return [
        v for layer in normalizations(model) for v in (layer.moving_mean, layer.moving_variance)
    ]


def new_state(recipe):
    """Where a run stands before its first step."""
    return {
        "step": 0,
        "hours": 0.0,
        "losses": [0.0, 0.0, 0],  # of this epoch: sums of loss and hits, and their number
        "recipe": recipe.to_dict(),
        "commit": commit(),
    }


class WorkersGoneError(ConnectionError):
    """Another worker does not answer any more; the message says what to do."""


GONE = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)


class Stopped(InterruptedError):  # noqa: N818  it is no error
    """The run was asked to stop, and has saved where it stands."""


class StopRequest:
    """Remembers that SIGTERM has come, as machines that are taken away send it.

    Within, the signal does not end the process; `came` says whether it was sent.
    """

    def __enter__(self):
        self.came = False
        self.former = None
        if threading.current_thread() is threading.main_thread():
            self.former = signal.signal(signal.SIGTERM, self._remember)
        return self

    def _remember(self, *_):
        self.came = True

    def __exit__(self, *error):
        if self.former is not None:
            signal.signal(signal.SIGTERM, self.former)


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
    objective=None,
    after_epoch=None,
    checkpoint_every=None,
    timeout=None,
):
    """Trains a model by a recipe; resumes where the last checkpoint in `workdir` stands.

    Writes checkpoints, `log.csv` and TensorBoard's event files; of several workers the chief
    does, and the others read its checkpoints, so that they need the same `workdir`.

    Args:
        build: function of no argument that returns a classifier of logits.
        recipe: a `Recipe`.
        dataset: function of (step, parts=, worker=, workers=), as `streams.make_stream`
            makes it: a `tf.data.Dataset` of `(images, labels)` that starts at that step, the
            same batches whenever it is called, each divided into parts, of which it has what
            the worker sees.
        steps_per_epoch: int.
        strategy: of `strategy.make_strategy`.
        workdir: path of a folder.
        evaluate: optional function of the model, returns a dict of figures for the log.
        preprocess: optional function from what the dataset gives to the network's input.
        objective: optional, as in `make_step`.
        after_epoch: optional function of (model, optimizer, figures, state), called before the
            checkpoint; what it keeps in the state, it finds there again.
        checkpoint_every: optional int, steps between checkpoints; None means an epoch.
        timeout: optional number of seconds after which a call of several steps has hung.

    Returns:
        The trained model, with averaged weights where the recipe has them, and the state
        of the run, a dict with "step" and "hours".

    Raises:
        InputError: if the batch does not divide by the replicas and parts, or for a
            checkpoint of another recipe.
        NonFiniteLossError: at the first loss or gradient that is NaN or infinite.
        WorkersGoneError: if another worker has ended.
        Stopped: after SIGTERM, once a checkpoint has been written.
    """
    if keras.backend.backend() == "jax":
        from training import fit

        return fit.train(
            build,
            recipe,
            dataset,
            steps_per_epoch=steps_per_epoch,
            strategy=strategy,
            workdir=workdir,
            evaluate=evaluate,
            preprocess=preprocess,
            checkpoint_every=checkpoint_every,
        )
    workdir = Path(workdir)
    replicas = strategy.num_replicas_in_sync
    parts = replicas * recipe.accumulate
    if recipe.batch_size % parts:
        raise checks.InputError(
            f"Expected a batch that divides by {replicas} replicas and {recipe.accumulate} parts. "
            f"Received: batch_size={recipe.batch_size}. Use a multiple of {parts}, such as "
            f"{-(-recipe.batch_size // parts) * parts}."
        )
    workdir.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(recipe.seed)
    with strategy.scope():
        model = build()
        optimizer = make_optimizer(recipe, steps_per_epoch)
        optimizer.build(model.trainable_variables)
    synchronize_normalization(model, recipe, strategy)
    variables = [*model.variables, *optimizer.variables]
    state = checkpoint.restore(workdir, variables, recipe.to_dict(), DEFAULTS)
    state = state or new_state(recipe)
    run = Run(
        model,
        optimizer,
        recipe,
        strategy,
        workdir,
        steps_per_epoch,
        evaluate,
        preprocess,
        objective,
        after_epoch,
        checkpoint_every or steps_per_epoch,
        timeout,
    )
    if state["step"] < run.total:
        run.go(dataset, state)
    if recipe.ema:
        optimizer.finalize_variable_values(model.trainable_variables)
        run.settle(dataset, state)
    return model, state


@dataclass
class Run:
    """The steps of a training run, from where its state stands to the end: see `train`."""

    model: Any
    optimizer: Any
    recipe: Recipe
    strategy: Any
    workdir: Path
    steps_per_epoch: int
    evaluate: Callable[[Any], dict[str, float]] | None
    preprocess: Callable[[Any], Any] | None
    objective: Callable[..., Any] | None
    after_epoch: Callable[..., None] | None
    checkpoint_every: int
    timeout: float | None

    def __post_init__(self):
        self.total = self.recipe.epochs * self.steps_per_epoch
        sizes = [self.recipe.size_of(epoch) for epoch in range(self.recipe.epochs)]
        # Where crops grow the data begins anew, so that each size is a shape of its own.
        self.changes = {
            epoch * self.steps_per_epoch
            for epoch in range(1, len(sizes))
            if sizes[epoch] != sizes[epoch - 1]
        }
        self.variables = [*self.model.variables, *self.optimizer.variables]
        self.worker = find_worker(self.strategy)

    def go(self, dataset, state):
        """Takes every step that is left; `state` follows."""
        step = make_step(
            self.model, self.optimizer, self.recipe, self.strategy, self.preprocess, self.objective
        )
        iterator = self._distribute(dataset, state["step"])
        size, unit = step_size(self.recipe)
        bar = tqdm(
            total=self.total * size,
            initial=state["step"] * size,
            disable=not self.worker.is_chief,
            **bar_options(unit),
        )
        log = Log(self.workdir, state["step"] // self.steps_per_epoch, self.worker)
        with bar, log, StopRequest() as stop:
            while state["step"] < self.total:
                if state["step"] in self.changes:
                    iterator = self._distribute(dataset, state["step"])
                began = time.perf_counter()
                losses, hits = self._call(step, iterator, state)
                self._refuse_ruin(losses, state)
                self._note(state, losses, hits, time.perf_counter() - began)
                bar.set_description(f"epoch {self._epoch(state)}/{self.recipe.epochs}", False)
                bar.set_postfix(
                    loss=f"{losses.mean():.3f}", accuracy=f"{hits.mean():.3f}", refresh=False
                )
                bar.update(len(losses) * size)
                ended = state["step"] % self.steps_per_epoch == 0
                if ended:
                    found = self._figures(state)
                    log.write(found)
                    if self.after_epoch is not None:
                        self.after_epoch(self.model, self.optimizer, found, state)
                    state["losses"], state["seconds"] = [0.0, 0.0, 0], 0.0
                due = state["step"] % self.checkpoint_every == 0
                if (ended or due or stop.came) and self.worker.is_chief:
                    checkpoint.save(self.workdir, self.variables, state)
                if stop.came and state["step"] < self.total:
                    raise Stopped(f"stopped at step {state['step']}, saved in {self.workdir}")

    def settle(self, dataset, state):
        """Lets averaged weights see the last of the training data once more."""
        count = min(LOOKS, self.steps_per_epoch * self.recipe.accumulate)
        iterator = self._distribute(dataset, self.total - -(-count // self.recipe.accumulate))

        def replica_look(images, labels):
            self.model(
                images if self.preprocess is None else self.preprocess(images), training=True
            )

        @tf.function(jit_compile=False)
        def look(iterator, steps):
            self.strategy.run(replica_look, args=next(iterator))
            return [tf.identity(v.value) for v in statistics(self.model)]

        settle_statistics(self.model, lambda: self._call(look, iterator, state), count)

    def _call(self, step, iterator, state):
        try:
            with watchdog(self.timeout, "the next steps of every worker", code=3):
                return [t.numpy() for t in step(iterator, self._stride(state))]
        except GONE as error:
            if self.worker.count == 1:
                raise
            raise WorkersGoneError(
                f"Expected all {self.worker.count} workers to take step {state['step'] + 1}. One "
                f"of them does not answer ({str(error).splitlines()[0][:200]}). Start all of them "
                f"again; the last checkpoint in {self.workdir} stands."
            ) from error

    def _distribute(self, dataset, start):
        """An iterator over what each replica sees of each part of each batch, in order."""
        worker, replicas = self.worker, self.strategy.num_replicas_in_sync
        batches = dataset(
            start, parts=self.recipe.accumulate, worker=worker.index, workers=worker.count
        )
        local = replicas // worker.count
        if local > 1:

            def divide(*tensors):
                return tuple(tf.stack(tf.split(tensor, local)) for tensor in tensors)

            batches = batches.map(divide, deterministic=True).unbatch()
        if replicas == 1:
            return iter(batches)
        return iter(self.strategy.distribute_datasets_from_function(lambda context: batches))

    def _epoch(self, state):
        return -(-state["step"] // self.steps_per_epoch)

    def _stride(self, state):
        """How many steps the next call takes: up to the next epoch or checkpoint."""
        ends = [n - state["step"] % n for n in (self.steps_per_epoch, self.checkpoint_every)]
        return tf.constant(min(STEPS_PER_CALL, *ends))

    def _refuse_ruin(self, losses, state):
        for i in np.flatnonzero(~np.isfinite(losses))[:1]:
            step = state["step"] + int(i) + 1
            epoch = -(-step // self.steps_per_epoch)
            refuse_ruin(losses[i], step, epoch, self.recipe, self.workdir)

    def _note(self, state, losses, hits, seconds):
        sums = state["losses"]
        state["losses"] = [
            sums[0] + float(losses.astype("float64").sum()),
            sums[1] + float(hits.astype("float64").sum()),
            sums[2] + len(losses),
        ]
        state["step"] += len(losses)
        state["hours"] += seconds / 3600
        state["seconds"] = state.get("seconds", 0.0) + seconds

    def _figures(self, state):
        rate = float(self.optimizer.learning_rate)
        found = figures(state, self._epoch(state), self.recipe, rate)
        return found | (self.evaluate(self.model) if self.evaluate is not None else {})


def refuse_ruin(loss, step, epoch, recipe, workdir):
    """Raises `NonFiniteLossError` for a loss that is not finite, with its step."""
    if not np.isfinite(loss):
        raise NonFiniteLossError(
            f"Expected a finite loss and gradient. Step {step} (epoch {epoch}) gave {loss}. Lower "
            f"the learning rate (now at most {recipe.learning_rate}), lengthen the warm-up or clip "
            f"the gradient; the last checkpoint in {workdir} stands."
        )


def figures(state, epoch, recipe, rate):
    """What the log says of an epoch whose sums are in the run's state."""
    loss, hits, count = state["losses"]
    size, unit = step_size(recipe)
    return {
        "epoch": epoch,
        "step": state["step"],
        "learning_rate": rate,
        "loss": loss / count,
        "accuracy": hits / count,
        f"{unit}_per_second": count * size / state["seconds"],
        "hours": state["hours"],
    }


def step_size(recipe):
    """How much a step reads, and of what: images or words."""
    if recipe.network.get("builder") == "character_lm":
        return recipe.batch_size * recipe.length, "words"
    return recipe.batch_size, "images"


def bar_options(unit):
    """How progress is shown."""
    return {
        "unit": f" {unit}",
        "unit_scale": True,
        # A log file wants a line now and then, a terminal a moving bar.
        "mininterval": 0.5 if sys.stderr.isatty() else 30,
        "file": sys.stderr,
    }


class Log:
    """`log.csv`, a row an epoch, and the same figures for TensorBoard.

    Args:
        workdir: path of the run's folder.
        epochs: int, how many epochs of an earlier part of the run to keep.
        worker: a `Worker`; each has its own `log.csv`, the chief's has no number.
    """

    def __init__(self, workdir, epochs, worker):
        number = "" if worker.is_chief else f"-{worker.index}"
        self.path = Path(workdir) / f"log{number}.csv"
        self.chief = worker.is_chief
        self.rows = []
        if epochs and self.path.exists():
            with self.path.open(newline="") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["epoch"]) <= epochs]
        self.writer = tf.summary.create_noop_writer()
        if not self.chief:
            return
        if importlib.util.find_spec("tensorboard"):
            self.writer = tf.summary.create_file_writer(str(Path(workdir) / "tensorboard"))
        else:
            print("No event files for TensorBoard: pip install tensorboard", file=sys.stderr)

    def write(self, figures):
        """Adds a dict of figures with "epoch" and "step" among them."""
        self.rows.append(figures)
        aside = self.path.with_suffix(".csv.part")
        with aside.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(figures))
            writer.writeheader()
            writer.writerows(self.rows)
        aside.replace(self.path)
        if self.chief and importlib.util.find_spec("tensorboard"):
            with self.writer.as_default(step=figures["step"]):
                for name in figures.keys() - {"epoch", "step"}:
                    tf.summary.scalar(name, figures[name])
            self.writer.flush()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.writer.close()
