"""From a recipe to a network, and from a trained network to its preset."""

import csv
import tempfile
from pathlib import Path

from keras_unrolled import checks, environment, evaluation, models
from keras_unrolled.analysis import plots
from keras_unrolled.presets import record as records
from keras_unrolled.presets.loading import from_preset
from keras_unrolled.presets.saving import save_preset

KINDS = {records.IMAGES: "images", records.TEXT: "words"}
BUILDERS = {"resnet": models.resnet, "highway": models.highway, "plain": models.plain}


def build(recipe, **options):
    """The recipe's network with random weights; `options` go to its builder."""
    network = dict(recipe.network)
    builder = checks.one_of("network.builder", network.pop("builder", None), BUILDERS)
    return BUILDERS[builder](**network, **options)


def write_preset(
    model,
    name,
    recipe,
    state,
    *,
    folder,
    dataset,
    command,
    trained_on,
    score,
    description=None,
    half=False,
    **told,
):
    """Scores a trained network as its users will load it, and writes its preset.

    Args:
        model: the trained `ImageClassifier` or `CharacterLM`.
        name: the preset's name.
        recipe: the `Recipe`.
        state: the run's state, with "commit" and "hours".
        folder: path of the preset's folder, beside the run's `log.csv`.
        dataset: name of the data set.
        command: string, what was typed.
        trained_on: string, the split that the weights have seen.
        score: function of the reloaded model that returns a list of dicts, each with
            "split", "n", "metric" and "value".
        description: optional string.
        half: bool, whether weights are kept in float16.
        **told: what else the record's account of the training shall say.

    Returns:
        The `Record`.
    """
    training = {
        "recipe": recipe.to_dict(),
        "command": command,
        "dataset": dataset,
        "split": trained_on,
        "commit": state["commit"],
        "seed": recipe.seed,
        "hours": round(state["hours"], 3),
        "hardware": environment.hardware(),
        **told,
    }
    facts = {"name": name, "training": training, "half": half}
    with tempfile.TemporaryDirectory() as scratch:
        staged = Path(scratch) / name
        save_preset(model, staged, **facts)
        loaded = from_preset(staged)
    converter = getattr(loaded.preprocessor, "image_converter", None)
    size = {}
    if converter is not None:
        size = {"resolution": converter.image_size[0], "crop_fraction": converter.crop_fraction}
    origin = "measured once, after training, on the preset reloaded in float32"
    metrics = [{"dataset": dataset, **row, **size, "origin": origin} for row in score(loaded)]
    record = save_preset(
        model,
        folder,
        overwrite=True,
        description=description
        or f"{recipe.network['builder']}-{recipe.network['depth']} on {dataset}",
        metrics=tuple(metrics),
        **facts,
    )
    for row in metrics:
        print(
            f"{name}: {record.show(row)} {row['metric']} on {dataset} {row['split']} "
            f"({row['n']:,} {KINDS[record.task]})"
        )
    if (Path(folder).parent / "log.csv").exists():  # a copy of a run may lack it
        print(f"curves: {draw(Path(folder).parent, name)}")
    print(f"preset: {folder}")
    return record


def draw(workdir, name):
    """Writes `curves.png` beside a run's `log.csv`; returns its path."""
    log = Path(workdir) / "log.csv"
    with log.open(newline="") as file:
        columns = next(csv.reader(file))
    shown = [c for c in columns if c not in ("epoch", "step", "hours") and "per_second" not in c]
    panels = {column.replace("_", " "): (column, {name: log}) for column in shown}
    return plots.plot_logs(panels, Path(workdir) / "curves.png")


def score_examples(reports):
    """A function for `write_preset` that scores `Examples`, each named by its split."""

    def score(model):
        rows = []
        for examples in reports:
            scores = evaluation.predict(model, examples.images, progress=examples.split)
            value = evaluation.accuracy(scores, examples.labels)
            rows.append(
                {
                    "split": examples.split,
                    "n": len(examples),
                    "metric": "accuracy",
                    "value": value,
                }
            )
        return rows

    return score
