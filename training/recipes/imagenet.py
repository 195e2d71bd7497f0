"""ImageNet: networks of 50 layers and three recipes.

    python training/imagenet.py --preset highway_bn_imagenet --recipe short --data-dir DIR --workdir DIR

Nobody has run them to the end yet; docs/training.md estimates the hours on several accelerators.

- classic: Goyal et al. 2017, section 5.1. The same for Residual and Highway networks, as Greff et
  al. 2017 (section 5.1) did, who do not state their epochs and batch size.
- short: after ffcv's ImageNet configurations (Leclerc et al. 2023): 16 epochs, or
  --set epochs=32 or 88; crops of 160 pixels for three quarters of them, then 192. ffcv's rate, 1.7
  for 4,096 images, is scaled to the batch. ffcv adds blurred pooling and averages over a flip.
- adapt: a regated preset whose gates learn, for ten epochs: a network that is a Residual one in
  another form becomes one with gates of its own. Names have "adapted" in them. Its rates are untuned.
- strong: Wightman et al. 2021, procedure A2; for A1 --set epochs=600 weight_decay=0.01 mixup=0.2
  label_smoothing=0.1. The preset crops 0.875 of an image where A2 was tested with 0.95.
"""

from typing import Any

from keras_unrolled.engine import ImageRecipe

PROGRAM, DATASET = "training/imagenet.py", "imagenet2012"
IMAGES, VALIDATION_IMAGES = 1_281_167, 50_000

# A ReLU follows the mix where a regated preset has the same name, so that both have one network.
NETWORKS: dict[str, dict[str, Any]] = {
    "resnet_bn_imagenet": {"builder": "resnet"},
    "highway_bn_imagenet": {"builder": "highway", "mix_relu": True},
    "highway_full_bn_imagenet": {"builder": "highway", "gating": "full", "mix_relu": True},
    "highway_c_only_bn_imagenet": {"builder": "highway", "gating": "c_only", "mix_relu": True},
    "highway_t_only_bn_imagenet": {"builder": "highway", "gating": "t_only", "mix_relu": True},
    "highway_hrelu_bn_imagenet": {"builder": "highway", "transform_relu": True},
    "resnet_nobn_imagenet": {"builder": "resnet", "normalization": None},
    "highway_nobn_imagenet": {"builder": "highway", "normalization": None},
    "plain_bn_imagenet": {"builder": "plain"},
}
# Names that stand for a regated checkpoint.
REGATED = [
    name for name in NETWORKS if "_bn_" in name and "hrelu" not in name and name[:5] != "plain"
]
SETTINGS: dict[str, dict[str, Any]] = {
    "classic": {
        "epochs": 90,
        "batch_size": 256,
        "learning_rate": 0.1,
        "milestones": (30, 60, 80),
        "momentum": 0.9,
        "weight_decay": 1e-4,
    },
    "short": {
        "epochs": 16,
        "batch_size": 1024,
        "learning_rate": 0.425,
        "warmup_epochs": 2,
        "decay": "linear",
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "label_smoothing": 0.1,
        "size": 192,
        "start_size": 160,
        "ramp": (0.7, 0.8),
    },
    "strong": {
        "epochs": 300,
        "batch_size": 2048,
        "optimizer": "lamb",
        "learning_rate": 5e-3,
        "warmup_epochs": 5,
        "weight_decay": 0.02,
        "clip_norm": 1.0,
        "loss": "binary_cross_entropy",
        "rand_augment": 7,
        "mixup": 0.1,
        "cutmix": 1.0,
        "repeats": 3,
    },
}
NETWORK_SETTINGS = {"strong": {"layer_dropout": 0.05, "layer_dropout_unit": "sample"}}


def make_recipe(name, kind="classic"):
    """The recipe "classic", "short" or "strong" for the preset of a name."""
    network = {"depth": 50, "dataset": "imagenet", **NETWORKS[name]}
    return ImageRecipe(
        network={**network, **NETWORK_SETTINGS.get(kind, {})},
        augmentation="crop_flip",
        **SETTINGS[kind],
    )


def make_adapted(name):
    """The recipe that lets the gates of the regated preset of a name learn."""
    network = {"builder": "resnet", **NETWORKS[name]}
    network.setdefault("gating", "residual" if network["builder"] == "resnet" else "coupled")
    return ImageRecipe(
        network={"depth": 50, "dataset": "imagenet", **network},
        augmentation="crop_flip",
        init="resnet_bn_imagenet",
        gate_rate=10.0,
        **{**SETTINGS["short"], "epochs": 10, "learning_rate": 0.1, "warmup_epochs": 1},
    )


RECIPES = {kind: {name: make_recipe(name, kind) for name in NETWORKS} for kind in SETTINGS}
RECIPES["adapt"] = {name.replace("_bn_", "_adapted_bn_"): make_adapted(name) for name in REGATED}
