"""How far blocks separate the classes: the fuzziness of He & Su 2022, NC1 of Papyan et al. 2020."""

from collections import defaultdict
from typing import Any

import numpy as np
from keras import ops

from keras_unrolled import checks
from keras_unrolled.analysis.moments import GROUPS, Grouped
from keras_unrolled.analysis.observing import Accumulator, observe
from keras_unrolled.analysis.table import Table

COLUMNS = ("stage", "block", "fuzziness", "log_fuzziness", "nc1", "low", "high", "slope", "r2")
STEM = "stem"
# Differences of the class means in a direction where they are smaller than this share of those in
# the direction where they are largest count as 0; squared, that is 1e-10 of an eigenvalue of SSb.
TOLERANCE = 1e-5


class Separation(Accumulator):
    """See `separation`."""

    name = "separation"
    needs_labels = True

    def start(self, stack):
        self.stages = {STEM: 0, **{block.name: block.stage for block in stack.blocks}}
        self.found = {name: Grouped() for name in self.stages}
        self.group_sizes = np.zeros(GROUPS, int)
        self.class_sizes: Any = defaultdict(lambda: np.zeros(GROUPS, int))

    def update(self, trace):
        groups = self._assign(trace.labels)
        for name, state in {STEM: trace.first, **trace.outputs}.items():
            features, grouped = _average(state), self.found[name]
            for group in np.unique(groups):
                chosen = groups == group
                new = Scatter.of(features[chosen], trace.labels[chosen])
                old = grouped.groups[group]
                grouped.groups[group] = new if old is None else old.merge(new)
            grouped.seen += len(features)

    def _assign(self, labels):
        """The jackknife's group of each image.

        It is the one with the fewest images of its class, and of those the one with the fewest
        images. Groups by the images' numbers would hold a class each where classes take turns.
        """
        groups = []
        for label in labels:
            of_class = self.class_sizes[int(label)]
            group = np.lexsort((self.group_sizes, of_class))[0]
            of_class[group] += 1
            self.group_sizes[group] += 1
            groups.append(group)
        return np.array(groups)

    def result(self):
        sizes = [sizes.sum() for sizes in self.class_sizes.values()]
        if sum(size >= 2 for size in sizes) < 2:
            raise checks.InputError(
                "Expected two classes or more with two images each, to compare the differences between "
                f"classes with those within. Received {sum(sizes)} images of {len(sizes)} classes. Pass "
                "some dozens of images of each class."
            )
        rows = []
        for name, grouped in self.found.items():
            total, row = grouped.total, {"stage": self.stages[name], "block": name}
            found = (total.fuzziness(), total.nc1(), *grouped.interval(Scatter.log_fuzziness))
            numbers = [None if np.isnan(value) else float(value) for value in found]
            row |= dict(zip(("fuzziness", "nc1", "log_fuzziness", "low", "high"), numbers))
            rows.append({column: row.get(column) for column in COLUMNS})
        slope, r2 = fit([row["log_fuzziness"] for row in rows if row["block"] != STEM])
        return Table([{**row, "slope": slope, "r2": r2} for row in rows], COLUMNS)


class Scatter:
    """The class means of some images' features, and the deviations from them.

    Attributes:
        counts: int array `(classes,)`, images of each class; the last may be missing.
        means: float64 array `(classes, channels)`, anything for classes without images.
        within: float64 array `(channels, channels)`, the sum over all images of the products of
            deviations from the mean of the image's class.
    """

    def __init__(self, counts, means, within):
        self.counts, self.means, self.within = counts, means, within

    @classmethod
    def of(cls, features, labels):
        """The scatter of features `(n, channels)` with labels `(n,)`."""
        counts = np.bincount(labels)
        sums = np.zeros((len(counts), features.shape[1]))
        np.add.at(sums, labels, features)
        means = sums / np.maximum(counts, 1)[:, None]
        rest = features - means[labels]
        return cls(counts, means, rest.T @ rest)

    def merge(self, other, sign=1):
        """The scatter of both, or with `sign=-1` of what remains without `other`.

        The rule of Chan, Golub & LeVeque (1983), class by class.
        """
        classes = max(len(self.counts), len(other.counts))
        (n, mean), (m, others) = self._pad(classes), other._pad(classes)
        total = n + sign * m
        means = (n * mean + sign * m * others) / np.maximum(total, 1)
        base, weight = (mean, n * m / np.maximum(total, 1))
        if sign == -1:
            base, weight = (means, total * m / np.maximum(n, 1))
        apart = (others - base) * np.sqrt(weight)
        within = self.within + sign * (other.within + apart.T @ apart)
        return Scatter(total[:, 0], means, within)

    def _pad(self, classes):
        """Counts `(classes, 1)` and means `(classes, channels)`, for a larger number of classes."""
        missing = ((0, classes - len(self.counts)), (0, 0))
        return np.pad(self.counts[:, None], missing), np.pad(self.means, missing)

    def fuzziness(self):
        """tr(SSw SSb^+), where each image counts once; NaN if the class means do not differ."""
        shares, apart, least = self._compare()
        return _trace(self.within / self.counts.sum(), apart * np.sqrt(shares)[:, None], least)

    def log_fuzziness(self):
        """NaN where there is none."""
        fuzziness = self.fuzziness()
        return np.log(fuzziness) if fuzziness > 0 else np.nan

    def nc1(self):
        """tr(Sw Sb^+) / K, where each of the K classes counts once in Sb."""
        _, apart, least = self._compare()
        trace = _trace(self.within / self.counts.sum(), apart / np.sqrt(len(apart)), least)
        return trace / len(apart)

    def _compare(self):
        """Of the classes with images their shares, their means less the mean of all images
        `(classes, channels)`, and the size up to which differences are float32's rounding."""
        present = self.counts > 0
        shares, means = self.counts[present] / self.counts.sum(), self.means[present]
        least = np.finfo("float32").eps * np.sqrt((shares @ means**2).sum())
        return shares, means - shares @ means, least


def _trace(within, factor, least):
    """tr(W B^+) of B = F'F, with the pseudo-inverse over directions that count; NaN if none does.

    Args:
        within: array `(channels, channels)`, W.
        factor: array `(classes, channels)`, F.
        least: float, singular values of F up to which it is rounding.
    """
    wide = factor.shape[0] <= factor.shape[1]
    values, vectors = np.linalg.eigh(factor @ factor.T if wide else factor.T @ factor)
    use = values > max(TOLERANCE**2 * values[-1], least**2)
    if not use.any():
        return np.nan
    directions = vectors[:, use].T  # of B, or of FF', which has the same eigenvalues
    if wide:
        directions = directions @ factor / np.sqrt(values[use])[:, None]
    return (((directions @ within) * directions).sum(1) / values[use]).sum()


def _average(state):
    """A block's features `(batch, channels)`, averaged over height and width, in float64."""
    axes = tuple(range(1, len(state.shape) - 1))
    state = ops.cast(state, "float32")
    return np.asarray(
        ops.convert_to_numpy(ops.mean(state, axis=axes) if axes else state), "float64"
    )


def fit(logs):
    """The line through the logarithms against the blocks' numbers.

    Args:
        logs: list of floats, or None where not defined.

    Returns:
        Its slope, None for fewer than two numbers, and its R^2, None for fewer than three and for
        equal ones.
    """
    depths = np.array([depth for depth, log in enumerate(logs) if log is not None])
    values = np.array([log for log in logs if log is not None])
    if len(values) < 2:
        return None, None
    slope, start = np.polyfit(depths, values, 1)
    if len(values) < 3 or not np.ptp(values):
        return float(slope), None
    rest = ((values - slope * depths - start) ** 2).sum()
    return float(slope), float(1 - rest / ((values - values.mean()) ** 2).sum())


def separation(model, images, labels=None, *, progress=None):
    """How far each block separates the classes, and whether each does so by the same factor.

    He & Su 2022 (arXiv 2210.17020) measure the separation fuzziness D = tr(SSw SSb^+): SSw is the
    covariance of the features within classes and SSb that of the class means, each image counting
    once. Their law says that log D falls along a line with depth. They take all features of a layer,
    on the training images; for residual networks their code takes a block as a layer and the first
    100 principal components of its flattened output. We take the block's output averaged over height
    and width, as the head does, of the images that are given: pass training images to test their law.
    NC1 of Papyan et al. 2020, who take the last layer, is tr(Sw Sb^+) / K for K classes, where each
    class counts once in Sb; with as many images of each class it is D / K.

    What can be compared: D is a sum over the directions in which class means differ, which are
    K - 1, or the channels if those are fewer. Stages of K - 1 or more channels have equally many, and
    D does not depend on the scale of the features. A stage of fewer channels has a smaller sum. With
    few images of a class the means differ by chance too, and D is too small: compare with the same
    images only.

    Directions in which the class means differ by less than 1e-5 of what they do in the one where they
    differ most, or by less than float32 resolves, count as none in the pseudo-inverse. Memory does
    not depend on the images: 10 (classes + channels) channels numbers a block.

    Args:
        model: what `as_stack` takes.
        images: as `Samples` takes them; some dozens of each class.
        labels: int array `(n,)`. Classes without images are left out.
        progress: optional string, the title of a progress bar.

    Returns:
        A `Table` with a row for the stem's output ("stem", stage 0) and for each block's, and columns
        "stage"; "block"; "fuzziness", D, 0 for classes that are points and None if the class means do
        not differ; "log_fuzziness", its natural logarithm, None where D is 0; "nc1"; "low" and "high",
        the 95% interval of "log_fuzziness" over images, None for fewer than 20, from ten groups with
        the classes spread evenly over them; "slope" and "r2", the same in every row, of the line through
        "log_fuzziness" against the block's number in the network, without the stem: a block multiplies
        D by exp(slope) on average.

    Raises:
        InputError: for fewer than two classes with two images each; as `observe`.

    Example:
        >>> import keras_unrolled as ku
        >>> model = ku.models.highway(8, dataset="cifar", width_multiplier=0.25)
        >>> sample = ku.data.load_sample()
        >>> table = ku.analysis.separation(model, sample.images[:100], sample.labels[:100])
        >>> table["block"]
        ['stem', 'stage1_block1', 'stage2_block1', 'stage3_block1']
    """
    return observe(model, (images, labels), [Separation()], progress=progress)["separation"]
