"""The demonstration: the whole job on what comes with the package, in under two minutes."""

import sys
import time
from pathlib import Path

import keras
import keras_hub
import numpy as np

from keras_unrolled import analysis, data, evaluation
from keras_unrolled.analysis import plots
from keras_unrolled.finetune import fit_examples
from keras_unrolled.presets import resolve
from keras_unrolled.presets.loading import from_preset
from keras_unrolled.presets.saving import check_target, save_preset

PRESETS = ("resnet_bn_cifar10", "highway_bn_cifar10")
BASE = "highway_bn_cifar10"
# Five of the classes under names of a child's book, to show a head that is new.
RENAMED = {"cat": "kitty", "dog": "puppy", "frog": "croaker", "horse": "pony", "ship": "boat"}
SHOWN = 8
LANGUAGE, PROMPT, WRITTEN = "highway_small_ptb", "the company said", 16


def demo(out):
    """Scores shipped presets, draws what they see, fine-tunes one, and lets one write.

    Args:
        out: path of a folder; `demo.png`, `curves.png` and the preset `renamed` go there.

    Returns:
        A dict: "presets" (for each "preset", "n", "accuracy" on the sample and "recorded"
        on the whole test set), "finetuned" ("classes", "n", "accuracy"), "language" ("preset",
        "recorded", its perplexity, "text", "next", the likeliest words after the prompt),
        "files", "seconds".

    Raises:
        InputError: if something other than an earlier demo's preset stands in the way.
    """
    began = time.perf_counter()
    out = Path(out).expanduser()
    check_target(out / "renamed", overwrite=True)
    out.mkdir(parents=True, exist_ok=True)
    sample = data.load_sample()
    say(f"{len(sample)} images of the CIFAR-10 test set, {len(sample.names)} classes")

    rows, predictions, openings = [], {}, {}
    # One image of each of the first classes, the hundredth of its class.
    shown = [int(np.flatnonzero(sample.labels == i)[-1]) for i in range(SHOWN)]
    for name in PRESETS:
        model = from_preset(name)
        scores = evaluation.predict(model, sample.images, progress=name)
        accuracy = evaluation.accuracy(scores, sample.labels)
        recorded = resolve.load_record(name).score("cifar10")
        rows.append({"preset": name, "n": len(sample), "accuracy": accuracy, "recorded": recorded})
        say(f"{name}: {accuracy:.1%} here, {recorded:.2%} on all 10,000 by its record")
        predictions[name] = [best[0] for best in model.decode(scores[shown], top=1)]
        openings[name] = analysis.gate_openings(model, sample.images[:250])
    picture = plots.plot_predictions(
        sample.images[shown],
        [sample.names[i] for i in sample.labels[shown]],
        predictions,
        openings,
        out / "demo.png",
    )

    say(f"fine-tuning a new head of {BASE} on {', '.join(RENAMED.values())}")
    keras.utils.set_random_seed(0)
    old = [sample.names.index(name) for name in RENAMED]
    chosen = np.flatnonzero(np.isin(sample.labels, old))
    five = data.Examples(
        sample.images[chosen],
        np.array([old.index(label) for label in sample.labels[chosen]]),
        tuple(RENAMED.values()),
        "sample",
    )
    train, held = (five.take(part) for part in data.split_indices(five, 0.2, seed=0))
    model = from_preset(BASE, labels=five.names)
    model.backbone.trainable = False
    history = fit_examples(model, train, held, epochs=8, batch_size=32, learning_rate=1e-2, seed=0)
    curves = plots.plot_curves(history, out / "curves.png")
    save_preset(
        model,
        out / "renamed",
        overwrite=True,
        description=f"{BASE} with a new head, made by the demo",
        training={"base": BASE, "seed": 0},
    )
    scores = evaluation.predict(from_preset(out / "renamed"), held.images, progress="held out")
    accuracy = evaluation.accuracy(scores, held.labels)
    say(f"the new head: {accuracy:.1%} of {len(held)} images that were held out")

    model = from_preset(LANGUAGE)
    model.compile(sampler=keras_hub.samplers.TopPSampler(p=0.6, seed=0))
    text = model.generate(PROMPT, max_length=1 + WRITTEN, stop_token_ids=None)
    following = model.next_words(PROMPT, top=3)[-1]["likeliest"]
    recorded = resolve.load_record(LANGUAGE).score("ptb", metric="perplexity")
    say(f"{LANGUAGE}, perplexity {recorded:.1f} by its record, writes: {text}")
    likely = ", ".join(f"{n['word']} {n['probability']:.0%}" for n in following)
    say(f"after {PROMPT!r} it expects {likely}")
    files = [str(path) for path in (picture, curves, out / "renamed")]
    return {
        "presets": rows,
        "finetuned": {"classes": list(five.names), "n": len(held), "accuracy": accuracy},
        "language": {
            "preset": LANGUAGE,
            "recorded": recorded,
            "text": text,
            "next": following,
        },
        "files": files,
        "seconds": round(time.perf_counter() - began, 1),
    }


def say(text):
    """A line of progress on standard error."""
    print(text, file=sys.stderr, flush=True)
