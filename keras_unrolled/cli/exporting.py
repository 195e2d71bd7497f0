"""The command export."""

from keras_unrolled import checks
from keras_unrolled.cli.options import PRESET, add_command, check_record, or_default
from keras_unrolled.quiet import import_keras


def add(commands):
    """Adds the command."""
    command = add_command(
        commands,
        run_export,
        "export",
        "Write a classifier for onnxruntime, LiteRT or TensorFlow, and run what was written.",
        examples=[
            "export highway_bn_cifar10 --out highway.onnx",
            "export highway_bn_cifar10 --out highway.tflite --precision int8 --calibration sample",
            "export flowers/ --out flowers.onnx --precision int8 --calibration pictures/",
            "export flowers/ --out flowers_saved_model",
        ],
        needs_keras=False,  # until the arguments have been checked
    )
    add = command.add_argument
    add("preset", help=PRESET)
    add("--out", required=True, metavar="FILE", help="File, or folder of a SavedModel, to make.")
    add(
        *("--format",),
        metavar="onnx|litert|saved_model",
        help="Format (default: by the name of FILE: .onnx, .tflite, or none for a SavedModel).",
    )
    add(
        *("--precision",),
        metavar="float32|float16|int8",
        help="Precision; int8 needs --calibration (default: float32).",
    )
    add(
        *("--calibration",),
        metavar="NAME|FOLDER|ZIP|CSV|ADDRESS",
        help="Images for int8: sample (bundled images of CIFAR-10), a folder of class folders, a zip "
        "file of one, a CSV file with the columns file and label, a TFDS name (its training split), or "
        "hf-dataset://org/name.",
    )
    add("--data-dir", metavar="DIR", help="TFDS's data directory.")
    add(
        *("--size",),
        nargs=2,
        type=int,
        metavar=("H", "W"),
        help="Height and width of the images that ONNX and LiteRT take (default: what the preprocessor "
        "resizes to).",
    )
    add("--overwrite", action="store_true", help="Replace an exported network at FILE.")


def run_export(options):
    from keras_unrolled.exporting.request import check_request

    arguments = {
        "format": options.format,
        "precision": or_default(options.precision, "float32"),
        "calibration": options.calibration,
        "image_size": options.size,
        "data_dir": options.data_dir,
        "overwrite": options.overwrite,
    }
    check_record(options.preset, _check_task)
    check_request(options.out, **arguments)
    import_keras()
    from keras_unrolled.exporting.run import export

    result = export(options.preset, options.out, **arguments)
    return result, describe(result)


def _check_task(is_text):
    if is_text:
        raise checks.InputError(
            "Expected an image classifier to export. Received a language model. Use it with "
            "keras-unrolled generate and keras-unrolled evaluate."
        )


def describe(result):
    """What was written and how it compares with the original, as a person reads it."""
    size = result["image_size"]
    images = "images of {} x {} pixels".format(*size) if size else "images of any size"
    labels = checks.count(result["labels"], "label") if result["labels"] else "no labels"
    lines = [
        "{preset}: {format}, {precision}, {bytes:,} bytes, {0}, {1}".format(
            images, labels, **result
        ),
        "its runtime gives the original's answer to {agreement:.1%} of {0}, and probabilities within "
        "{difference:.1e}".format(checks.count(result["n"], "image"), **result),
    ]
    if "accuracies" in result:
        accuracies = result["accuracies"]
        lines.append("accuracy on them: {int8:.1%}, in float32 {float32:.1%}".format(**accuracies))
    lines += [f"note: {note}" for note in result.get("notes", ())]
    return "\n".join([*lines, "written to {out}".format(**result)])
