"""Where a run computes on TensorFlow: one device, one machine, several machines, or a TPU."""

import json
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass

import tensorflow as tf

from keras_unrolled import checks
from keras_unrolled.engine.tensorflow.rendezvous import split_address, wait_for_workers, watchdog

KINDS = ("auto", "one", "mirrored", "workers", "tpu")
MOST_TASKS = 1024  # of a node without GPUs
MOST_NODES = 100_000  # in one range of SLURM's


@dataclass(frozen=True)
class Worker:
    """Which of several processes this one is.

    Args:
        index: int, from 0.
        count: int, the number of processes.
    """

    index: int = 0
    count: int = 1

    @property
    def is_chief(self) -> bool:
        """Whether this process writes checkpoints, logs and the preset."""
        return self.index == 0


def make_strategy(replicas=None, *, kind="auto", timeout=600.0):
    """The `tf.distribute` strategy of a run.

    Args:
        replicas: int or None, the number of replicas on one machine. None takes every GPU, or the
            CPU. A number takes that many GPUs; on a machine without GPUs the CPU is divided into
            so many logical devices (for tests: they share its cores). This must happen before
            TensorFlow has used a device.
        kind: "one", "mirrored" (the devices of one machine), "workers" (several machines, as
            TF_CONFIG or SLURM's variables describe them), "tpu" (TPU_NAME, or the attached one),
            or "auto", which is one of these by the environment.
        timeout: seconds to wait for the other workers, and for each exchange with them.

    Returns:
        The default strategy for one device, a `MirroredStrategy`, a
        `MultiWorkerMirroredStrategy` or a `TPUStrategy`.

    Raises:
        InputError: if there are fewer GPUs than requested, no cluster or TPU is described, or
            another worker does not join in time.
    """
    kind = find_kind() if checks.one_of("--strategy", kind, KINDS) == "auto" else kind
    if kind == "workers":
        return _make_workers(timeout)
    if kind == "tpu":
        return _make_tpu()
    return _make_mirrored(1 if kind == "one" else replicas)


def find_kind():
    """The kind of strategy that the environment asks for."""
    if len(_read_cluster().get("worker", ())) > 1 or _read_number("SLURM_NTASKS", 1) > 1:
        return "workers"
    if os.environ.get("TPU_NAME") or tf.config.list_physical_devices("TPU"):
        return "tpu"
    return "mirrored"


def find_worker(strategy) -> Worker:
    """The `Worker` that this process is in a strategy."""
    resolver = getattr(strategy, "cluster_resolver", None)
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) or resolver is None:
        return Worker()
    count = len(resolver.cluster_spec().as_dict().get("worker", ())) or 1
    return Worker(resolver.task_id or 0, count)


def _read_cluster():
    """The cluster that TF_CONFIG describes, {} if there is none."""
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        config = json.loads(text)
        cluster, task = config.get("cluster", {}), config.get("task", {})
        workers = cluster.get("worker", [])
        index = task.get("index", 0)
        valid = (
            isinstance(workers, list)
            and all(isinstance(worker, str) for worker in workers)
            and len(set(workers)) == len(workers)
            and cluster.keys() <= {"worker"}
            and (not workers or (task.get("type") == "worker" and type(index) is int))
            and 0 <= index < max(1, len(workers))
        )
    except (ValueError, AttributeError, TypeError, RecursionError):
        valid = False
    if not valid:
        raise checks.InputError(
            "Expected TF_CONFIG to be JSON with a cluster of workers and a task among them. Received: "
            f"{text[:200]!r}. "
            'Write for instance {"cluster": {"worker": ["host1:1234", "host2:1234"]}, '
            '"task": {"type": "worker", "index": 0}}.'
        )
    for worker in workers:
        split_address(worker)
    return cluster


def _read_number(name, default):
    text = os.environ.get(name, str(default))
    if not (text.isascii() and text.isdigit()):
        raise checks.InputError(
            f"Expected a whole number in {name}. Received: {text!r}. Start the run with srun, or "
            "unset it."
        )
    return int(text)


def _make_mirrored(replicas):
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
                f"Expected to divide the CPU into {replicas} devices before TensorFlow starts. "
                "Received the request after it has started. Make the strategy first."
            ) from error
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)])


def _make_workers(timeout):
    if _read_cluster().get("worker"):
        resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    elif "SLURM_NTASKS" in os.environ:
        rank = _read_number("SLURM_PROCID", 0)
        # Without GPUs it would look for nvidia-smi, and it takes one for each task of a node.
        cpus = {"gpus_per_node": MOST_TASKS, "gpus_per_task": 1, "auto_set_gpu": False}
        options = {} if tf.config.list_physical_devices("GPU") else cpus
        try:
            _check_ranges()
            resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(**options)
            count = len(resolver.cluster_spec().as_dict()["worker"])
            if rank >= count:
                raise ValueError(f"SLURM_PROCID is {rank} of {count} tasks, from 0")
        except Exception as error:  # whatever its variables lead to
            raise checks.InputError(
                f"Expected SLURM's variables to describe the workers. They do not ({error}). Start "
                "the run with srun, or set TF_CONFIG."
            ) from error
    else:
        raise checks.InputError(
            "Expected the workers in TF_CONFIG or in SLURM's variables. Found neither. Set "
            "TF_CONFIG on every machine, or start the run with srun."
        )
    workers = resolver.cluster_spec().as_dict().get("worker", [])
    wait_for_workers(workers, resolver.task_id or 0, timeout)
    options = tf.distribute.experimental.CommunicationOptions(timeout_seconds=timeout)
    return tf.distribute.MultiWorkerMirroredStrategy(
        cluster_resolver=resolver, communication_options=options
    )


def _check_ranges():
    """Rejects ranges of nodes or tasks that TensorFlow would take hours to write out."""
    for name in ("SLURM_STEP_NODELIST", "SLURM_STEP_TASKS_PER_NODE"):
        text = os.environ.get(name, "")
        ranges = re.findall(r"(\d+)-(\d+)", text) + re.findall(r"\(x()(\d+)\)", text)
        if any(int(last) - int(first or 0) > MOST_NODES for first, last in ranges):
            raise ValueError(f"{name} is {text[:100]!r}")


def meet(strategy, timeout=600.0):
    """Waits at the end until every worker has come here.

    One that leaves ends what the others still exchange, also while the chief scores and writes.

    Args:
        strategy: a `tf.distribute` strategy.
        timeout: seconds, after which the process ends.
    """
    if find_worker(strategy).count == 1:
        return

    @tf.function
    def count():
        return strategy.run(lambda: tf.distribute.get_replica_context().all_reduce("SUM", 1.0))

    with watchdog(timeout, "every worker to reach the end"), suppress(tf.errors.OpError):
        count()
    time.sleep(2)  # the others may still be reading what this one sent


def _make_tpu():
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(
            tpu=os.environ.get("TPU_NAME", "local")
        )
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise checks.InputError(
            f"Expected a TPU. Found none that answers ({checks.first_line(error)}). Set "
            "TPU_NAME, or run on the TPU's own machine with TensorFlow's TPU build."
        ) from error
    return tf.distribute.TPUStrategy(resolver)
