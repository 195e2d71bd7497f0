"""Pictures that are in the data more than once, or nearly so, and pictures of unusual sizes."""

from typing import Any

import numpy as np

from keras_unrolled import checks

COSINE = 0.9  # of the features of two pictures, from which they may be duplicates
BITS = 6  # of 64 that may differ between their hashes; from 8 on there are false pairs in CIFAR-10
MOST_PAIRS = 10_000  # that are listed
BLOCK = 512  # rows that are compared with all others at a time
AREA, SHAPE = 4.0, 2.0  # factors to the median, beyond which a size is unusual


def find_duplicates(
    features: np.ndarray,
    hashes: np.ndarray,
    digests: np.ndarray,
    *,
    cosine: float = COSINE,
    bits: int = BITS,
) -> list[dict[str, Any]]:
    """Pairs of pictures that look the same to the network and to a hash of their pixels.

    A network gives pictures of one class nearly the same features, and a hash of 64 bits is the same
    for many plain pictures: only both together count. Pictures with the same pixels always count.

    Args:
        features: float array `(n, channels)`.
        hashes: uint64 array `(n,)`, as of `hash_picture`.
        digests: uint64 array `(n,)`, the same for pictures of the same pixels only.
        cosine: float from -1 to 1, the least cosine of the features of a pair.
        bits: int, 0 to 64, the most bits in which the hashes of a pair differ.

    Returns:
        A list of dicts: "first" and "second", the numbers of the pictures, "identical", "bits" and
        "cosine"; the most alike first, 10,000 at most.

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
    rows: list[tuple[Any, ...]] = []
    for start in range(0, len(units), BLOCK):
        near = units[start : start + BLOCK] @ units[start:].T
        same = digests[start : start + BLOCK, None] == digests[None, start:]
        first, second = np.nonzero(np.triu((near >= cosine) | same, 1))
        apart = np.bitwise_count(hashes[start + first] ^ hashes[start + second])
        kept = (apart <= bits) | same[first, second]
        for i, j, distance in zip(first[kept], second[kept], apart[kept]):
            rows.append((not same[i, j], int(distance), -float(near[i, j]), start + i, start + j))
        if len(rows) > 2 * MOST_PAIRS:
            rows = sorted(rows)[:MOST_PAIRS]
    return [
        {
            "first": int(first),
            "second": int(second),
            "identical": not differ,
            "bits": distance,
            "cosine": min(1.0, -negative),
        }
        for differ, distance, negative, first, second in sorted(rows)[:MOST_PAIRS]
    ]


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
