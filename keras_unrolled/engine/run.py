"""The engine's entry points: the engine of Keras's backend runs a job."""

from keras_unrolled import checks, files


def make_strategy(replicas=None, *, kind="auto", timeout=600.0):
    """Where a run computes: a `tf.distribute` strategy, or a distribution on JAX.

    Args:
        replicas: int or None, the number of devices of one machine; None takes every GPU.
        kind: "auto", "one", "mirrored", "workers" or "tpu"; the last two on TensorFlow only.
        timeout: seconds to wait for other workers.

    Raises:
        InputError: as `engine.tensorflow.strategy.make_strategy` and
            `engine.jax.sharding.make_mesh`, and for another backend.
    """
    if _backend() == "jax":
        from keras_unrolled.engine.jax.sharding import make_mesh

        return make_mesh(replicas, kind=kind)
    from keras_unrolled.engine.tensorflow import strategy

    return strategy.make_strategy(replicas, kind=kind, timeout=timeout)


def train(job, strategy):
    """Runs a job, or resumes it from the last checkpoint in its folder.

    Args:
        job: a `Job`.
        strategy: what `make_strategy` returned.

    Returns:
        The trained model and the state of the run.

    Raises:
        InputError: for what the engine of this backend cannot do, for another run's checkpoint,
            and for a folder that another process is writing to.
        NonFiniteLossError, WorkersGoneError, Stopped: see `engine.stopping`.
    """
    if not is_chief(strategy):  # it shares the folder with the chief, which locks it
        return _import_loop().train(job, strategy)
    with files.locked(job.workdir):
        return _import_loop().train(job, strategy)


def _import_loop():
    if _backend() == "jax":
        from keras_unrolled.engine.jax import loop as jax_loop

        return jax_loop
    from keras_unrolled.engine.tensorflow import loop

    return loop


def count_replicas(strategy) -> int:
    """The number of devices of a strategy, over all workers."""
    if _backend() == "jax":
        return strategy.devices.size
    return strategy.num_replicas_in_sync


def count_workers(strategy) -> int:
    """The number of processes of a strategy."""
    return _find_worker(strategy).count if _backend() == "tensorflow" else 1


def is_chief(strategy) -> bool:
    """Whether this process writes the preset."""
    return _backend() == "jax" or _find_worker(strategy).is_chief


def meet(strategy, timeout=600.0) -> None:
    """Waits at the end of a program until every worker has come here.

    Args:
        strategy: what `make_strategy` returned.
        timeout: seconds.
    """
    if _backend() == "tensorflow":
        from keras_unrolled.engine.tensorflow import strategy as strategies

        strategies.meet(strategy, timeout)


def _find_worker(strategy):
    from keras_unrolled.engine.tensorflow.strategy import find_worker

    return find_worker(strategy)


def _backend():
    import keras  # not at the top, so that recipes and jobs are imported quickly

    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax"):
        raise checks.InputError(
            f"Expected the backend tensorflow or jax for training. Received: {backend!r}. Set "
            "KERAS_BACKEND=tensorflow; a preset that was trained there loads on every backend."
        )
    return backend
