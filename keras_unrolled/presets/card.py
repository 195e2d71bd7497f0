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
COUNTED = {TEXT: "words"}  # what a score is an average over; else images


def describe(record: Record) -> str:
    """What a record tells, as Markdown without a title; nothing else is told."""
    network, given, training = record.network, record.preprocessing, record.training
    lines = [
        f"{record.description or record.name}. {record.parameters:,} parameters"
        + (f", {record.macs:,} multiply-accumulates an image" if record.macs else "")
        + f". Origin: {record.origin}. Licence of the weights: {record.licence}.",
        "",
    ]
    if record.task == TEXT:
        lines += _language(network)
    elif network:
        lines.append(
            f"- Network: {sum(network['stackwise_num_blocks'])} {network['block_type']} blocks, "
            f"gating {network['gating']}, stages of "
            f"{'/'.join(map(str, network['stackwise_num_filters']))} filters, normalisation "
            f"{network['normalization'] or 'none'}, {network['activation_order']}-activation."
        )
    if given:
        sides = " x ".join(map(str, given["image_size"] or ("any", "any")))
        lines.append(
            f"- Input: {sides} pixels, {given['interpolation']}, crop fraction "
            f"{given['crop_fraction']}."
        )
    if record.task != TEXT:
        classes = "the 1,000 of ImageNet-1k" if record.label_set else ", ".join(record.labels)
        lines.append(f"- Classes: {classes or 'not named'}.")
    if record.source:
        source = record.source
        where = f"hf://{source['repository']}" if "repository" in source else source["name"]
        seen = "; ".join(f"{k} sha256 {v['sha256']}" for k, v in source.get("files", {}).items())
        lines.append(
            f"- Source: {where}, revision {source.get('revision') or 'not pinned'}, gating "
            f"{source.get('gating')}, licence {source.get('licence')}. {seen}".rstrip()
        )
    if "hours" in training:
        lines.append(
            f"- Trained on {training['dataset']}, {training['split']}, in "
            f"{training['hours']:.2f} hours on {training['hardware']}, from commit "
            f"{training['commit']}, seed {training['seed']}."
        )
    elif training:
        told = "; ".join(f"{k} {v}" for k, v in training.items() if not isinstance(v, dict))
        lines.append(f"- Training: {told}.")
    if "recipe" in training:
        told = ", ".join(
            f"{key} {value}"
            for key, value in training["recipe"].items()
            if key not in ("network", "text") and value is not None
        )
        lines.append(f"- Recipe: {told}.")
    if record.versions:
        told = ", ".join(f"{name} {version}" for name, version in record.versions.items())
        lines.append(f"- Made with {told}.")
    if given and given["image_size"]:
        lines.append(
            f"- Limits: images of {given['image_size'][0]} pixels and these classes only; "
            "nothing was measured on other data."
        )
    lines += ["", *_scores(record), "", f"Papers: {', '.join(record.papers)}", ""]
    return "\n".join(lines)


def _language(network):
    widths = "/".join(map(str, network["filter_widths"]))
    layers = f"{network['num_layers']} gated layers, gating {network['gating']}"
    return [
        f"- Network: characters of {network['character_dim']} numbers, "
        f"{sum(network['num_filters'])} filters of widths {widths}, "
        f"{layers if network['num_layers'] else 'no gated layer'}, "
        f"{network['num_recurrent_layers']} LSTMs of {network['units']} units.",
        f"- Text: {network['vocabulary_size']:,} words, {network['num_characters']} characters; any "
        "word can be read, those of the vocabulary are written.",
    ]


def _scores(record):
    rows = [("", row) for row in record.metrics]
    rows += [("the source: ", row) for row in record.source.get("metrics", ())]
    if not rows:
        return ["No scores are on record."]
    return [
        f"| data set | split | {COUNTED.get(record.task, 'images')} | pixels | metric | value | "
        "measured |",
        "|---|---|---:|---:|---|---:|---|",
        *(
            f"| {m['dataset']} | {m['split']} | {m['n']:,} | {m.get('resolution', '')} | "
            f"{m['metric']} | {record.show(m)} | {whose}{m['origin']} |"
            for whose, m in rows
        ),
    ]


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
        record: the preset's record; nothing else is told.
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
            f"{COUNTED.get(record.task, 'images')}",
        )
        for row in record.metrics
    ]
    # A source's scores are told in the text, never as this model's own.
    scored = {row["dataset"] for row in (*record.metrics, *record.source.get("metrics", ()))}
    header = ModelCardData(
        license=record.licence.lower(),
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
                    f"{COUNTED.get(record.task, 'images')}; {row['origin']}",
                )
            )
    return {
        str(Path(".eval_results") / f"{dataset}.yaml"): yaml.safe_dump(
            eval_result_entries_to_yaml(rows), sort_keys=False
        )
        for dataset, rows in entries.items()
    }
