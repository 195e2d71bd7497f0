"""Saving and loading of a network's head, separately from its backbone."""

from typing import Any

import keras

from keras_unrolled.preset_names import find_folder


class HeadWeights:
    """Saves and loads a KerasHub task's own weights, without the optimizer's state."""

    backbone: Any
    optimizer: Any

    @classmethod
    def from_preset(cls, preset, *args, **kwargs):
        """As KerasHub's, and for a preset's name; `keras_unrolled.from_preset` checks more."""
        return super().from_preset(str(find_folder(preset)), *args, **kwargs)  # type: ignore[misc]

    def save_task_weights(self, filepath):
        """Saves the head's weights to a `.weights.h5` file, without the optimizer's state."""
        keras.saving.save_weights(self, filepath, objects_to_skip=self._not_of_the_head())

    def load_task_weights(self, filepath):
        """Loads the head's weights from a `.weights.h5` file."""
        keras.saving.load_weights(self, filepath, objects_to_skip=self._not_of_the_head())

    def _not_of_the_head(self):
        optimizer = [self.optimizer] if getattr(self, "optimizer", None) is not None else []
        return [*self.backbone._flatten_layers(), *optimizer]
