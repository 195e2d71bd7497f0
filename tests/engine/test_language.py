"""Training of the language model against plain NumPy, and what surrounds it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_unrolled import InputError, data, evaluation, models
from keras_unrolled.data.text_batches import TextBatches
from keras_unrolled.engine import TextRecipe
from keras_unrolled.engine.language import StatefulLM, language_objective
from keras_unrolled.engine.optimizers import make_optimizer
from keras_unrolled.engine.tensorflow.language import cross_entropy
from keras_unrolled.engine.tensorflow.step import make_step
from tests.engine.kim_reference import Reference
from training.ptb import Epochs

TEXT = """the old cat sat on the mat
a dog saw the cat
an unusual multibillion-dollar log lay on the old mat
the dog sat on it
<unk> saw an N
"""
WORDS = TEXT.replace("\n", " <eos> ").split()
TINY = {
    "character_dim": 4,
    "filter_widths": (1, 2, 3),
    "num_filters": (3, 4, 5),
    "num_layers": 1,
    "units": 6,
}


@pytest.fixture
def tokenizer():
    return models.CharacterTokenizer.learn(WORDS)


def make(tokenizer, **options):
    return models.character_lm(tokenizer=tokenizer, dropout=0.0, **TINY, **options)


def test_hundred_steps_equal_plain_numpy(tokenizer):
    keras.config.set_floatx("float64")
    try:
        lm = make(tokenizer, dtype="float64", initial_range=0.4)
    finally:
        keras.config.set_floatx("float32")
    recipe = TextRecipe(
        network={},
        epochs=200,
        batch_size=3,
        length=5,
        warmup_epochs=0,
        learning_rate=1.0,
        decay="plateau",
        momentum=0.0,
        weight_decay=0.0,
        clip_norm=1.0,
        ema=0.0,
    )
    encoder, lstms = lm.backbone.encoder, lm.backbone.lstms
    (layer,) = encoder.layers

    def arrays(*weights):
        return [keras.ops.convert_to_numpy(w).astype("float64").copy() for w in weights]

    names = ("embedding", "bias", "h", "h_bias", "t", "t_bias", "out", "out_bias")
    gate = layer.transform_gate
    values = arrays(
        *(encoder.embedding, encoder.bias, layer.transform.kernel, layer.transform.bias),
        *(gate.kernel, gate.bias, lm.next_word.kernel, lm.next_word.bias),
    )
    weights = {
        **dict(zip(names, values)),
        "kernels": arrays(*encoder.kernels),
        "lstms": [arrays(x.kernel, x.recurrent_kernel, x.bias, x.recurrent_bias) for x in lstms],
    }
    reference = Reference(weights, tokenizer.spell(tokenizer.vocabulary), batch=3)
    carried = StatefulLM(lm, 3)
    optimizer = make_optimizer(recipe, 2)
    optimizer.build(carried.trainable_variables)
    ids = [tokenizer.numbers[w] for w in WORDS]
    stream = TextBatches(ids, batch_size=3, length=5, epochs=200)
    step = make_step(
        carried,
        optimizer,
        recipe,
        tf.distribute.get_strategy(),
        objective=language_objective(recipe),
    )
    losses, _ = step(iter(stream(0)), tf.constant(100))
    expected, norms = [], []
    for words, targets in stream(0).take(100):
        loss, norm = reference.step(words.numpy(), targets.numpy(), rate=1.0, clip=1.0)
        expected.append(loss)
        norms.append(norm)
    np.testing.assert_allclose(losses.numpy(), expected, rtol=0, atol=1e-5)
    assert max(norms) > 1 > min(norms)  # clipped at some steps, and not at others
    assert np.ptp(expected) > 0.5


def test_streams_read_the_text_in_parallel_and_continue():
    stream = TextBatches(np.arange(50), batch_size=4, length=3, epochs=2)
    assert stream.steps_per_epoch == 3  # twelve words of each text, the last one only as a target
    batches = [(x.numpy(), y.numpy()) for x, y in stream(0)]
    assert len(batches) == 6
    whole = np.concatenate([x for x, _ in batches[:3]], 1)
    np.testing.assert_array_equal(whole, np.arange(48).reshape(4, 12)[:, :9])
    for x, y in batches:
        np.testing.assert_array_equal(y, x + 1)
    for a, b in zip(stream(4), batches[4:]):
        np.testing.assert_array_equal(a[0], b[0])


def test_fused_loss_equals_the_layer_followed_by_softmax(rng):
    hidden = tf.constant(rng.normal(size=(7, 4)))
    kernel, bias = tf.constant(rng.normal(size=(4, 9))), tf.constant(rng.normal(size=9))
    targets = tf.constant([0, 8, 3, 3, 1, 2, 5])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([hidden, kernel, bias])
        losses, hits = cross_entropy(hidden, kernel, bias, targets)
        logits = hidden @ kernel + bias
        expected = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
        ours, theirs = (
            tf.reduce_sum(x * tf.range(7.0, dtype="float64")) for x in (losses, expected)
        )
    np.testing.assert_allclose(losses, expected)
    np.testing.assert_array_equal(hits, tf.argmax(logits, -1, tf.int32) == targets)
    for a, b in zip(
        tape.gradient(ours, [hidden, kernel, bias]), tape.gradient(theirs, [hidden, kernel, bias])
    ):
        np.testing.assert_allclose(a, b, atol=1e-12)


@pytest.mark.slow
def test_perplexity_equals_one_pass_over_the_whole_text(tokenizer):
    lm = make(tokenizer, initial_range=0.5)
    spelled = tokenizer.spell(["<eos>", *WORDS[:-1]])[None]
    logits = keras.ops.convert_to_numpy(lm(spelled))[0].astype("float64")
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    targets = [tokenizer.numbers[w] for w in WORDS]
    expected = np.exp(-np.mean(log_p[np.arange(len(WORDS)), targets]))
    for length in (1, 4, 100):
        found = evaluation.perplexity(lm, WORDS, length=length)
        assert found["tokens"] == len(WORDS)
        assert found["perplexity"] == pytest.approx(expected, rel=1e-6)
        losses = evaluation.text_losses(lm, WORDS, length=length)
        np.testing.assert_allclose(losses, -log_p[np.arange(len(WORDS)), targets], rtol=1e-4)
    # In parts side by side every word counts once, too; only their beginnings know less.
    for batch in (5, 100):
        found = evaluation.perplexity(lm, WORDS, batch_size=batch, length=4)
        assert found["tokens"] == len(WORDS)
        assert found["perplexity"] == pytest.approx(expected, rel=0.2)
    with_strangers = evaluation.perplexity(lm, [*WORDS, "zebra", "<unk>", "cats"])
    assert with_strangers["unknown"] == 2


@pytest.mark.parametrize(
    "words", ["a string", b"bytes", ["one sentence"], [1, 2], ["the", None], [""], ["the\n"]]
)
def test_what_is_not_divided_into_words_is_rejected(tokenizer, words):
    with pytest.raises(InputError, match=r"Expected a list of words\. Received"):
        evaluation.perplexity(make(tokenizer), words)


@pytest.mark.slow
def test_words_may_be_any_iterable(tokenizer):
    lm = make(tokenizer)
    expected = evaluation.perplexity(lm, WORDS)
    for same in (tuple(WORDS), np.array(WORDS), iter(WORDS)):
        assert evaluation.perplexity(lm, same) == expected


@pytest.mark.slow
def test_perplexity_is_correct_where_powers_of_logits_overflow(tokenizer):
    lm = make(tokenizer, initial_range=0.5)
    expected = evaluation.perplexity(lm, WORDS)
    bias = lm.next_word.bias
    before = keras.ops.convert_to_numpy(bias)
    for shift in (200.0, -200.0):
        bias.assign(before + shift)
        found = evaluation.perplexity(lm, WORDS)
        assert found["perplexity"] == pytest.approx(expected["perplexity"], rel=1e-4)


def test_rate_is_halved_after_a_poor_epoch_and_the_best_epoch_is_kept(tokenizer, tmp_path):
    best = Epochs(tmp_path, WORDS, lambda: make(tokenizer))
    with_a_schedule = Epochs(tmp_path / "no", WORDS, None, "cosine")
    carried = StatefulLM(make(tokenizer), 2)
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build(carried.trainable_variables)
    state, rates, kept = {}, [], None
    for epoch, perplexity in enumerate((90.0, 88.0, 87.5, 80.0, 85.0), start=1):
        carried.lm.next_word.bias.assign(keras.ops.full(carried.lm.next_word.bias.shape, epoch))
        figures = {"epoch": epoch, "valid_perplexity": perplexity}
        best.after_epoch(carried, optimizer, figures, state)
        rates.append(float(optimizer.learning_rate))
        kept = kept if perplexity > 80 else epoch
        with_a_schedule.after_epoch(carried, optimizer, figures, {"former": 0.0, "best": 0.0})
    assert rates == [1.0, 1.0, 0.5, 0.5, 0.25]
    assert (state["best"], state["best_epoch"]) == ([80.0], 4)
    assert set(keras.ops.convert_to_numpy(best.load_best().next_word.bias)) == {4.0}


def test_text_that_is_too_short_is_rejected():
    with pytest.raises(InputError, match=r"Expected a text of at least 120 words"):
        TextBatches(np.arange(100), batch_size=20, length=5, epochs=1)


def test_penn_treebank_has_its_known_size(ptb_dir):
    counts = {split: len(data.read_words(ptb_dir, split)) for split in ("train", "valid", "test")}
    assert counts == {"train": 929_589, "valid": 73_760, "test": 82_430}
    tokenizer = models.CharacterTokenizer.learn(data.read_words(ptb_dir, "train"))
    assert tokenizer.vocabulary_size() == 10_000
    assert tokenizer.num_characters() == 51
