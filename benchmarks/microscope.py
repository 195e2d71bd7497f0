"""Measurements on schedules compared with one rebuilt network for each schedule."""

import time

import keras
import numpy as np

from keras_unrolled import analysis, models


def rebuilt(model, schedules, images):
    """Scores of every schedule, each by a network of its own."""
    return [
        schedule.build().predict(images, batch_size=250, verbose=0)
        for schedule in schedules.values()
    ]


def make_schedules(stack):
    """Lesions, repeats and swaps of what a network of this package can compute: all of its blocks
    but the transition blocks."""
    intact = stack.schedule()
    schedules: dict[str, analysis.Schedule] = {}
    for stage in stack.movable:
        schedules |= {f"lesion {name}": intact.lesion(name) for name in stage}
        schedules |= {f"repeat {name}": intact.repeat(name, 2) for name in stage}
        for i, a in enumerate(stage):
            schedules |= {f"swap {a} {b}": intact.swap(a, b) for b in stage[i + 1 :]}
    return schedules


def measure(rounds, count=500):
    """Schedules of ResNet-20: schedules times images a second, and the peer's.

    Both begin from a model in memory, so that building and compiling count in every round.
    """
    model = models.resnet(20, dataset="cifar", num_classes=10)
    model.preprocessor = None
    images = np.random.default_rng(0).normal(size=(count, 32, 32, 3)).astype("float32")
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        began = time.perf_counter()
        stack = analysis.as_stack(model)
        schedules = make_schedules(stack)
        analysis.run_schedules(stack, images, schedules)
        between = time.perf_counter()
        rebuilt(model, {"intact": stack.schedule(), **schedules}, images)
        seconds[0].append(between - began)
        seconds[1].append(time.perf_counter() - between)
        keras.backend.clear_session(free_memory=False)
    total = count * (len(schedules) + 1)
    return [total / float(np.median(taken)) for taken in seconds]
