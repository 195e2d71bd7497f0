"""The Hub's card of a preset, written from its record."""

from pathlib import Path

from keras_unrolled.presets.record import Record

LIBRARY = "keras_unrolled"
# Data sets of records by their ids on the Hub.
HUB_DATASETS = {"cifar10": "uoft-cs/cifar10"}


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
            task_type="image-classification",
            task_name="Image classification",
            dataset_type=HUB_DATASETS.get(row["dataset"], row["dataset"]),
            dataset_name=row["dataset"],
            dataset_split=row["split"],
            metric_type=row["metric"],
            metric_value=round(100 * row["value"], 2),
            metric_name=f"{row['metric']}, % of {row['n']:,} images",
        )
        for row in record.metrics
    ]
    datasets = {row["dataset"] for row in record.metrics}
    header = ModelCardData(
        license=record.licence.lower(),
        library_name=LIBRARY,
        pipeline_tag="image-classification",
        tags=["keras", "highway-networks", "residual-networks", str(record.network.get("gating"))],
        datasets=sorted(HUB_DATASETS[d] for d in datasets if d in HUB_DATASETS) or None,
        metrics=sorted({row["metric"] for row in record.metrics}) or None,
        model_name=record.name,
        eval_results=results or None,
    )
    rows = "\n".join(
        f"| {row['dataset']} | {row['split']} | {row['n']:,} | {row['metric']} | "
        f"{row['value']:.2%} | {row['origin']} |"
        for row in record.metrics
    )
    scores = f"""
| data set | split | images | metric | value | how |
|---|---|---:|---|---:|---|
{rows}
"""
    training = "\n".join(
        f"- {key}: {value}" for key, value in record.training.items() if key != "recipe"
    )
    recipe = record.training.get("recipe", {})
    settings = "\n".join(f"- {k}: {v}" for k, v in recipe.items() if k not in ("text", "network"))
    return f"""---
{header.to_yaml()}
---

# {record.name}

{record.description or record.name}. {record.parameters:,} parameters, origin: {record.origin}.

```python
import keras_unrolled as ku

model = ku.from_preset("hf://{repository}")
scores = model.predict(images)          # uint8 images of any size
model.decode(scores)
```

## Scores
{scores if rows else "None are on record."}
## Classes

{", ".join(record.labels) or "Not named."}

## Training

{training or "Not on record."}

{settings}

## Files

Every file's sha256 is in `record.json`; `keras-unrolled verify hf://{repository}` checks them and
recomputes the golden outputs.

Papers: {", ".join(record.papers)}
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
                    task_id="image-classification",
                    value=round(100 * row["value"], 2),
                    notes=f"{row['metric']}, {row['split']}, {row['n']} images; {row['origin']}",
                )
            )
    return {
        str(Path(".eval_results") / f"{dataset}.yaml"): yaml.safe_dump(
            eval_result_entries_to_yaml(rows), sort_keys=False
        )
        for dataset, rows in entries.items()
    }
