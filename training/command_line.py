"""What the training programs' command lines have in common."""

import argparse
import shlex
import sys

from keras_unrolled import checks

KINDS = ("auto", "one", "mirrored", "workers", "tpu")


def main(program, text, recipes, smoke, run, arguments=None):
    """Runs one recipe from its data to its preset.

    Args:
        program: string, path of the program in a checkout.
        text: string, what it does.
        recipes: dict from a recipe's name, the default first, to a dict from a preset's name to
            its `Recipe`.
        smoke: function from a recipe to the list of settings, as `--set` takes them, that
            `--smoke` stands for.
        run: function of (name, recipe, options).
        arguments: optional list of strings, for tests.

    Returns:
        The exit code: 0 done or stopped by SIGTERM, 2 bad input, 3 a loss that is not finite
        or workers that are gone.
    """
    default, presets = next(iter(recipes.items()))
    parser = argparse.ArgumentParser(
        prog=program, description=text, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--preset", required=True, help=", ".join(presets))
    if len(recipes) > 1:
        parser.add_argument(
            "--recipe", default=default, metavar="|".join(recipes), help=f"default: {default}"
        )
    parser.add_argument("--data-dir", required=True, help="the data, or TFDS's data directory")
    parser.add_argument("--workdir", required=True, help="folder of checkpoints, logs and preset")
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="change the recipe",
    )
    parser.add_argument("--replicas", type=int, help="devices to train on; default: every GPU")
    parser.add_argument(
        "--strategy", default="auto", metavar="|".join(KINDS), help="default: found out"
    )
    parser.add_argument(
        "--checkpoint-every", type=int, metavar="STEPS", help="default: once an epoch"
    )
    parser.add_argument(
        "--timeout", type=float, default=600, help="seconds to wait for other workers (600)"
    )
    parser.add_argument("--smoke", action="store_true", help="minutes on a handful of images")
    parser.add_argument("--publish", metavar="hf://ORG/NAME", help="send the finished preset")
    options = parser.parse_args(arguments)
    options.recipe = getattr(options, "recipe", default)
    options.default_recipe = default
    try:
        name = checks.one_of("--preset", options.preset, presets)
        recipe = recipes[checks.one_of("--recipe", options.recipe, recipes)][name]
        if options.checkpoint_every is not None:
            checks.whole("--checkpoint-every", options.checkpoint_every, least=1, most=10**9)
        recipe = recipe.override([*(smoke(recipe) if options.smoke else []), *options.set])
        run(name, recipe, options)
        if options.publish:
            _publish(options)
    except checks.InputError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    except (ArithmeticError, ConnectionError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 3
    except InterruptedError as error:  # SIGTERM; the same command goes on
        print(f"{program}: {error}", file=sys.stderr)
    return 0


def _publish(options):
    from pathlib import Path

    from keras_unrolled.presets.publishing import upload_preset

    folder = Path(options.workdir) / "preset"
    if folder.is_dir():  # the chief's
        print(upload_preset(options.publish, folder)["url"])


def command(program, name, options):
    """What makes this preset again, without the places of this machine."""
    words = ["--preset", name, "--data-dir", "DIR", "--workdir", "DIR"]
    if options.recipe != options.default_recipe:
        words += ["--recipe", options.recipe]
    words += ["--smoke"] if options.smoke else []
    words += ["--replicas", str(options.replicas)] if options.replicas else []
    words += ["--set", *options.set] if options.set else []
    return shlex.join(["python", program, *words])
