"""The language model compared with a straightforward one made of Keras's own layers."""

import keras
import numpy as np
import tensorflow as tf

from benchmarks.peers import character_lm
from keras_unrolled import data, evaluation, models
from keras_unrolled.data.text_batches import TextBatches
from keras_unrolled.engine.language import StatefulLM, language_objective
from keras_unrolled.engine.optimizers import make_optimizer
from keras_unrolled.engine.tensorflow.loop import STEPS_PER_CALL
from keras_unrolled.engine.tensorflow.step import make_step
from keras_unrolled.evaluation.perplexity import AT_ONCE
from keras_unrolled.models.character_tokenizer import CharacterTokenizer
from training.recipes import ptb

STEPS = 20


def train(folder, dtype, compete, rounds):
    """Words a second of a training step by the recipe, and of `fit` on the same text."""
    recipe = ptb.RECIPES["kim"]["highway_small_ptb"]
    words = data.read_words(folder, "train")
    tokenizer = CharacterTokenizer.learn(words)
    ids = [tokenizer.numbers[word] for word in words]
    stream = TextBatches(ids, batch_size=recipe.batch_size, length=recipe.length, epochs=10_000)
    lm = models.character_lm("small", tokenizer=tokenizer, dtype=recipe.precision)
    carried = StatefulLM(lm, recipe.batch_size)
    optimizer = make_optimizer(recipe, 1)
    optimizer.build(carried.trainable_variables)
    step = make_step(
        carried,
        optimizer,
        recipe,
        tf.distribute.get_strategy(),
        objective=language_objective(recipe),
    )
    iterator = iter(stream(0))
    shape = (recipe.batch_size, recipe.length)
    peer = character_lm(
        tokenizer.num_characters(), tokenizer.vocabulary_size(), shape[1], shape[0], dtype
    )
    spelled = tokenizer.spell(tokenizer.vocabulary)
    batches = [(x.numpy(), y.numpy()) for x, y in stream(0).take(STEPS)]
    x = np.concatenate([spelled[words] for words, _ in batches])
    y = np.concatenate([targets for _, targets in batches])

    def ours():
        for _ in range(STEPS // STEPS_PER_CALL):
            step(iterator, tf.constant(STEPS_PER_CALL))[0].numpy()

    def theirs():
        peer.fit(x, y, batch_size=shape[0], shuffle=False, verbose=0)

    count = shape[0] * shape[1]
    distinct = np.mean([len(np.unique(words)) for words, _ in batches]) / count
    return [*compete(ours, theirs, STEPS * count, rounds), 6 * count_macs(lm, distinct)]


def count_macs(lm, distinct):
    """Multiply-accumulates for a word of which a share is read, that of distinct words."""
    encoder, tokenizer = lm.backbone.encoder, lm.preprocessor.tokenizer
    places = tokenizer.spell(tokenizer.vocabulary).shape[1]
    filters = zip(encoder.filter_widths, encoder.num_filters)
    read = places * encoder.character_dim * sum(width * count for width, count in filters)
    read += sum(
        w.shape[0] * w.shape[1]
        for w in encoder.weights
        if "highway" in w.path and len(w.shape) == 2
    )
    recurrent = [lstm.weights for lstm in lm.backbone.lstms]
    kernels = [
        w for group in (*recurrent, lm.next_word.weights) for w in group if len(w.shape) == 2
    ]
    return distinct * read + sum(int(np.prod(w.shape)) for w in kernels)


def evaluate(folder, against, compete, rounds):
    """Words a second of reading a text by the table of words, and of reading each where it stands.

    The other one is our network without the table ("ours"), or one of Keras's layers ("keras").
    """
    words = data.read_words(folder, "valid")
    tokenizer = CharacterTokenizer.learn(data.read_words(folder, "train"))
    lm = models.character_lm("small", tokenizer=tokenizer)
    batch, steps = 100, 50
    length = AT_ONCE // batch  # as `evaluation.perplexity` reads
    count = steps * batch * length
    ids, targets = (
        np.array([tokenizer.numbers[w] for w in words[at : count + at]], "int32") for at in (0, 1)
    )
    pieces = list(zip(*(x.reshape(steps, batch, length) for x in (ids, targets))))
    table, spelled = tf.constant(lm.read_vocabulary()), tokenizer.spell(tokenizer.vocabulary)
    state = lm.backbone.start(batch)

    def score(vectors, targets, state, projected=False):
        hidden, state = lm.backbone.recur(vectors, state, training=False, projected=projected)
        losses = evaluation.word_losses(lm.score(hidden, training=False), targets)
        return tf.reduce_sum(losses), state

    looked_up = tf.function(lambda i, y, state: score(tf.gather(table, i), y, state, True))
    read = tf.function(
        lambda i, y, state: score(lm.backbone.read(tf.gather(spelled, i), training=False), y, state)
    )
    peer = character_lm(
        tokenizer.num_characters(), tokenizer.vocabulary_size(), length, batch, "float32"
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
    stock = tf.function(
        lambda i, y, state: (loss(y, peer(tf.gather(spelled, i), training=False)), state),
        jit_compile=False,
    )

    def run(step):
        carried = state
        for i, y in pieces:
            total, carried = step(tf.constant(i), tf.constant(y), carried)
        return total.numpy()

    other = {"ours": read, "keras": stock}[against]
    return compete(lambda: run(looked_up), lambda: run(other), count, rounds)
