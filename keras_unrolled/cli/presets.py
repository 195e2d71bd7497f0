"""Commands about presets: list, show, verify, convert, publish."""

from keras_unrolled import checks
from keras_unrolled.cli.options import PRESET, add_command, reject_options


def add(commands):
    """Adds the commands of this group."""
    command = add_command(
        commands,
        run_list,
        "list",
        "List the presets and where their weights are.",
        examples=["list", 'list "highway*"'],
        needs_keras=False,
    )
    command.add_argument("pattern", nargs="?", default="*", help='Names, such as "highway*".')

    command = add_command(
        commands,
        run_show,
        "show",
        "Show what a preset is, what it scored and how it was trained.",
        examples=["show highway_bn_cifar10", "show flowers/ --json"],
        needs_keras=False,
    )
    command.add_argument("preset", help=PRESET)
    command.add_argument("--all", action="store_true", help="Show every field of the record.")

    command = add_command(
        commands,
        run_verify,
        "verify",
        "Check the files of a preset and what it computes.",
        examples=["verify highway_bn_cifar10", "verify hf://me/flowers"],
    )
    command.add_argument("preset", help=PRESET)
    _add_convert(commands)
    _add_publish(commands)


def _add_convert(commands):
    command = add_command(
        commands,
        run_convert,
        "convert",
        "Write a network with another gating or in another library's layout.",
        examples=[
            "convert hf://timm/resnet50.a1_in1k --gating coupled --out highway50/",
            "convert my_resnet/ --layout timm --out for_timm/",
            "convert highway_bn_cifar10 --fold --out fast/",
        ],
    )
    command.add_argument(
        "preset",
        metavar="SOURCE",
        help="Preset, hf://timm/NAME, a folder of timm or KerasHub, or a file of weights (.safetensors, "
        ".pth, .keras, .h5).",
    )
    command.add_argument("--out", required=True, metavar="FOLDER", help="Folder to make.")
    command.add_argument(
        "--gating",
        metavar="full|coupled|c_only|t_only",
        help="New gating of a residual network; its function does not change.",
    )
    command.add_argument(
        "--layout",
        default="preset",
        metavar="preset|timm",
        help="Layout of the folder (default: preset).",
    )
    command.add_argument(
        "--fold",
        action="store_true",
        help="Make normalization part of the convolutions, for faster prediction; such a preset is "
        "not trained further.",
    )
    command.add_argument("--revision", help="Branch, tag or commit of a repository.")
    command.add_argument("--overwrite", action="store_true", help="Replace a preset at FOLDER.")


def _add_publish(commands):
    command = add_command(
        commands,
        run_publish,
        "publish",
        "Publish a preset on the Hugging Face Hub.",
        examples=["publish flowers/ hf://me/flowers --dry-run", "publish flowers/ hf://me/flowers"],
    )
    command.add_argument("preset", metavar="FOLDER", help="Folder or name of a preset.")
    command.add_argument("uri", metavar="hf://ORG/NAME", help="Repository; it is made if needed.")
    command.add_argument(
        "--private",
        action="store_true",
        help="Make a new repository private; an existing one must be.",
    )
    command.add_argument("--revision", metavar="BRANCH", help="Branch (default: main).")
    command.add_argument("--message", help="Message of the commit.")
    command.add_argument("--dry-run", action="store_true", help="Check only; send nothing.")


def run_list(options):
    from keras_unrolled.presets.catalog import all_presets, list_presets

    presets = list_presets(options.pattern)
    if not presets:
        close = checks.did_you_mean(options.pattern, all_presets())
        raise checks.InputError(
            f"Expected a pattern of presets' names. None matches {options.pattern!r}. "
            f"{close or 'keras-unrolled list shows all of them.'}"
        )
    return [record.to_dict() for record in presets], str(presets)


def run_show(options):
    from keras_unrolled.presets.resolve import load_record
    from keras_unrolled.presets.summary import list_fields, summarize

    record = load_record(options.preset)
    return record.to_dict(), list_fields(record) if options.all else summarize(record)


def run_verify(options):
    from keras_unrolled.presets.verification import verify

    result = verify(options.preset)
    worst = max(result["differences"].values())
    text = (
        f"{result['preset']}: {result['files']} files match their hashes, "
        f"{len(result['differences'])} golden outputs within {worst:.1e}"
    )
    return result, text


def run_convert(options):
    from keras_unrolled.presets.regated import convert_preset

    if options.layout == "timm":
        reject_options(options, ["overwrite"], "a folder for timm, which is never replaced")
        if options.gating is not None:
            raise checks.InputError(
                "Expected no gating for a folder for timm, which has residual networks only. "
                f"Received: --gating {options.gating}. Leave it out."
            )
    result = convert_preset(
        options.preset,
        options.out,
        gating=options.gating,
        layout=options.layout,
        fold=options.fold,
        overwrite=options.overwrite,
        revision=options.revision,
    )
    text = "{source}: {gating}, {parameters:,} parameters, written to {out}".format(**result)
    return result, text


def run_publish(options):
    from keras_unrolled.presets.publishing import upload_preset

    result = upload_preset(
        options.uri,
        options.preset,
        private=options.private or None,
        revision=options.revision,
        commit_message=options.message,
        dry_run=options.dry_run,
    )
    lines = [f"{size:>12,}  {path}" for path, size in result["files"].items()]
    lines += [f"    left out  {name}" for name in result["left_out"]]
    target = f"{result['repository']}, {result['revision']}"
    lines.append(result.get("url") or f"Nothing was sent; this would go to {target}.")
    return result, "\n".join(lines)
