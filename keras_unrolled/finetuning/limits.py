"""What limits the result of a fine-tuning, in sentences that each state their figure."""

import numpy as np

from keras_unrolled import checks

SMALL_SIZE = 64  # pixels, up to which a network is one for small pictures
RATIO = 2  # between the sizes of picture and network, from which the difference may matter
FEW = 20  # training images of a class, below which it is named
GAP = 0.15  # between training and held-out accuracy, from which more regularization may help
FITTED = 0.8  # training accuracy, below which the network does not fit its own images
PAIRS = 3  # pairs of classes that are named
MOST_NAMED = 5  # classes that are named as small


def describe_limits(*, size, picture_size, counts, history, options, held, answers) -> list[str]:
    """Sentences about what limits a result; none where the figures show nothing.

    Args:
        size: int, side in pixels at which the network sees the pictures, or None.
        picture_size: int, median of the shorter sides of some of the pictures.
        counts: int array `(classes,)`, training images of each class.
        history: rows of `report.read_history`.
        options: `Options`.
        held: `Examples` that were held out; only their labels and names are used.
        answers: int array `(n,)`, the class that the network gives each of them.
    """
    return [
        *describe_size(size, picture_size),
        *describe_counts(counts, held.names),
        *describe_fit(history[-1], options),
        *describe_confusions(held.labels, answers, held.names),
    ]


def describe_size(size, picture_size):
    """A sentence on pictures that are much larger or smaller than what the network sees."""
    if size is None:
        return []
    if picture_size > RATIO * size:
        text = (
            f"The network sees these pictures at {size} x {size} pixels; their shorter side has "
            f"about {picture_size}, so that details are lost."
        )
        if size <= SMALL_SIZE:
            text += (
                " For photographs start from an ImageNet preset, such as highway_bn_imagenet, or "
                "from hf://timm/resnet18.a1_in1k."
            )
        return [text]
    if RATIO * picture_size < size:
        text = f"The pictures have about {picture_size} pixels and are enlarged to {size}."
        if size > SMALL_SIZE:
            text += (
                " For small pictures the networks of 32 pixels, such as highway_bn_cifar10, are "
                "faster."
            )
        return [text]
    return []


def describe_counts(counts, names):
    """A sentence on classes with few training images."""
    few = [i for i in np.argsort(counts, kind="stable") if counts[i] < FEW]
    if not few:
        return []
    named = ", ".join(f"{names[i]} ({counts[i]})" for i in few[:MOST_NAMED])
    more = f" and {len(few) - MOST_NAMED} more" if len(few) > MOST_NAMED else ""
    return [
        f"Few training images: {named}{more}; the median of the classes is "
        f"{np.median(counts):g}. Add some to these classes."
    ]


def describe_fit(last, options):
    """A sentence on training accuracy against held-out accuracy, of the last epoch's row.

    Mixed images have no single right answer, so that their accuracy shows nothing.
    """
    if options.mixup:
        return []
    train, held = last["accuracy"], last["val_accuracy"]
    figures = f"{train:.1%} of the training images are right, and {held:.1%} of those held out"
    if train - held > GAP:
        return [
            f"It overfits: {figures}. Try more pictures, --mixup 0.2, --label-smoothing 0.1 or "
            "--layer-decay 0.7."
        ]
    if train < FITTED:
        remedy = (
            "Train more of the network"
            if options.head_only or options.stages
            else "Try more epochs"
        )
        return [f"It underfits: only {figures}. {remedy}, or start from a larger network."]
    return []


def describe_confusions(labels, answers, names):
    """A sentence on the classes that are taken for another most often, with their share of errors."""
    labels, answers = np.asarray(labels), np.asarray(answers)
    wrong = np.zeros((len(names), len(names)), int)
    np.add.at(wrong, (labels, answers), 1)
    np.fill_diagonal(wrong, 0)
    total = int(wrong.sum())
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    pairs = [np.unravel_index(place, wrong.shape) for place in order]
    pairs = [pair for pair in pairs if wrong[pair] > 1]
    if not pairs or len(names) < 3:  # of two classes there is little to say
        return []
    counts = np.bincount(labels, minlength=len(names))
    named = "; ".join(f"{names[i]} as {names[j]} ({wrong[i, j]} of {counts[i]})" for i, j in pairs)
    share = sum(wrong[pair] for pair in pairs) / total
    return [
        f"Most confused: {named}. That is {share:.0%} of {checks.count(total, 'error')}. Look at their "
        "pictures and labels."
    ]
