"""A user of a Hub, in the tests' process or in one of their own, where HF_ENDPOINT is read at import.

    python -m tests.presets.hub_client REQUEST.json

REQUEST has the arguments of `load` and "images", "out", paths. Prints the error and exits with
code 2 if the preset is rejected.
"""

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import paths
from keras_unrolled.presets import catalog, verification
from tests.conftest import ROOT

NOWHERE = "http://127.0.0.1:1"


class Client:
    """A user with a cache of their own."""

    def __init__(self, home, images, url):
        self.home, self.images, self.url = home, images, url

    def load(self, uri="hf://ada/small", *, endpoint=None, offline=False, **options):
        """The scores of the images, or the error; the time is then in `seconds`.

        `endpoint` and `offline` are what the client reads from the environment. For the other
        options see `scores_of`.
        """
        settings = {
            "ENDPOINT": endpoint or self.url,
            "HF_HUB_CACHE": str(self.home / "hf" / "hub"),
            "HF_ASSETS_CACHE": str(self.home / "hf" / "assets"),
            "HF_HUB_OFFLINE": offline,
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in settings.items():
                patch.setattr(huggingface_hub.constants, name, value)
            began = time.perf_counter()
            try:
                return self.scores_of(uri, patch, np.load(self.images), **options)
            except ku.InputError as error:
                return str(error)
            finally:
                self.seconds = time.perf_counter() - began

    def scores_of(self, uri, patch, images, changes=None, verify=False, bare=False, **keywords):
        """Loads a preset and applies it.

        Args:
            uri: string.
            patch: a `MonkeyPatch`.
            images: array.
            changes: optional dict, of the records of named presets: `{"name": {"source": ...}}`.
            verify: bool, whether the preset is verified instead, which keeps a converted copy.
            bare: bool, whether the installation has no weights.
            keywords: of `from_preset`.
        """
        named = catalog.all_presets()
        for name, change in (changes or {}).items():
            change = {k: tuple(v) if isinstance(v, list) else v for k, v in change.items()}
            patch.setitem(named, name, dataclasses.replace(named[name], **change))
        if bare:
            patch.setattr(paths, "zoo", lambda: Path(os.devnull))
        if verify:
            return np.array(list(verification.verify(uri)["differences"].values()))
        self.model = ku.from_preset(uri, **keywords)
        return self.model.predict(images, verbose=0)

    def start(self, uri="hf://ada/small", *, endpoint=None, out="out", env=(), **options):
        """Starts to load in another process, for `finish` to wait for."""
        self.home.mkdir(exist_ok=True)
        request = self.home / f"{out}.json"
        files = {"images": str(self.images), "out": str(self.home / f"{out}.npy")}
        request.write_text(json.dumps({"uri": uri, **files, **options}))
        environment = {
            **os.environ,
            "HF_ENDPOINT": endpoint or self.url,
            "HF_HOME": str(self.home / "hf"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            **dict(env),
        }
        command = [sys.executable, "-m", "tests.presets.hub_client", str(request)]
        return subprocess.Popen(
            command, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True
        )

    def finish(self, process, out="out"):
        """The scores, or the error."""
        _, stderr = process.communicate()
        if process.returncode == 0:
            return np.load(self.home / f"{out}.npy")
        assert process.returncode == 2, stderr[-3000:]
        return stderr.strip().splitlines()[-1]

    def load_elsewhere(self, *arguments, **options):
        """As `load`, in another process."""
        return self.finish(self.start(*arguments, **options))


if __name__ == "__main__":
    request = json.loads(Path(sys.argv[1]).read_text())
    images, out = request.pop("images"), request.pop("out")
    with pytest.MonkeyPatch.context() as patch:
        try:
            scores = Client(Path(out).parent, images, None).scores_of(
                patch=patch, images=np.load(images), **request
            )
        except ku.InputError as error:
            print(error, file=sys.stderr)
            sys.exit(2)
    np.save(out, scores)
