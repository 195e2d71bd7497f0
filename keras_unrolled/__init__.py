"""Highway and Residual networks as unrolled iterative estimation: a Keras 3 model zoo.

Names are imported on first use, so that `import keras_unrolled` takes milliseconds.
"""

import importlib
from typing import TYPE_CHECKING

from keras_unrolled import environment, registration

if TYPE_CHECKING:
    from keras_unrolled import analysis, convert, data, evaluation, layers, models, presets
    from keras_unrolled.checks import InputError
    from keras_unrolled.exporting.run import export
    from keras_unrolled.presets.catalog import list_presets
    from keras_unrolled.presets.loading import from_preset
    from keras_unrolled.presets.publishing import upload_preset
    from keras_unrolled.presets.record import Record
    from keras_unrolled.presets.resolve import load_record
    from keras_unrolled.presets.saving import save_preset
    from keras_unrolled.reporting.analysis import analyze
    from keras_unrolled.reporting.diagnosis.finetuning import finetune
    from keras_unrolled.reporting.diagnosis.scoring import evaluate

__all__ = [
    "InputError",
    "Record",
    "analysis",
    "analyze",
    "convert",
    "data",
    "evaluate",
    "evaluation",
    "export",
    "finetune",
    "from_preset",
    "layers",
    "list_presets",
    "load_record",
    "models",
    "presets",
    "save_preset",
    "upload_preset",
]

_PLACES = {
    "InputError": "keras_unrolled.checks",
    "Record": "keras_unrolled.presets.record",
    "analyze": "keras_unrolled.reporting.analysis",
    "evaluate": "keras_unrolled.reporting.diagnosis.scoring",
    "export": "keras_unrolled.exporting.run",
    "finetune": "keras_unrolled.reporting.diagnosis.finetuning",
    "from_preset": "keras_unrolled.presets.loading",
    "list_presets": "keras_unrolled.presets.catalog",
    "load_record": "keras_unrolled.presets.resolve",
    "save_preset": "keras_unrolled.presets.saving",
    "upload_preset": "keras_unrolled.presets.publishing",
}


registration.extend_lookup()
# They register how the classes' `from_preset` finds a name, and `data` a data set on the Hub.
importlib.import_module("keras_unrolled.presets.resolve")
importlib.import_module("keras_unrolled.presets.hub_datasets")


def __getattr__(name):
    if name == "__version__":
        return environment.package_version()
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    if name in __all__:
        return importlib.import_module(f"keras_unrolled.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*__all__, "__version__"])
