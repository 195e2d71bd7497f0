"""What the training programs share: the command line and the network of a recipe."""

import argparse
import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from keras_unrolled import checks
from keras_unrolled.engine import Recipe
from training import recipes

KINDS = ("auto", "one", "mirrored", "workers", "tpu")


@dataclass(frozen=True)
class Run:
    """One execution of a training program.

    Args:
        name: the preset's name.
        recipe: a `Recipe`, with the settings of the command line applied.
        program: path of the program in a checkout.
        options: the parsed arguments.
    """

    name: str
    recipe: Recipe
    program: str
    options: Any

    @property
    def workdir(self) -> Path:
        return Path(self.options.workdir)

    @property
    def preset_name(self) -> str:
        """The name of the preset that is written; a smoke run has no published name."""
        return f"{self.name}_smoke" if self.options.smoke else self.name

    @property
    def command(self) -> str:
        """The command that repeats the run, without the locations on this machine."""
        options = self.options
        words = ["--preset", self.name, "--data-dir", "DIR", "--workdir", "DIR"]
        if options.recipe != options.default_recipe:
            words += ["--recipe", options.recipe]
        if options.init:
            words += ["--init", "FOLDER" if Path(options.init).exists() else options.init]
        words += ["--smoke"] if options.smoke else []
        words += ["--replicas", str(options.replicas)] if options.replicas else []
        words += ["--set", *options.set] if options.set else []
        return shlex.join(["python", self.program, *words])


def main(module, description, smoke, run, arguments=None):
    """Runs one recipe from its data to its preset.

    Args:
        module: the module of `training.recipes` with PROGRAM and RECIPES.
        description: string, what the program does.
        smoke: function from a recipe to the list of settings, as `--set` takes them, that
            `--smoke` stands for.
        run: function of a `Run`.
        arguments: optional list of strings, for tests.

    Returns:
        The exit code: 0 done, or stopped by SIGTERM; 2 bad input; 3 a loss that is not finite, or
        workers that are gone; 130 stopped by Ctrl-C.
    """
    options = _make_parser(module, description).parse_args(arguments)
    try:
        name = checks.one_of("--preset", options.preset, recipes.list_names(module))
        options.default_recipe = recipes.find_kind(module, name)
        options.recipe = getattr(options, "recipe", None) or options.default_recipe
        presets = module.RECIPES[checks.one_of("--recipe", options.recipe, module.RECIPES)]
        recipe = presets[checks.one_of("--preset", name, presets)]
        options.init = getattr(options, "init", None)
        if options.init:
            recipe = replace(recipe, init=options.init)
        if options.checkpoint_every is not None:
            checks.whole("--checkpoint-every", options.checkpoint_every, least=1, most=10**9)
        recipe = recipe.override([*(smoke(recipe) if options.smoke else []), *options.set])
        run(Run(name, recipe, module.PROGRAM, options))
        if options.publish:
            _publish(options)
    except checks.InputError as error:
        print(f"{module.PROGRAM}: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(
            f"{module.PROGRAM}: Expected the package {error.name} to be installed. It is not. Install it: "
            f"pip install {error.name}.",
            file=sys.stderr,
        )
        return 2
    except (ArithmeticError, ConnectionError) as error:
        message = " ".join([str(error), *getattr(error, "__notes__", ())])
        print(f"{module.PROGRAM}: {message}", file=sys.stderr)
        return 3
    except InterruptedError as error:
        print(f"{module.PROGRAM}: {error}", file=sys.stderr)
        return getattr(error, "exit_code", 0)
    except OSError as error:
        print(
            f"{module.PROGRAM}: Expected to read and write files. It failed: {error}.",
            file=sys.stderr,
        )
        return 2
    return 0


def _make_parser(module, description):
    default = next(iter(module.RECIPES))
    names = recipes.list_names(module)
    parser = argparse.ArgumentParser(
        prog=module.PROGRAM,
        description=description,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    add = parser.add_argument
    add("--preset", required=True, metavar="NAME", help="One of:\n  " + "\n  ".join(names))
    if len(module.RECIPES) > 1:
        kinds = "|".join(module.RECIPES)
        add("--recipe", metavar=kinds, help=f"Recipe (default: {default}, or the preset's own).")
        add("--init", metavar="PRESET", help="Name, folder or address of a preset to start from.")
    if "distill" in module.RECIPES:
        text = (
            "Folder that keeps the teachers' answers, for several runs (default: WORKDIR/answers)."
        )
        add("--answers", metavar="DIR", help=text)
    add("--data-dir", required=True, help="Folder of the data.")
    add("--workdir", required=True, help="Folder of the run: checkpoints, log and preset.")
    add(
        *("--set",),
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="Settings of the recipe to change, such as epochs=2 network.depth=32.",
    )
    add("--replicas", type=int, help="Number of devices to train on (default: every GPU).")
    add(
        *("--strategy",),
        default="auto",
        metavar="|".join(KINDS),
        help="Distribution strategy (default: auto, by the environment).",
    )
    add(
        *("--checkpoint-every",),
        type=int,
        metavar="STEPS",
        help="Steps between two checkpoints (default: one epoch).",
    )
    add(
        *("--timeout",),
        type=float,
        default=600,
        help="Seconds to wait for other workers (default: 600).",
    )
    add("--smoke", action="store_true", help="Try everything on a few examples, in a minute.")
    add(
        *("--train-only",),
        action="store_true",
        help="Stop when training has ended; the same command without it writes the preset.",
    )
    add("--publish", metavar="hf://ORG/NAME", help="Publish the finished preset on the Hub.")
    return parser


def _publish(options):
    from keras_unrolled.presets.publishing import upload_preset

    folder = Path(options.workdir) / "preset"
    if folder.is_dir():  # only the chief has one
        print(upload_preset(options.publish, folder)["url"])


def build(recipe, **options):
    """The recipe's network with random weights.

    Args:
        recipe: a `Recipe`.
        **options: further arguments of its builder.
    """
    from keras_unrolled import models

    if recipe.init is not None:
        return _load(recipe, **options)
    builders = {"resnet": models.resnet, "highway": models.highway, "plain": models.plain}
    network = dict(recipe.network)
    builder = checks.one_of("network.builder", network.pop("builder", None), builders)
    return builders[builder](**network, **options)


def _load(recipe, *, labels=None, dtype=None):
    """The network of `recipe.init` in the recipe's gating, with its weights."""
    from keras_unrolled.presets.loading import from_preset

    model = from_preset(recipe.init, gating=recipe.network.get("gating"), dtype=dtype)
    if labels is not None and list(model.labels or ()) != list(labels):
        raise checks.InputError(
            f"Expected a preset with the {len(labels):,} classes of the data. {recipe.init} has others: "
            f"{', '.join(map(str, list(model.labels or ['none'])[:5]))}. Use keras-unrolled finetune for a "
            "new head."
        )
    return model


def load_teachers(recipe, student):
    """The networks of `recipe.teachers`, which must read images as the student does, folded.

    Raises:
        InputError: for a preset with other classes or another preprocessor.
    """
    from keras_unrolled import convert
    from keras_unrolled.presets.loading import from_preset

    teachers = [from_preset(name, dtype=recipe.precision) for name in recipe.teachers]
    for name, teacher in zip(recipe.teachers, teachers):
        for what, ours, theirs in (
            ("the data's classes", student.labels, teacher.labels),
            ("the student's preprocessor", _scale_of(student), _scale_of(teacher)),
        ):
            if ours != theirs:
                raise checks.InputError(
                    f"Expected a teacher with {what}, {ours!r:.80}. {name} has {theirs!r:.80}. Take "
                    "another teacher."
                )
    return [
        convert.fold(teacher) if teacher.backbone.normalization == "batch" else teacher
        for teacher in teachers
    ]


def _scale_of(model):
    converter = model.preprocessor.image_converter
    return [np.ravel(value).tolist() for value in (converter.scale, converter.offset)]


def make_gate_factors(recipe):
    """A function of a model for `Job.rate_factors` by the recipe's rate of gates, or None."""
    if recipe.gate_rate == 1:
        return None

    def factors(model):
        blocks = [block for stage in model.backbone.stages for block in stage]
        gates = [g for b in blocks for g in (b.transform_gate, b.carry_gate) if g is not None]
        fast = {id(v) for gate in gates for v in gate.trainable_variables}
        return [recipe.gate_rate if id(v) in fast else 1.0 for v in model.trainable_variables]

    return factors


def check_batch(recipe, count):
    """Raises `InputError` for a batch of more than `count` training examples."""
    if recipe.batch_size > count:
        raise checks.InputError(
            f"Expected a batch of at most {count} training examples. "
            f"Received: batch_size={recipe.batch_size}. Make it smaller."
        )
