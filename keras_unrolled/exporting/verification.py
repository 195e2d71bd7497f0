"""An exported file, run in a process of its own and compared with the original."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from keras_unrolled import checks
from keras_unrolled.exporting import runtime

# Largest difference of a probability. Rounding all weights to 11 bits changes it by 0.006 for the
# presets of CIFAR-10; another order of adding by 3e-6.
LARGEST = {"float32": 1e-3, "float16": 0.02}
LEAST_AGREEMENT = 0.9  # of int8, whose probabilities differ more


def run_file(path: Path, format: str, images: np.ndarray) -> np.ndarray:
    """Probabilities `(n, num_classes)` that an exported file gives for images.

    Args:
        path: path of the file or folder.
        format: "onnx", "litert" or "saved_model".
        images: uint8 array `(n, height, width, channels)`.

    Raises:
        InputError: if the runtime does not load or run it.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, result = (os.path.join(folder, name) for name in ("images.npy", "result.npy"))
        np.save(given, images)
        done = subprocess.run(
            # Without -P the modules next to the program would be found before others of their names.
            [sys.executable, "-P", runtime.__file__, format, str(path), given, result],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "CUDA_VISIBLE_DEVICES": "-1",  # this process may hold the memory of the GPU
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            raise checks.InputError(
                f"Expected the runtime of {format} to run the exported file. It failed: "
                f"{checks.first_line(lines[-1] if lines else f'exit code {done.returncode}')}. Nothing "
                "was written. Update the runtime, or choose another format."
            )
        return np.load(result)


def compare(expected: np.ndarray, received: np.ndarray) -> dict[str, float]:
    """How far probabilities `(n, num_classes)` are from others.

    Returns:
        A dict: "difference", the largest of a probability; "agreement", the share of images with the
        same most likely class; and "n", the number of images.
    """
    return {
        "difference": float(np.abs(expected - received).max()),
        "agreement": float(np.mean(expected.argmax(-1) == received.argmax(-1))),
        "n": len(expected),
    }


def check(result: dict[str, float], precision: str) -> None:
    """Raises `InputError` for an exported file that does not compute what the original does.

    Args:
        result: as of `compare`.
        precision: "float32", "float16" or "int8".
    """
    if precision == "int8":
        if result["agreement"] >= LEAST_AGREEMENT:
            return
        raise checks.InputError(
            f"Expected int8 to give the original's answer for {LEAST_AGREEMENT:.0%} of the images or "
            f"more. Found {result['agreement']:.1%} of {result['n']}. Nothing was written. Calibrate "
            "with more images, of the kind that the network was trained on, or use float16."
        )
    if result["difference"] <= LARGEST[precision]:  # not so for NaN
        return
    advice = "float32" if precision == "float16" else "another format"
    raise checks.InputError(
        f"Expected the exported network's probabilities within {LARGEST[precision]:g} of the "
        f"original's. They differ by up to {result['difference']:.2g}. Nothing was written. Use "
        f"{advice}."
    )
