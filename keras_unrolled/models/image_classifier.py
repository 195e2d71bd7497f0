"""The image classifier and its preprocessor, on KerasHub's classes."""

from typing import Any

import keras
import keras_hub
import numpy as np

from keras_unrolled import checks
from keras_unrolled.layers.fused_mix import fused_mixing
from keras_unrolled.models.head_weights import HeadWeights
from keras_unrolled.models.image_backbone import ImageBackbone
from keras_unrolled.models.image_converter import ImageConverter
from keras_unrolled.models.inputs import check_images, check_labels
from keras_unrolled.preset_names import Named

MOST_CLASSES = 1_000_000


@keras.saving.register_keras_serializable(package="keras_unrolled")
class ImageClassifierPreprocessor(Named, keras_hub.models.ImageClassifierPreprocessor):
    """Turns raw images into the backbone's input; labels and weights pass through."""

    backbone_cls = ImageBackbone
    image_converter_cls = ImageConverter


@keras.saving.register_keras_serializable(package="keras_unrolled")
class ImageClassifier(HeadWeights, keras_hub.models.ImageClassifier):
    """A backbone, global pooling and a dense layer; images in, class scores out.

    Args:
        backbone: an `ImageBackbone`.
        num_classes: int, 2 or more.
        preprocessor: optional `ImageClassifierPreprocessor`; with one, `fit`, `evaluate`
            and `predict` take uint8 images of any size.
        labels: optional list of `num_classes` strings, the classes' names.
        pooling: "avg" or "max".
        activation: of the scores; None gives logits.
        dropout: float in [0, 1), before the dense layer.
        **kwargs: "name", "trainable", and "compile", whether to compile with defaults.

    Scores are computed in the backbone's variable dtype: float32 under mixed precision.

    Input: float tensor `(batch, height, width, channels)`. Output: `(batch, num_classes)`.

    Raises:
        InputError: for an unknown argument, an impossible number of classes, or labels of
            another number.

    Example:
        >>> import keras_unrolled as ku
        >>> backbone = ku.models.resnet(8, dataset="cifar").backbone
        >>> preprocessor = ku.models.make_preprocessor("cifar")
        >>> model = ku.models.ImageClassifier(
        ...     backbone, 2, preprocessor=preprocessor, labels=["animal", "vehicle"]
        ... )
        >>> model.predict(ku.data.load_sample().images[:3], verbose=0).shape
        (3, 2)
    """

    task = "image-classification"
    backbone_cls = ImageBackbone
    preprocessor_cls = ImageClassifierPreprocessor

    def __init__(
        self,
        backbone,
        num_classes,
        *,
        preprocessor=None,
        labels=None,
        pooling="avg",
        activation=None,
        dropout=0.0,
        **kwargs,
    ):
        checks.check_names(kwargs, ("name", "trainable", "compile"), "ImageClassifier")
        checks.whole("num_classes", num_classes, least=2, most=MOST_CLASSES)
        checks.one_of("pooling", pooling, ("avg", "max"))
        checks.real("dropout", dropout, least=0, most=1, below=True)
        if labels is not None:
            labels = check_labels(labels, num_classes)
        super().__init__(
            backbone,
            num_classes,
            preprocessor=preprocessor,
            pooling=pooling,
            activation=activation,
            dropout=dropout,
            head_dtype=backbone.dtype_policy.variable_dtype,
            **{"name": "classifier", **kwargs},
        )
        self.labels = labels

    def compile(self, *args, jit_compile=None, **kwargs):
        """Configures training as KerasHub does, without XLA on TensorFlow's CPU.

        There XLA makes convolutional nets 1.5 to 1.9 times slower. Arguments are those of
        `keras_hub.models.ImageClassifier.compile`; an explicit `jit_compile` is obeyed.
        """
        if jit_compile is None:
            jit_compile = False if _tensorflow_on_cpu() else "auto"
        super().compile(*args, jit_compile=jit_compile, **kwargs)

    def predict(self, x, *args, **kwargs):
        """As Keras's. Images of another shape are rejected, those on another scale warned of."""
        self._check_images(x)
        return super().predict(x, *args, **kwargs)

    def fit(self, x=None, *args, **kwargs):
        """As Keras's. Images of another shape are rejected, those on another scale warned of."""
        self._check_images(x)
        return super().fit(x, *args, **kwargs)

    def evaluate(self, x=None, *args, **kwargs):
        """As Keras's. Images of another shape are rejected, those on another scale warned of."""
        self._check_images(x)
        return super().evaluate(x, *args, **kwargs)

    def train_step(self, *args, **kwargs):
        """As Keras's, with the kernel of `layers.fused_mix`; so are `test_step`, `predict_step`."""
        with fused_mixing(not self.jit_compile):
            return super().train_step(*args, **kwargs)

    def test_step(self, *args, **kwargs):
        with fused_mixing(not self.jit_compile):
            return super().test_step(*args, **kwargs)

    def predict_step(self, *args, **kwargs):
        with fused_mixing(not self.jit_compile):
            return super().predict_step(*args, **kwargs)

    def export(self, filepath, *args, input_signature=None, **kwargs):
        """As Keras's. With JAX the network's images need a known height and width.

        Raises:
            InputError: if they are not known, and JAX is the backend.
        """
        checks.named("the exported model", filepath)
        is_open = None in self.backbone.image_shape[:2] and input_signature is None
        if is_open and keras.backend.backend() == "jax":
            raise checks.InputError(
                "Expected a network for images of a known size, to export it with JAX. Received one "
                f"for {self.backbone.image_shape}. Load it with from_preset(..., image_shape=(height, "
                "width, channels))."
            )
        return super().export(filepath, *args, input_signature=input_signature, **kwargs)

    def _check_images(self, x):
        if self.preprocessor is not None:
            check_images(x, self.backbone.image_shape[-1])

    def decode(
        self, scores: Any, top: int = 5, *, temperature: float = 1.0
    ) -> list[list[tuple[str, float]]]:
        """The most likely classes of each image, with their probabilities.

        Args:
            scores: array or lists of numbers `(batch, num_classes)`, what `predict` returned.
            top: int, 1 or more, how many classes to name.
            temperature: float above 0, by which logits are divided; `presets.calibration.find_temperature`
                gives that of a preset.

        Returns:
            For each image a list of up to `top` pairs (label, probability), best first.

        Raises:
            InputError: for scores of another shape or NaN among them, an impossible `top`, or a
                temperature for scores that are not logits.
        """
        top = checks.whole("top", top, least=1, most=MOST_CLASSES)
        scores = _check_scores(scores, self.num_classes)
        checks.real("temperature", temperature, least=1e-6, most=1e6)
        if temperature != 1 and self.activation is not None:
            raise checks.InputError(
                "Expected a temperature for logits. Received one for a network whose scores are "
                "probabilities already. Leave it out."
            )
        if self.activation is None:
            scores = scores / temperature
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            scores /= scores.sum(-1, keepdims=True)
        names = self.labels or [f"class {i}" for i in range(self.num_classes)]
        order = np.argsort(-scores, axis=-1, kind="stable")[:, :top]
        return [[(names[i], float(row[i])) for i in best] for row, best in zip(scores, order)]

    def count_macs(self, image_size: tuple[int, int] | None = None) -> int:
        """Multiply-accumulates for one image of `(height, width)`.

        The size defaults to the preprocessor's. Counted are convolutions and the dense
        layer, as is usual; norms, gates' sigmoids and the mix are not.
        """
        converter = getattr(self.preprocessor, "image_converter", None)
        image_size = image_size or getattr(converter, "image_size", None)
        if image_size is None:
            raise checks.InputError(
                "Expected an image size to count for. Received none, and the model has no "
                "preprocessor with one. Pass image_size=(height, width)."
            )
        features = self.backbone.output.shape[-1]
        return self.backbone.count_macs(image_size) + features * self.num_classes

    def get_config(self):
        return {**super().get_config(), "labels": self.labels}

    @classmethod
    def from_config(cls, config):
        """As KerasHub's, without labels of another number of classes than the head has.

        KerasHub's `from_preset(preset, num_classes=3)` replaces this one entry of a saved
        configuration; the saved labels are those of the former head.
        """
        labels = config.get("labels")
        if isinstance(labels, list | tuple) and len(labels) != config.get("num_classes"):
            config = {**config, "labels": None}
        return super().from_config(config)

    @classmethod
    def from_preset(cls, preset, *args, **kwargs):
        """As KerasHub's, and for a preset's name; a new head has the labels given, or none.

        `keras_unrolled.from_preset` checks more.

        Args:
            preset: as KerasHub's, or the name of a preset.
            *args: as KerasHub's: `load_weights`.
            **kwargs: as KerasHub's: `num_classes` of a new head, and its `labels`, which imply
                their number.
        """
        if kwargs.get("labels") is not None:
            kwargs["labels"] = check_labels(kwargs["labels"], kwargs.get("num_classes"))
            kwargs.setdefault("num_classes", len(kwargs["labels"]))
        elif "num_classes" in kwargs:
            kwargs["labels"] = None
        return super().from_preset(preset, *args, **kwargs)


def _check_scores(scores, num_classes):
    """Scores as a float64 array of `(batch, num_classes)`; raises `InputError` for others."""
    is_tensor = keras.ops.is_tensor(scores)
    try:
        array = keras.ops.convert_to_numpy(scores) if is_tensor else np.asarray(scores)
    except (TypeError, ValueError):  # lists of different lengths
        array = np.asarray(None)
    wanted = f"Expected scores of shape (images, {num_classes}), as predict returns them. "
    if array.dtype.kind in "bcmMOSU":
        raise checks.InputError(
            f"{wanted}Received {checks.first_line(repr(scores), 80)}, which is no array of real "
            "numbers. Pass what predict returned."
        )
    if array.ndim != 2 or array.shape[1] != num_classes:
        advice = "Write scores[None] for those of one image." if array.ndim == 1 else ""
        raise checks.InputError(
            f"{wanted}Received an array of shape {array.shape}. "
            f"{advice or 'Pass those of this network, one row for each image.'}"
        )
    array = array.astype("float64")
    # The largest is NaN where one of a row is; -inf may stand for a class that is left out.
    wrong = np.flatnonzero(~np.isfinite(array.max(-1)))
    if len(wrong):
        raise checks.InputError(
            f"{wanted}Received NaN or infinity for {len(wrong)} of {len(array)} images, the first at "
            f"index {wrong[0]}. Check the images, and the network's weights."
        )
    return array


def _tensorflow_on_cpu():
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.list_physical_devices("GPU")
