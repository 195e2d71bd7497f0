"""Names of presets in the `presets` and `from_preset` of KerasHub's classes.

`keras_unrolled.presets` registers the functions that know them.
"""

from collections.abc import Callable
from typing import Any

_resolvers: list[Callable[[str], Any]] = []
_listers: list[Callable[[str], dict[str, Any]]] = []


def register(resolve: Callable[[str], Any], list_task: Callable[[str], dict[str, Any]]) -> None:
    """Sets the functions that know the presets.

    Args:
        resolve: function from a preset's name to its folder, or None for an unknown name.
        list_task: function from a task, as a record has it, to a dict from each of its presets'
            names to a description as KerasHub has them.
    """
    _resolvers[:], _listers[:] = [resolve], [list_task]


def find_folder(preset: Any) -> Any:
    """The folder of a named preset; anything else is returned as it is."""
    for resolve in _resolvers:
        return resolve(str(preset)) or preset
    return preset


class PresetsOfTask:
    """A class attribute: the presets of a task with weights, by name.

    Args:
        task: optional string, as a record has it; None for the class's own.
    """

    def __init__(self, task: str | None = None):
        self.task = task

    def __get__(self, instance: Any, owner: Any) -> dict[str, Any]:
        return _listers[0](self.task or owner.task) if _listers else {}


class Named:
    """A class of KerasHub that is part of presets and loads itself by their names."""

    @classmethod
    def from_preset(cls, preset, *args, **kwargs):
        """As KerasHub's, and for a preset's name; `keras_unrolled.from_preset` checks more."""
        return super().from_preset(str(find_folder(preset)), *args, **kwargs)  # type: ignore[misc]
