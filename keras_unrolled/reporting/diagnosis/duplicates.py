"""Pictures that are in the data more than once, or nearly so, and pictures of unusual sizes."""

from typing import Any

import numpy as np

from keras_unrolled import checks

COSINE = 0.9  # of the features of two pictures, from which they may be duplicates
BITS = 6  # of 64 that may differ between their hashes; from 8 on there are false pairs in CIFAR-10
LIKENESS = 0.97  # of two thumbnails; from 0.955 on there are false pairs in CIFAR-10
COARSE = 0.8  # correlation of 8 x 8 pixels, below which no likeness is computed
MOST_PAIRS = 10_000  # that are listed
BLOCK = 512  # rows that are compared with all others at a time
CHUNK = 10_000  # pairs whose thumbnails are in memory at a time
AREA, SHAPE = 4.0, 2.0  # factors to the median, beyond which a size is unusual


def find_duplicates(
    features: np.ndarray,
    hashes: np.ndarray,
    digests: np.ndarray,
    thumbnails: np.ndarray | None = None,
    *,
    cosine: float = COSINE,
    bits: int = BITS,
) -> list[dict[str, Any]]:
    """Pairs of pictures that look the same.

    A network gives pictures of one class nearly the same features, and a hash of 64 bits is the same
    for many plain pictures: only both together count. So do pictures whose thumbnails are correlated by
    0.97 or more as they are or shifted by a pixel, which finds pictures that were compressed, made
    noisy or moved. Pictures with the same pixels always count.

    Args:
        features: float array `(n, channels)`.
        hashes: uint64 array `(n,)`, as of `hash_picture`.
        digests: uint64 array `(n,)`, the same for pictures of the same pixels only.
        thumbnails: optional uint8 array `(n, 32, 32)`, as of `shrink_picture`.
        cosine: float from -1 to 1, the least cosine of the features of a pair.
        bits: int, 0 to 64, the most bits in which the hashes of a pair differ.

    Returns:
        A list of dicts: "first" and "second", the numbers of the pictures, "identical", "likeness" (the
        correlation, or None without thumbnails), "bits" and "cosine"; the most alike first, 10,000 at most.

    Raises:
        InputError: for arrays of unequal length, and impossible limits.
    """
    checks.real("cosine", cosine, least=-1, most=1)
    checks.whole("bits", bits, least=0, most=64)
    features = np.asarray(features, "float32")
    hashes, digests = np.asarray(hashes, "uint64"), np.asarray(digests, "uint64")
    if features.ndim != 2 or not features.shape[:1] == hashes.shape == digests.shape:
        raise checks.InputError(
            "Expected features (n, channels) and n hashes and digests. Received shapes "
            f"{features.shape}, {hashes.shape} and {digests.shape}. Pass those of the same pictures."
        )
    units = features / np.maximum(1e-12, np.linalg.norm(features, axis=-1, keepdims=True))
    coarse = None if thumbnails is None else _standardize(_pool(thumbnails, 4))
    rows: list[tuple[Any, ...]] = []
    for start in range(0, len(units), BLOCK):
        near = units[start : start + BLOCK] @ units[start:].T
        same = digests[start : start + BLOCK, None] == digests[None, start:]
        maybe = (near >= cosine) | same
        if coarse is not None:
            maybe |= coarse[start : start + BLOCK] @ coarse[start:].T >= COARSE
        first, second = np.nonzero(np.triu(maybe, 1))
        near, same = near[first, second], same[first, second]
        first, second = start + first, start + second
        apart = np.bitwise_count(hashes[first] ^ hashes[second])
        alike = _correlate(thumbnails, coarse, first, second)
        kept = np.flatnonzero(((near >= cosine) & (apart <= bits)) | (alike >= LIKENESS) | same)
        for i in kept:
            order = not same[i], -float(alike[i]), int(apart[i]), -float(near[i])
            rows.append((*order, int(first[i]), int(second[i])))
        if len(rows) > 2 * MOST_PAIRS:
            rows = sorted(rows)[:MOST_PAIRS]
    return [
        {
            "first": first,
            "second": second,
            "identical": not differ,
            "likeness": None if thumbnails is None else min(1.0, -unlike),
            "bits": distance,
            "cosine": min(1.0, -negative),
        }
        for differ, unlike, distance, negative, first, second in sorted(rows)[:MOST_PAIRS]
    ]


def _correlate(thumbnails, coarse, first, second):
    """The correlation of thumbnails, the largest over shifts by -1, 0 and 1 pixels either way.

    Args:
        thumbnails: uint8 array `(n, 32, 32)` or None, for which it is 0.
        coarse: float array `(n, 64)`, `_standardize` of them at 8 x 8 pixels.
        first, second: int arrays `(pairs,)`; pairs whose coarse correlation is below `COARSE` have that.

    Returns:
        float array `(pairs,)`.
    """
    found = np.zeros(len(first), "float32")
    if thumbnails is None:
        return found
    for at in range(0, len(first), CHUNK):
        part = slice(at, at + CHUNK)
        found[part] = (coarse[first[part]] * coarse[second[part]]).sum(-1)
    close = np.flatnonzero(found >= COARSE)
    for at in range(0, len(close), CHUNK):
        part = close[at : at + CHUNK]
        ours = _standardize(_pool(thumbnails[first[part], 1:-1, 1:-1], 2))
        shifted = [
            _standardize(_pool(thumbnails[second[part], y : y + 30, x : x + 30], 2))
            for y in range(3)
            for x in range(3)
        ]
        found[part] = np.max([(ours * theirs).sum(-1) for theirs in shifted], axis=0)
    return found


def _pool(pictures, side):
    """Means over squares, `(n, pixels)`."""
    n, height, width = pictures.shape
    squares = pictures.reshape(n, height // side, side, width // side, side)
    return squares.mean((2, 4), dtype="float32").reshape(n, -1)


def _standardize(rows):
    """Rows without their means, of length 1, so that products are correlations; 0 for plain ones."""
    rows = rows - rows.mean(-1, keepdims=True)
    return rows / np.maximum(1e-6, np.linalg.norm(rows, axis=-1, keepdims=True))


def find_unusual_sizes(sizes: np.ndarray) -> list[dict[str, Any]]:
    """Pictures that have four times the pixels of the median picture or a fourth, or another shape.

    The shape is the ratio of width to height, which is unusual at twice the median or half of it.

    Args:
        sizes: int array `(n, 2)`, height and width.

    Returns:
        A list of dicts, the most unusual first: "number" of the picture, "height", "width", and "why".
    """
    areas = sizes.prod(-1).astype("float64")
    shapes = sizes[:, 1] / sizes[:, 0]
    area, shape = np.median(areas), np.median(shapes)
    by_area, by_shape = np.log(areas / area), np.log(shapes / shape)
    rows = []
    for i in np.flatnonzero(
        (abs(by_area) >= np.log(AREA)) | (abs(by_shape) >= np.log(SHAPE))
    ).tolist():
        why = []
        if abs(by_area[i]) >= np.log(AREA):
            why.append(f"{areas[i] / area:.3g} times the pixels of the median picture")
        if abs(by_shape[i]) >= np.log(SHAPE):
            why.append(f"{shapes[i] / shape:.3g} times its width to height")
        row = {"number": i, "height": int(sizes[i, 0]), "width": int(sizes[i, 1])}
        rows.append({**row, "why": " and ".join(why)})
    return sorted(
        rows, key=lambda row: -max(abs(by_area[row["number"]]), abs(by_shape[row["number"]]))
    )
