"""How far the gates of adapted presets have moved from the constants that they began with.

    python -m zoo.gates [--count N]

Measures T and C of each block on the first N of the bundled test images (default: all 1,000). Rewrites
zoo/results/gates.csv and a table in docs/results.md.
"""

import argparse
import sys

from keras_unrolled import analysis, checks, data, quiet
from keras_unrolled.files import write_text
from keras_unrolled.presets.loading import from_preset
from zoo.build import RESULTS, ROOT, fill
from zoo.compare import find_group, list_trained

PAGE, TABLE = ROOT / "docs/results.md", RESULTS / "gates.csv"
COLUMNS = ("preset", "block", "gate", "start", "mean", "std", "between_images", "shut", "open")


def list_adapted():
    """The adapted presets with gates: a dict from name to the preset that they started from and their gating.

    Raises:
        InputError: if none has been trained.
    """
    found = {
        name: (record.training["recipe"]["init"], record.network["gating"])
        for name, record in list_trained().items()
        if find_group(name) == "adapt" and record.network["gating"] != "residual"
    }
    if not found:
        raise checks.InputError(
            "Expected an adapted preset with weights. Found none. Train highway_adapted_bn_cifar10 "
            "(training/cifar10.py), and make it a preset: python -m zoo.adopt WORKDIR"
        )
    return found


def measure(name, init, gating, images):
    """Rows of a preset: each free gate at its start and now, over images, positions and channels."""
    before = analysis.gate_stats(from_preset(init, gating=gating), images[:1])
    after = analysis.gate_stats(from_preset(name), images, progress=name)
    return [
        {"preset": name, "start": old["mean"], **{key: new[key] for key in COLUMNS if key in new}}
        for old, new in zip(before.rows, after.rows, strict=True)
        if new["kind"] == "free"
    ]


def make_table(rows):
    """The table of docs/results.md."""
    lines = [
        "| preset | block | gate | at the start | mean | spread | between images | below 0.05 | above 0.95 |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        cells = [f"`{row['preset']}`", row["block"], {"transform": "T", "carry": "C"}[row["gate"]]]
        cells += [f"{row[key]:.3f}" for key in ("start", "mean", "std", "between_images")]
        cells += [f"{row[key]:.1%}" for key in ("shut", "open")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments=None):
    """Measures the gates and writes the results; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo.gates",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--count", type=int, default=1_000, help="Images (default: 1000).")
    options = parser.parse_args(arguments)
    quiet.import_keras()
    try:
        count = checks.whole("--count", options.count, least=1, most=1_000)
        images = data.load_sample().images[:count]
        rows = [
            row
            for name, (init, gating) in list_adapted().items()
            for row in measure(name, init, gating, images)
        ]
        table = analysis.Table(rows, COLUMNS)
        table.to_csv(TABLE)
        write_text(PAGE, fill(PAGE.read_text(), "gates", "zoo.gates", make_table(rows)))
    except checks.InputError as error:
        print(f"zoo.gates: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
