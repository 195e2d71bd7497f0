"""The command demo."""

from keras_unrolled.cli.options import add_command


def add(commands):
    """Adds the command."""
    command = add_command(
        commands,
        run_demo,
        "demo",
        "See the main job done, offline, on what is bundled with the package.",
        examples=["demo", "demo --out somewhere/"],
    )
    command.add_argument(
        "--out",
        default="keras-unrolled-demo",
        metavar="FOLDER",
        help="Folder of the files that it makes (default: keras-unrolled-demo).",
    )


def run_demo(options):
    from keras_unrolled.demo import demo

    result = demo(options.out)
    lines = [
        "{preset}: {accuracy:.1%} of {n:,} test images; {recorded:.2%} of all by its record".format(
            **row
        )
        for row in result["presets"]
    ]
    lines.append(
        "five classes under other names: {accuracy:.1%} of {n} held-out images".format(
            **result["finetuned"]
        )
    )
    lines.append(
        "{preset}, perplexity {recorded:.1f} by its record, writes: {text}".format(
            **result["language"]
        )
    )
    lines.append(f"written in {result['seconds']:.0f} seconds:")
    lines += [f"  {path}" for path in result["files"]]
    return result, "\n".join(lines)
