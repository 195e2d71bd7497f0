"""Makes a language model's preset: trains it on Penn Treebank, scores it, writes its folder.

    python training/ptb.py --preset highway_small_ptb --data-dir DIR --workdir DIR

DIR holds train.txt, valid.txt and test.txt, one sentence a line; any text will do, and gives its
vocabulary. The same command resumes a run that was interrupted. The finished preset lies in
WORKDIR/preset.
"""

import dataclasses
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout, not installed

from keras_unrolled import checks
from training import command_line
from training.recipe import Recipe

EXPECTED = """\
python training/ptb.py --preset {name} --data-dir DIR --workdir DIR
Hardware and time: two cores of a CPU, {hours}. Expected: {expected}.
Kim et al. 2016, section 4, and their code: 20 texts side by side, 35 words a step, SGD at 1.0,
halved whenever the validation perplexity has not fallen by more than 1, gradients of the sum over
the steps clipped at 5, dropout 0.5, all weights drawn from +-0.05, the best epoch kept. 30 epochs for
their 25, after which the validation perplexity of the Small coupled net still fell.
"""
UNKNOWN = "not known yet"
HOURS = {"small": "about an hour", "large": "about half a day (an estimate)"}
KIM = "{} test perplexity in Kim et al. 2016, table 3"
NETWORKS: dict[str, tuple[str, dict[str, str]]] = {
    "plain": (
        "plain",
        {
            "small": f"97.21 test perplexity, one run; {KIM.format('111.2')}",
            "large": "92.6 with two such layers, Kim et al.",
        },
    ),
    "resnet": ("residual", {"small": "104.74 test perplexity, one run"}),
    "highway": (
        "coupled",
        {
            "small": f"92.61 test perplexity, one run; {KIM.format('92.3')}",
            "large": KIM.format("78.9"),
        },
    ),
    "highway_full": ("full", {"small": "92.45 test perplexity, one run"}),
    "highway_c_only": ("c_only", {"small": "92.35 test perplexity, one run"}),
    "highway_t_only": ("t_only", {"small": "102.13 test perplexity, one run"}),
}


def make_recipe(network, size):
    """The recipe of one network, "small" or "large"."""
    gating, expected = NETWORKS[network]
    return Recipe(
        network={"builder": "character_lm", "size": size, "gating": gating},
        text=EXPECTED.format(
            name=f"{network}_{size}_ptb",
            hours=HOURS[size],
            expected=expected.get(size, UNKNOWN),
        ),
        precision="float32",
        epochs=30,
        batch_size=20,
        length=35,
        learning_rate=1.0,
        warmup_epochs=0,
        decay="plateau",
        momentum=0.0,
        weight_decay=0.0,
        label_smoothing=0.0,
        clip_norm=5.0,
        ema=0.0,
    )


PRESETS = {
    f"{network}_{size}_ptb": make_recipe(network, size)
    for size in ("small", "large")
    for network in NETWORKS
}
MODERN = """\
python training/ptb.py --preset {name} --recipe modern --data-dir DIR --workdir DIR
Hardware and time: two cores of a CPU, {hours}. Expected: no better than the other recipe
(Small, coupled, in bfloat16: validation 111.0 after 16 epochs of 16; 30 have not been run).
AdamW (Loshchilov & Hutter 2019) with a cosine, 30 epochs, the same dropout at all words of a step (Gal &
Ghahramani 2016); the rest as in Kim et al. 2016. Weights are not tied: what reads a word, 525 or 1,100
numbers from its characters, is not of the size of what predicts it, 300 or 650.
"""


def modernize(name, recipe):
    """A recipe of today for the same network."""
    return dataclasses.replace(
        recipe,
        network={**recipe.network, "variational": True},
        text=MODERN.format(name=name, hours=HOURS[recipe.network["size"]]),
        epochs=30,
        optimizer="adamw",
        learning_rate=2e-3,
        warmup_epochs=1,
        decay="cosine",
        weight_decay=0.05,
    )


RECIPES = {
    "kim": PRESETS,
    "modern": {name: modernize(name, recipe) for name, recipe in PRESETS.items()},
}
PTB = (929_589, 73_760, 82_430)  # words of its three files: others are not called by its name
SMOKE_WORDS = 20_000
MOST_LOSS = 0.05  # of perplexity, by which float16 may differ


def smoke(recipe):
    """What `--smoke` changes."""
    return ["epochs=2"]


def main(arguments=None):
    """Runs one recipe from its data to its preset; returns the exit code."""
    return command_line.main("training/ptb.py", __doc__, RECIPES, smoke, run, arguments)


def run(name, recipe, options):
    """Trains, scores and writes the preset; `options` are the parsed arguments."""
    from training.strategy import make_strategy

    strategy = make_strategy(options.replicas, kind=options.strategy, timeout=options.timeout)
    if getattr(strategy, "num_replicas_in_sync", 0) != 1:
        raise checks.InputError(
            "Expected one device and TensorFlow, as each text's state is carried on it. Received "
            "more, or another backend. Give --strategy one, and unset KERAS_BACKEND."
        )

    from keras_unrolled import data, evaluation
    from keras_unrolled.models import CharacterTokenizer, character_lm
    from keras_unrolled.presets.saving import portable
    from training import finish, language, loop
    from training.data import text

    texts = {
        split: data.read_words(options.data_dir, split) for split in ("train", "valid", "test")
    }
    dataset = "ptb"
    if tuple(map(len, texts.values())) != PTB:
        dataset = Path(options.data_dir).resolve().name
    if options.smoke:
        texts = {split: words[:SMOKE_WORDS] for split, words in texts.items()}
    tokenizer = CharacterTokenizer.learn(texts["train"])
    train = [tokenizer.numbers[word] for word in texts["train"]]
    stream, steps = text.make_stream(
        train, batch_size=recipe.batch_size, length=recipe.length, epochs=recipe.epochs
    )
    network = {k: v for k, v in recipe.network.items() if k != "builder"}

    def build(dtype):
        return character_lm(**network, tokenizer=tokenizer, dtype=dtype)

    halve = recipe.decay == "plateau"
    keep = language.Best(Path(options.workdir), texts["valid"], lambda: build("float32"), halve)
    _, state = loop.train(
        lambda: language.Carried(
            build(recipe.precision), recipe.batch_size, counts=recipe.sampled > 0
        ),
        recipe,
        stream,
        steps_per_epoch=steps,
        strategy=strategy,
        workdir=options.workdir,
        objective=language.objective(recipe),
        evaluate=keep.evaluate,
        after_epoch=keep.after_epoch,
        checkpoint_every=options.checkpoint_every,
    )
    model = keep.load()
    # Half the space where it costs next to nothing.
    full, rounded = (
        evaluation.perplexity(m, texts["valid"], progress=what)["perplexity"]
        for m, what in ((model, "validation"), (portable(model, half=True), "in float16"))
    )
    half = abs(full - rounded) < MOST_LOSS

    def score(model):
        rows = []
        for split in ("valid", "test"):
            found = evaluation.perplexity(model, texts[split], progress=split)
            value, count = found["perplexity"], found["tokens"]
            rows.append({"split": split, "n": count, "metric": "perplexity", "value": value})
        return rows

    finish.write_preset(
        model,
        name.replace("_ptb", "_modern_ptb") if options.recipe == "modern" else name,
        recipe,
        state,
        folder=Path(options.workdir) / "preset",
        dataset=dataset,
        command=command_line.command("training/ptb.py", name, options),
        trained_on=f"train, {len(train):,} words",
        score=score,
        description=f"Kim et al.'s {recipe.network['size']} character-aware language model with "
        f"gating {recipe.network['gating']}, on {dataset}",
        half=half,
        best_epoch=state["best_epoch"],
        weights=f"{'float16' if half else 'float32'}; validation perplexity {full:.3f} in float32, "
        f"{rounded:.3f} in float16",
    )


if __name__ == "__main__":
    sys.exit(main())
