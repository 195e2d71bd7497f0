"""Where a run computes on JAX: a mesh of one device, or of all devices of one machine."""

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from keras_unrolled import checks

AXIS = "batch"


def make_mesh(replicas=None, *, kind="auto"):
    """A `jax.sharding.Mesh` over devices of this machine, with one axis, "batch".

    Args:
        replicas: int or None; None takes every device.
        kind: "auto", "one" or "mirrored".

    Raises:
        InputError: for another kind, or if there are fewer devices than requested.
    """
    if kind not in ("auto", "one", "mirrored"):
        raise checks.InputError(
            f"Expected --strategy auto, one or mirrored on JAX. Received: {kind!r}. Several "
            "machines and TPUs train on TensorFlow: unset KERAS_BACKEND."
        )
    devices = jax.local_devices()
    replicas = 1 if kind == "one" else len(devices) if replicas is None else replicas
    checks.whole("replicas", replicas, least=1, most=1024)
    if replicas > len(devices):
        raise checks.InputError(
            f"Expected at least {replicas} devices. JAX finds {len(devices)}. Ask for fewer "
            "replicas."
        )
    return Mesh(np.array(devices[:replicas]), (AXIS,))


def replicated(mesh):
    """The sharding of what every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def divided(mesh, axis):
    """The sharding of arrays whose axis with this number is divided among the devices."""
    return NamedSharding(mesh, PartitionSpec(*[None] * axis, AXIS))
