"""The records of the presets whose weights are not in zoo/checkpoints.

They are networks that nobody has trained yet, and the regated ImageNet names: the weights of a
public ResNet-50 with another gating, which `from_preset` fetches and converts.
"""

from typing import Any

from keras_unrolled import convert, data, models, paths
from keras_unrolled.presets.describing import describe
from keras_unrolled.presets.record import PAPERS
from training import recipes

# The other test sets of timm's results (results-imagenet-real.csv and so on, at 224 pixels), under TFDS's
# names. Of A and R only the 200 classes of the set are compared; ReaL leaves out images without a label.
OTHER_SETS = [
    ("imagenet2012_real", "validation", 46_837, 0.85712),
    ("imagenet_v2", "matched-frequency", 10_000, 0.6847),
    ("imagenet_a", "test", 7_500, 0.09973),
    ("imagenet_r", "test", 30_000, 0.40417),
    ("imagenet_sketch", "test", 50_889, 0.29641),
]


def _make_score(dataset, split, n, value, paper=""):
    return {
        "dataset": dataset,
        "split": split,
        "n": n,
        "metric": "accuracy",
        "value": value,
        "resolution": 224,
        "crop_fraction": 0.95,
        "origin": f"published for the source ({paper}timm's results); not measured here",
    }


# The hashes of the commit and the file are those that several independent projects state.
SOURCE: dict[str, Any] = {
    "repository": "timm/resnet50.a1_in1k",
    "revision": "767268603ca0cb0bfe326fa87277f19c419566ef",
    "gating": "residual",
    "files": {
        "model.safetensors": {
            "sha256": "773525d5821de224f8f30c33377b7a795d7863e08522698200d3217d3f2a41bb",
            "size": 102_469_840,
        }
    },
    "license": "Apache-2.0",
    "metrics": [
        _make_score(
            "imagenet2012",
            "validation",
            50_000,
            0.8038,
            "Wightman et al. 2021, arXiv:2110.00476, and ",
        ),
        *(_make_score(*row) for row in OTHER_SETS),
    ],
}
STRIKES_BACK = "https://arxiv.org/abs/2110.00476"
REGATED = {
    "resnet_bn_imagenet": "residual",
    "highway_bn_imagenet": "coupled",
    "highway_full_bn_imagenet": "full",
    "highway_c_only_bn_imagenet": "c_only",
    "highway_t_only_bn_imagenet": "t_only",
}


def make_records():
    """A `Record` by name for every preset whose weights are not in zoo/checkpoints."""
    records = {name: _describe_regated(name, gating) for name, gating in REGATED.items()}
    for module in recipes.ALL:
        for name, recipe in next(iter(module.RECIPES.values())).items():
            if name not in records and not (paths.zoo() / "checkpoints" / name).is_dir():
                records[name] = _describe_recipe(name, recipe, module.DATASET)
    return records


def _describe_recipe(name, recipe, dataset):
    options = dict(recipe.network)
    build = getattr(models, options.pop("builder"))
    if dataset == "cifar10":
        options["labels"] = data.load_sample().names
    elif dataset == "imagenet2012":
        options["labels"] = models.imagenet_labels()
    return describe(
        build(**options),
        name,
        {},
        origin="recipe only",
        dataset=dataset,
        description=f"A network for {dataset} that has not been trained yet",
        training={"command": recipes.command(name), "dataset": dataset},
        versions={},
    )


def _describe_regated(name, gating):
    preprocessing = {
        **models.DATASETS["imagenet"],
        "crop_fraction": 0.95,
        "interpolation": "bicubic",
    }
    network = convert.timm.network(*convert.timm.ARCHITECTURES["resnet50"])
    model = models.ImageClassifier(
        models.ImageBackbone(**network, gating=gating),
        1000,
        labels=models.imagenet_labels(),
        preprocessor=models.make_preprocessor(preprocessing),
    )
    what = "converted without changing the function"
    if gating != "residual":
        what = (
            f"converted from residual to {gating} gating without changing the function, as a start "
            "for fine-tuning"
        )
    return describe(
        model,
        name,
        {},
        origin="regated",
        dataset="imagenet2012",
        description=f"Weights of hf://{SOURCE['repository']}, {what}; not trained by us",
        source=SOURCE,
        license=SOURCE["license"],
        papers=(*PAPERS, STRIKES_BACK),
        versions={},
    )
