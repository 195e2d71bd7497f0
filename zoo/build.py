"""Writes what follows from the records: MODEL_CARDS.md and the README's table of presets.

python -m zoo.build            rewrites them
python -m zoo.build --check    ends with code 1 where they are stale
"""

import sys
from pathlib import Path

from keras_unrolled.presets.registry import list_presets

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- presets: python -m zoo.build -->", "<!-- /presets -->"


def table(found):
    """The README's table, a row a preset."""
    lines = [
        "| preset | gating | parameters | MACs | CIFAR-10 test accuracy | origin |",
        "|---|---|---:|---:|---:|---|",
    ]
    for record in found:
        score = record.score("cifar10")
        lines.append(
            f"| `{record.name}` | {record.network['gating']} | {record.parameters:,} | "
            f"{record.macs / 1e6:.1f} M | {f'{score:.2%}' if score is not None else ''} | "
            f"{record.origin} |"
        )
    return "\n".join(lines)


def card(record):
    """A preset's part of MODEL_CARDS.md."""
    training, network = record.training, record.network
    recipe = training["recipe"]
    scores = "\n".join(
        f"| {m['dataset']} | {m['split']} | {m['n']:,} | {m['resolution']} | {m['metric']} | "
        f"{m['value']:.2%} | {m['origin']} |"
        for m in record.metrics
    )
    settings = ", ".join(
        f"{key} {value}"
        for key, value in recipe.items()
        if key not in ("network", "text") and value is not None
    )
    depth = sum(network["stackwise_num_blocks"])
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    return f"""\
## {record.name}

{record.description}. {record.parameters:,} parameters, {record.macs:,} multiply-accumulates an
image. Licence of the weights: {record.licence}.

- Network: {depth} {network["block_type"]} blocks, gating {network["gating"]}, stages of \
{"/".join(map(str, network["stackwise_num_filters"]))} filters, normalisation \
{network["normalization"]}, {network["activation_order"]}-activation.
- Input: {" x ".join(map(str, record.preprocessing["image_size"]))} pixels, \
{record.preprocessing["interpolation"]}, crop fraction {record.preprocessing["crop_fraction"]}.
- Classes: {", ".join(record.labels)}.
- Trained on {training["dataset"]}, {training["split"]}, in {training["hours"]:.2f} hours on \
{training["hardware"]}, from commit {training["commit"]}, seed {training["seed"]}.
- Recipe: {settings}.
- Made with {versions}.
- Limits: images of {record.preprocessing["image_size"][0]} pixels and these classes only; \
nothing was measured on other data.

| data set | split | images | pixels | metric | value | measured |
|---|---|---:|---:|---|---:|---|
{scores}

Papers: {", ".join(record.papers)}
"""


def outputs():
    """Path and text of everything that is built."""
    found = list_presets()
    readme = (ROOT / "README.md").read_text()
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    cards = "# Model cards\n\nWritten from the records by `python -m zoo.build`.\n\n"
    return {
        ROOT / "README.md": f"{before}{BEGIN}\n{table(found)}\n{END}{after}",
        ROOT / "MODEL_CARDS.md": cards + "\n".join(card(record) for record in found),
    }


def main(arguments):
    """Writes or checks; returns the exit code."""
    texts = outputs()
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.name} is stale: run python -m zoo.build", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.write_text(texts[path])
        print(f"wrote {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
