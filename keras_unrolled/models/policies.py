"""Dtype policies by their names."""

from typing import Any

import keras

from keras_unrolled import checks


def get_policy(dtype: Any) -> Any:
    """The dtype policy of a name or policy; None means Keras's current one.

    Raises:
        InputError: for what is none.
    """
    try:
        return keras.dtype_policies.get(dtype or keras.config.dtype_policy())
    except (TypeError, ValueError) as error:
        raise checks.InputError(
            f"Expected a dtype policy, such as 'float32' or 'mixed_bfloat16'. Received: "
            f"dtype={dtype!r}. Leave it out for Keras's current one."
        ) from error
