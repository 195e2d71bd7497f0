"""The log of a run: `log.csv`, and event files for TensorBoard."""

import csv
import functools
import importlib.util
import sys
from pathlib import Path

from tqdm import tqdm

from keras_unrolled.files import replaced


class Log:
    """Writes `log.csv`, one row per epoch, and the same figures for TensorBoard.

    Args:
        workdir: path of the run's folder.
        epochs: int, how many epochs of an earlier part of the run to keep.
        worker: index of this process among several workers. Each has its own `log.csv`; the
            chief's, 0, has no number, and only the chief writes event files.
    """

    def __init__(self, workdir, epochs, worker=0):
        self.path = Path(workdir) / f"log{f'-{worker}' if worker else ''}.csv"
        self.rows = []
        if epochs and self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["epoch"]) <= epochs]
        self.writer = None
        if worker:
            return
        if all(map(importlib.util.find_spec, ("tensorboard", "tensorflow"))):
            import tensorflow as tf

            self.writer = tf.summary.create_file_writer(str(Path(workdir) / "tensorboard"))
        else:
            _report_missing_tensorboard()

    def write(self, figures):
        """Adds a dict of figures with "epoch" and "step" among them."""
        self.rows.append(figures)
        with replaced(self.path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
            rows = csv.DictWriter(file, fieldnames=list(figures))
            rows.writeheader()
            rows.writerows(self.rows)
        if self.writer is not None:
            import tensorflow as tf

            with self.writer.as_default(step=figures["step"]):
                for name in figures.keys() - {"epoch", "step"}:
                    tf.summary.scalar(name, figures[name])
            self.writer.flush()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.writer is not None:
            self.writer.close()


@functools.cache
def _report_missing_tensorboard():
    """Reports once in a process, above a progress bar that may be open."""
    tqdm.write("No event files for TensorBoard: pip install tensorboard", file=sys.stderr)


def read_log(path):
    """The rows of a `log.csv`, a list of dicts of float; epoch and step are int."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        return [
            {k: int(v) if k in ("epoch", "step") else float(v) for k, v in row.items()}
            for row in csv.DictReader(file)
        ]
