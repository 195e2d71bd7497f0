"""Reading of weight files, each compared with the network first."""

import functools
import re

import keras
import numpy as np

from keras_unrolled import checks


def load_into(load, path, arrays, variables, places):
    """Loads a weights file into `variables`.

    Args:
        load: Keras's function that loads the file, for files and layers that Keras alone can read.
        path: path of the file.
        arrays: dict from place to `StoredArray`, what is in it.
        variables: list of what is to be loaded.
        places: dict from place to variable, as `find_places` gives it.

    Raises:
        InputError: for arrays of other shapes, or that are not finite.
    """
    shapes = sorted(array.shape for array in arrays.values())
    if shapes != sorted(list(v.shape) for v in variables):
        raise checks.InputError(
            f"Expected the {len(variables)} variables of the network in {path}. Found "
            f"{len(shapes)}, of other number or shape. The file belongs to another network."
        )
    is_plain = _fit(arrays, places)
    try:
        if is_plain:
            _read(path, arrays, places)
        else:
            load(str(path))
    except checks.InputError:
        raise
    except Exception as error:
        raise checks.InputError(
            f"Expected the weights of the network in {path}. They cannot be loaded "
            f"({type(error).__name__}: {str(error)[:200]}). Restore the file."
        ) from error
    if not is_plain:
        for variable in variables:
            _check_finite(np.asarray(keras.ops.convert_to_numpy(variable.value)), path, variable)


def find_places(model):
    """Where Keras keeps the variables of a network in a file of weights, found in far less time.

    Keras looks at every attribute of every layer, and makes a new layer each time to know which of
    them all layers have.

    Args:
        model: a Functional model.

    Returns:
        A dict from place, such as "layers/stem/conv/vars/0", to variable.
    """
    places, seen = {}, set()

    def visit_layer(layer, place):
        if id(layer) in seen:
            return
        seen.add(id(layer))
        own = layer._trainable_variables + layer._non_trainable_variables
        places.update({f"{place}/vars/{i}": variable for i, variable in enumerate(own)})
        # Private attributes come last.
        for name in sorted(vars(layer).keys() - _common(), key=lambda n: n.replace("_", "~", 1)):
            visit(vars(layer)[name], f"{place}/{name}")

    def visit(found, place):
        if isinstance(found, keras.Model):
            visit(found.layers, f"{place}/layers")
        elif isinstance(found, keras.layers.Layer):
            visit_layer(found, place)
        elif isinstance(found, list | tuple | dict):
            counts: dict[str, int] = {}
            for layer in found.values() if isinstance(found, dict) else found:
                if isinstance(layer, keras.layers.Layer):
                    name = _snake_case(type(layer).__name__)
                    count = counts[name] = counts.get(name, -1) + 1
                    visit(layer, f"{place}/{name}_{count}" if count else f"{place}/{name}")

    visit(model.layers, "layers")
    return places


@functools.cache
def _common():
    """The attributes of every layer, which hold no layers of a network."""
    return vars(keras.layers.Layer()).keys()


def _snake_case(name):
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _fit(arrays, places):
    """Whether each array has one variable of its shape, and is in the file in one piece."""
    return arrays.keys() == places.keys() and all(
        array.shape == list(places[place].shape)
        and array.dtype.kind in "fiu"
        and array.offset is not None
        for place, array in arrays.items()
    )


def _read(path, arrays, places):
    """Reads the arrays of a file in their order in it."""
    with open(path, "rb") as file:
        for place, array in sorted(arrays.items(), key=lambda item: item[1].offset):
            file.seek(array.offset)
            values = np.fromfile(file, array.dtype, int(np.prod(array.shape)))
            _check_finite(values, path, places[place])
            places[place].assign(values.reshape(array.shape))


def _check_finite(values, path, variable):
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise checks.InputError(
            f"Expected finite weights in {path}. Found NaN or infinity in "
            f"{variable.path}. The file is damaged or its training failed: take another."
        )
