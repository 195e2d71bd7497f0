"""What timm computes, kept for tests that run without it.

    python timm_golden.py           rewrites timm_golden.npz
    python timm_golden.py FOLDER    prints how far timm's logits are from those that
                                    `logits.npy` in each of FOLDER's checkpoints holds

It needs timm and its torch, in an environment of their own. Made with timm 1.0.31, torch
2.14.1. The weights are a function of their names, so that a test can make them too.
"""

import hashlib
import sys
import zlib
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).with_suffix(".npz")
SIDES = {"resnet18": 224, "resnet50": 224, "resnetv2_50": 224}  # others 64


def make_weight(name, shape):
    """A tensor that depends on its name and shape only; norms are far from their start."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, "int64")
    if len(shape) >= 2:
        return rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype("float32")
    if name.endswith("running_var"):
        return rng.uniform(0.5, 2, shape).astype("float32")
    if name.endswith("weight"):
        return rng.uniform(0.4, 1, shape).astype("float32")
    return rng.normal(0, 0.2, shape).astype("float32")


def make_images(side):
    """Two images `(2, side, side, 3)`, normalized."""
    return np.random.default_rng(side).normal(size=(2, side, side, 3)).astype("float32")


def listing(shapes):
    """A hash of names and shapes."""
    lines = sorted(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def main(arguments):
    import timm
    import torch

    def logits(model, side):
        images = torch.from_numpy(make_images(side).transpose(0, 3, 1, 2))
        with torch.no_grad():
            return model.eval()(images).numpy()

    if arguments:
        for folder in sorted(Path(arguments[0]).iterdir()):
            model = timm.create_model(f"local-dir:{folder}", pretrained=True)
            ours = np.load(folder / "logits.npy")
            found = logits(model, SIDES.get(folder.name, 64))
            print(folder.name, np.abs(found - ours).max() / np.abs(found).max())
        return
    golden = {}
    for size in (18, 26, 34, 50, 101, 152):
        for name in (f"resnet{size}", f"resnetv2_{size}"):
            if name == "resnetv2_26":
                continue
            model = timm.create_model(name, pretrained=False)
            shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
            model.load_state_dict(
                {key: torch.from_numpy(make_weight(key, shape)) for key, shape in shapes.items()}
            )
            golden[f"{name}/listing"] = listing(shapes)
            golden[f"{name}/logits"] = logits(model, SIDES.get(name, 64))
            print(name, golden[f"{name}/logits"].std(), timm.__version__, torch.__version__)
    np.savez_compressed(GOLDEN, **golden)


if __name__ == "__main__":
    main(sys.argv[1:])
