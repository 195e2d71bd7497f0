"""Where a run computes on JAX: one device, or all devices of one machine."""

import keras

from keras_unrolled import checks


def make_distribution(replicas=None, *, kind="auto"):
    """A `keras.distribution.DataParallel` over devices of this machine, or None for one device.

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
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")  # it only reads the data
    devices = keras.distribution.list_devices()
    replicas = 1 if kind == "one" else len(devices) if replicas is None else replicas
    checks.whole("replicas", replicas, least=1, most=1024)
    if replicas > len(devices):
        raise checks.InputError(
            f"Expected at least {replicas} devices. JAX finds {len(devices)}. Ask for fewer "
            "replicas."
        )
    if replicas == 1:
        return None
    return keras.distribution.DataParallel(devices=devices[:replicas], auto_shard_dataset=False)


def count_replicas(distribution):
    """The number of devices of a distribution."""
    return 1 if distribution is None else distribution.device_mesh.devices.size
