"""The training loop: `strategy.run`, several steps a call, on one device or all of them.

It is our own because Keras's `fit` clips each replica's gradients before they are reduced,
and because it does not run on several workers.
"""

import csv
import importlib.util
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from keras_unrolled import checks
from training import checkpoint

STEPS_PER_CALL = 10


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


def make_optimizer(recipe, steps_per_epoch):
    """SGD with Nesterov's momentum, a linear warm-up and a cosine to 0."""
    total, warmup = recipe.epochs * steps_per_epoch, recipe.warmup_epochs * steps_per_epoch
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else recipe.learning_rate,
        decay_steps=max(1, total - warmup),
        warmup_target=recipe.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    return keras.optimizers.SGD(
        schedule,
        momentum=recipe.momentum,
        nesterov=True,
        use_ema=recipe.ema > 0,
        ema_momentum=recipe.ema or 0.99,
    )


def make_step(model, optimizer, recipe, strategy):
    """A compiled function that takes some steps and returns their losses and hits.

    Gradients are summed over the replicas first and clipped then, so that the result does
    not depend on how many there are; weight decay is added after clipping, as in torch.

    Args:
        model: an image classifier built in the strategy's scope; its outputs are logits.
        optimizer: a Keras optimizer built on the model's trainable variables.
        recipe: a `Recipe`.
        strategy: a `tf.distribute.Strategy`.

    Returns:
        A function of (iterator, steps) that returns two float tensors of shape `(steps,)`:
        each step's mean loss and its share of right answers before the update.
    """
    variables = model.trainable_variables
    decayed = [v.path.endswith("kernel") for v in variables]

    def replica_step(images, labels):
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            targets = tf.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
            losses = keras.losses.categorical_crossentropy(
                targets, logits, from_logits=True, label_smoothing=recipe.label_smoothing
            )
            loss = tf.reduce_sum(losses) / recipe.batch_size
        gradients = tape.gradient(loss, variables)
        context = tf.distribute.get_replica_context()
        gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        norm = tf.linalg.global_norm(gradients)
        if recipe.clip_norm is not None:
            gradients, _ = tf.clip_by_global_norm(gradients, recipe.clip_norm, use_norm=norm)
        # A ReLU turns NaN into 0, so that the loss alone may stay finite in a ruined network.
        loss = tf.where(tf.math.is_finite(norm), loss, tf.cast(float("nan"), loss.dtype))
        gradients = [
            g + tf.cast(recipe.weight_decay, g.dtype) * v.value if decays else g
            for g, v, decays in zip(gradients, variables, decayed)
        ]
        # Keras's optimizer sums over the replicas once more: each hands in its share.
        optimizer.apply([g / strategy.num_replicas_in_sync for g in gradients])
        hits = tf.equal(tf.argmax(logits, -1, output_type=labels.dtype), labels)
        return loss, tf.reduce_sum(tf.cast(hits, loss.dtype)) / recipe.batch_size

    @tf.function(jit_compile=False)
    def run(iterator, steps):
        dtype = model.compute_dtype if model.compute_dtype == "float64" else "float32"
        losses = tf.TensorArray(dtype, size=steps)
        hits = tf.TensorArray(dtype, size=steps)
        for i in tf.range(steps):
            loss, hit = strategy.run(replica_step, args=next(iterator))
            losses = losses.write(i, strategy.reduce("SUM", loss, axis=None))
            hits = hits.write(i, strategy.reduce("SUM", hit, axis=None))
        return losses.stack(), hits.stack()

    return run


def synchronize_normalization(model, strategy):
    """Lets batch normalisation see the whole batch where there are several replicas."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = strategy.num_replicas_in_sync > 1


def train(build, recipe, dataset, *, steps_per_epoch, strategy, workdir, evaluate=None):
    """Trains a model by a recipe; resumes where the last checkpoint in `workdir` stands.

    Writes `checkpoint.npz` after each epoch, `log.csv` and TensorBoard's event files.

    Args:
        build: function of no argument that returns a classifier of logits.
        recipe: a `Recipe`.
        dataset: function from a step to a `tf.data.Dataset` of whole batches `(images,
            labels)` that starts at that step, the same batches whenever it is called.
        steps_per_epoch: int.
        strategy: a `tf.distribute.Strategy`.
        workdir: path of a folder.
        evaluate: optional function of the model, returns a dict of figures for the log.

    Returns:
        The trained model, with averaged weights where the recipe has them, and the state
        of the run, a dict with "step" and "hours".

    Raises:
        InputError: if the batch does not divide by the replicas, or for a checkpoint of
            another recipe.
        NonFiniteLossError: at the first loss or gradient that is NaN or infinite.
    """
    workdir = Path(workdir)
    replicas = strategy.num_replicas_in_sync
    if recipe.batch_size % replicas:
        raise checks.InputError(
            f"Expected a batch that divides by {replicas} replicas. Received: batch_size="
            f"{recipe.batch_size}. Use a multiple, such as {-(-recipe.batch_size // replicas) * replicas}."
        )
    workdir.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(recipe.seed)
    with strategy.scope():
        model = build()
        optimizer = make_optimizer(recipe, steps_per_epoch)
        optimizer.build(model.trainable_variables)
    synchronize_normalization(model, strategy)
    variables = [*model.variables, *optimizer.variables]
    state = checkpoint.restore(workdir, variables, recipe.to_dict())
    state = state or {"step": 0, "hours": 0.0, "recipe": recipe.to_dict(), "commit": commit()}
    total = recipe.epochs * steps_per_epoch
    if state["step"] < total:
        _run(model, optimizer, recipe, dataset, steps_per_epoch, strategy, workdir, state, evaluate)
    optimizer.finalize_variable_values(model.trainable_variables)
    return model, state


def _run(model, optimizer, recipe, dataset, steps_per_epoch, strategy, workdir, state, evaluate):
    run = make_step(model, optimizer, recipe, strategy)
    variables = [*model.variables, *optimizer.variables]
    iterator = iter(strategy.experimental_distribute_dataset(dataset(state["step"])))
    total = recipe.epochs * steps_per_epoch
    log = Log(workdir, state["step"] // steps_per_epoch)
    bar = tqdm(
        total=total * recipe.batch_size,
        initial=state["step"] * recipe.batch_size,
        unit=" images",
        unit_scale=True,
        # A log file wants a line now and then, a terminal a moving bar.
        mininterval=0.5 if sys.stderr.isatty() else 30,
        file=sys.stderr,
    )
    with bar, log:
        while state["step"] < total:
            epoch = state["step"] // steps_per_epoch + 1
            bar.set_description(f"epoch {epoch}/{recipe.epochs}", refresh=False)
            began, losses, hits = time.perf_counter(), [], []
            while state["step"] < epoch * steps_per_epoch:
                steps = min(STEPS_PER_CALL, epoch * steps_per_epoch - state["step"])
                new_losses, new_hits = (t.numpy() for t in run(iterator, tf.constant(steps)))
                bad = np.flatnonzero(~np.isfinite(new_losses))
                if bad.size:
                    raise NonFiniteLossError(
                        "Expected a finite loss and gradient. Step "
                        f"{state['step'] + bad[0] + 1} (epoch {epoch}) gave "
                        f"{new_losses[bad[0]]}. Lower the learning rate (now "
                        f"at most {recipe.learning_rate}), lengthen the warm-up or clip the "
                        f"gradient; the last checkpoint in {workdir} stands."
                    )
                losses.extend(new_losses)
                hits.extend(new_hits)
                state["step"] += steps
                bar.set_postfix(
                    loss=f"{np.mean(losses[-50:]):.3f}",
                    accuracy=f"{np.mean(hits[-50:]):.3f}",
                    refresh=False,
                )
                bar.update(steps * recipe.batch_size)
            seconds = time.perf_counter() - began
            state["hours"] += seconds / 3600
            figures = {
                "epoch": epoch,
                "step": state["step"],
                "learning_rate": float(optimizer.learning_rate),
                "loss": float(np.mean(losses)),
                "accuracy": float(np.mean(hits)),
                "images_per_second": len(losses) * recipe.batch_size / seconds,
                "hours": state["hours"],
            }
            if evaluate is not None:
                figures |= evaluate(model)
            log.write(figures)
            checkpoint.save(workdir, variables, state)


class Log:
    """`log.csv`, a row an epoch, and the same figures for TensorBoard.

    Args:
        workdir: path of the run's folder.
        epochs: int, how many epochs of an earlier part of the run to keep.
    """

    def __init__(self, workdir, epochs):
        self.path = Path(workdir) / "log.csv"
        self.rows = []
        if epochs and self.path.exists():
            with self.path.open(newline="") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["epoch"]) <= epochs]
        self.writer = tf.summary.create_noop_writer()
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
        if importlib.util.find_spec("tensorboard"):
            with self.writer.as_default(step=figures["step"]):
                for name in figures.keys() - {"epoch", "step"}:
                    tf.summary.scalar(name, figures[name])
            self.writer.flush()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.writer.close()
