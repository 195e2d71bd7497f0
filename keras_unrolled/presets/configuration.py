"""The configuration of a task, checked before Keras builds anything from it.

Keras makes whatever class or function a configuration names, with whatever arguments. Here each place
has the one class that belongs there, and everything else is plain values.
"""

import math

import keras

from keras_unrolled import checks, models
from keras_unrolled.models.image_converter import MOST_PIXELS

# The parts of a class, by their places in its configuration.
PARTS: dict[type, dict[str, type]] = {
    models.ImageClassifier: {
        "backbone": models.ImageBackbone,
        "preprocessor": models.ImageClassifierPreprocessor,
    },
    models.ImageClassifierPreprocessor: {"image_converter": models.ImageConverter},
    models.CharacterLM: {
        "backbone": models.CharacterBackbone,
        "preprocessor": models.CharacterLMPreprocessor,
    },
    models.CharacterLMPreprocessor: {"tokenizer": models.CharacterTokenizer},
}
DTYPES = ("float16", "bfloat16", "float32", "float64", "int32", "mixed_float16", "mixed_bfloat16")
ACTIVATIONS = {
    name
    for name, value in vars(keras.activations).items()
    if callable(value) and name not in ("get", "serialize", "deserialize")
}
MOST_DEPTH = 3  # of lists in lists
MOST_CHARACTERS = 1_000  # of a string
MOST_WORDS = 65_536  # of a sequence


def check_task(task, cls):
    """The configuration of a task, with only what a preset can have.

    Args:
        task: dict from a task's file, as Keras serializes it.
        cls: `ImageClassifier` or `CharacterLM`.

    Returns:
        A dict of the same form for `keras.saving.deserialize_keras_object`, without anything that
        Keras would build or compile besides.

    Raises:
        InputError: for another class anywhere, and for values of no configuration.
    """
    checked = _check_object(task, cls, "the task")
    if cls is models.ImageClassifier:
        config = checked["config"]
        *_, channels = config["backbone"]["config"].get("image_shape") or (3,)
        preprocessor = config.get("preprocessor") or {"config": {}}
        converter = preprocessor["config"].get("image_converter")
        if converter is not None:
            _check_converter(converter["config"], channels)
    return checked


def _check_object(value, cls, place):
    name = keras.saving.get_registered_name(cls)
    config = value.get("config") if isinstance(value, dict) else None
    if not isinstance(config, dict) or value.get("registered_name") != name:
        received = value.get("registered_name") if isinstance(value, dict) else value
        raise _unexpected(place, f"a {name}", received)
    parts, cleaned = PARTS.get(cls, {}), {}
    for key, entry in config.items():
        at = f"{place}, {key[:50]}"
        if key in parts:
            optional = entry is None and key != "backbone"
            cleaned[key] = None if optional else _check_object(entry, parts[key], at)
        elif key == "dtype":
            cleaned[key] = _check_dtype(entry, at)
        elif key == "activation" and cls is models.ImageClassifier:
            cleaned[key] = _check_activation(entry, at)
        else:
            _check_plain(entry, at)
            cleaned[key] = entry
    if cls is models.CharacterLMPreprocessor and "sequence_length" in cleaned:
        checks.whole("sequence_length", cleaned["sequence_length"], least=1, most=MOST_WORDS)
    return {
        "module": cls.__module__,
        "class_name": cls.__name__,
        "config": cleaned,
        "registered_name": name,
    }


def _check_dtype(value, place):
    name = value
    if isinstance(value, dict) and value.get("class_name") == "DTypePolicy":
        inner = value.get("config")
        name = inner.get("name") if isinstance(inner, dict) else None
    if not isinstance(name, str) or name not in DTYPES:
        raise _unexpected(place, "a dtype policy of numbers", value)
    return {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": {"name": name},
        "registered_name": None,
    }


def _check_activation(value, place):
    """The name of an activation of Keras, also of a function that Keras serialized."""
    if isinstance(value, dict) and value.get("class_name") == "function":
        value = value.get("config")
    if value is None or (isinstance(value, str) and value in ACTIVATIONS):
        return value
    raise _unexpected(place, "an activation of Keras", value)


def _check_plain(value, place, depth=0):
    if isinstance(value, list) and depth < MOST_DEPTH:
        for entry in value:
            _check_plain(entry, place, depth + 1)
        return
    fits = value is None or isinstance(value, bool)
    if isinstance(value, str):
        fits = len(value) <= MOST_CHARACTERS
    elif isinstance(value, int):
        fits = abs(value) < 2**63
    elif isinstance(value, float):
        fits = math.isfinite(value)
    if not fits:
        raise _unexpected(place, "a plain, finite value", value)


def _check_converter(config, channels):
    """Rejects what would fail, or take all memory, once an image is converted."""
    sizes = config.get("image_size")
    if sizes is not None:
        if not isinstance(sizes, list) or len(sizes) != 2:
            raise _unexpected("the image converter", "a height and a width", sizes)
        fraction = checks.real("crop_fraction", config.get("crop_fraction", 1), least=0.01, most=1)
        for size in sizes:
            checks.whole("image_size", size, least=1, most=int(MOST_PIXELS * fraction))
    for name in ("scale", "offset"):
        numbers = config.get(name)
        if isinstance(numbers, list) and len(numbers) not in (1, channels):
            raise _unexpected("the image converter", f"1 or {channels} numbers as {name}", numbers)
        for number in numbers if isinstance(numbers, list) else [numbers]:
            if number is not None:
                checks.real(name, number, least=-1e6, most=1e6)
    checks.one_of("data_format", config.get("data_format") or "channels_last", ("channels_last",))


def _unexpected(place, wanted, received):
    if isinstance(received, dict):
        received = received.get("class_name", "an object")
    shown = repr(received) if not isinstance(received, list) else f"a list of {len(received):,}"
    return checks.InputError(
        f"Expected {wanted} in the configuration of {place}. Found {shown[:200]}. Restore the file."
    )
