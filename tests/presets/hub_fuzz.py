"""Fetches from a Hub that gives odd answers, in a process of its own: see test_hub_answers.py.

    python hub_fuzz.py FOLDER SEED COUNT

Prints JSON: how many fetches ended how, what was written outside the cache, and the slowest one.
"""

import collections
import json
import os
import pathlib
import random
import shutil
import sys
import time
import traceback

from tests import hub_faults
from tests.hub_server import running_hub

FILES = {
    "task.json": b"{}",
    "config.json": b"{ }",
    "record.json": b"{  }",
    "golden.npz": b"golden",
    "assets/tokenizer/vocabulary.json": b'{"words": []}',
    "model.weights.h5": random.Random(0).randbytes(100_000),
    "README.md": b"not a preset's",
    "other/task.json": b"nor is this",
}
WANTED = FILES.keys() - {"README.md", "other/task.json"}


def files_of(root, but):
    return {str(p) for p in root.rglob("*") if but not in (p, *p.parents)}


def fetch(hub, errors):
    """What became of one fetch."""
    try:
        folder = hub.fetch("hf://ada/small")
    except errors as error:
        return "refused", str(error)
    found = {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }
    # A listing may leave files out, but what is there is what the Hub has.
    wrong = any(FILES.get(name) != data for name, data in found.items()) or found.keys() - WANTED
    return ("wrong" if wrong else "fetched"), ""


def main(root, seed, count):
    root = pathlib.Path(root).resolve()
    cache = root / "1/2/3/4/hf/hub"
    cache.parent.mkdir(parents=True)
    ways = ["../../../evil", "../" * 6 + "evil", str(root / "evil"), "..", "a/../../../../evil"]
    ways += [f"{'../' * n}evil.json" for n in range(1, 9)]
    rng, outcomes, problems, slowest = random.Random(seed), collections.Counter(), [], ("", 0)
    with running_hub() as server:
        os.environ |= {
            "HF_ENDPOINT": server.url,
            "HF_HOME": str(cache.parent),
            "HF_HUB_DOWNLOAD_TIMEOUT": "5",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        from keras_unrolled.checks import InputError
        from keras_unrolled.presets import hub

        server.handle_error = lambda *_: None  # clients hang up
        server.add("ada/small", FILES)
        assert fetch(hub, InputError)[0] == "fetched"
        before = files_of(root, cache)
        for number in range(count):
            if rng.random() < 0.8:
                shutil.rmtree(cache)
            kind, server.fault = hub_faults.draw(rng, ways)
            began = time.perf_counter()
            try:
                outcome, text = fetch(hub, InputError)
                if outcome == "refused" and not text.isprintable():
                    problems.append(f"{number} {kind}: {text!r}")
            except Exception:
                outcome, text = "traceback", traceback.format_exc()
                problems.append(f"{number} {kind}: {text}")
            slowest = max(slowest, (kind, time.perf_counter() - began), key=lambda pair: pair[1])
            outcomes[outcome] += 1
            problems += [
                f"{number} {kind}: wrote {path}" for path in files_of(root, cache) - before
            ]
            server.fault = None
            assert fetch(hub, InputError)[0] == "fetched", kind  # nothing wrong is kept
    print(json.dumps({"outcomes": outcomes, "problems": problems, "slowest": slowest}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
