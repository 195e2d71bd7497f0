"""Measurements that are schedules and their scores; several of them share one tree."""

from dataclasses import dataclass, field
from typing import Any

from keras_unrolled.analysis.running import INTACT, SCORES, run_schedules
from keras_unrolled.analysis.schedule import Schedule
from keras_unrolled.analysis.table import Table


@dataclass(frozen=True)
class Plan:
    """The schedules of one measurement, and the table that their scores become.

    Attributes:
        name: string, the measurement's name.
        columns: tuple of strings, what the keys of the schedules have values for.
        intact: tuple, the key of the network as it is.
        schedules: dict from a key, a tuple of a value for each column, to a `Schedule`.
    """

    name: str
    columns: tuple[str, ...]
    intact: tuple[Any, ...]
    schedules: dict[tuple[Any, ...], Schedule] = field(default_factory=dict)

    def make_table(self, found: Table) -> Table:
        """The rows of this measurement.

        Args:
            found: what `run_schedules` returns for schedules that are named by pairs of a
                measurement's name and a key.

        Returns:
            A `Table` with a column for each value of a key, "recalibrated", and the scores.
        """
        rows = []
        for row in found:
            owner, key = row["schedule"], self.intact
            if owner != INTACT:
                owner, key = owner
            if owner in (INTACT, self.name):
                scores = {column: row[column] for column in ("recalibrated", *SCORES)}
                rows.append({**dict(zip(self.columns, key)), **scores})
        return Table(rows, (*self.columns, "recalibrated", *SCORES))


def run_plans(stack, data, plans, *, recalibrate=None, progress=None):
    """Runs the schedules of several measurements in one walk over the tree of all of them.

    Args:
        stack: the `BlockStack` that the schedules were made for.
        data: a pair `(images, labels)`, as `run_schedules` takes it.
        plans: list of `Plan`, each with its own name.
        recalibrate: optional images; True takes those of `data`. See `run_schedules`.
        progress: optional string, the title of a progress bar.

    Returns:
        A dict from a measurement's name to its `Table`.

    Raises:
        InputError: as `run_schedules`.
    """
    schedules = {(plan.name, key): s for plan in plans for key, s in plan.schedules.items()}
    found = run_schedules(
        stack,
        data,
        schedules,
        recalibrate=data[0] if recalibrate is True else recalibrate,
        progress=progress,
    )
    return {plan.name: plan.make_table(found) for plan in plans}
