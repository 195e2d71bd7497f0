"""Means and covariances over images, in one stable pass, with intervals."""

import math
from typing import Any

import numpy as np
from keras import ops

GROUPS = 10
MOST_NUMBERS = 2**19  # of a block's moments in each group
T_QUANTILE = (
    0,
    12.706,
    4.303,
    3.182,
    2.776,
    2.571,
    2.447,
    2.365,
    2.306,
    2.262,
)  # 97.5%, by freedom


class Moments:
    """Means and co-moments of a few variables at every unit.

    A batch is reduced where it is, in float32; what is kept are float64 arrays of one number a unit,
    updated by the rule of Chan, Golub & LeVeque (1983), which does not cancel.

    Attributes:
        n: int, images.
        mean: array `(k, ...)`.
        comoment: array `(k, k, ...)`, sums of the products of deviations from the means.
    """

    def __init__(self, n=0, mean=0.0, comoment=0.0):
        self.n, self.mean, self.comoment = n, mean, comoment

    @classmethod
    def of(cls, variables):
        """The moments of a list of k tensors `(batch, ...)` of one shape."""
        variables = [ops.cast(v, "float32") for v in variables]
        means = [ops.mean(v, axis=0) for v in variables]
        rest = [v - m for v, m in zip(variables, means)]
        k = len(variables)
        table = [[None] * k for _ in range(k)]
        for i in range(k):
            for j in range(i, k):
                table[i][j] = table[j][i] = _to_numpy(ops.sum(rest[i] * rest[j], axis=0))
        return cls(
            int(variables[0].shape[0]), np.array([_to_numpy(m) for m in means]), np.array(table)
        )

    def merge(self, other, sign=1):
        """The moments of both, or with `sign=-1` of what remains without `other`."""
        n = self.n + sign * other.n
        if not self.n or not n:
            return other if not self.n else Moments()
        mean = (self.n * self.mean + sign * other.n * other.mean) / n
        base = self.mean if sign == 1 else mean
        apart = other.mean - base
        weight = (self.n if sign == 1 else n) * other.n / (n if sign == 1 else self.n)
        shift = apart[:, None] * apart[None] * weight
        return Moments(n, mean, self.comoment + sign * (other.comoment + shift))

    @property
    def covariance(self):
        """Array `(k, k, ...)`, of the images at hand (divided by n)."""
        return self.comoment / self.n


class Sums:
    """Sums over images of anything that adds up; `Moments` without the products.

    Attributes:
        n: int, images.
        sums: array.
    """

    def __init__(self, n=0, sums=0.0):
        self.n, self.sums = n, sums

    def merge(self, other, sign=1):
        return Sums(self.n + sign * other.n, self.sums + sign * other.sums)

    @property
    def mean(self):
        return self.sums / self.n


class Grouped:
    """Moments or sums kept for ten groups of images, from which intervals follow.

    Of large feature maps, positions on a grid stand for all, so that moments of a block take about 40
    MB at most. Image i belongs to group i modulo 10. An interval is the delete-a-group jackknife's, with
    Student's t of one less than the groups' number as its degrees of freedom.
    """

    def __init__(self):
        self.groups: list[Any] = [None] * GROUPS
        self.seen = 0

    def add(self, variables, make=Moments.of):
        """Adds a batch, a list of tensors or arrays `(batch, ...)`, reduced by `make`."""
        if make == Moments.of:
            variables = thin(variables)
        for group in range(GROUPS):
            start = (group - self.seen) % GROUPS
            if start < variables[0].shape[0]:
                new = make([v[start::GROUPS] for v in variables])
                old = self.groups[group]
                self.groups[group] = new if old is None else old.merge(new)
        self.seen += int(variables[0].shape[0])

    @property
    def total(self):
        """The moments or sums of all images."""
        first, *rest = [group for group in self.groups if group is not None]
        for group in rest:
            first = first.merge(group)
        return first

    def interval(self, statistic):
        """A statistic with its 95% interval over images.

        Args:
            statistic: function from `Moments` or `Sums` to a number or an array of numbers.

        Returns:
            Three arrays of float64: the statistic, its lower and its upper bound, which are NaN for
            fewer than 20 images.
        """
        total = self.total
        value = np.asarray(statistic(total), "float64")
        if self.seen < 2 * GROUPS:
            return value, np.full_like(value, np.nan), np.full_like(value, np.nan)
        rest = [np.asarray(statistic(total.merge(g, sign=-1)), "float64") for g in self.groups]
        spread = (GROUPS - 1) / GROUPS * ((rest - np.mean(rest, 0)) ** 2).sum(0)
        half = T_QUANTILE[GROUPS - 1] * np.sqrt(spread)
        return value, value - half, value + half


def thin(variables, k=None):
    """Feature maps `(batch, height, width, channels)` on a grid, if their moments are too many.

    Args:
        variables: list of tensors of one shape.
        k: optional int, how many variables the moments are of, for a part of them.
    """
    units, k = math.prod(variables[0].shape[1:]), k or len(variables)
    if len(variables[0].shape) != 4 or units * k * (k + 1) <= MOST_NUMBERS:
        return variables
    step = math.ceil(math.sqrt(units * k * (k + 1) / MOST_NUMBERS))
    return [v[:, ::step, ::step] for v in variables]


def add_up(variables):
    """`Sums` of a list of tensors or arrays `(batch, ...)`, an array `(k, ...)`."""
    rows = [np.asarray(ops.convert_to_numpy(v), "float64") for v in variables]
    return Sums(len(rows[0]), np.array([row.sum(0) for row in rows]))


def _to_numpy(tensor):
    return np.asarray(ops.convert_to_numpy(tensor), "float64")


def bounds(value, low, high):
    """Numbers for a row of a table: NaN becomes None."""
    return [None if np.isnan(v) else float(v) for v in (value, low, high)]
