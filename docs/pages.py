"""Pages of the site that are made from the package: the zoo, the command line and the notebooks."""

import argparse
import os
import shutil
from pathlib import Path

from matplotlib.figure import Figure

from keras_unrolled.cli.program import make_parser
from keras_unrolled.files import write_text
from keras_unrolled.presets.catalog import list_presets
from keras_unrolled.presets.record import TEXT

NOTEBOOKS = ("look_inside", "fine_tune_on_a_folder", "compare_gatings")
# Files of the checkout, and the pages that show them.
PAGES = {
    "MODEL_CARDS.md": "reference/model_cards.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    **{f"examples/{name}.ipynb": f"generated/{name}.ipynb" for name in NOTEBOOKS},
}
MARKERS = {"residual": "o", "coupled": "s", "full": "D", "c_only": "^", "t_only": "v", "plain": "X"}

ZOO = """# The zoo

All {count} names, from their records. Select a column's heading to sort by it. Names lead to the
[model cards](../reference/model_cards.md).

![Accuracy against multiply-accumulates of every preset with a score](zoo.svg)

*Accuracy against multiply-accumulates for one image; deeper networks have larger symbols. Hollow symbols: the
published score of the public network that the weights are converted from, which regating does not change.*

```{{table}}
:class: sortable

{table}
```

Accuracy is that on the test set of CIFAR-10 or the validation set of ImageNet, perplexity that on the test set
of Penn Treebank. \\* marks the published score of the network that the weights are converted from. The weights
of a name with the origin "recipe only" have not been trained yet.
"""

COMMANDS = """# The command line

`keras-unrolled COMMAND` prints results on standard output, as JSON with `--json`, and progress on standard
error. The exit code is 0 when it is done, 2 for bad input, 130 after Ctrl-C, 143 after SIGTERM and 1 for a
fault of the program.

"""


def write_pages(folder: Path) -> None:
    """Writes `folder/generated`; files that are up to date are left alone."""
    target = folder / "generated"
    target.mkdir(exist_ok=True)
    records = list_presets()
    _update(target / "zoo.md", ZOO.format(count=len(records), table=make_zoo_table(records)))
    _update(target / "commands.md", COMMANDS + describe_commands())
    draw_zoo(records, target / "zoo.svg")
    for name in NOTEBOOKS:
        source = folder.parent / "examples" / f"{name}.ipynb"
        if (place := target / source.name).exists() and place.read_bytes() == source.read_bytes():
            continue
        shutil.copyfile(source, place)


def find_score(record):
    """The score of a record, or else of its source; and whether it is the record's own."""
    return record.find_main_score(), bool(record.metrics)


def make_zoo_table(records) -> str:
    """The zoo as a Markdown table."""
    columns = "preset, data set, gating, depth, parameters, MACs (M), accuracy, perplexity, origin"
    numbers = ("depth", "parameters", "MACs (M)", "accuracy", "perplexity")
    names = columns.split(", ")
    lines = [_row(names), _row("---:" if name in numbers else "---" for name in names)]
    for record in records:
        score, own = find_score(record)
        shown = (record.show(score) + ("" if own else r" \*")) if score else ""
        is_text = record.task == TEXT
        cells = [
            f"[{record.name}](../reference/model_cards.md#{record.name})",
            record.dataset,
            record.network["gating"],
            count_layers(record),
            f"{record.parameters:,}",
            f"{record.macs / 1e6:,.1f}" if record.macs else "",
            "" if is_text else shown,
            shown if is_text else "",
            record.origin,
        ]
        lines.append(_row(map(str, cells)))
    return "\n".join(lines)


def _row(cells):
    return f"| {' | '.join(cells)} |"


def count_layers(record):
    """The depth that a network of images is named by; nothing for a language model."""
    blocks = record.network.get("stackwise_num_blocks")
    if not blocks:
        return ""
    return sum(blocks) * (3 if record.network["block_type"] == "bottleneck" else 2) + 2


def draw_zoo(records, path: Path) -> None:
    """Draws accuracy against multiply-accumulates, one panel for each data set."""
    scored = [(r, *find_score(r)) for r in records if r.macs and find_score(r)[0]]
    datasets = sorted({record.dataset for record, _, _ in scored})
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    for axes, dataset in zip(figure.subplots(1, len(datasets), squeeze=False)[0], datasets):
        rows = [row for row in scored if row[0].dataset == dataset]
        for record, score, own in rows:
            gating = record.network["gating"]
            color = f"C{list(MARKERS).index(gating)}"
            depth = count_layers(record)
            axes.scatter(
                record.macs / 1e6,
                100 * score["value"],
                s=36 + 2 * depth,
                marker=MARKERS[gating],
                edgecolors=color,
                facecolors=color if own else "none",
            )
        axes.set_title(f"{dataset}, {rows[0][1]['split']}")
        axes.set_xlabel("million multiply-accumulates")
        axes.set_ylabel("accuracy (%)")
        axes.set_xlim(left=0)
        axes.grid(alpha=0.3)
    for index, (gating, marker) in enumerate(MARKERS.items()):
        figure.axes[0].scatter([], [], marker=marker, color=f"C{index}", label=gating)
    figure.legend(loc="outside lower center", ncols=len(MARKERS))
    figure.savefig(path, metadata={"Date": None})


def describe_commands() -> str:
    """The help of every command, each under its heading."""
    os.environ["COLUMNS"] = "88"  # the width of argparse's help
    parser = make_parser()
    (commands,) = (
        action for action in parser._actions if isinstance(action, argparse._SubParsersAction)
    )
    texts = [f"```text\n{parser.format_help()}```"]
    texts += [f"## {n}\n\n```text\n{p.format_help()}```" for n, p in commands.choices.items()]
    return "\n\n".join(texts) + "\n"


def _update(path, text):
    if not path.exists() or path.read_text() != text:
        write_text(path, text)
