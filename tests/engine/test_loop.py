import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_unrolled import InputError
from keras_unrolled.data.image_batches import ImageBatches
from keras_unrolled.engine import ImageRecipe, Job, NonFiniteLossError, checkpoint
from keras_unrolled.engine.objectives import make_losses, weigh
from keras_unrolled.engine.optimizers import make_optimizer
from keras_unrolled.engine.tensorflow.loop import train as run_job
from keras_unrolled.models.batch_statistics import normalizations
from tests.engine.processes import HANG, cluster_env, free_ports
from training.job import build

WORKER = Path(__file__).parent / "replica_worker.py"


def start_worker(out, *, replicas=1, dtype="float32", cluster=None, **settings):
    """Starts twenty steps in another process."""
    command = [sys.executable, str(WORKER), str(replicas), dtype, str(out)]
    command += [f"{key}={json.dumps(value)}" for key, value in settings.items()]
    return subprocess.Popen(command, env=cluster_env(cluster), stderr=subprocess.PIPE, text=True)


def finish_worker(process, out):
    _, errors = process.communicate(timeout=HANG)
    assert process.returncode == 0, errors[-4000:]
    with np.load(out) as file:
        return dict(file)


def run_everywhere(folder, several, **settings):
    """What one device, two devices, and two processes if they are asked for make of the same run."""
    places = {name: folder / f"{name}.npz" for name in ("one", "two", "chief", "other")}
    one = finish_worker(start_worker(places["one"], **settings), places["one"])
    two = finish_worker(start_worker(places["two"], replicas=2, **settings), places["two"])
    if not several:
        return one, two
    ports = free_ports(2)
    processes = [
        start_worker(places[name], cluster=(ports, i), **settings)
        for i, name in enumerate(("chief", "other"))
    ]
    workers = [finish_worker(p, places[n]) for p, n in zip(processes, ("chief", "other"))]
    return one, two, *workers


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "tolerance", "several", "settings"),
    [
        ("float64", 1e-9, True, {"accumulate": 2}),
        # At the rate of the other rounding alone grows to 1.2e-4 in twenty steps.
        ("float32", 1e-4, False, {"learning_rate": 0.1, "network.builder": "resnet"}),
    ],
    ids=["highway, accumulated", "resnet, float32"],
)
def test_several_devices_and_processes_equal_one_device(
    dtype, tolerance, several, settings, tmp_path
):
    one, *others = run_everywhere(tmp_path, several, dtype=dtype, **settings)
    assert one.pop("replicas") == 1
    for found in others:
        assert found.pop("replicas") == 2
        assert found.keys() == one.keys()
        for name, expected in one.items():
            difference = np.abs(found[name] - expected).max() / max(1, np.abs(expected).max())
            assert difference < tolerance, (name, difference)


def make_recipe(**options):
    network = {
        "builder": "highway",
        "depth": 8,
        "dataset": "cifar",
        "stackwise_num_filters": [16, 16, 16],
        "layer_dropout": 0.2,
    }
    training = {"epochs": 4, "warmup_epochs": 1, "batch_size": 16, "momentum": 0.9, "seed": 1}
    training |= {
        "weight_decay": 5e-4,
        "label_smoothing": 0.05,
        "ema": 0.999,
        "precision": "float32",
    }
    options = {**training, **options}
    return ImageRecipe(network=network, **options)


def data(recipe, preprocess=lambda x: tf.cast(x, "float32") / 255):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (48, 12, 12, 3)).astype("uint8")
    return ImageBatches(
        images,
        rng.integers(0, 10, 48),
        batch_size=recipe.batch_size,
        total_steps=recipe.epochs * 3,
        seed=recipe.seed,
        preprocess=preprocess,
    )


def train(recipe, workdir, stream=None, steps_per_epoch=3, **options):
    job = Job(
        recipe=recipe,
        build=lambda: build(recipe, dtype=recipe.precision),
        stream=stream or data(recipe),
        steps_per_epoch=steps_per_epoch,
        workdir=workdir,
        **options,
    )
    return run_job(job, tf.distribute.get_strategy())


def weights(model):
    return [keras.ops.convert_to_numpy(v) for v in model.variables]


def rows(folder):
    with open(folder / "log.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a finished run and its weights."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    model, _ = train(make_recipe(), folder)
    return folder, weights(model)


def losses(folder):
    return [row["loss"] for row in rows(folder)]


@pytest.mark.slow
def test_same_seed_gives_the_same_run_to_the_bit(finished, tmp_path):
    folder, expected = finished
    again, _ = train(make_recipe(), tmp_path / "again")
    for a, b in zip(expected, weights(again), strict=True):
        np.testing.assert_array_equal(a, b)
    assert losses(folder) == losses(tmp_path / "again")
    other, _ = train(make_recipe(seed=2), tmp_path / "other")
    assert any(not np.array_equal(a, b) for a, b in zip(expected, weights(other)))


@pytest.mark.slow
def test_same_seed_gives_the_same_run_to_the_bit_in_float32(tmp_path):
    recipe = make_recipe(epochs=2)
    first, second = (train(recipe, tmp_path / str(i))[0] for i in range(2))
    for a, b in zip(weights(first), weights(second), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_interrupted_run_ends_with_the_weights_of_an_unbroken_one(finished, tmp_path):
    folder, expected = finished
    recipe = make_recipe()

    class PowerCutError(Exception):
        pass

    epochs = []

    def cut(model):
        epochs.append(1)
        if len(epochs) == 3:
            raise PowerCutError
        return {}

    with pytest.raises(PowerCutError):
        train(recipe, tmp_path / "broken", evaluate=cut)
    assert len(rows(tmp_path / "broken")) == 2
    resumed, state = train(recipe, tmp_path / "broken")
    assert state["step"] == 12
    for a, b in zip(expected, weights(resumed), strict=True):
        np.testing.assert_array_equal(a, b)
    assert losses(tmp_path / "broken") == losses(folder)


@pytest.mark.slow
def test_finished_run_is_not_repeated(finished, tmp_path):
    folder, expected = finished
    shutil.copytree(folder, tmp_path / "run")
    recipe = make_recipe()

    def stream(step, **parts):
        assert step == 9  # for the statistics of averaged weights
        return data(recipe)(step, **parts)

    again, state = train(recipe, tmp_path / "run", stream=stream)
    assert state["step"] == 12
    assert len(rows(tmp_path / "run")) == 4
    for a, b in zip(expected, weights(again), strict=True):
        np.testing.assert_array_equal(a, b)


def test_resuming_with_another_recipe_is_rejected(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "run")
    with pytest.raises(InputError, match=r"learning_rate was 0\.2 and is now 0\.1"):
        train(make_recipe(learning_rate=0.1), tmp_path / "run")


@pytest.mark.slow
def test_first_non_finite_loss_stops_the_run_and_is_named(tmp_path):
    recipe = make_recipe()
    clean = data(recipe)

    def poisoned(start, **_):
        # Step 5, the second of the second epoch, sees NaN.
        steps = tf.data.Dataset.range(start, 100)
        stream = tf.data.Dataset.zip(steps, clean(start))
        return stream.map(lambda i, xy: (tf.where(i == 4, float("nan"), 1.0) * xy[0], xy[1]))

    with pytest.raises(NonFiniteLossError, match=r"Step 5 \(epoch 2\) gave nan") as error:
        train(recipe, tmp_path, stream=poisoned)
    assert error.value.__notes__ == [f"The checkpoint of step 3 is intact in {tmp_path}."]
    assert len(rows(tmp_path)) == 1
    assert checkpoint.list_steps(tmp_path) == [3]  # of the last good epoch
    _, found = checkpoint.read(tmp_path, 3)
    assert all(np.isfinite(array).all() for array in found.values())


def test_batch_that_does_not_divide_by_the_replicas_is_rejected(tmp_path):
    class Two:
        num_replicas_in_sync = 2

    recipe = make_recipe(batch_size=15)
    job = Job(recipe=recipe, build=None, stream=None, steps_per_epoch=1, workdir=tmp_path / "run")
    with pytest.raises(InputError, match=r"divides by 2 replicas and 1 parts.*such as 16"):
        run_job(job, Two())
    assert not (tmp_path / "run").exists()


def reference_step(model, recipe, images, labels, momenta, rate):
    """One step by its definition: L2 decay on kernels, Nesterov's momentum, plain NumPy."""
    with tf.GradientTape() as tape:
        logits = model(images, training=True)
        targets = (
            tf.one_hot(labels, 10) * (1 - recipe.label_smoothing) + recipe.label_smoothing / 10
        )
        loss = -tf.reduce_mean(tf.reduce_sum(targets * tf.nn.log_softmax(logits), -1))
    gradients = tape.gradient(loss, model.trainable_variables)
    if recipe.clip_norm:
        norm = np.sqrt(sum(np.sum(np.square(g.numpy(), dtype="float64")) for g in gradients))
        gradients = [g * min(1, recipe.clip_norm / norm) for g in gradients]
    for i, (v, g) in enumerate(zip(model.trainable_variables, gradients)):
        w = keras.ops.convert_to_numpy(v)
        g = g.numpy() + (recipe.weight_decay * w if v.path.endswith("kernel") else 0)
        momenta[i] = recipe.momentum * momenta[i] - rate * g
        v.assign(w + recipe.momentum * momenta[i] - rate * g)
    return float(loss)


def test_step_equals_numpy_sgd_with_nesterov_l2_clipping_and_smoothing(tmp_path):
    recipe = make_recipe(epochs=2, warmup_epochs=0, weight_decay=0.01, clip_norm=0.3, ema=0.0)
    recipe = recipe.override(["network.layer_dropout=0"])
    model, _ = train(recipe, tmp_path)
    keras.utils.set_random_seed(recipe.seed)
    expected = build(recipe)
    momenta, losses = [0.0] * len(expected.trainable_variables), []
    for step, (images, labels) in enumerate(data(recipe)(0)):
        rate = recipe.learning_rate * 0.5 * (1 + np.cos(np.pi * step / 6))
        losses.append(reference_step(expected, recipe, images, labels, momenta, rate))
    np.testing.assert_allclose(
        [float(r["loss"]) for r in rows(tmp_path)], np.reshape(losses, (2, 3)).mean(1), rtol=1e-4
    )
    for a, b in zip(weights(model), weights(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("warmup", [0, 1])
def test_rate_is_divided_by_ten_at_each_milestone(warmup):
    recipe = make_recipe(epochs=6, warmup_epochs=warmup, milestones=[2, 4], learning_rate=0.5)
    optimizer = make_optimizer(recipe, steps_per_epoch=10)
    for step in (0, 3, 9, 10, 19, 20, 39, 40, 59):
        expected = 0.5 * (0.1 if step >= 20 else 1) * (0.1 if step >= 40 else 1)
        expected *= step / 10 if warmup and step < 10 else 1
        optimizer.iterations.assign(step)
        np.testing.assert_allclose(float(optimizer.learning_rate), expected, rtol=1e-5)


def test_linear_decay_rises_and_falls_in_two_lines():
    recipe = make_recipe(epochs=10, warmup_epochs=2, decay="linear", learning_rate=0.5)
    optimizer = make_optimizer(recipe, steps_per_epoch=10)
    for step in (0, 7, 20, 33, 60, 99, 100):
        optimizer.iterations.assign(step)
        expected = np.interp(step, [0, 20, 100], [0, 0.5, 0])
        np.testing.assert_allclose(float(optimizer.learning_rate), expected, rtol=1e-5, atol=1e-8)


def lamb(w, update, rate, i):
    """You et al. 2020, algorithm 2; no scaling and no decay of what is not a kernel."""
    if i == 0:
        update = update + 0.1 * w
        update = update * np.linalg.norm(w) / np.linalg.norm(update)
    return w - rate * update


def adamw(w, update, rate, i):
    """Loshchilov & Hutter 2019, algorithm 2; the rate scales the decay, too, of kernels alone."""
    return w - rate * (update + (0.1 * w if i == 0 else 0))


@pytest.mark.parametrize(("follow", "epsilon"), [(lamb, 1e-6), (adamw, 1e-7)])
def test_optimizer_follows_its_definition(follow, epsilon):
    recipe = make_recipe(
        optimizer=follow.__name__, weight_decay=0.1, ema=0.0, warmup_epochs=0, learning_rate=0.02
    )
    rng = np.random.default_rng(0)
    layer = keras.layers.Dense(3)
    layer.build((None, 4))
    layer.bias.assign(rng.normal(size=3))
    optimizer = make_optimizer(recipe, steps_per_epoch=10)
    optimizer.build(layer.trainable_variables)
    w = [keras.ops.convert_to_numpy(v).astype("float64") for v in layer.trainable_variables]
    m, v = [0.0, 0.0], [0.0, 0.0]
    for step in range(1, 6):
        gradients = [rng.normal(size=x.shape) for x in w]
        optimizer.apply([tf.constant(g, "float32") for g in gradients])
        rate = 0.02 * 0.5 * (1 + np.cos(np.pi * (step - 1) / 40))
        for i, g in enumerate(gradients):
            m[i] = 0.9 * m[i] + 0.1 * g
            v[i] = 0.999 * v[i] + 0.001 * g**2
            update = m[i] / (1 - 0.9**step) / (np.sqrt(v[i] / (1 - 0.999**step)) + epsilon)
            w[i] = follow(w[i], update, rate, i)
    for found, expected in zip(layer.trainable_variables, w):
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-6)


def test_binary_cross_entropy_counts_each_mixed_label_in_full(rng):
    losses_of = make_losses(make_recipe(loss="binary_cross_entropy", label_smoothing=0.0))
    logits = rng.normal(size=(2, 5))
    targets = np.array([[0, 0.7, 0, 0.3, 0], [0, 0, 0.9, 0, 0.1]])
    whole = np.array([[0, 1, 0, 1, 0], [0, 0, 1, 0, 0]])
    p = 1 / (1 + np.exp(-logits))
    expected = -(whole * np.log(p) + (1 - whole) * np.log(1 - p)).mean(-1)
    found = losses_of(tf.constant(targets), tf.constant(logits))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.slow
def test_averaged_weights_are_the_exponential_mean_of_the_steps(tmp_path):
    kernels = []

    def record(model):
        kernels.append(keras.ops.convert_to_numpy(model.output_dense.kernel).copy())
        return {}

    # One step an epoch, so that every step is seen.
    recipe = make_recipe(epochs=5, batch_size=48, ema=0.8)
    model, _ = train(recipe, tmp_path, steps_per_epoch=1, evaluate=record)
    expected = kernels[0]
    for kernel in kernels[1:]:
        expected = 0.8 * expected + 0.2 * kernel
    found = keras.ops.convert_to_numpy(model.output_dense.kernel)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert not np.allclose(found, kernels[-1], atol=1e-4)


@pytest.mark.slow
def test_averaged_weights_get_batch_statistics_of_their_own(tmp_path):
    recipe = make_recipe(ema=0.9, learning_rate=0.5)
    model, _ = train(recipe, tmp_path)
    (first,) = [n for n in normalizations(model) if "stem" in n.path]
    (kernel,) = [v for v in model.variables if "stem" in v.path and v.path.endswith("kernel")]
    batches = [images for images, _ in data(recipe)(9)]  # of the last epoch
    outputs = [tf.nn.conv2d(x, kernel.value, 1, "SAME").numpy() for x in batches]
    mean = np.mean([y.mean((0, 1, 2)) for y in outputs], 0)
    variance = np.mean([y.var((0, 1, 2)) for y in outputs], 0)
    np.testing.assert_allclose(first.moving_mean, mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(first.moving_variance, variance, rtol=1e-4)
    assert first.momentum == 0.9


@pytest.mark.slow
def test_run_writes_a_csv_log_and_tensorboard_files(tmp_path):
    train(make_recipe(epochs=2), tmp_path, evaluate=lambda model: {"held_out_accuracy": 0.5})
    found = rows(tmp_path)
    assert [row["epoch"] for row in found] == ["1", "2"]
    assert {"learning_rate", "loss", "accuracy", "images_per_second", "held_out_accuracy"} <= set(
        found[0]
    )
    assert list((tmp_path / "tensorboard").iterdir())


def test_class_weights_scale_the_loss_of_their_classes(rng):
    recipe = make_recipe()
    logits = tf.constant(rng.normal(size=(4, 3)), "float32")
    targets = tf.one_hot([0, 1, 2, 1], 3)
    plain = make_losses(recipe)(targets, logits)
    found = weigh(plain, targets, [2.0, 0.5, 0.0])
    np.testing.assert_allclose(found, plain * [2.0, 0.5, 0.0, 0.5], rtol=1e-6)
    assert weigh(plain, targets, None) is plain


def test_rate_factors_scale_the_rate_of_each_variable():
    dense = keras.layers.Dense(2)
    dense.build((None, 3))
    recipe = make_recipe(optimizer="adamw", weight_decay=0.0, ema=0.0, warmup_epochs=0)
    optimizer = make_optimizer(recipe, steps_per_epoch=10, factors=[1.0, 0.25])
    optimizer.build(dense.trainable_variables)
    before = [keras.ops.convert_to_numpy(v) for v in dense.trainable_variables]
    optimizer.apply([np.ones((3, 2), "float32"), np.ones(2, "float32")])
    kernel, bias = (
        b - keras.ops.convert_to_numpy(v) for b, v in zip(before, dense.trainable_variables)
    )
    np.testing.assert_allclose(kernel, recipe.learning_rate, rtol=1e-3)
    np.testing.assert_allclose(bias, recipe.learning_rate / 4, rtol=1e-3)


@pytest.mark.slow
def test_run_that_is_finished_early_is_not_resumed(tmp_path):
    epochs = []

    def finish(model, optimizer, figures, state):
        epochs.append(figures["epoch"])
        state["finished"] = figures["epoch"] == 2

    recipe = make_recipe(ema=0.0)
    for _ in range(2):
        _, state = train(recipe, tmp_path, after_epoch=finish)
        assert state["step"] == 6
    assert epochs == [1, 2]
