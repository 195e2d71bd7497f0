"""What stands in zoo/records/: the ImageNet presets, whose weights are not in the package.

Five are those of a public ResNet-50 in another gating, which `from_preset` fetches and turns
over; four are recipes that nobody has run yet.
"""

from typing import Any

from keras_unrolled import convert, models
from keras_unrolled.presets.record import PAPERS
from keras_unrolled.presets.saving import describe

# The commit's hash and the file's are those that several independent projects state for it.
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
    "licence": "Apache-2.0",
    "metrics": [
        {
            "dataset": "imagenet2012",
            "split": "validation",
            "n": 50_000,
            "metric": "accuracy",
            "value": 0.8038,
            "resolution": 224,
            "crop_fraction": 0.95,
            "origin": "published for the source (Wightman et al. 2021, arXiv:2110.00476, and "
            "timm's results); not measured here",
        }
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
# Builder and options; the paper's section 5.1 has the first as "Highway-Full".
RECIPES: dict[str, tuple[Any, dict[str, Any]]] = {
    "highway_hrelu_bn_imagenet": (models.highway, {"transform_relu": True}),
    "resnet_nobn_imagenet": (models.resnet, {"normalization": None}),
    "highway_nobn_imagenet": (models.highway, {"normalization": None}),
    "plain_bn_imagenet": (models.plain, {}),
}
COMMAND = "python training/imagenet.py --preset {} --data-dir DIR --workdir DIR"


def make_records():
    """The records of the ImageNet presets, from name to `Record`."""
    found = {}
    block_type, blocks, order = convert.timm.ARCHITECTURES["resnet50"]
    preprocessing = {
        **models.DATASETS["imagenet"],
        "crop_fraction": 0.95,
        "interpolation": "bicubic",
    }
    for name, gating in REGATED.items():
        backbone = models.ImageBackbone(
            **convert.timm.network(block_type, blocks, order), gating=gating
        )
        model = models.ImageClassifier(
            backbone,
            1000,
            labels=models.imagenet_labels(),
            preprocessor=models.make_preprocessor(preprocessing),
        )
        what = "converted, its function unchanged"
        if gating != "residual":
            what = (
                f"regated from residual to {gating}, its function unchanged: a start to fine-tune"
            )
        found[name] = describe(
            model,
            name,
            {},
            origin="regated",
            description=f"Weights of hf://{SOURCE['repository']}, {what}; not trained by us",
            source=SOURCE,
            licence=SOURCE["licence"],
            papers=(*PAPERS, STRIKES_BACK),
            versions={},
        )
    for name, (build, options) in RECIPES.items():
        model = build(50, labels=models.imagenet_labels(), **options)
        found[name] = describe(
            model,
            name,
            {},
            origin="recipe only",
            description="A 50-layer net for ImageNet that has not been trained yet",
            training={"command": COMMAND.format(name), "dataset": "imagenet2012"},
            versions={},
        )
    return found
