"""A peer's network with the peer's weights computes the peer's function."""

import keras
import numpy as np

from keras_unrolled import models


def test_resnet_50_of_keras_applications_gives_the_same_logits(rng):
    theirs = keras.applications.ResNet50(weights=None, classifier_activation=None)
    for weight in theirs.weights:
        kind = weight.path.split("/")[-1]
        if kind == "gamma":
            weight.assign(rng.uniform(0.5, 1.0, weight.shape))
        elif kind == "moving_variance":
            weight.assign(rng.uniform(0.5, 2.0, weight.shape))
        elif kind in ("beta", "bias", "moving_mean"):
            weight.assign(rng.normal(0, 0.2, weight.shape))

    # Its stride sits in the first 1x1 convolution, its epsilon is its own.
    ours = models.resnet(50, stride_conv=1, epsilon=1.001e-5)
    backbone = ours.backbone

    def copy(conv, norm, name):
        layer = theirs.get_layer(f"{name}_conv")
        conv.kernel.assign(layer.kernel)
        # Its convolutions have biases, which the normalisation's mean takes in.
        source = theirs.get_layer(f"{name}_bn")
        for weight in ("gamma", "beta", "moving_variance"):
            getattr(norm, weight).assign(getattr(source, weight))
        norm.moving_mean.assign(np.asarray(source.moving_mean) - np.asarray(layer.bias))

    stem = backbone.get_layer("stem")
    copy(stem.conv, stem.norm, "conv1")
    for s, stage in enumerate(backbone.stages, start=2):
        for b, block in enumerate(stage, start=1):
            for i in range(3):
                stack = block.transform
                copy(stack.convs[i], stack.norms[i], f"conv{s}_block{b}_{i + 1}")
            if block.projection is not None:
                copy(block.projection.convs[0], block.projection.norms[0], f"conv{s}_block{b}_0")
    ours.output_dense.set_weights(theirs.get_layer("predictions").get_weights())

    x = rng.normal(size=(2, 224, 224, 3)).astype("float32")
    expected = np.asarray(theirs(x, training=False))
    difference = np.abs(np.asarray(ours(x, training=False)) - expected).max()
    assert difference / np.abs(expected).max() < 1e-4
