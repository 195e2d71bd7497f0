"""Where a run computes: one device or all of them."""

import tensorflow as tf

from keras_unrolled import checks


def make_strategy(replicas=None):
    """A `tf.distribute` strategy over this machine's devices.

    Args:
        replicas: int or None. None takes every GPU there is, or the CPU. A number takes
            that many GPUs; on a machine without, the CPU is divided into as many logical
            devices (for tests: they share its cores). Must be called before TensorFlow
            has used a device.

    Returns:
        The default strategy for one device, else a `tf.distribute.MirroredStrategy`.

    Raises:
        InputError: if there are fewer GPUs than asked for.
    """
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
