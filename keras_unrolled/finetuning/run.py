"""Fine-tuning: a preset's network with a new head, trained on one's own images by the engine."""

import dataclasses
import hashlib
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_unrolled import checks, data, engine, evaluation, files
from keras_unrolled.data.hub_datasets import is_address
from keras_unrolled.data.memory import as_bytes, is_path
from keras_unrolled.finetuning.choices import Choices
from keras_unrolled.finetuning.images import fingerprint, open_images
from keras_unrolled.finetuning.options import Options
from keras_unrolled.finetuning.ownership import claim_folder
from keras_unrolled.finetuning.phases import (
    Phase,
    choose_learning_rate,
    freeze,
    layer_factors,
    list_phases,
    make_recipe,
)
from keras_unrolled.finetuning.result import write_result
from keras_unrolled.finetuning.trials import check_held
from keras_unrolled.presets import layout
from keras_unrolled.presets.loading import from_preset
from keras_unrolled.presets.record import TEXT
from keras_unrolled.presets.resolve import resolve
from keras_unrolled.presets.saving import check_target

KINDS = ("auto", "one", "mirrored")


def finetune(
    preset: str | Path,
    data: Any,
    out: str | Path,
    *,
    data_dir: str | Path | None = None,
    replicas: int | None = None,
    strategy: str = "auto",
    overwrite: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Fine-tunes a preset on labeled images and writes a new preset.

    The first third of the epochs trains the new head only, the rest the whole network except its
    batch normalization, which stays in inference mode. Images are streamed from the disk, so that
    memory does not grow with their number. An interrupted run resumes when it is called again with
    the same arguments; until it is done its state is in `out` + ".partial".

    The preset's folder also gets `curves.png`, `confusion.png`, `history.csv`, `held_out.csv`, the
    answer for each held-out image, and event files for TensorBoard; `find_lr` adds `find_lr.png` and `.csv`.

    Args:
        preset: name, folder or address of the preset to start from.
        data: `Examples`, or a pair of images `(n, height, width, channels)` on a scale of 0 to 255 and
            class numbers `(n,)`; path of a folder with one folder of images for each class, or of two such
            folders `train` and `val`, or of a zip file of it; path of a CSV file with the columns file
            and label; the name of a data set of TFDS, such as "beans" or "cifar10:train[:5%]"; or the
            address of one on the Hugging Face Hub, "hf-dataset://org/name".
        out: path of the preset's folder to make.
        data_dir: TFDS's data directory.
        replicas: optional int, the number of devices to train on; None takes every GPU.
        strategy: "auto", "one" or "mirrored", see `engine.make_strategy`.
        overwrite: bool, whether `out` may replace a preset.
        **options: fields of `finetuning.Options`, such as epochs=30.

    Returns:
        A dict: "preset", "base", "classes", "n", the number of held-out images, "accuracy" and
        "balanced_accuracy" (the mean over the classes) of the saved network on them, "epochs",
        "image_size", "phases" (what each did), "limits" (what limits the result), "hints" (what to try
        next), "notes" (on how the data were read), "parameters", "out", "range_test" and "trials" (how
        the learning rate was chosen, else empty), "temperature" (of the probabilities, chosen by the held-out
        images if there are 50 or more, else None), and "test" ("n" and "accuracy") for data with a test part.

    Raises:
        InputError: for a preset, folder, image or option that cannot be used; nothing is written
            then.
        engine.Stopped: after SIGTERM or Ctrl-C, once the state has been saved.
    """
    checks.check_names(options, Options.__dataclass_fields__, "finetune")
    options = Options(**options)
    out = check_target(out, overwrite=overwrite)
    _check_apart(data, out)
    run = Finetuning(preset, data, out, data_dir, options)
    checks.one_of("--strategy", strategy, KINDS)
    devices = engine.make_strategy(replicas, kind=strategy)
    with files.locked(run.partial):
        try:
            model, states = run.train(devices)
        except Exception:
            if not any(f.exists() for f in (run.choices_folder, *run.folders.values())):
                shutil.rmtree(run.partial, ignore_errors=True)  # there is nothing to resume
            raise
        return write_result(run, model, states, overwrite)


def _check_apart(source, out):
    """Raises `InputError` for a preset within its own data, where it would become a class."""
    if not is_path(source) or is_address(source):
        return
    folder = checks.readable("the data", source).resolve()
    if folder.is_dir() and out.is_relative_to(folder):
        raise checks.InputError(
            f"Expected a folder for the preset outside of the data in {source}. Received: {out}. "
            "Choose another folder."
        )


class Finetuning:
    """One fine-tuning, from its arguments to its preset."""

    def __init__(self, preset, source, out, data_dir, options):
        self.preset, self.out, self.options = preset, out, options
        folder, base = resolve(preset)
        if base is not None and base.task == TEXT:
            raise checks.InputError(
                f"Expected a classifier to fine-tune. {preset} is a language model. Start from an "
                "image preset, such as highway_bn_cifar10."
            )
        self.base = base.name if base is not None else folder.name
        self.source = str(source) if is_path(source) else None
        parts = data.load_parts(
            source,
            options.held_out,
            options.seed,
            data_dir,
            chooses=options.chooses_on_held,
            skip_broken=options.skip_broken,
        )
        check_held(options, len(parts.held))
        self.examples, self.parts = parts.examples, (parts.train, parts.held)
        self.test, self.divided = parts.test, parts.divided
        self.phases: list[Phase] = []
        self.partial = out.with_name(out.name + ".partial")
        self.identity = {
            **options.to_dict(),
            "base": self.base,
            "base_weights": _hash_weights(folder),
            "data": fingerprint(self.examples, self.parts),
            **({} if self.test is None else {"test_data": fingerprint(self.test, ())}),
        }
        self.folders = {p.name: self.partial / p.name for p in list_phases(options)}
        self.choices_folder = self.partial / "choices"

    def _load(self):
        names = self.examples.names
        return from_preset(self.preset, labels=names, dtype=self.options.precision)

    def train(self, strategy):
        """Runs every phase; returns the trained model and the state of each phase."""
        options = self.options
        claim_folder(self.partial, (self.choices_folder, *self.folders.values()), self.identity)
        keras.utils.set_random_seed(options.seed)
        probe = self._load()
        if probe.backbone.normalization == "folded":
            raise checks.InputError(
                f"Expected a network to train. {self.preset} has been folded for prediction and has no "
                "normalization. Start from the preset that it was folded from."
            )
        self.examples = as_bytes(self.examples, probe.backbone.image_shape[-1])
        if options.stages is not None:
            checks.whole("stages", options.stages, least=1, most=len(probe.backbone.stages))
        # The preset, and at the start two checkpoints: better now than after the training.
        bytes_per_weight = 5 if any(f.exists() for f in self.folders.values()) else 20
        files.check_room(self.out, 2**20 + bytes_per_weight * probe.count_params())
        self.converter = probe.preprocessor.image_converter
        self.images = open_images(
            self.examples, self.parts, self.converter, options.augmentation, self.partial
        )
        self.held = data.Examples(
            self.images.held,
            self.examples.labels[self.parts[1]],
            self.examples.names,
            "held out",
        )
        self.choices = Choices(self.choices_folder, options, self.identity)
        states: dict[str, dict[str, Any]] = {}
        weights = None
        self.best = engine.BestEpoch(self.partial / "best.npz", _rank, options.patience)
        for phase in list_phases(options):
            phase = self._choose_rate(phase, weights, states, strategy)
            try:
                model, states[phase.name] = engine.train(
                    self._make_job(phase, weights, states, strategy), strategy
                )
            except engine.NonFiniteLossError as error:
                shutil.rmtree(self.partial, ignore_errors=True)  # there is nothing to resume
                raise checks.InputError(
                    f"Expected the loss to stay finite. It did not in the phase {phase.name!r}, "
                    f"with a learning rate of {phase.learning_rate}. Lower it. ({error})"
                ) from error
            weights = [keras.ops.convert_to_numpy(w) for w in model.weights]
        if options.patience is not None:
            self.best.load(model.weights)
        return model, states

    def _choose_rate(self, phase, weights, states, strategy):
        """The phase with its learning rate, which may depend on the phase before and on trials."""
        if phase.learning_rate is None:
            accuracy = states["head"]["accuracy"]
            phase = dataclasses.replace(phase, learning_rate=choose_learning_rate(accuracy))
        if self.options.chooses_rate and phase.name == list(self.folders)[-1]:
            job = self._make_job(phase, weights, states, strategy)
            rate = self.choices.choose_rate(job, strategy, self.images.make_stream)
            phase = dataclasses.replace(phase, learning_rate=rate)
        self.phases.append(phase)
        return phase

    def _make_job(self, phase, weights, states, strategy):
        options, count = self.options, len(self.parts[0])
        size = max(self.converter.image_size or (32,))
        recipe = make_recipe(
            phase,
            options,
            base=self.base,
            count=count,
            parts=engine.count_replicas(strategy) * (2 if options.mixup else 1),
            augmentation=self.images.augmentation,
            size=size,
        )
        steps_per_epoch = max(1, count // recipe.batch_size)
        done = sum(state["epochs"] for state in states.values())
        previous: dict[str, Any] = next(reversed(states.values()), {})

        def build():
            model = self._load()
            for weight, value in zip(model.weights, weights or ()):
                weight.assign(value)
            freeze(model, whole=phase.whole, stages=options.stages)
            return model

        def after_epoch(model, optimizer, figures, state):
            state["epochs"], state["accuracy"] = figures["epoch"], figures["accuracy"]
            if options.patience is not None:
                self.best.update(model.weights, figures, state, done + figures["epoch"])

        # The best epoch counts over all phases, the patience within one.
        initial: dict[str, Any] = {k: previous[k] for k in ("best", "best_epoch") if k in previous}
        return engine.Job(
            recipe=recipe,
            build=build,
            stream=self.images.make_stream(recipe, steps_per_epoch),
            steps_per_epoch=steps_per_epoch,
            workdir=self.folders[phase.name],
            preprocess=self.images.preprocess,
            class_weights=self._class_weights(),
            rate_factors=self._rate_factors if options.layer_decay != 1 else None,
            evaluate=self._evaluate,
            after_epoch=after_epoch,
            identity=self.identity,
            initial_state={**initial, "epochs": 0},
            title=phase.name,
        )

    def _class_weights(self):
        if not self.options.balance:
            return None
        labels, classes = self.examples.labels[self.parts[0]], len(self.examples.names)
        counts = np.maximum(1, np.bincount(labels, minlength=classes))
        return (len(labels) / classes / counts).tolist()

    def _rate_factors(self, model):
        return layer_factors(model, self.options.layer_decay)

    def _evaluate(self, model):
        """Loss and accuracy on the held-out images."""
        scores = evaluation.predict(model, self.held.images).astype("float64")
        shifted = scores - scores.max(-1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
        right = log_p[np.arange(len(scores)), self.held.labels]
        return {
            "val_loss": float(-right.mean()),
            "val_accuracy": evaluation.accuracy(scores, self.held.labels),
        }


def _rank(figures):
    """Held-out accuracy, then held-out loss; smaller is better."""
    return -figures["val_accuracy"], figures["val_loss"]


def _hash_weights(folder):
    """A hash of a base's weights and configuration, which must be the same on resume."""
    found = [folder]
    if folder.is_dir():
        kinds = (".json", ".h5", ".safetensors")  # any library's; the record has dates and scores
        found = sorted(p for p in folder.iterdir() if p.name.endswith(kinds))
        found = [p for p in found if p.name not in (layout.RECORD, "metadata.json")]
    hashes = [f"{p.name} {files.fingerprint(p)['sha256']}" for p in found if p.is_file()]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()
