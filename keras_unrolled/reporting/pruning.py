"""A preset with fewer blocks: scored after each step, and saved next to the report."""

from pathlib import Path
from typing import Any

import numpy as np

from keras_unrolled import analysis, checks, evaluation
from keras_unrolled.analysis.pruning import BY, leave_out, rank, recalibrate
from keras_unrolled.evaluation.comparison import compare_answers
from keras_unrolled.finetuning.run import finetune
from keras_unrolled.models import ImageClassifier
from keras_unrolled.presets.describing import count_parameters
from keras_unrolled.presets.loading import from_preset
from keras_unrolled.presets.saving import save_preset

PRUNED, TUNED = "pruned", "finetuned"  # folders of presets in a report's
COLUMNS = ("step", "blocks", "parameters", "n", "accuracy", "low", "high", "difference")


def check_pruning(
    model: Any, inputs: Any, *, prune: int, prune_by: str, finetune: int, training: Any
) -> None:
    """Raises `InputError` unless blocks of a network can be pruned and fine-tuned on the data."""
    checks.one_of("prune_by", prune_by, BY)
    if not isinstance(model, ImageClassifier):
        raise checks.InputError(
            f"Expected an image classifier to prune. Received a {type(model).__name__}. Leave --prune "
            "out."
        )
    if inputs.labels is None:
        raise checks.InputError(
            "Expected labels, to say what pruning costs. Received pictures without any "
            "that the network knows. Put them into folders by class."
        )
    if finetune and training is None:
        raise checks.InputError(
            "Expected data with a training part, to fine-tune the pruned network on. Received data "
            "without. Pass a data set of TFDS or a folder with train in it, or leave --finetune out."
        )
    stack = analysis.as_stack(model)
    most = sum(len(names) for names in stack.movable)
    most -= sum(len(a) == len(b) for a, b in zip(stack.movable, stack.stages))
    checks.whole("prune", prune, least=1, most=most)


def prune_preset(
    model: Any,
    name: str,
    inputs: Any,
    folder: Path,
    *,
    prune: int,
    prune_by: str,
    finetune: int,
    training: Any,
) -> analysis.Table:
    """Leaves blocks out, saves the network as a preset, and fine-tunes it if asked.

    Args:
        model: an `ImageClassifier`.
        name: string, what to call it.
        inputs: `Inputs`, with labels.
        folder: path of the folder in which the presets `pruned` and `finetuned` are made.
        prune: int, blocks to leave out.
        prune_by: "influence" or "lesion", see `analysis.prune_depth`.
        finetune: int, epochs, or 0.
        training: what `find_training_source` gives, or None.

    Returns:
        A `Table` with a row for each step: "step"; "blocks"; "parameters"; "n", images; "accuracy";
        "low" and "high", the first network's accuracy plus the paired 95% interval of the change;
        "difference".
    """
    steps = _prune(model, name, inputs, prune, prune_by, folder / PRUNED)
    if finetune:
        steps.append(_tune(folder, training, finetune, inputs, model.labels))
    return make_table(steps)


def _prune(model, name, inputs, count, by, folder):
    """Triples of a step's name, a network, and where it is right, bool `(n,)`."""
    images = inputs.values if inputs.calibration is None else inputs.calibration
    order = rank(model, images, by=by)[:count]
    steps, statistics = [("as it is", model)], "as they were"
    steps.append(("blocks left out", leave_out(model, order)))
    if inputs.calibration is not None:
        new = leave_out(model, order)
        recalibrate(new, images)
        steps.append(("recalibrated", new))
        statistics = f"of {len(images):,} images"
    found = [(step, network, score(network, inputs, model.labels)) for step, network in steps]
    _, new, right = found[-1]
    metric = {
        "dataset": inputs.dataset,
        "split": inputs.split,
        "n": len(right),
        "metric": "accuracy",
        "value": float(right.mean()),
        "origin": f"measured by keras-unrolled analyze{_name_source(inputs)}",
    }
    save_preset(
        new,
        folder,
        name=f"{name.rstrip('/').rpartition('/')[2]}_pruned",
        description=f"{name} without {', '.join(order)}, with batch statistics {statistics}; pruned by "
        f"{by}, not trained further",
        metrics=(metric,),
    )
    return found


def _name_source(inputs):
    """What a score owes to the images that it is of."""
    if inputs.calibration is None:
        return "; the blocks were chosen by the images that are scored"
    if inputs.shared:
        return "; batch statistics and the choice of blocks are of the images that are scored"
    return ""


def _tune(folder, training, epochs, inputs, names):
    """Fine-tunes `folder/pruned` to `folder/finetuned`; a triple as of `_prune`."""
    source, data_dir = training
    finetune(folder / PRUNED, source, folder / TUNED, data_dir=data_dir, epochs=epochs)
    network = from_preset(folder / TUNED)
    return f"fine-tuned, epochs: {epochs}", network, score(network, inputs, names)


def score(network: Any, inputs: Any, names: Any) -> Any:
    """Where a network's answers are right, bool `(n,)`, for classes numbered by `names`."""
    answers = evaluation.predict(network, inputs.values).argmax(-1)
    if names and network.labels and list(network.labels) != list(names):
        # A fine-tuned one has the classes of its data, in an order of its own.
        return np.array([network.labels[i] for i in answers]) == np.array(names)[inputs.labels]
    return answers == inputs.labels


def make_table(found: list[Any]) -> analysis.Table:
    """The scores of the steps as a `Table`, with paired intervals of the change from the first."""
    whole, rows = found[0][-1], []
    for step, network, right in found:
        change = compare_answers(right, whole)
        before = float(whole.mean())
        rows.append(
            {
                "step": step,
                "blocks": sum(network.backbone.stackwise_num_blocks),
                "parameters": count_parameters(network),
                "n": len(right),
                "accuracy": float(right.mean()),
                "low": max(0.0, before + change["low"]),
                "high": min(1.0, before + change["high"]),
                "difference": change["difference"],
            }
        )
    return analysis.Table(rows, COLUMNS)
