"""The demonstration: the main job on what is bundled with the package, in under two minutes."""

import sys
import time

import keras_hub
import numpy as np

from keras_unrolled import analysis, checks, data, evaluation, files
from keras_unrolled.analysis import plots
from keras_unrolled.finetuning.run import finetune
from keras_unrolled.presets.loading import from_preset
from keras_unrolled.presets.resolve import load_record
from keras_unrolled.presets.saving import check_target

PRESETS = ("resnet_bn_cifar10", "highway_bn_cifar10")
BASE = "highway_bn_cifar10"
# Five of the classes under other names, to show a new head.
RENAMED = {"cat": "kitty", "dog": "puppy", "frog": "croaker", "horse": "pony", "ship": "boat"}
SHOWN = 8
LANGUAGE, PROMPT, WRITTEN = "highway_small_ptb", "the company said", 16


def demo(out):
    """Scores bundled presets, draws what they see, fine-tunes one, and lets one generate text.

    Args:
        out: path of a folder; `demo.png` and the preset `renamed` are written to it.

    Returns:
        A dict: "presets" (for each "preset", "n", "accuracy" on the sample and "recorded"
        on the whole test set), "finetuned" ("classes", "n", "accuracy"), "language" ("preset",
        "recorded", its perplexity, "text", "next", the likeliest words after the prompt),
        "files", "seconds".

    Raises:
        InputError: if `out` holds something else than an earlier demo's preset.
    """
    began = time.perf_counter()
    files.check_writable(out)
    out = checks.expand(out)
    check_target(out / "renamed", overwrite=True)
    out.mkdir(parents=True, exist_ok=True)
    sample = data.load_sample()
    report(f"{len(sample)} images of the CIFAR-10 test set, {len(sample.names)} classes")
    rows, picture = _score_presets(sample, out / "demo.png")
    finetuned = _finetune(sample, out / "renamed")
    accuracy, count = finetuned["accuracy"], finetuned["n"]
    report(f"the new head: {accuracy:.1%} of {count} held-out images")
    written = [picture, out / "renamed" / "curves.png", out / "renamed"]
    return {
        "presets": rows,
        "finetuned": {key: finetuned[key] for key in ("classes", "n", "accuracy")},
        "language": _generate(),
        "files": [str(path) for path in written],
        "seconds": round(time.perf_counter() - began, 1),
    }


def _score_presets(sample, path):
    """Scores the presets on the sample and draws their answers and gates."""
    rows, predictions, openings = [], {}, {}
    # One image of each of the first classes, the hundredth of its class.
    shown = [int(np.flatnonzero(sample.labels == i)[-1]) for i in range(SHOWN)]
    for name in PRESETS:
        model = from_preset(name)
        scores = evaluation.predict(model, sample.images, progress=name)
        accuracy = evaluation.accuracy(scores, sample.labels)
        recorded = load_record(name).score("cifar10")
        rows.append({"preset": name, "n": len(sample), "accuracy": accuracy, "recorded": recorded})
        report(f"{name}: {accuracy:.1%} of these; {recorded:.2%} of all 10,000 by its record")
        predictions[name] = [best[0] for best in model.decode(scores[shown], top=1)]
        openings[name] = analysis.gate_openings(model, sample.images[:250])
    names = [sample.names[i] for i in sample.labels[shown]]
    return rows, plots.plot_predictions(sample.images[shown], names, predictions, openings, path)


def _finetune(sample, out):
    """Fine-tunes the head of a preset to five classes of the sample under other names."""
    report(f"fine-tuning a new head of {BASE} on {', '.join(RENAMED.values())}")
    classes = [sample.names.index(name) for name in RENAMED]
    chosen = np.flatnonzero(np.isin(sample.labels, classes))
    labels = np.array([classes.index(label) for label in sample.labels[chosen]])
    five = data.Examples(sample.images[chosen], labels, tuple(RENAMED.values()), "sample")
    return finetune(BASE, five, out, epochs=8, head_only=True, overwrite=True)


def _generate():
    """Lets a language model continue a prompt."""
    model = from_preset(LANGUAGE)
    model.compile(sampler=keras_hub.samplers.TopPSampler(p=0.6, seed=0))
    text = model.generate(PROMPT, max_length=1 + WRITTEN, stop_token_ids=None)
    likeliest = model.next_words(PROMPT, top=3)[-1]["likeliest"]
    recorded = load_record(LANGUAGE).score("ptb", metric="perplexity")
    report(f"{LANGUAGE}, perplexity {recorded:.1f} by its record, writes: {text}")
    words = ", ".join(f"{n['word']} {n['probability']:.0%}" for n in likeliest)
    report(f"after {PROMPT!r} it expects {words}")
    return {"preset": LANGUAGE, "recorded": recorded, "text": text, "next": likeliest}


def report(text):
    """Prints a line of progress on standard error."""
    print(text, file=sys.stderr, flush=True)
