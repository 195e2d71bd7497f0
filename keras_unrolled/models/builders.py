"""Builders for the published depths; all that differs between networks is in two tables."""

import inspect
from typing import Any

from keras_unrolled import checks
from keras_unrolled.models.character_backbone import CharacterBackbone
from keras_unrolled.models.character_lm import CharacterLM, CharacterLMPreprocessor
from keras_unrolled.models.character_tokenizer import CharacterTokenizer
from keras_unrolled.models.image_backbone import ImageBackbone
from keras_unrolled.models.image_classifier import ImageClassifier, ImageClassifierPreprocessor
from keras_unrolled.models.image_converter import ImageConverter

# He et al. 2015, table 1: block type and blocks of each stage.
IMAGENET_DEPTHS = {
    18: ("basic", [2, 2, 2, 2]),
    34: ("basic", [3, 4, 6, 3]),
    50: ("bottleneck", [3, 4, 6, 3]),
    101: ("bottleneck", [3, 4, 23, 3]),
    152: ("bottleneck", [3, 8, 36, 3]),
}

# Channel statistics of the training sets on a scale of 0 to 1, and how images are cut.
DATASETS: dict[str, dict[str, Any]] = {
    "imagenet": {
        "num_classes": 1000,
        "image_size": (224, 224),
        "crop_fraction": 0.875,
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
    },
    "cifar": {
        "num_classes": 10,
        "image_size": (32, 32),
        "crop_fraction": 1.0,
        "mean": (0.4914, 0.4822, 0.4465),
        "std": (0.2470, 0.2435, 0.2616),
    },
}

# Defaults of a Highway network that differ from a Residual network's (paper, section 5.1; no
# ReLU after the mix, projections in transition blocks: the authors' CIFAR-10 code of 2025).
HIGHWAY = {"mix_relu": False, "shortcut": "projection"}

_BACKBONE_OPTIONS = {
    name
    for name, parameter in inspect.signature(ImageBackbone.__init__).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY
} | {"trainable"}
_CLASSIFIER_OPTIONS = {"labels", "dropout", "compile", "name", "preprocessor"}


def resnet(
    depth: int, *, dataset: str = "imagenet", num_classes: int | None = None, **options: Any
) -> ImageClassifier:
    """A residual net (He et al. 2015).

    Args:
        depth: int, one of 18, 34, 50, 101, 152 for imagenet; `6n + 2` for cifar.
        dataset: "imagenet" (224 pixels, 1,000 classes) or "cifar" (32 pixels, 10 classes,
            three stages of 16, 32 and 64 filters, padding shortcut).
        num_classes: optional int, another number of classes.
        **options: arguments of `ImageBackbone`, which override the depth's own, and
            `labels`, `dropout`, `preprocessor`, `name` and `compile` of `ImageClassifier`.

    Returns:
        An `ImageClassifier` with random weights and, unless `preprocessor` is another one or None,
        the data set's preprocessor: with the height and width of `image_shape`, where it has
        them, and for its channels. Channels other than three each get the mean of the data set's
        three means and standard deviations.

    Raises:
        InputError: for a depth that the data set does not have or an unknown option.

    Example:
        >>> import keras_unrolled as ku
        >>> ku.models.resnet(20, dataset="cifar").count_params()  # 1,376 of them statistics
        271098
    """
    return _classifier(depth, dataset, num_classes, {"gating": "residual"}, options)


def highway(
    depth: int,
    *,
    gating: str = "coupled",
    dataset: str = "imagenet",
    num_classes: int | None = None,
    **options: Any,
) -> ImageClassifier:
    """A Highway net of the depth and width of `resnet`, whose arguments it takes.

    Without `width_multiplier` it has the Residual net's widths and so more parameters:
    46,278,952 at depth 50, coupled, where ResNet-50 has 25,557,032.

    Args:
        depth: int, as in `resnet`.
        gating: "coupled" (the default Highway), "full", "c_only" or "t_only".
        dataset: "imagenet" or "cifar".
        num_classes: optional int, another number of classes.
        **options: as in `resnet`.

    Returns:
        An `ImageClassifier` with random weights and a preprocessor, as `resnet`.

    Raises:
        InputError: for a depth that the data set does not have or an unknown option.

    Example:
        >>> import keras_unrolled as ku
        >>> model = ku.models.highway(8, gating="full", dataset="cifar", num_classes=5)
        >>> model.predict(ku.data.load_sample().images[:2], verbose=0).shape
        (2, 5)
    """
    return _classifier(depth, dataset, num_classes, {"gating": gating, **HIGHWAY}, options)


def plain(
    depth: int, *, dataset: str = "imagenet", num_classes: int | None = None, **options: Any
) -> ImageClassifier:
    """A net of the shape of `resnet`, whose arguments it takes, without shortcuts."""
    return _classifier(depth, dataset, num_classes, {"gating": "plain"}, options)


def _classifier(depth, dataset, num_classes, network, options):
    checks.one_of("dataset", dataset, DATASETS)
    checks.check_names(options, _BACKBONE_OPTIONS | _CLASSIFIER_OPTIONS, "the builder")
    settings = DATASETS[dataset]
    head = {name: options.pop(name) for name in _CLASSIFIER_OPTIONS & options.keys()}
    backbone = ImageBackbone(**{**_shape(depth, dataset), **network, **options})
    head.setdefault("preprocessor", make_preprocessor(dataset, backbone.image_shape))
    return ImageClassifier(
        backbone,
        settings["num_classes"] if num_classes is None else num_classes,
        **head,
    )


def make_preprocessor(
    dataset: str | dict[str, Any], image_shape: tuple[int | None, int | None, int] = (None, None, 3)
) -> ImageClassifierPreprocessor:
    """The preprocessor of "imagenet" or "cifar": resize, center crop, normalize.

    Args:
        dataset: one of the two names, or a dict with the keys of an entry of `DATASETS` and,
            where they differ from these, "interpolation" ("bilinear") and
            "crop_to_aspect_ratio" (True).
        image_shape: `(height, width, channels)` that a network takes. A height or width that is
            not None replaces the data set's. For another number of channels than the data set
            has statistics for, each channel gets the mean of its means and of its standard
            deviations.

    Returns:
        An `ImageClassifierPreprocessor`.

    Example:
        >>> import keras_unrolled as ku
        >>> tuple(ku.models.make_preprocessor("cifar")(ku.data.load_sample().images[:2]).shape)
        (2, 32, 32, 3)
    """
    settings = dataset if isinstance(dataset, dict) else DATASETS[dataset]
    *sizes, channels = image_shape
    mean, std = (_per_channel(settings[name], channels) for name in ("mean", "std"))
    converter = ImageConverter(
        image_size=[given or usual for given, usual in zip(sizes, settings["image_size"])],
        crop_fraction=settings["crop_fraction"],
        interpolation=settings.get("interpolation", "bilinear"),
        crop_to_aspect_ratio=settings.get("crop_to_aspect_ratio", True),
        scale=[1 / (255 * s) for s in std],
        offset=[-m / s for m, s in zip(mean, std)],
        antialias=True,
        dtype="float32",
        name="image_converter",
    )
    return ImageClassifierPreprocessor(converter, name="preprocessor")


def _per_channel(values, channels):
    """One value for each channel: those of the data set, or their mean for every one."""
    if len(values) not in (1, 3, channels):
        raise checks.InputError(
            f"Expected mean and std of {channels} channels. Received {len(values)} values: "
            f"{list(values)!r}. Give one for each channel."
        )
    return list(values) if len(values) == channels else [sum(values) / len(values)] * channels


def imagenet_labels(*, synsets: bool = False) -> list[str]:
    """The names of ImageNet-1k's 1,000 classes in order, as KerasHub has them.

    A few names stand for two classes, as "crane" for the bird and for the machine.

    Args:
        synsets: bool, whether to give WordNet's ids instead, as "n01440764".

    Returns:
        A list of 1,000 strings.
    """
    import keras_hub
    import numpy as np

    order = np.arange(1000.0, 0.0, -1.0)[None]
    decode = keras_hub.utils.decode_imagenet_predictions
    return [row[0] for row in decode(order, top=1000, include_synset_ids=synsets)[0]]


def _shape(depth, dataset):
    if dataset == "imagenet":
        if depth not in IMAGENET_DEPTHS:
            raise checks.InputError(
                f"Expected a depth of {', '.join(map(str, IMAGENET_DEPTHS))} for imagenet. "
                f"Received: depth={depth!r}. Choose one, or build an ImageBackbone."
            )
        block_type, blocks = IMAGENET_DEPTHS[depth]
        return {
            "stackwise_num_filters": [64, 128, 256, 512],
            "stackwise_num_blocks": blocks,
            "stackwise_num_strides": [1, 2, 2, 2],
            "block_type": block_type,
            "stem": "imagenet",
        }
    checks.whole("depth", depth, least=8, most=6_000)
    if depth % 6 != 2:
        raise checks.InputError(
            "Expected a depth of 6n + 2 for cifar (20, 32, 44, 56, 110, ...). "
            f"Received: depth={depth!r}. The nearest is {6 * round((depth - 2) / 6) + 2}."
        )
    return {
        "stackwise_num_filters": [16, 32, 64],
        "stackwise_num_blocks": [depth // 6] * 3,
        "stackwise_num_strides": [1, 2, 2],
        "block_type": "basic",
        "stem": "cifar",
        "shortcut": "pad",
    }


# Kim et al. 2016, table 2.
SIZES: dict[str, dict[str, Any]] = {
    "small": {
        "character_dim": 15,
        "filter_widths": (1, 2, 3, 4, 5, 6),
        "num_filters": (25, 50, 75, 100, 125, 150),
        "num_layers": 1,
        "units": 300,
    },
    "large": {
        "character_dim": 15,
        "filter_widths": (1, 2, 3, 4, 5, 6, 7),
        "num_filters": (50, 100, 150, 200, 200, 200, 200),
        "num_layers": 2,
        "units": 650,
    },
}


def character_lm(
    size: str = "small",
    *,
    gating: str = "coupled",
    tokenizer: CharacterTokenizer | None = None,
    dropout: float = 0.5,
    **options: Any,
) -> CharacterLM:
    """A character-aware language model (Kim et al. 2016) with any gated layer.

    Small has 5,312,515 parameters and Large 19,373,165, with 51 characters and 10,000 words and
    with two biases an LSTM; `two_biases=False` takes 2,400 and 5,200 off.

    Args:
        size: "small" or "large".
        gating: "none" for no layer between convolutions and LSTM, or as in `Highway`. A Residual net
            has twice as many layers, so that it has a coupled one's parameters (Greff et al. 2017,
            section 5.2).
        tokenizer: optional `CharacterTokenizer`, which gives the numbers of words and characters;
            else `vocabulary_size` (10,000) and `num_characters` (51) do.
        dropout: float in [0, 1), before each LSTM but the first and before the dense layer.
        **options: arguments of `CharacterBackbone`, and `name`.

    Returns:
        A `CharacterLM` with random weights.

    Raises:
        InputError: for an unknown size or option.
    """
    network = dict(SIZES[checks.one_of("size", size, SIZES)])
    if gating == "none":
        gating, network["num_layers"] = "coupled", 0
    elif gating == "residual":
        network["num_layers"] *= 2
    words = options.pop("vocabulary_size", 10_000)
    network |= {"num_characters": 51, "gating": gating, "dropout": dropout, **options}
    name = network.pop("name", "lm")
    preprocessor = None
    if tokenizer is not None:
        words, network["num_characters"] = tokenizer.vocabulary_size(), tokenizer.num_characters()
        preprocessor = CharacterLMPreprocessor(tokenizer, sequence_length=200)
    backbone = CharacterBackbone(**network)
    return CharacterLM(backbone, words, preprocessor=preprocessor, dropout=dropout, name=name)
