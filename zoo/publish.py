"""Publishes every preset that has weights, and notes the commits so that names lead to them.

python -m zoo.publish [--to ORG] [--private] [--dry-run] [PATTERN]

publishes each as hf://ORG/NAME and writes the commits to zoo/hub.json.
"""

import argparse
import json
import sys

from keras_unrolled import checks, paths, quiet
from keras_unrolled.files import write_text
from keras_unrolled.presets import hub, hub_answers
from keras_unrolled.presets.catalog import list_presets


def publish(options):
    """Publishes the presets that match; returns the exit code."""
    from keras_unrolled.presets.publishing import upload_preset

    records = [record for record in list_presets(options.pattern) if record.has_weights]
    organization = options.to or _ask_for_user()
    failed = []
    for number, record in enumerate(records, start=1):
        uri = f"hf://{organization}/{record.name}"
        print(f"{number}/{len(records)} {record.name} to {uri}", file=sys.stderr, flush=True)
        try:
            sent = upload_preset(uri, record.name, private=options.private, dry_run=options.dry_run)
        except checks.InputError as error:
            failed.append(record.name)
            print(f"{record.name}: {error}", file=sys.stderr)
            continue
        if "commit" in sent:
            _pin(record.name, sent)
        print(f"{record.name}: {sent.get('url') or 'checked, nothing was sent'}")
    if failed:
        print(f"not published: {', '.join(failed)}", file=sys.stderr)
    return 2 if failed else 0


def _pin(name, sent):
    """Notes the commit that a name stands for."""
    path = paths.zoo() / "hub.json"
    pins = json.loads(path.read_text()) if path.exists() else {}
    pins[name] = {"repository": sent["repository"], "revision": sent["commit"]}
    write_text(path, json.dumps(pins, indent=1, sort_keys=True) + "\n")


def _ask_for_user():
    """The name of the user whom the Hub knows by the token."""
    import huggingface_hub

    try:
        return huggingface_hub.HfApi().whoami()["name"]
    except (*hub.failures(), *hub_answers.NOT_OF_A_HUB) as error:
        raise checks.InputError(
            "Expected an organization (--to) or a token that names a user (HF_TOKEN). Found "
            f"neither: {checks.first_line(error)}. Pass one of them."
        ) from error


def main(arguments=None):
    """Publishes; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo.publish",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pattern", nargs="?", default="*", help='Names, such as "*_cifar10".')
    parser.add_argument("--to", metavar="ORG", help="Organization or user (default: the token's).")
    parser.add_argument("--private", action="store_true", help="Make new repositories private.")
    parser.add_argument("--dry-run", action="store_true", help="Check only; send nothing.")
    options = parser.parse_args(arguments)
    quiet.import_keras()
    try:
        return publish(options)
    except checks.InputError as error:
        print(f"zoo.publish: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
