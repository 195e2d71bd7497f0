"""Networks in memory, as a report takes them."""

from types import SimpleNamespace
from typing import Any

from keras_unrolled import analysis, models
from keras_unrolled.analysis.stack import BlockStack
from keras_unrolled.data.memory import is_path
from keras_unrolled.presets.loading import from_preset


def load_network(preset: Any) -> tuple[Any, BlockStack, str]:
    """A network, its `BlockStack`, and what to call it.

    Args:
        preset: what `from_preset` or `analysis.as_stack` takes.

    Returns:
        An `ImageClassifier` or a `CharacterLM`; of another network an object with "labels", None, and
        "num_classes". The stack. A string.

    Raises:
        InputError: for what neither takes.
    """
    if is_path(preset):
        model = from_preset(preset)
        return model, analysis.as_stack(model), str(preset)
    stack = analysis.as_stack(preset)
    name = str(getattr(stack.model, "name", "network"))
    if isinstance(stack.model, (models.ImageClassifier, models.CharacterLM)):
        return stack.model, stack, name
    return SimpleNamespace(labels=None, num_classes=stack.num_classes), stack, name
