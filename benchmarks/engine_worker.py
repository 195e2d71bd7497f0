"""Runs timm's ResNet-50 in one engine, in an environment that has it; `benchmarks.engines` starts it.

Reads commands from standard input, a line of JSON each, and answers with one: {"prepare": [ENGINE, PRECISION,
BATCH]}, {"run": COUNT}, which takes that many steps and answers with the seconds, {"scores": FILE} for an
array of images (n, 224, 224, 3), of which the answer are the classes, and {"save": DIR} for a folder of timm's.
"""

import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch


def make_network():
    """timm's ResNet-50 with random weights, also of its normalization, the same ones at each call."""
    import timm

    torch.manual_seed(0)
    model: Any = timm.create_model("resnet50").eval()
    modules: Any = model.modules()
    for module in modules:
        if type(module).__name__.startswith("BatchNorm"):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
    return model


def fold(model):
    """Makes batch normalization part of the convolutions."""
    return torch.fx.experimental.optimization.fuse(model)


def run_torch(precision, compiled):
    """A function from float images `(n, 3, 224, 224)` to scores."""
    import torch.fx.experimental.optimization

    dtype = getattr(torch, precision)
    model = fold(make_network()).to(dtype).to(memory_format=torch.channels_last)
    model = torch.compile(model) if compiled else model

    def run(images):
        with torch.inference_mode():
            x = torch.from_numpy(images).to(dtype).contiguous(memory_format=torch.channels_last)
            return model(x).float().numpy()

    return run


def export():
    """The path of the network as ONNX, of any batch."""
    path = Path(tempfile.mkdtemp()) / "network.onnx"
    torch.onnx.export(
        make_network(),
        (torch.zeros(1, 3, 224, 224),),
        path,
        dynamo=False,
        input_names=["images"],
        dynamic_axes={"images": {0: "n"}},
    )
    return path


def run_onnxruntime(precision):
    import onnxruntime

    session = onnxruntime.InferenceSession(export(), providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images})[0]


def run_openvino(precision):
    import openvino

    hint = {"bfloat16": "bf16", "float32": "f32"}[precision]
    settings = {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"}
    model = openvino.Core().compile_model(export(), "CPU", settings)
    return lambda images: model(images)[0]


ENGINES = {
    "timm": lambda precision: run_torch(precision, False),
    "timm, torch.compile": lambda precision: run_torch(precision, True),
    "ONNX Runtime": run_onnxruntime,
    "OpenVINO": run_openvino,
}


class Worker:
    """Answers commands about one network at a time."""

    def prepare(self, engine, precision, batch):
        self.run_images = ENGINES[engine](precision)
        self.images = np.random.default_rng(0).normal(size=(batch, 3, 224, 224)).astype("float32")
        for _ in range(2):
            self.run_images(self.images)

    def run(self, count):
        began = time.perf_counter()
        for _ in range(count):
            self.run_images(self.images)
        return time.perf_counter() - began

    def scores(self, path):
        images = np.load(path).transpose(0, 3, 1, 2)
        parts = [np.ascontiguousarray(images[i : i + 8]) for i in range(0, len(images), 8)]
        return [int(k) for part in parts for k in self.run_images(part).argmax(-1)]

    def save(self, folder):
        """Writes a folder as timm does."""
        from timm.models import save_for_hf

        save_for_hf(make_network(), folder, safe_serialization=True)
        return folder


def main():
    """Answers commands until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    worker = Worker()
    with contextlib.redirect_stdout(sys.stderr):
        for line in sys.stdin:
            [(name, value)] = json.loads(line).items()
            try:
                value = value if isinstance(value, list) else [value]
                answer = getattr(worker, name)(*value)
            except Exception as error:  # such as no compiler for torch.compile
                answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
