"""The card of a preset, written from its record: for the Hub, and for MODEL_CARDS.md."""

from pathlib import Path

from keras_unrolled.presets.record import IMAGES, TEXT, Record

LIBRARY = "keras_unrolled"
# Data sets of records by their ids on the Hub.
HUB_DATASETS = {
    "cifar10": "uoft-cs/cifar10",
    "imagenet2012": "ILSVRC/imagenet-1k",
    "ptb": "ptb-text-only/ptb_text_only",
}
# What a sentence is made of; a record that was written by hand may lack some of it.
IMAGE_NETWORK = {"stackwise_num_blocks", "stackwise_num_filters", "block_type", "gating"}
IMAGE_NETWORK |= {"normalization", "activation_order"}
TEXT_NETWORK = {"filter_widths", "num_filters", "num_layers", "gating", "character_dim", "units"}
TEXT_NETWORK |= {"num_recurrent_layers", "num_characters", "vocabulary_size"}
TRAINING = {"hours", "dataset", "split", "hardware", "commit", "seed"}
UNITS = {IMAGES: "images", TEXT: "words"}  # what a score is an average over


def describe(record: Record) -> str:
    """What a record states, as Markdown without a title."""
    macs = f", {record.macs:,} multiply-accumulates per image" if record.macs else ""
    lines = [
        f"{record.description or record.name}. {record.parameters:,} parameters{macs}. "
        f"Origin: {record.origin}. License of the weights: {record.license}.",
        "",
        *(_describe_language(record) if record.task == TEXT else _describe_images(record)),
        *_describe_source(record),
        *_describe_training(record),
    ]
    if record.versions:
        versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
        lines.append(f"- Made with {versions}.")
    size = record.preprocessing.get("image_size")
    if size:
        lines.append(
            f"- Limits: images of {size[0]} pixels and these classes only; nothing was measured on "
            "other data."
        )
    lines += _describe_calibration(record)
    lines += ["", *_make_score_table(record), "", f"Papers: {', '.join(record.papers)}", ""]
    return "\n".join(lines)


def _describe_images(record):
    network, preprocessing = record.network, record.preprocessing
    if network.keys() >= IMAGE_NETWORK:
        yield (
            f"- Network: {sum(network['stackwise_num_blocks'])} {network['block_type']} blocks, "
            f"gating {network['gating']}, stages of "
            f"{'/'.join(map(str, network['stackwise_num_filters']))} filters, normalization "
            f"{network['normalization'] or 'none'}, {network['activation_order']}-activation."
        )
    if preprocessing:
        sides = " x ".join(map(str, preprocessing.get("image_size") or ("any", "any")))
        yield (
            f"- Input: {sides} pixels, {preprocessing.get('interpolation')}, crop fraction "
            f"{preprocessing.get('crop_fraction')}."
        )
    classes = "the 1,000 of ImageNet-1k" if record.label_set else ", ".join(record.labels)
    yield f"- Classes: {classes or 'not named'}."


def _describe_language(record):
    network = record.network
    if not network.keys() >= TEXT_NETWORK:
        return
    widths = "/".join(map(str, network["filter_widths"]))
    count = network["num_layers"]
    plural = "s" if count > 1 else ""
    layers = f"{count} layer{plural} with gating {network['gating']}" if count else "no gated layer"
    yield (
        f"- Network: character vectors of {network['character_dim']} numbers, "
        f"{sum(network['num_filters'])} filters of widths {widths}, {layers}, "
        f"{network['num_recurrent_layers']} LSTMs of {network['units']} units."
    )
    yield (
        f"- Text: {network['vocabulary_size']:,} words, {network['num_characters']} characters; any "
        "word can be read, words of the vocabulary are written."
    )


def _describe_source(record):
    source = record.source
    if source:
        address = f"hf://{source['repository']}" if source.get("repository") else source.get("name")
        files = source.get("files", {}).items()
        hashes = "; ".join(f"{name} sha256 {entry['sha256']}" for name, entry in files)
        yield (
            f"- Source: {address}, revision {source.get('revision') or 'not pinned'}, gating "
            f"{source.get('gating')}, license {source.get('license')}. {hashes}"
        ).rstrip()


def _describe_calibration(record):
    found = record.calibration
    if not found:
        return
    text = (
        f"- Calibration: temperature {found['temperature']:.3f}, chosen on {found['n']:,} "
        f"{UNITS[record.task]} of {found['dataset']}, {found['split']} ({found['origin']}); applied on "
        "request only."
    )
    if "before" in found:
        before, after = found["before"], found["after"]
        text += (
            f" On {found['scored_n']:,} others, {found['scored_on']}, it changes the expected calibration "
            f"error from {before['calibration_error']:.2%} to {after['calibration_error']:.2%} and the "
            f"negative log-likelihood from {before['negative_log_likelihood']:.4f} to "
            f"{after['negative_log_likelihood']:.4f}."
        )
    yield text


def _describe_training(record):
    training = record.training
    if training.keys() >= TRAINING:
        yield (
            f"- Trained on {training['dataset']}, {training['split']}, in "
            f"{training['hours']:.2f} hours on {training['hardware']}, from commit "
            f"{training['commit']}, seed {training['seed']}."
        )
    elif training:
        yield f"- Training: {_join(training, ': ', '; ')}."
    if "recipe" in training:
        yield f"- Recipe: {_join(training['recipe'], ' ', ', ')}."


def _join(values, between, separator):
    """The plain values of a dict that are set, as text."""
    return separator.join(
        f"{name.replace('_', ' ')}{between}{value}"
        for name, value in values.items()
        if not isinstance(value, dict) and value not in (None, False, [])
    )


def _make_score_table(record):
    rows = [("", row) for row in record.metrics]
    rows += [("the source: ", row) for row in record.source.get("metrics", ())]
    if not rows:
        return ["No scores are on record."]
    sized = any("resolution" in row for _, row in rows)
    columns = ["data set", "split", UNITS[record.task], *(["pixels"] if sized else [])]
    columns += ["metric", "value", "measured"]
    numbers = {UNITS[record.task], "pixels", "value"}
    lines = [
        f"| {' | '.join(columns)} |",
        "|" + "|".join("---:" if column in numbers else "---" for column in columns) + "|",
    ]
    for whose, row in rows:
        cells = [row["dataset"], row["split"], f"{row['n']:,}"]
        cells += [str(row.get("resolution", ""))] if sized else []
        cells += [row["metric"], record.show(row), whose + row["origin"]]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


_USE = {
    IMAGES: """scores = model.predict(images)          # uint8 images of any size
model.decode(scores)""",
    TEXT: """model.compile(sampler="top_p")
model.generate("the company said", max_length=40)""",
}


def _value(row):
    """A share in percent, as the Hub wants it; a perplexity as it is."""
    return round(row["value"] if row["metric"] == "perplexity" else 100 * row["value"], 2)


def make_card(record: Record, repository: str) -> str:
    """The README.md of a repository: YAML for the Hub, text for people.

    Args:
        record: the preset's record, the only source.
        repository: `org/name`, for the lines that load it.

    Returns:
        Markdown text with a YAML header.
    """
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type=record.task,
            task_name=record.task.replace("-", " ").capitalize(),
            dataset_type=HUB_DATASETS.get(row["dataset"], row["dataset"]),
            dataset_name=row["dataset"],
            dataset_split=row["split"],
            metric_type=row["metric"],
            metric_value=_value(row),
            metric_name=f"{row['metric']}, {'' if record.task == TEXT else '% of '}{row['n']:,} "
            f"{UNITS[record.task]}",
        )
        for row in record.metrics
    ]
    # The scores of a source are in the text, never as this model's own.
    scored = {row["dataset"] for row in (*record.metrics, *record.source.get("metrics", ()))}
    header = ModelCardData(
        license=record.license.lower(),
        library_name=LIBRARY,
        pipeline_tag=record.task,
        tags=["keras", "highway-networks", "residual-networks", str(record.network.get("gating"))],
        datasets=sorted(HUB_DATASETS[d] for d in scored if d in HUB_DATASETS) or None,
        metrics=sorted({row["metric"] for row in record.metrics}) or None,
        base_model=record.source.get("repository"),
        model_name=record.name,
        eval_results=results or None,
    )
    return f"""---
{header.to_yaml()}
---

# {record.name}

{describe(record)}
## Use

```python
import keras_unrolled as ku

model = ku.from_preset("hf://{repository}")
{_USE[record.task]}
```

Every file's sha256 is in `record.json`; `keras-unrolled verify hf://{repository}` compares them and
recomputes the golden outputs.
"""


def make_eval_results(record: Record) -> dict[str, str]:
    """The Hub's `.eval_results/*.yaml`, from path to text, for data sets that it has."""
    import yaml
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    entries: dict[str, list[EvalResultEntry]] = {}
    for row in record.metrics:
        if row["dataset"] in HUB_DATASETS:
            entries.setdefault(row["dataset"], []).append(
                EvalResultEntry(
                    dataset_id=HUB_DATASETS[row["dataset"]],
                    task_id=record.task,
                    value=_value(row),
                    notes=f"{row['metric']}, {row['split']}, {row['n']} "
                    f"{UNITS[record.task]}; {row['origin']}",
                )
            )
    return {
        str(Path(".eval_results") / f"{dataset}.yaml"): yaml.safe_dump(
            eval_result_entries_to_yaml(rows), sort_keys=False
        )
        for dataset, rows in entries.items()
    }
