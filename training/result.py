"""The preset of a finished training run: its scores, its record and its curves."""

import tempfile
from pathlib import Path
from typing import Any


def write_preset(run, model, state, *, dataset, trained_on, score, half=False, **training):
    """Scores a trained network as its users will load it, and writes its preset.

    Args:
        run: a `Run`; the preset goes to `run.workdir / "preset"`.
        model: the trained `ImageClassifier` or `CharacterLM`.
        state: the state of the run, with "commit" and "hours".
        dataset: name of the data set.
        trained_on: string, the split that the weights have seen.
        score: function of the reloaded model that returns a list of dicts, each with "split",
            "n", "metric" and "value".
        half: bool, whether weights are stored in float16.
        **training: further entries of the record's account of the training.

    Returns:
        The `Record`.
    """
    from keras_unrolled.presets.loading import from_preset
    from keras_unrolled.presets.saving import save_preset

    recipe, folder = run.recipe, run.workdir / "preset"
    training = {
        "recipe": _describe_recipe(recipe),
        "command": run.command,
        "dataset": dataset,
        "split": trained_on,
        "commit": state["commit"],
        "seed": recipe.seed,
        "hours": round(state["hours"], 3),
        **describe_machines(state),
        **training,
    }
    facts = {"name": run.preset_name, "training": training, "half": half}
    with tempfile.TemporaryDirectory() as scratch:
        staged = Path(scratch) / run.preset_name
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
        description=_describe(recipe, dataset),
        metrics=tuple(metrics),
        **facts,
    )
    for row in metrics:
        print(
            f"{record.name}: {record.show(row)} {row['metric']} on {dataset} {row['split']} "
            f"({row['n']:,} {recipe.step_unit})"
        )
    if (run.workdir / "log.csv").exists():  # a copy of a run may lack it
        print(f"curves: {draw_log(run.workdir, record.name)}")
    print(f"preset: {folder}")
    return record


def describe_machines(state):
    """The record's entries for the machines that a run has been on, in order.

    "versions" is there only where the training's software differs from that which writes the record.
    """
    from keras_unrolled import environment

    here = {"hardware": environment.hardware(), "versions": environment.software_versions()}
    machines = state.get("machines", [here])  # a run that ended before machines were noted
    entries: dict[str, Any] = {
        "hardware": "; then ".join(dict.fromkeys(m["hardware"] for m in machines))
    }
    versions = [m["versions"] for m in machines]
    if versions != [here["versions"]]:
        entries["versions"] = versions
    return entries


def _describe_recipe(recipe):
    """The recipe's entries for the record; a folder to start from is named without its place."""
    entries = recipe.applicable()
    if Path(entries.get("init", "")).is_dir() and "init" in entries:
        entries["init"] = Path(entries["init"]).resolve().name
    return entries


def _describe(recipe, dataset):
    network = recipe.network
    if network["builder"] == "character_lm":
        return (
            f"Kim et al.'s {network['size']} character-aware language model with gating "
            f"{network['gating']}, on {dataset}"
        )
    what = f"{network['builder']}-{network['depth']} on {dataset}"
    init = _describe_recipe(recipe).get("init")
    return f"{what}, trained on from {init}" if init else what


def draw_log(workdir, name):
    """Draws a run's `log.csv` as `curves.png`; returns its path."""
    from keras_unrolled.analysis import plots
    from keras_unrolled.engine.log import read_log

    log = Path(workdir) / "log.csv"
    hidden = {"epoch", "step", "hours"}
    columns = [c for c in read_log(log)[0] if c not in hidden and "per_second" not in c]
    panels = {column.replace("_", " "): (column, {name: log}) for column in columns}
    return plots.plot_logs(panels, Path(workdir) / "curves.png")


def score_examples(parts):
    """A function for `write_preset` that scores `Examples`, each named by its split."""
    from keras_unrolled import evaluation

    def score(model):
        rows = []
        for examples in parts:
            scores = evaluation.predict(model, examples.images, progress=examples.split)
            value = evaluation.accuracy(scores, examples.labels)
            row = {"split": examples.split, "n": len(examples), "metric": "accuracy"}
            rows.append({**row, "value": value})
        return rows

    return score
