"""What ours is compared with: the same networks of Keras's own layers, as one would write them."""

from typing import Any

import keras

from keras_unrolled.models.builders import SIZES


def cifar_resnet(depth: int, dtype: str = "mixed_bfloat16") -> Any:
    """He et al.'s ResNet for CIFAR (2015, section 4.2) of Keras's own layers."""
    layers = keras.layers

    def convolve(x, filters, strides=1, size=3):
        x = layers.Conv2D(
            filters,
            size,
            strides,
            "same",
            use_bias=False,
            kernel_initializer="he_normal",
            dtype=dtype,
        )(x)
        return layers.BatchNormalization(dtype=dtype)(x)

    images = keras.Input((32, 32, 3))
    x = layers.ReLU(dtype=dtype)(convolve(images, 16))
    for stage, filters in enumerate((16, 32, 64)):
        for block in range((depth - 2) // 6):
            strides = 2 if stage and not block else 1
            shortcut = x if strides == 1 else convolve(x, filters, strides, 1)
            y = layers.ReLU(dtype=dtype)(convolve(x, filters, strides))
            y = convolve(y, filters)
            x = layers.ReLU(dtype=dtype)(layers.Add(dtype=dtype)([y, shortcut]))
    x = layers.GlobalAveragePooling2D(dtype=dtype)(x)
    return keras.Model(images, layers.Dense(10, dtype="float32")(x))


def character_lm(characters, words, length, batch, dtype):
    """Kim et al.'s Small as one would write it: every word read where it stands, `LSTM`, `Dense`."""
    facts = SIZES["small"]
    policy = keras.dtype_policies.get(dtype)
    inputs = keras.Input(batch_shape=(batch, length, None), dtype="int32")
    x = keras.ops.reshape(inputs, (batch * length, -1))
    x = keras.layers.Embedding(characters, facts["character_dim"], dtype=policy)(x)
    features = [
        keras.layers.GlobalMaxPooling1D(dtype=policy)(
            keras.layers.Conv1D(count, width, activation="tanh", dtype=policy)(x)
        )
        for width, count in zip(facts["filter_widths"], facts["num_filters"])
    ]
    x = keras.layers.Concatenate(dtype=policy)(features)
    h = keras.layers.Dense(x.shape[-1], activation="relu", dtype=policy)(x)
    t = keras.layers.Dense(x.shape[-1], activation="sigmoid", dtype=policy)(x)
    x = keras.layers.Add(dtype=policy)(
        [
            keras.layers.Multiply(dtype=policy)([h, t]),
            keras.layers.Multiply(dtype=policy)(
                [x, keras.layers.Rescaling(-1.0, 1.0, dtype=policy)(t)]
            ),
        ]
    )
    x = keras.ops.reshape(x, (batch, length, x.shape[-1]))
    for _ in range(2):
        x = keras.layers.LSTM(facts["units"], return_sequences=True, stateful=True, dtype=policy)(x)
        x = keras.layers.Dropout(0.5, dtype=policy)(x)
    logits = keras.layers.Dense(words, dtype=policy)(x)
    model = keras.Model(inputs, keras.layers.Activation("linear", dtype="float32")(logits))
    model.compile(
        optimizer=keras.optimizers.SGD(1.0, global_clipnorm=5.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    return model
