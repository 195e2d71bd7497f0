"""What our tasks save and load differently from KerasHub's."""

from typing import Any

import keras

from keras_unrolled.preset_names import Named, PresetsOfTask


class HeadWeights(Named):
    """Saves and loads a KerasHub task's own weights, without the optimizer's state."""

    presets = PresetsOfTask()
    backbone: Any
    optimizer: Any

    def save_task_weights(self, filepath):
        """Saves the head's weights to a `.weights.h5` file, without the optimizer's state."""
        keras.saving.save_weights(self, filepath, objects_to_skip=self._not_of_the_head())

    def load_task_weights(self, filepath):
        """Loads the head's weights from a `.weights.h5` file."""
        keras.saving.load_weights(self, filepath, objects_to_skip=self._not_of_the_head())

    def get_compile_config(self):
        """As Keras's, and whether the optimizer has a state to be loaded."""
        config = super().get_compile_config()  # type: ignore[misc]
        return config and {**config, "has_state": self.optimizer.built}

    def compile_from_config(self, config):
        """Compiles a model that is loaded from a `.keras` file as it was when it was saved.

        Keras leaves a class that overrides `compile` uncompiled and warns.
        """
        config = keras.saving.deserialize_keras_object(config)
        has_state = config.pop("has_state", False)
        del config["jit_compile"]  # it depends on the machine
        self.compile(**config)  # type: ignore[attr-defined]
        if has_state:
            self.optimizer.build(self.trainable_variables)  # type: ignore[attr-defined]

    def _not_of_the_head(self):
        optimizer = [self.optimizer] if getattr(self, "optimizer", None) is not None else []
        return [*self.backbone._flatten_layers(), *optimizer]
