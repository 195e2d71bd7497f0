"""Labels and answers of others for a data set: people's, and those of published networks.

Their files are not part of this package. They have a row for each image of the data set in its published order,
which TFDS's order is not: `Examples` know where each of their images is in it.
"""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from keras_unrolled import checks
from keras_unrolled.data.examples import Examples
from keras_unrolled.evaluation.calibration import log_softmax


def read_soft_labels(path: str | Path, examples: Examples) -> np.ndarray:
    """How often people gave each answer to each image, as CIFAR-10H has it (Peterson et al. 2019).

    `cifar10h-probs.npy` and `cifar10h-counts.npy` are at github.com/jcpeterson/cifar-10h, under CC BY-NC-SA 4.0.

    Args:
        path: path of an `.npy` file with shares or counts `(images, classes)` of all images and classes of the
            data set, in its order.
        examples: `Examples`, some or all of these images, in any order.

    Returns:
        float64 array `(n, k)`, the share of each class of the examples' labels; each row adds up to 1.

    Raises:
        InputError: if the file cannot be read, has another shape, negative numbers or a row without an answer.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> import keras_unrolled as ku
        >>> images = np.zeros((2, 8, 8, 3), "uint8")
        >>> examples = ku.data.Examples(images, [0, 1], ("cat", "dog"), "made up")
        >>> with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        ...     np.save(file.name, [[40, 10], [1, 49]])
        ...     ku.evaluation.read_soft_labels(file.name, examples).tolist()
        [[0.8, 0.2], [0.02, 0.98]]
    """
    table = _read_array(path, examples)
    classes = len(examples.order.names)
    if table.ndim != 2 or table.shape[1] != classes or table.dtype.kind not in "iuf":
        raise _unexpected(path, f"numbers (images, {classes})", f"{table.dtype} {table.shape}")
    _check_rows(path, ~np.isfinite(table), "finite numbers", "others")
    _check_rows(path, table < 0, "shares or counts of answers", "negative numbers")
    rows = table[examples.order.rows].astype("float64")
    sums = rows.sum(-1, keepdims=True)
    unanswered = np.zeros(len(table), bool)
    unanswered[examples.order.rows] = sums[:, 0] == 0
    _check_rows(path, unanswered, "some answers for each image", "zeros")
    shares = np.zeros((len(rows), max(len(examples.names), 1 + examples.order.classes.max())))
    shares[:, examples.order.classes] = rows / sums
    return shares


def score_soft_labels(scores: Any, shares: np.ndarray, temperature: float = 1.0) -> dict[str, Any]:
    """Class scores against the answers of people.

    Args:
        scores: array `(n, classes)` of logits.
        shares: float array `(n, classes)`, as `read_soft_labels` returns it.
        temperature: float above 0, by which the scores are divided.

    Returns:
        A dict: "cross_entropy", the mean over the images of -sum p log q in nats, for people's p and the
        network's q; "entropy", its least value, of q = p; and "agreement", the share of images whose likeliest
        class is people's most frequent answer.

    Raises:
        InputError: for scores of another shape, or that are not finite.

    Example:
        >>> import numpy as np
        >>> import keras_unrolled as ku
        >>> shares = np.array([[0.5, 0.5]])
        >>> found = ku.evaluation.score_soft_labels(np.zeros((1, 2)), shares)
        >>> round(found["cross_entropy"], 4), round(found["entropy"], 4)  # both log(2)
        (0.6931, 0.6931)
    """
    log_q = log_softmax(scores, temperature)
    if log_q.shape != shares.shape:
        raise checks.InputError(
            f"Expected scores {shares.shape}, as the soft labels. Received {log_q.shape}. Pass the network's own."
        )
    log_p = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return {
        "cross_entropy": float(-(shares * log_q).sum(-1).mean()),
        "entropy": max(0.0, float(-(shares * log_p).sum(-1).mean())),  # not -0.0
        "agreement": float((log_q.argmax(-1) == shares.argmax(-1)).mean()),
    }


def read_answers(path: str | Path, examples: Examples) -> np.ndarray:
    """The answers of a published network.

    Args:
        path: path of an `.npy` file with class numbers `(images,)` or scores `(images, classes)`, or of a CSV file
            with the column prediction, a class name or number in each row; all images of the data set, in its order.
        examples: `Examples`, some or all of these images, in any order.

    Returns:
        int64 array `(n,)`, class numbers of the examples' labels.

    Raises:
        InputError: if the file cannot be read, has another shape, or a class that the data set has not.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> import keras_unrolled as ku
        >>> images = np.zeros((2, 8, 8, 3), "uint8")
        >>> examples = ku.data.Examples(images, [0, 1], ("cat", "dog"), "made up")
        >>> with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        ...     np.save(file.name, [1, 1])
        ...     (ku.evaluation.read_answers(file.name, examples) == examples.labels).tolist()
        [False, True]
    """
    path = checks.readable("the published answers", path)
    names = examples.order.names
    if path.suffix.lower() == ".csv":
        table = _read_column(path, names)
        examples.order.check_rows("the published answers", path, len(table))
    else:
        table = _read_array(path, examples)
    if table.ndim == 2 and table.shape[1] == len(names) and table.dtype.kind in "biuf":
        _check_rows(path, ~np.isfinite(table), "finite scores", "others")
        table = table.argmax(-1)
    if table.ndim != 1 or table.dtype.kind not in "iu":
        wanted = f"class numbers (images,) or scores (images, {len(names)})"
        raise _unexpected(path, wanted, f"{table.dtype} {table.shape}")
    if table.min() < 0 or table.max() >= len(names):
        raise _unexpected(
            path, f"classes from 0 to {len(names) - 1}", f"{table.min()} to {table.max()}"
        )
    return examples.order.classes[table[examples.order.rows]]


def _read_column(path, names):
    """The class numbers in the column prediction of a CSV file."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            columns = rows.fieldnames or ["none"]
            answers = [(row.get("prediction") or "").strip() for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unexpected(path, "a CSV file in UTF-8", checks.first_line(error)) from error
    if "prediction" not in columns:
        raise _unexpected(path, "a column prediction", f"{', '.join(columns[:10]):.200}")
    places = {name: i for i, name in enumerate(names)}
    for line, answer in enumerate(answers, start=2):
        if answer not in places and not (
            answer.isascii() and answer.isdigit() and len(answer) < 10
        ):
            raise _unexpected(path, "names or numbers of classes", f"{answer[:100]!r} (row {line})")
    return np.array([places[a] if a in places else int(a) for a in answers], "int64")


def _read_array(path, examples):
    path = checks.readable("the table", path)
    wanted = "an .npy file with one array of numbers"
    try:
        with path.open("rb") as file:
            if file.read(len(np.lib.format.MAGIC_PREFIX)) != np.lib.format.MAGIC_PREFIX:
                raise _unexpected(path, wanted, "a file of another kind")
            file.seek(0)
            table = np.load(file, allow_pickle=False)
    except checks.InputError:
        raise
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise _unexpected(path, wanted, checks.first_line(error)) from error
    if table.ndim == 0:
        raise _unexpected(path, wanted, f"{table.dtype} ()")
    examples.order.check_rows("a table", path, len(table))
    return table


def _check_rows(path, wrong, wanted, found):
    """Raises `InputError` for a table of which an entry is `wrong`, with the first such row."""
    rows = np.flatnonzero(wrong.reshape(len(wrong), -1).any(-1))
    if len(rows):
        raise _unexpected(path, wanted, f"{found} in row {rows[0]}, counted from 0")


def _unexpected(path, wanted, found):
    return checks.InputError(
        f"Expected {wanted} in {path}. Received {found}. Check that it is the file of this data set."
    )
