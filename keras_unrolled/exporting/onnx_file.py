"""ONNX: written by Keras and tf2onnx, made smaller by onnxruntime's tools."""

import gc
from pathlib import Path
from typing import Any

import numpy as np

from keras_unrolled.exporting import metadata
from keras_unrolled.exporting.network import signature
from keras_unrolled.exporting.silence import silenced

BATCH_SIZE = 10
# They have nearly all weights and take nearly all time; the rest keeps its accuracy in float32.
QUANTIZED = ["Conv", "MatMul", "Gemm"]


def write(
    network: Any,
    path: Path,
    facts: dict[str, Any],
    precision: str = "float32",
    images: np.ndarray | None = None,
) -> None:
    """Writes a network as one ONNX file.

    Args:
        network: as `network.build` gives it, for images of a known size.
        path: path of the file to write.
        facts: as of `metadata.describe`.
        precision: "float32"; "float16", of weights and computation; or "int8".
        images: uint8 array `(n, height, width, channels)` to calibrate int8 with.
    """
    import onnx

    with silenced():
        network.export(str(path), format="onnx", verbose=False, input_signature=signature(network))
        gc.collect()  # tf2onnx leaves copies of the weights behind, fifty times their size
        model = onnx.load_model(path)
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
        if precision == "float16":
            model = _to_float16(model)
        elif precision == "int8":
            model = _to_int8(model, path, images)
        onnx.helper.set_model_props(model, metadata.as_strings(facts))
        onnx.save_model(model, path)


def _to_float16(model):
    from onnxruntime.transformers.float16 import convert_float_to_float16

    return convert_float_to_float16(model, keep_io_types=True)


def _to_int8(model, path, images):
    import onnx
    from onnxruntime import quantization

    exact = path.with_suffix(".float32.onnx")
    onnx.save_model(model, exact)
    quantization.quantize_static(
        exact,
        path,
        _Batches(images),
        quant_format=quantization.QuantFormat.QDQ,
        op_types_to_quantize=QUANTIZED,
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        # Processors without VNNI add products of 8 bits in 16, which would overflow.
        reduce_range=True,
    )
    return onnx.load_model(path)


class _Batches:
    """Images in the form in which onnxruntime asks for them."""

    def __init__(self, images):
        starts = range(0, len(images), BATCH_SIZE)
        self.batches = iter([images[start : start + BATCH_SIZE] for start in starts])

    def get_next(self):
        batch = next(self.batches, None)
        return None if batch is None else {"images": batch}
