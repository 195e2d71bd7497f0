"""Schedules run on data: one walk over the tree of their common beginnings."""

import functools
import math

import keras
import numpy as np

from keras_unrolled import checks
from keras_unrolled import progress as bars
from keras_unrolled.analysis.compiled import Runner
from keras_unrolled.analysis.samples import Samples
from keras_unrolled.analysis.schedule import Schedule
from keras_unrolled.analysis.stack import as_stack, require_head
from keras_unrolled.analysis.table import Table
from keras_unrolled.evaluation.comparison import paired_interval

SCORES = ("n", "accuracy", "loss", "kl", "agreement", "low", "high", "difference")
INTACT = "intact"


def run_schedules(
    stack, data, schedules, *, recalibrate=None, seed=0, batch_size=None, progress=None
):
    """Scores of a network with its blocks in other schedules, next to the intact one's.

    The schedules share their common beginnings: each batch goes once through every branch of the
    tree of steps. Only blocks are compiled, each configuration once.

    Args:
        stack: a `BlockStack` or a model that `as_stack` takes, with a head.
        data: images, or a pair `(images, labels)`, as `Samples` takes them. Without labels only what
            needs none is measured.
        schedules: dict from a name to a `Schedule` of this stack.
        recalibrate: optional images. With them every schedule is scored once more, with the batch
            statistics of these images under that schedule in place of the network's.
        seed: int, of the order in which images are taken into batches of `recalibrate`.
        batch_size: optional int; the default is what memory allows, 250 at most.
        progress: optional string, the title of a progress bar.

    Returns:
        A `Table` with a row for each schedule, the first one "intact", and again for each if
        recalibrated. Columns: "schedule"; "recalibrated"; "n", images; "accuracy"; "loss", mean
        cross-entropy in nats; "kl", mean Kullback-Leibler divergence from the intact network's
        probabilities in nats; "agreement", the share of images that get the intact network's answer;
        "low" and "high", the intact network's accuracy plus the 95% interval of the change (paired,
        Newcombe 1998, method 10); "difference", the change. A recalibrated row is compared with the
        intact network that is recalibrated, too, and that one with the network as it is.

    Raises:
        InputError: for a stack without a head, schedules of another stack, and data that do not fit.

    Example:
        >>> import keras_unrolled as ku
        >>> model = ku.models.highway(14, dataset="cifar", width_multiplier=0.25)
        >>> images = ku.data.load_sample().images[:8]
        >>> stack = ku.analysis.as_stack(model)
        >>> without = stack.schedule().lesion("stage1_block2")
        >>> ku.analysis.run_schedules(stack, images, {"without": without})["schedule"]
        ['intact', 'without']
    """
    stack = require_head(as_stack(stack))
    images, labels = split_pair(data)
    if recalibrate is False:
        recalibrate = None
    if batch_size is not None:
        checks.whole("batch_size", batch_size, least=1, most=100_000)
    _check_schedules(stack, schedules)
    samples, runner = Samples(stack, images, labels), Runner(stack)
    schedules = {INTACT: stack.schedule(), **schedules}
    tree = _Node()
    for name, schedule in schedules.items():
        tree.add(schedule.steps, name)
    size = batch_size or samples.batch_size(lambda x: count_bytes(stack, runner, x, False))
    turns = [False]
    if recalibrate is not None:
        turns.append(True)
        if isinstance(recalibrate, (bool, int, float)):
            raise checks.InputError(
                "Expected `recalibrate` to be images, or None. Received: "
                f"recalibrate={recalibrate!r}. Pass some hundred training images."
            )
        _recalibrate(stack, runner, tree, Samples(stack, recalibrate), size, seed, progress)
    rows = {(name, turn): Score(samples.labels is not None) for turn in turns for name in schedules}
    for x, y in samples.batches(size, progress):
        base = None
        for turn in turns:
            start = runner(stack.stem, x, statistics=tree.statistics.get("stem") if turn else None)
            answers = {
                name: log_probabilities(stack, scores)
                for name, scores in _walk(stack, runner, tree, start, turn)
            }
            # The recalibrated network itself is compared with the network as it is.
            rows[INTACT, turn].add(answers[INTACT], answers[INTACT] if base is None else base, y)
            base = answers.pop(INTACT)
            for name, answer in answers.items():
                rows[name, turn].add(answer, base, y)
    scores = {key: row.row() for key, row in rows.items()}
    first = scores[INTACT, False]  # which is compared with itself
    first |= {"low": first["accuracy"], "high": first["accuracy"]}
    return Table(
        [{"schedule": name, "recalibrated": turn, **row} for (name, turn), row in scores.items()]
    )


def split_pair(data):
    """Images and labels of a pair of both, or of images alone."""
    if not isinstance(data, tuple):
        return data, None
    if len(data) != 2:
        raise checks.InputError(
            f"Expected images, or a pair of images and labels. Received a tuple of {len(data)}. Write "
            "(images, labels)."
        )
    return data


def _check_schedules(stack, schedules):
    if not isinstance(schedules, dict) or not all(
        isinstance(s, Schedule) for s in schedules.values()
    ):
        raise checks.InputError(
            "Expected a dict from a name to a schedule. Received: "
            f'{schedules!r:.80}. Write {{"without 1.2": stack.schedule().lesion("stage1_block2")}}.'
        )
    if INTACT in schedules:
        raise checks.InputError(
            f"Expected other names than {INTACT!r}, which the network as it is has. Rename that schedule."
        )
    for name, schedule in schedules.items():
        if schedule.stack is not stack:
            raise checks.InputError(
                f"Expected schedules of this stack. {name!r} is of another. Make them from "
                "stack.schedule()."
            )


class _Node:
    """A step of one or more schedules, and what may follow it.

    Attributes:
        children: dict from a `Step` to a node.
        ends: names of the schedules that end here.
        statistics: dict from a block's index, "stem" or "head" to the batch statistics here.
    """

    def __init__(self):
        self.children, self.ends, self.statistics = {}, [], {}

    def add(self, steps, name):
        node = self
        for step in steps:
            node = node.children.setdefault(step, _Node())
        node.ends.append(name)


def run_step(stack, step, x, call):
    """A step's output; `call(index, piece, x, method)` runs a block."""
    if len(step.blocks) == 1:
        (index,) = step.blocks
        return call(index, stack.blocks[index], x, step.how)
    # Blocks that read the same input: the change that each of them makes is added to it.
    changes = []
    for index in step.blocks:
        parts = call(index, stack.blocks[index], x, "parts")
        changes.append(parts["mix"] - parts.get("shortcut", x))
    return stack.blocks[index].leave(x + sum(changes))


def _walk(stack, runner, node, x, recalibrated):
    """Yields the name and the scores of every schedule below a node, depth first."""
    if node.ends:
        statistics = node.statistics.get("head") if recalibrated else None
        scores = runner(stack.head, x, statistics=statistics)
        for name in node.ends:
            yield name, scores
    for step, child in node.children.items():

        def call(index, piece, x, method, known=child.statistics if recalibrated else {}):
            return runner(piece, x, method, known.get(index))

        yield from _walk(stack, runner, child, run_step(stack, step, x, call), recalibrated)


def _recalibrate(stack, runner, tree, samples, size, seed, progress):
    """Gives every node the mean batch statistics of some images under its schedule."""
    sums: dict = {}
    count = 0

    def collect(node, place, piece, x, method="run"):
        y, new = runner.collect(piece, x, method)
        new = [np.asarray(keras.ops.convert_to_numpy(v), "float64") for v in new]
        if new:
            old = sums.setdefault((node, place), [0.0] * len(new))
            sums[node, place] = [a + b for a, b in zip(old, new)]
        return y

    def visit(node, x):
        if node.ends:
            collect(node, "head", stack.head, x)
        for step, child in node.children.items():
            visit(child, run_step(stack, step, x, functools.partial(collect, child)))

    order = np.random.default_rng(seed).permutation(len(samples))
    for x, _ in samples.batches(size, bars.title(progress, "statistics"), order):
        count += 1
        visit(tree, collect(tree, "stem", stack.stem, x))
    for (node, place), values in sums.items():
        node.statistics[place] = [
            keras.ops.convert_to_tensor((v / count).astype("float32")) for v in values
        ]


def log_probabilities(stack, scores):
    """The logarithms of the class probabilities, float64 `(n, classes)`."""
    scores = np.asarray(keras.ops.convert_to_numpy(scores), "float64")
    if stack.kind == "probabilities":
        return np.log(np.maximum(scores, 1e-30))
    scores = scores - scores.max(-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


def count_bytes(stack, runner, x, with_parts=True):
    """The bytes of the states of one image in all blocks, and of their parts."""
    total, y = 0, runner.shape(stack.stem, x)
    for block in stack.blocks:
        y = runner.shape(block, y)
        total += math.prod(y.shape) * 4
    return total * (1 + 5 * with_parts)


class Score:
    """What is counted of one schedule."""

    def __init__(self, has_labels):
        self.has_labels = has_labels
        self.n = self.agreed = 0
        self.kl = self.loss = 0.0
        self.right = np.zeros((2, 2), int)  # intact, this one

    def add(self, scores, intact, labels):
        self.n += len(scores)
        answers, expected = scores.argmax(-1), intact.argmax(-1)
        self.agreed += int((answers == expected).sum())
        self.kl += float((np.exp(intact) * (intact - scores)).sum())
        if self.has_labels:
            self.loss -= float(scores[np.arange(len(labels)), labels].sum())
            pairs = 2 * (expected == labels) + (answers == labels)
            self.right += np.bincount(pairs, minlength=4).reshape(2, 2)

    def row(self):
        row = dict.fromkeys(SCORES)
        row |= {"n": self.n, "kl": max(0.0, self.kl / self.n), "agreement": self.agreed / self.n}
        if self.has_labels:
            (neither, gained), (lost, both) = self.right.tolist()
            before, after = (lost + both) / self.n, (gained + both) / self.n
            low, high = paired_interval(both, gained, lost, neither)
            row |= {"accuracy": after, "loss": self.loss / self.n, "difference": after - before}
            row |= {"low": max(0.0, before + low), "high": min(1.0, before + high)}
        return row
