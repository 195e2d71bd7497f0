"""Names of presets in the `from_preset` of KerasHub's classes.

`keras_unrolled.presets` registers the function that resolves a name.
"""

from collections.abc import Callable
from typing import Any

_resolvers: list[Callable[[str], Any]] = []


def set_resolver(function: Callable[[str], Any]) -> None:
    """Sets the function from a preset's name to its folder, or None for an unknown name."""
    _resolvers[:] = [function]


def find_folder(preset: Any) -> Any:
    """The folder of a named preset; anything else is returned as it is."""
    for resolve in _resolvers:
        return resolve(str(preset)) or preset
    return preset
