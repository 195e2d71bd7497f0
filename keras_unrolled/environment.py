"""Versions and hardware, as records state them."""

import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path

_PACKAGES = ("keras-unrolled", "keras", "keras-hub", "tensorflow", "tensorflow-datasets", "numpy")


def package_version():
    """The version of this package, "unknown" for a checkout that is not installed."""
    try:
        return importlib.metadata.version("keras-unrolled")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def software_versions():
    """Versions of Python and of the libraries that decide a result."""
    found = {"python": platform.python_version()}
    for package in (*_PACKAGES, *_backend()):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _backend():
    """The package of Keras's backend, where it is another than TensorFlow, and Keras is loaded."""
    loaded = sys.modules.get("keras")
    backend = loaded.backend.backend() if loaded is not None else "tensorflow"
    return () if backend == "tensorflow" else (backend,)


def hardware():
    """The processor's name and the number of cores, and the GPUs that the backend sees."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        pass
    parts = [f"{name}, {os.cpu_count()} cores"]
    if _backend() == ("jax",):
        import jax

        parts += [device.device_kind for device in jax.devices() if device.platform == "gpu"]
    else:
        import tensorflow as tf

        for gpu in tf.config.list_physical_devices("GPU"):
            parts.append(tf.config.experimental.get_device_details(gpu).get("device_name", "GPU"))
    return "; ".join(parts)


def read_commit():
    """The commit of this checkout, with "+" if files differ from it, or None for another place.

    The environment variable KERAS_UNROLLED_COMMIT says it where the files are a copy.
    """
    if commit := os.environ.get("KERAS_UNROLLED_COMMIT"):
        return commit
    git = ["git", "-C", str(Path(__file__).parent)]
    # A package that is installed may be in the checkout of something else.
    is_ours = [*git, "ls-files", "--error-unmatch", __file__]
    describe = [*git, "describe", "--always", "--abbrev=40", "--dirty=+"]
    try:
        subprocess.run(is_ours, capture_output=True, check=True)
        done = subprocess.run(describe, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
