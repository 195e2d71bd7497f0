"""Trains a language model on Penn Treebank or another text, scores it and writes its folder.

    python training/ptb.py --preset highway_small_ptb --data-dir DIR --workdir DIR

DIR holds train.txt, valid.txt and test.txt, one sentence per line; any text will do, and gives the
vocabulary. Run the same command again to resume; the final weights are identical. The finished
preset is written to WORKDIR/preset.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout, not installed

from keras_unrolled import checks, environment
from training import job, result
from training.recipes import ptb

SMOKE_WORDS = 20_000
EVALUATION_BATCH = 10  # texts that are read in parallel when an epoch is scored
MOST_LOSS = 0.05  # of perplexity, up to which weights are stored in float16


def smoke(recipe):
    """The settings that `--smoke` stands for."""
    return ["epochs=2", "precision=float32"]  # fast on every processor


def main(arguments=None):
    """Runs one recipe from its data to its preset; returns the exit code."""
    return job.main(ptb, __doc__, smoke, run, arguments)


def run(run):
    """Trains, scores and writes the preset."""
    from keras_unrolled import engine

    recipe, options = run.recipe, run.options
    strategy = engine.make_strategy(
        options.replicas, kind=options.strategy, timeout=options.timeout
    )
    check_run(recipe, strategy)

    from keras_unrolled import data
    from keras_unrolled.data.text_batches import TextBatches
    from keras_unrolled.engine.language import StatefulLM, language_objective
    from keras_unrolled.models import CharacterTokenizer, character_lm

    texts = {part: data.read_words(options.data_dir, part) for part in ("train", "valid", "test")}
    complete = tuple(map(len, texts.values())) == ptb.WORDS
    if options.smoke:
        texts = {part: words[:SMOKE_WORDS] for part, words in texts.items()}
    tokenizer = CharacterTokenizer.learn(texts["train"])
    stream = TextBatches(
        [tokenizer.numbers[word] for word in texts["train"]],
        batch_size=recipe.batch_size,
        length=recipe.length,
        epochs=recipe.epochs,
    )
    network = {k: v for k, v in recipe.network.items() if k != "builder"}

    def build(dtype):
        return character_lm(**network, tokenizer=tokenizer, dtype=dtype)

    epochs = Epochs(run.workdir, texts["valid"], lambda: build("float32"), recipe.decay)
    _, state = engine.train(
        engine.Job(
            recipe=recipe,
            build=lambda: StatefulLM(
                build(recipe.precision), recipe.batch_size, stream.most_distinct
            ),
            stream=stream,
            steps_per_epoch=stream.steps_per_epoch,
            workdir=run.workdir,
            objective=language_objective(recipe),
            evaluate=epochs.evaluate,
            after_epoch=epochs.after_epoch,
            initial_state={"commit": environment.read_commit()},
            checkpoint_every=options.checkpoint_every,
        ),
        strategy,
    )
    if options.train_only:
        return
    model = epochs.load_best()
    half, precision = choose_precision(model, texts["valid"])
    result.write_preset(
        run,
        model,
        state,
        dataset=ptb.DATASET if complete else Path(options.data_dir).resolve().name,
        trained_on=f"train, {len(texts['train']):,} words",
        score=lambda model: score_texts(model, texts),
        half=half,
        best_epoch=state["best_epoch"],
        weights=precision,
    )


def check_run(recipe, strategy):
    """Raises `InputError` for several devices, and for parts of a batch."""
    from keras_unrolled import engine

    if recipe.accumulate != 1:
        raise checks.InputError(
            "Expected accumulate=1, since each text's state goes from step to step. Received: "
            f"accumulate={recipe.accumulate}. Lower batch_size instead."
        )

    count = engine.count_replicas(strategy)
    if count != 1:
        raise checks.InputError(
            "Expected one device, since each text's state is carried on it. Received: "
            f"{count} devices. Pass --strategy one."
        )


class Epochs:
    """What happens after each epoch: validation, halving of the rate, and the best weights.

    Args:
        workdir: path of the run's folder.
        words: list of strings, the validation text.
        build: function without arguments that returns the `CharacterLM` in float32.
        decay: the recipe's decay; "plateau" halves the rate after an epoch that does not lower
            the perplexity by more than 1 (Kim et al. 2016).
    """

    def __init__(self, workdir, words, build, decay="plateau"):
        from keras_unrolled.engine import BestEpoch

        self.words, self.build, self.halve = words, build, decay == "plateau"
        self.best = BestEpoch(workdir / "best.npz", lambda figures: figures["valid_perplexity"])
        self.model = None

    def evaluate(self, stateful):
        """The validation perplexity of a `StatefulLM`'s weights, in float32."""
        from keras_unrolled import evaluation
        from keras_unrolled.models.copying import copy_values

        self.model = self.model or self.build()
        copy_values(stateful.lm.weights, self.model.weights)
        scores = evaluation.perplexity(self.model, self.words, batch_size=EVALUATION_BATCH)
        return {"valid_perplexity": scores["perplexity"]}

    def after_epoch(self, stateful, optimizer, figures, state):
        """Halves the rate and keeps the weights, where that is due."""
        perplexity = figures["valid_perplexity"]
        former, state["former"] = state.get("former"), perplexity
        if self.halve and former is not None and perplexity > former - 1.0:
            optimizer.learning_rate = float(optimizer.learning_rate) / 2
        self.best.update(stateful.lm.weights, figures, state)

    def load_best(self):
        """The `CharacterLM` of the best epoch."""
        model = self.build()
        self.best.load(model.weights)
        return model


def choose_precision(model, words):
    """Whether float16 is precise enough for the weights, and a sentence for the record."""
    from keras_unrolled import evaluation
    from keras_unrolled.presets.saving import portable

    full, rounded = (
        evaluation.perplexity(m, words, progress=title)["perplexity"]
        for m, title in ((model, "validation"), (portable(model, half=True), "in float16"))
    )
    half = abs(full - rounded) < MOST_LOSS
    return half, (
        f"{'float16' if half else 'float32'}; validation perplexity {full:.3f} in float32, "
        f"{rounded:.3f} in float16"
    )


def score_texts(model, texts):
    """The perplexity of the validation and test text, as `result.write_preset` takes it."""
    from keras_unrolled import evaluation

    rows = []
    for part in ("valid", "test"):
        scores = evaluation.perplexity(model, texts[part], progress=part)
        row = {"split": part, "n": scores["tokens"], "metric": "perplexity"}
        rows.append({**row, "value": scores["perplexity"]})
    return rows


if __name__ == "__main__":
    sys.exit(main())
