"""What a fine-tuning chooses before it trains: kept, so that a resumed run chooses the same."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_unrolled import files
from keras_unrolled.engine import checkpoint
from keras_unrolled.finetuning.options import Options
from keras_unrolled.finetuning.range_test import run_range_test
from keras_unrolled.finetuning.trials import run_trials

FILE = "choices.json"


class Choices:
    """The choices of a run, in a file of its folder.

    Args:
        folder: path of the choices' folder, which also holds the short runs that they are made by.
        options: `Options`.
        identity: JSON-able dict of what must be the same on resume.

    Raises:
        InputError: if the folder has choices of a run with another identity.
    """

    def __init__(self, folder: Path, options: Options, identity: dict[str, Any]):
        self.folder, self.options = folder, options
        self.identity = json.loads(json.dumps(identity))
        self.values: dict[str, Any] = {}
        self.range_test: dict[str, Any] = {}
        self.trials: dict[str, Any] = {}
        if (folder / FILE).is_file():
            saved = files.read_json(folder / FILE)
            checkpoint.check_same(folder.parent, saved["identity"], self.identity)
            self.values = saved["values"]

    def _get(self, name: str, make: Callable[[Path], Any]) -> Any:
        """A choice: as it was made before, or by `make`.

        Args:
            name: string.
            make: function of a folder for a short run that returns JSON-able data. What it leaves in
                the folder is removed when the data are kept.
        """
        if name not in self.values:
            self._save()  # before the short runs, so that nobody else takes them for theirs
            self.values[name] = json.loads(json.dumps(make(self.folder / name)))
            self._save()
            shutil.rmtree(self.folder / name, ignore_errors=True)
        return self.values[name]

    def _save(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"identity": self.identity, "values": self.values}, indent=1)
        files.write_text(self.folder / FILE, text)

    def choose_rate(self, job, strategy, make_stream) -> float:
        """The learning rate of the last phase: by a range test, by trials, or by both.

        Args:
            job: the `Job` of the phase, with the rate that it has otherwise.
            strategy: what `engine.make_strategy` returned.
            make_stream: function of (recipe, steps_per_epoch) that returns a stream.
        """
        rate, common = job.recipe.learning_rate, (strategy, make_stream)
        if self.options.find_lr:
            self.range_test = self._get("range", lambda place: run_range_test(job, place, *common))
            rate = self.range_test["learning_rate"] or rate
        if self.options.tries is not None:
            job.recipe = dataclasses.replace(job.recipe, learning_rate=rate)
            self.trials = self._get(
                "trials", lambda place: run_trials(job, place, *common, self.options)
            )
            rate = next((t["learning_rate"] for t in self.trials["trials"] if t["chosen"]), rate)
        return rate

    def describe(self, *, empty: bool = True) -> dict[str, Any]:
        """The choices for a result or record: "range_test" without its curve, and "trials".

        Args:
            empty: bool, whether an entry without content stays.
        """
        test = {key: value for key, value in self.range_test.items() if key != "curve"}
        made = {"range_test": test, "trials": self.trials.get("trials", [])}
        return {key: value for key, value in made.items() if value or empty}

    def list_notes(self) -> list[str]:
        """Sentences on choices that could not be made."""
        notes = [self.trials["note"]] if self.trials.get("note") else []
        if self.range_test and self.range_test["learning_rate"] is None:
            notes.append("the range test shows no learning rate, so that the usual one was used")
        return notes
