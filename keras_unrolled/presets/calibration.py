"""The temperature that a preset's record has, for probabilities that fit better."""

from typing import Any

from keras_unrolled import checks
from keras_unrolled.models.weight_hash import hash_weights


def find_temperature(model: Any) -> float:
    """The temperature of the preset that a model was loaded from.

    Nothing applies it unless it is asked for: pass it to `decode`.

    Args:
        model: an `ImageClassifier`, as `from_preset` returned it.

    Returns:
        A float above 0; scores are divided by it before the softmax.

    Raises:
        InputError: if the record has none, or if the model has another head, other options or other
            weights than the preset, for which it was not chosen.

    Example:
        >>> import keras_unrolled as ku
        >>> from keras_unrolled.presets.calibration import find_temperature
        >>> model = ku.from_preset("resnet_nobn_cifar10")
        >>> temperature = find_temperature(model)
        >>> scores = model.predict(ku.data.load_sample().images[:2], verbose=0)
        >>> answers = model.decode(scores, top=1, temperature=temperature)
        >>> len(answers), 0 < temperature < 10
        (2, True)
    """
    provenance = getattr(model, "provenance", None)
    record = getattr(provenance, "record", None)
    wanted = "Expected a preset whose record has a temperature, to calibrate probabilities. "
    hint = "Leave the calibration out, or choose a temperature with evaluation.fit_temperature."
    if provenance is None or record is None or not record.calibration:
        name = "a model without a record" if record is None else f"{record.name!r} without one"
        raise checks.InputError(f"{wanted}Received {name}. {hint}")
    if not provenance.is_copy or hash_weights(model) != provenance.digest:
        raise checks.InputError(
            f"{wanted}Received {record.name!r} with another head, other options or other weights than "
            f"its temperature was chosen for. {hint}"
        )
    return float(record.calibration["temperature"])
