"""Where a run computes: one device, all of a machine, several machines, or a TPU."""

import json
import os
import socket
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import keras
import tensorflow as tf

from keras_unrolled import checks

KINDS = ("auto", "one", "mirrored", "workers", "tpu")


@dataclass(frozen=True)
class Worker:
    """Which of several processes this one is.

    Args:
        index: int, from 0.
        count: int, how many there are.
    """

    index: int = 0
    count: int = 1

    @property
    def is_chief(self):
        """Whether this process writes checkpoints, logs and the preset."""
        return self.index == 0


def make_strategy(replicas=None, *, kind="auto", timeout=600):
    """Where a run computes, a `tf.distribute` strategy.

    Args:
        replicas: int or None, of one machine. None takes every GPU there is, or the CPU. A
            number takes that many GPUs; on a machine without, the CPU is divided into as many
            logical devices (for tests: they share its cores). Must be called before
            TensorFlow has used a device.
        kind: "one", "mirrored" (the devices of one machine), "workers" (several machines, as
            TF_CONFIG or SLURM's variables describe them), "tpu" (TPU_NAME, or the one that
            is attached), or "auto", which finds out.
        timeout: seconds to wait for the other workers, and for each exchange with them.

    Returns:
        A strategy: the default one for one device, a `MirroredStrategy`, a
        `MultiWorkerMirroredStrategy` or a `TPUStrategy`. On Keras's JAX backend what
        `fit.make_distribution` gives.

    Raises:
        InputError: if there are fewer GPUs than asked for, no cluster or TPU is described, or
            another worker does not join in time.
    """
    if keras.backend.backend() == "jax":
        from training.fit import make_distribution

        return make_distribution(replicas, kind=kind)
    kind = find_kind() if checks.one_of("--strategy", kind, KINDS) == "auto" else kind
    if kind == "workers":
        return _workers(timeout)
    if kind == "tpu":
        return _tpu()
    return _mirrored(1 if kind == "one" else replicas)


def find_kind():
    """What this process is part of, by its environment."""
    if len(_cluster().get("worker", ())) > 1 or int(os.environ.get("SLURM_NTASKS", 1)) > 1:
        return "workers"
    if os.environ.get("TPU_NAME") or tf.config.list_physical_devices("TPU"):
        return "tpu"
    return "mirrored"


def find_worker(strategy):
    """The `Worker` that this process is in a strategy."""
    resolver = getattr(strategy, "cluster_resolver", None)
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) or resolver is None:
        return Worker()
    count = len(resolver.cluster_spec().as_dict().get("worker", ())) or 1
    return Worker(resolver.task_id or 0, count)


def _cluster():
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        found = json.loads(text).get("cluster", {})
    except (ValueError, AttributeError) as error:
        raise checks.InputError(
            f"Expected TF_CONFIG to be JSON with a cluster and a task. Received: {text[:200]!r}. "
            'Write for instance {"cluster": {"worker": ["host1:1234", "host2:1234"]}, '
            '"task": {"type": "worker", "index": 0}}.'
        ) from error
    return found if isinstance(found, dict) else {}


def _mirrored(replicas):
    gpus = tf.config.list_physical_devices("GPU")
    if replicas is None:
        replicas = max(1, len(gpus))
    checks.whole("replicas", replicas, least=1, most=1024)
    if gpus and replicas > len(gpus):
        raise checks.InputError(
            f"Expected at least {replicas} GPUs. Found {len(gpus)}. Ask for fewer replicas."
        )
    if replicas == 1:
        return tf.distribute.get_strategy()
    if gpus:
        return tf.distribute.MirroredStrategy([f"GPU:{i}" for i in range(replicas)])
    (cpu,) = tf.config.list_physical_devices("CPU")
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * replicas
        )
    except RuntimeError as error:  # TensorFlow has started; it may have the devices already
        if len(tf.config.list_logical_devices("CPU")) < replicas:
            raise checks.InputError(
                f"Expected to divide the CPU into {replicas} devices before TensorFlow "
                "starts. Received the request after it. Make the strategy first."
            ) from error
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)])


def _workers(timeout):
    cluster = _cluster()
    if cluster.get("worker"):
        resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    elif "SLURM_NTASKS" in os.environ:
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver()
    else:
        raise checks.InputError(
            "Expected the workers in TF_CONFIG or in SLURM's variables. Found neither. Set "
            "TF_CONFIG on every machine, or start the run with srun."
        )
    workers = resolver.cluster_spec().as_dict().get("worker", [])
    meet(workers, resolver.task_id or 0, timeout)
    options = tf.distribute.experimental.CommunicationOptions(timeout_seconds=timeout)
    return tf.distribute.MultiWorkerMirroredStrategy(
        cluster_resolver=resolver, communication_options=options
    )


def meet(workers, index, timeout):
    """Waits until every worker is there: TensorFlow itself would wait for ever, and in silence.

    Worker 0 listens where TensorFlow will listen afterwards; the others tell it their number.

    Args:
        workers: list of "host:port", one a worker.
        index: int, which of them this process is.
        timeout: seconds.

    Raises:
        InputError: for workers that do not join in time.
    """
    end = time.monotonic() + timeout
    host, port = workers[0].rsplit(":", 1)

    def left():
        seconds = end - time.monotonic()
        if seconds <= 0:
            there = {0, index, *joined}
            missing = [w for i, w in enumerate(workers) if i not in there] or workers[:1]
            raise checks.InputError(
                f"Expected every worker to join within {timeout:g} seconds. Worker {index} waited "
                f"for {', '.join(missing)}. Look whether they run and can be reached, and start "
                "all of them again."
            )
        return min(seconds, 1.0)

    joined: dict[int, socket.socket] = {}
    if index:
        while True:
            pause = left()
            try:
                with socket.create_connection((host, int(port)), timeout=pause) as chief:
                    chief.sendall(index.to_bytes(4, "big"))
                    chief.settimeout(max(0.1, end - time.monotonic()))
                    if chief.recv(2) == b"go":
                        return
            except OSError:
                pass
            time.sleep(0.1)
    with socket.create_server(("", int(port))) as server:
        while len(joined) < len(workers) - 1:
            server.settimeout(left())
            with suppress(OSError):
                guest, _ = server.accept()
                guest.settimeout(1)
                joined[int.from_bytes(guest.recv(4), "big")] = guest
        for guest in joined.values():
            with suppress(OSError), guest:
                guest.sendall(b"go")
                guest.recv(1)  # they hang up first, so that the port is free at once


def _tpu():
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(
            tpu=os.environ.get("TPU_NAME", "local")
        )
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise checks.InputError(
            f"Expected a TPU. Found none that answers ({str(error).splitlines()[0]}). Set "
            "TPU_NAME, or run on the TPU's own machine with TensorFlow's TPU build."
        ) from error
    return tf.distribute.TPUStrategy(resolver)


@contextmanager
def watchdog(seconds, what, code=3):
    """Ends the process where the code within hangs, as it does when a peer is gone.

    Args:
        seconds: how long to wait; None or 0 waits for ever.
        what: string, what is waited for, for the message.
        code: int, of the exit.
    """
    if not seconds:
        yield
        return

    def end():
        print(
            f"Expected {what} within {seconds:g} seconds. It did not happen. Look whether the "
            "other processes run and can be reached; the last checkpoint stands, and the same "
            "command resumes from it.",
            file=sys.stderr,
            flush=True,
        )
        os._exit(code)  # nothing less ends a thread that waits inside TensorFlow

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
