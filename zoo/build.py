"""Writes what follows from the records, and publishes presets.

python -m zoo.build                       rewrites zoo/records, zoo/results, MODEL_CARDS.md and
                                          the README's table
python -m zoo.build --check               ends with code 1 where one of them is stale
python -m zoo.build publish-all [--to ORG] [--private] [--dry-run] [PATTERN]
                                          publishes every preset that has weights as
                                          hf://ORG/NAME, and notes the commits in zoo/hub.json
"""

import argparse
import csv
import io
import json
import sys
from pathlib import Path

from keras_unrolled import checks, paths, quiet
from keras_unrolled.files import write_text
from keras_unrolled.presets import card, catalog, hub
from keras_unrolled.presets.catalog import list_presets

ROOT = Path(__file__).resolve().parent.parent
RECORDS, RESULTS, PINS = ROOT / "zoo/records", ROOT / "zoo/results", ROOT / "zoo/hub.json"
BEGIN, END = "<!-- presets: python -m zoo.build -->", "<!-- /presets -->"


def table(found):
    """The README's table, a row a preset."""
    lines = [
        "| preset | gating | parameters | MACs | accuracy or perplexity | origin |",
        "|---|---|---:|---:|---:|---|",
    ]
    for record in sorted(found, key=lambda record: record.name.rsplit("_", 1)[-1]):
        score = ""
        for whose, rows in (("source: ", record.source.get("metrics", ())), ("", record.metrics)):
            for row in rows:
                score = f"{whose}{record.show(row)}"
        lines.append(
            f"| `{record.name}` | {record.network['gating']} | {record.parameters:,} | "
            f"{_short(record.macs)} | {score} | {record.origin} |"
        )
    return "\n".join(lines)


def _short(count):
    if count is None:
        return ""
    return f"{count / 1e9:.2f} G" if count >= 1e9 else f"{count / 1e6:.1f} M"


def scores(found):
    """zoo/results/scores.csv: a row for each score that was measured here."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    columns = ["dataset", "split", "n", "metric", "value", "resolution", "crop_fraction", "origin"]
    rows.writerow(["preset", "parameters", *columns, "seed", "commit"])
    for record in found:
        for metric in record.metrics:
            metric = {"crop_fraction": record.preprocessing.get("crop_fraction"), **metric}
            training = record.training
            rows.writerow(
                [record.name, record.parameters]
                + [metric.get(column) for column in columns]
                + [training.get("seed"), training.get("commit")]
            )
    return text.getvalue()


def outputs():
    """Path and text of everything that is built."""
    from zoo import imagenet, recipes

    texts = {}
    for name, record in (imagenet.make_records() | recipes.make_records()).items():
        texts[RECORDS / f"{name}.json"] = record.to_json()
    for path in (paths.zoo() / "checkpoints").glob("*/record.json"):
        texts[RECORDS / f"{path.parent.name}.json"] = path.read_text()
    found = list_presets()
    readme = (ROOT / "README.md").read_text()
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    cards = "# Model cards\n\nWritten from the records by `python -m zoo.build`.\n"
    for record in found:
        cards += f"\n## {record.name}\n\n{card.describe(record)}"
    return {
        **texts,
        RESULTS / "scores.csv": scores(found),
        ROOT / "README.md": f"{before}{BEGIN}\n{table(found)}\n{END}{after}",
        ROOT / "MODEL_CARDS.md": cards,
    }


def build(check):
    """Writes what is stale, or says so; returns the exit code."""
    texts = outputs()
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text() != text]
    stale += [path for path in RECORDS.glob("*.json") if path not in texts]
    for path in stale:
        if check:
            print(f"{path.relative_to(ROOT)} is stale: run python -m zoo.build", file=sys.stderr)
        elif path in texts:
            write(path, texts[path])
            print(f"wrote {path.relative_to(ROOT)}")
        else:
            path.unlink()
            print(f"took {path.relative_to(ROOT)} away: no such preset")
    if stale and not check and any(path.parent == RECORDS for path in stale):
        catalog.all_presets.cache_clear()
        return build(check)  # the cards and tables follow from the records
    return 1 if stale and check else 0


def write(path, text):
    """Writes a file of the zoo, and its folder where there is none."""
    path.parent.mkdir(exist_ok=True)
    write_text(path, text)


def publish_all(options):
    """Publishes every preset that has weights; returns the exit code."""
    import huggingface_hub

    from keras_unrolled.presets.publishing import upload_preset

    found = [record for record in list_presets(options.pattern) if record.has_weights]
    organisation = options.to
    if organisation is None:
        try:
            organisation = huggingface_hub.HfApi().whoami()["name"]
        except (*hub.failures(), ValueError) as error:
            raise checks.InputError(
                "Expected an organisation (--to) or a token that names a user (HF_TOKEN). Found "
                f"neither: {str(error).splitlines()[0]} Pass one of them."
            ) from error
    failed = []
    for number, record in enumerate(found, start=1):
        uri = f"hf://{organisation}/{record.name}"
        print(f"{number}/{len(found)} {record.name} to {uri}", file=sys.stderr, flush=True)
        try:
            done = upload_preset(uri, record.name, private=options.private, dry_run=options.dry_run)
        except checks.InputError as error:
            failed.append(record.name)
            print(f"{record.name}: {error}", file=sys.stderr)
            continue
        if "commit" in done:
            pins = json.loads(PINS.read_text()) if PINS.exists() else {}
            pins[record.name] = {"repository": done["repository"], "revision": done["commit"]}
            write(PINS, json.dumps(pins, indent=1, sort_keys=True) + "\n")
        print(f"{record.name}: {done.get('url') or 'checked, nothing was sent'}")
    if failed:
        print(f"not published: {', '.join(failed)}", file=sys.stderr)
    return 2 if failed else 0


def main(arguments=None):
    """Runs one of the commands above; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo.build",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    command = parser.add_subparsers(dest="command").add_parser("publish-all")
    command.add_argument("pattern", nargs="?", default="*", help='such as "*_cifar10"')
    command.add_argument("--to", metavar="ORG", help="organisation or user; default: the token's")
    command.add_argument("--private", action="store_true", help="make private repositories")
    command.add_argument("--dry-run", action="store_true", help="check only")
    options = parser.parse_args(arguments)
    quiet.import_keras()
    try:
        return publish_all(options) if options.command else build(options.check)
    except checks.InputError as error:
        print(f"zoo.build: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
