"""Blocks in another order, repeated, or side by side."""

import itertools
import math

import numpy as np

from keras_unrolled import checks
from keras_unrolled.analysis.planning import Plan, run_plans
from keras_unrolled.analysis.stack import as_stack


def shuffle(model, images, labels=None, *, orders=24, seed=0, recalibrate=None, progress=None):
    """Scores with the blocks of a stage in other orders (Veit et al. 2016).

    Every swap of two blocks of one shape, and all orders of a stage's blocks, or as many as `orders`
    drawn at random. What the damage is set against is the number of pairs of the stage's blocks whose
    order is reversed ("discordant"): a swap of neighbors has one, of distant blocks more.

    Args:
        model: what `as_stack` takes, with a head.
        images: as `Samples` takes them.
        labels: optional int array `(n,)`.
        orders: int, orders of each stage besides the swaps, at most.
        seed: int, of the orders that are drawn.
        recalibrate: optional images; True takes `images`. See `run_schedules`.
        progress: optional string, the title of a progress bar.

    Returns:
        A `Table` with columns "stage", 0 for the network as it is; "kind", "none", "swap" or "order";
        "order", the blocks' numbers within the stage as they are run; "discordant", reversed pairs;
        "tau", Kendall's, 1 for the order as it is; "recalibrated"; and the scores of `run_schedules`.

    Raises:
        InputError: if no stage has two blocks of one shape; as `run_schedules`.

    Example:
        >>> import keras_unrolled as ku
        >>> model = ku.models.highway(14, dataset="cifar", stem_filters=4, width_multiplier=0.25)
        >>> images = ku.data.load_sample().images[:8]
        >>> table = ku.analysis.shuffle(model, images)
        >>> table["order"], table["discordant"]
        (['', '2-1'], [0, 1])
    """
    stack = as_stack(model)
    plan = plan_shuffle(stack, orders=orders, seed=seed)
    return _run(stack, images, labels, plan, recalibrate, progress)


def plan_shuffle(stack, *, orders=24, seed=0):
    """The `Plan` of `shuffle`, of a `BlockStack`."""
    checks.whole("orders", orders, least=0, most=10_000)
    rng, schedules = np.random.default_rng(seed), {}
    for number, names in enumerate(stack.movable, start=1):
        count = len(names)
        first = stack.stages[number - 1].index(names[0]) if names else 0
        found = {}
        for a, b in itertools.combinations(range(count), 2):
            order = list(range(count))
            order[a], order[b] = order[b], order[a]
            found[tuple(order)] = "swap"
        for order in _orders(count, orders, rng):
            found.setdefault(order, "order")
        for order, kind in found.items():
            shown = [*range(1, first + 1), *(first + 1 + i for i in order)]
            reversed_pairs = sum(a > b for a, b in itertools.combinations(order, 2))
            pairs = math.comb(len(shown), 2)
            key = (number, kind, "-".join(map(str, shown)), reversed_pairs)
            schedules[(*key, 1 - 2 * reversed_pairs / pairs)] = stack.schedule().order(
                [names[i] for i in order]
            )
    if not schedules:
        raise checks.InputError(
            "Expected a stage with two blocks of one shape, to change their order. Found none in this "
            "network. Take a deeper one."
        )
    columns = ("stage", "kind", "order", "discordant", "tau")
    return Plan("shuffle", columns, (0, "none", "", 0, 1.0), schedules)


def _orders(count, most, rng):
    """Orders of `count` things other than the first, all or as many as `most` at random."""
    if math.factorial(min(count, 12)) - 1 <= most:
        yield from list(itertools.permutations(range(count)))[1:]
    else:
        for _ in range(most):
            order = tuple(rng.permutation(count).tolist())
            if order != tuple(range(count)):
                yield order


def repeat(model, images, labels=None, *, times=(2, 3), recalibrate=None, progress=None):
    """Scores with a block run several times in a row, as if it estimated further.

    Args:
        model: what `as_stack` takes, with a head.
        images: as `Samples` takes them.
        labels: optional int array `(n,)`.
        times: sequence of int, how often each block of one shape is run; 2 or more.
        recalibrate: optional images; True takes `images`. See `run_schedules`.
        progress: optional string, the title of a progress bar.

    Returns:
        A `Table` with columns "block", "none" for the network as it is; "times"; "recalibrated"; and
        the scores of `run_schedules`.

    Raises:
        InputError: as `Schedule.repeat` and `run_schedules`.

    Example:
        >>> import keras_unrolled as ku
        >>> model = ku.models.highway(14, dataset="cifar", width_multiplier=0.25)
        >>> images = ku.data.load_sample().images[:8]
        >>> ku.analysis.repeat(model, images, times=(2,))["times"]
        [1, 2, 2, 2]
    """
    stack = as_stack(model)
    plan = plan_repeat(stack, times=times)
    return _run(stack, images, labels, plan, recalibrate, progress)


def plan_repeat(stack, *, times=(2, 3)):
    """The `Plan` of `repeat`, of a `BlockStack`."""
    times = _check_counts("times", times, least=2, most=1000)
    schedules = {
        (name, count): stack.schedule().repeat(name, count)
        for names in stack.movable
        for name in names
        for count in times
    }
    return Plan("repeat", ("block", "times"), ("none", 1), schedules)


def parallel(model, images, labels=None, *, recalibrate=None, progress=None):
    """Scores with neighboring blocks of a stage side by side: they read the same input.

    Their changes to it are added. A network whose blocks each read what the one before wrote suffers
    from it more than one whose blocks add to an estimate independently of each other.

    Args:
        model: what `as_stack` takes, with a head.
        images: as `Samples` takes them.
        labels: optional int array `(n,)`.
        recalibrate: optional images; True takes `images`. See `run_schedules`.
        progress: optional string, the title of a progress bar.

    Returns:
        A `Table` with columns "stage"; "blocks", names joined by "+", pairs and whole stages;
        "recalibrated"; and the scores of `run_schedules`.

    Raises:
        InputError: as `run_schedules`.

    Example:
        >>> import keras_unrolled as ku
        >>> model = ku.models.highway(14, dataset="cifar", stem_filters=4, width_multiplier=0.25)
        >>> images = ku.data.load_sample().images[:8]
        >>> ku.analysis.parallel(model, images)["blocks"]
        ['none', 'stage1_block1+stage1_block2']
    """
    stack = as_stack(model)
    return _run(stack, images, labels, plan_parallel(stack), recalibrate, progress)


def plan_parallel(stack):
    """The `Plan` of `parallel`, of a `BlockStack`."""
    schedules = {}
    for number, names in enumerate(stack.movable, start=1):
        groups = [*itertools.pairwise(names), *([tuple(names)] if len(names) > 2 else [])]
        for group in groups:
            schedules[number, "+".join(group)] = stack.schedule().parallel(group)
    return Plan("parallel", ("stage", "blocks"), (0, "none"), schedules)


def layer_dropout_curve(
    model, images, labels=None, *, counts=None, draws=5, seed=0, recalibrate=None, progress=None
):
    """Scores with more and more blocks left out at random (Veit et al. 2016).

    Huang et al. 2016 leave blocks out at random in training, see `LayerDropout`; here it is done to a
    trained network.

    Args:
        model: what `as_stack` takes, with a head.
        images: as `Samples` takes them.
        labels: optional int array `(n,)`.
        counts: optional sequence of int, how many blocks are left out; the default is 1 to 5, or half
            of those that can be.
        draws: int, different sets of blocks of each count, drawn at random.
        seed: int, of the draws.
        recalibrate: optional images; True takes `images`. See `run_schedules`.
        progress: optional string, the title of a progress bar.

    Returns:
        A `Table` with columns "count"; "blocks", names joined by "+"; "recalibrated"; and the scores
        of `run_schedules`.

    Raises:
        InputError: for more blocks than can be left out; as `run_schedules`.

    Example:
        >>> import keras_unrolled as ku
        >>> model = ku.models.highway(14, dataset="cifar", width_multiplier=0.25)
        >>> images = ku.data.load_sample().images[:8]
        >>> table = ku.analysis.layer_dropout_curve(model, images, counts=(1, 2), draws=2)
        >>> table["count"]
        [0, 1, 1, 2, 2]
    """
    stack = as_stack(model)
    plan = plan_layer_dropout_curve(stack, counts=counts, draws=draws, seed=seed)
    return _run(stack, images, labels, plan, recalibrate, progress)


def plan_layer_dropout_curve(stack, *, counts=None, draws=5, seed=0):
    """The `Plan` of `layer_dropout_curve`, of a `BlockStack`."""
    names, rng = stack.removable, np.random.default_rng(seed)
    counts = counts if counts is not None else range(1, min(5, len(names) // 2) + 1)
    schedules = {}
    for count in _check_counts("counts", counts, least=1, most=max(1, len(names))):
        for _ in range(draws):
            chosen = sorted(rng.choice(len(names), count, replace=False).tolist())
            schedule = stack.schedule()
            for i in chosen:
                schedule = schedule.lesion(names[i])
            schedules[count, "+".join(names[i] for i in chosen)] = schedule
    return Plan("layer_dropout_curve", ("count", "blocks"), (0, "none"), schedules)


def _check_counts(argument, counts, *, least, most):
    """Returns a list of whole numbers of one or more, else raises `InputError`."""
    counts = [counts] if not hasattr(counts, "__iter__") else list(counts)
    return [checks.whole(f"each of `{argument}`", c, least=least, most=most) for c in counts]


def _run(stack, images, labels, plan, recalibrate, progress):
    """The table of one plan."""
    data = (images, labels)
    return run_plans(stack, data, [plan], recalibrate=recalibrate, progress=progress)[plan.name]
