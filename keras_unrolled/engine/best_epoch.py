"""The weights of the best epoch, and early stopping."""

from pathlib import Path

import numpy as np

from keras_unrolled.files import replaced


class BestEpoch:
    """Keeps the weights of the best epoch of a run.

    Its record of the run is in the run's state ("best", "best_epoch", "epochs_since_best"), so that
    a resumed run decides as an unbroken one does.

    Args:
        path: path of the `.npz` file of the weights.
        rank: function from a row of the log to what is compared, smaller is better.
        patience: optional int; after so many epochs without a better one the run is finished.
    """

    def __init__(self, path, rank, patience=None):
        self.path, self.rank, self.patience = Path(path), rank, patience

    def update(self, weights, figures, state, epoch=None):
        """Compares an epoch with the best one so far.

        Args:
            weights: list of Keras variables.
            figures: dict, the epoch's row of the log.
            state: dict, the run's state, changed in place.
            epoch: optional int, the epoch's number; the default is that of the row.
        """
        rank = np.atleast_1d(self.rank(figures)).tolist()
        if "best" not in state or rank < np.atleast_1d(state["best"]).tolist():
            state["best"], state["epochs_since_best"] = rank, 0
            state["best_epoch"] = figures["epoch"] if epoch is None else epoch
            self._save(weights)
        else:
            state["epochs_since_best"] = state.get("epochs_since_best", 0) + 1
        if self.patience is not None and state["epochs_since_best"] >= self.patience:
            state["finished"] = True

    def _save(self, weights):
        import keras

        with replaced(self.path) as aside, aside.open("wb") as file:
            np.savez(file, *[keras.ops.convert_to_numpy(w) for w in weights])

    def load(self, weights):
        """Assigns the best epoch's values to `weights`."""
        with np.load(self.path, allow_pickle=False) as file:
            for i, weight in enumerate(weights):
                weight.assign(file[f"arr_{i}"])
