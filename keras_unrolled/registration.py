"""Lets Keras find this package's classes without importing them up front.

A `.keras` file or a preset names its classes, such as "keras_unrolled>ImageClassifier". Importing
them takes seconds, since they need Keras and KerasHub, so that `import keras_unrolled` only
extends Keras's lookup: the modules are imported when one of their names is looked up.
"""

import functools
import importlib
import importlib.abc
import importlib.machinery
import sys

PREFIX = "keras_unrolled>"
MODULE = "keras.src.saving.object_registration"
LOOKUP = "get_registered_object"


def extend_lookup():
    """Extends the lookup at once if Keras is imported already, else when it is imported."""
    if MODULE in sys.modules:
        _wrap(sys.modules[MODULE])
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _wrap(module):
    lookup = getattr(module, LOOKUP)
    if hasattr(lookup, "__wrapped__"):
        return

    @functools.wraps(lookup)
    def get_registered_object(name, *args, **kwargs):
        result = lookup(name, *args, **kwargs)
        if result is None and isinstance(name, str) and name.startswith(PREFIX):
            importlib.import_module("keras_unrolled.layers")
            result = lookup(name, *args, **kwargs)
        if result is None and isinstance(name, str) and name.startswith(PREFIX):
            importlib.import_module("keras_unrolled.models")
            result = lookup(name, *args, **kwargs)
        return result

    setattr(module, LOOKUP, get_registered_object)
    for public in ("keras.saving", "keras.utils"):  # what has been imported from it already
        if getattr(sys.modules.get(public), LOOKUP, None) is lookup:
            setattr(sys.modules[public], LOOKUP, get_registered_object)


class _Finder(importlib.abc.MetaPathFinder):
    """Extends the lookup right after its module has been imported, then removes itself."""

    def find_spec(self, name, path=None, target=None):
        if name != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                _wrap(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
