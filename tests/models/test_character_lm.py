"""The language model: its size, what it reads, and what it writes."""

import keras
import numpy as np
import pytest

from keras_unrolled import InputError, models

TEXT = "the cat sat on the mat\nthe dog sat on <unk> N eggs\ncafé\n"
WORDS = TEXT.replace("\n", " <eos> ").split()
TINY = {
    "character_dim": 4,
    "filter_widths": (1, 2, 3),
    "num_filters": (3, 4, 5),
    "num_layers": 1,
    "units": 6,
    "initial_range": 0.7,
}


@pytest.fixture
def tokenizer():
    return models.CharacterTokenizer.learn(WORDS)


@pytest.fixture
def model(tokenizer):
    return models.character_lm(tokenizer=tokenizer, **TINY)


# Kim et al. 2016, counted by hand: with 51 characters, 10,000 words and two biases.
@pytest.mark.parametrize(
    ("size", "gating", "total", "gated"),
    [
        ("small", "coupled", 5_312_515, 552_300),
        ("small", "residual", 5_312_515, 552_300),
        ("small", "none", 4_760_215, 0),
        ("small", "plain", 5_036_365, 276_150),
        ("large", "full", 21_795_365, 7_266_600),
        ("large", "coupled", 19_373_165, 4_844_400),
        ("large", "c_only", 19_373_165, 4_844_400),
        ("large", "t_only", 19_373_165, 4_844_400),
        ("large", "residual", 19_373_165, 4_844_400),
    ],
)
def test_parameters_are_exactly_those_of_the_papers(size, gating, total, gated):
    model = models.character_lm(size, gating=gating)
    assert model.count_params() == total
    assert sum(layer.count_params() for layer in model.backbone.encoder.layers) == gated


@pytest.mark.parametrize("variational", [False, True])
def test_variational_dropout_leaves_out_the_same_units_at_all_words(variational):
    options = {"variational": variational, "input_dropout": 0.4, "recurrent_dropout": 0.4}
    model = models.character_lm(**{**TINY, "units": 100}, **options)
    assert [lstm.recurrent_dropout for lstm in model.backbone.lstms] == [0.4, 0.4]
    for drop in (model.drop, *model.backbone.drops):
        kept = keras.ops.convert_to_numpy(drop(np.ones((3, 9, 100), "float32"), training=True)) > 0
        assert 0.2 < kept.mean() < 0.8
        assert bool((kept == kept[:, :1]).all()) is variational
        assert not (kept == kept[:1]).all()
    assert options.items() <= model.backbone.get_config().items()
    again = models.CharacterBackbone.from_config(model.backbone.get_config())
    assert again.get_config() == model.backbone.get_config()


def test_one_bias_saves_the_documented_number_of_parameters():
    for size, less in (("small", 2_400), ("large", 5_200)):
        with_one = models.character_lm(size, two_biases=False).count_params()
        assert models.character_lm(size).count_params() - with_one == less


def test_frequent_words_come_first_and_all_are_known(tokenizer):
    assert tokenizer.get_vocabulary()[:5] == ["<eos>", "<unk>", "the", "on", "sat"]
    assert tokenizer.vocabulary_size() == 11
    assert tokenizer.characters == "Nacdefghmnosté"
    assert tokenizer.num_characters() == 5 + len(tokenizer.characters)
    ids = tokenizer.tokenize("the cat\nThe zebra")
    assert ids.tolist() == [2, tokenizer.token_to_id("cat"), 0, 2, 1]
    assert tokenizer.detokenize(ids) == "the cat\nthe <unk>"
    assert tokenizer.tokenize(["on", "sat on"])[1].tolist() == [4, 3]


def test_words_are_spelt_with_start_and_end_and_special_ones_apart(tokenizer):
    letters = tokenizer.letters
    rows = tokenizer.spell(["cat", "<eos>", "<unk>", "taxi", "ON"])
    assert rows[0].tolist() == [1, letters["c"], letters["a"], letters["t"], 2, 0]
    assert rows[1].tolist() == [1, 4, 2, 0, 0, 0]
    assert rows[2].tolist() == [1, 3, 2, 0, 0, 0]
    assert rows[3].tolist() == [1, letters["t"], letters["a"], 3, 3, 2]  # neither x nor i is known
    assert rows[4].tolist() == [1, letters["o"], letters["n"], 2, 0, 0]
    assert tokenizer.spell(["x" * 1000]).shape == (1, 1002)  # nothing is cut off


def step_by_step(model, prompt, length):
    """Greedy writing by the definition: the whole text is read anew for each word."""
    tokenizer = model.preprocessor.tokenizer
    words = ["<eos>", *prompt.split()]
    while len(words) < length:
        logits = keras.ops.convert_to_numpy(model(tokenizer.spell(words)[None]))[0, -1]
        words.append(tokenizer.id_to_token(int(logits.argmax())))
    return words[1:]


@pytest.mark.slow
def test_greedy_generation_equals_reading_the_whole_text_for_each_word(model):
    model.compile(sampler="greedy")
    for prompt in ("the cat", "sat on eggs N", ""):
        text = model.generate(prompt, max_length=14, stop_token_ids=None)
        expected = " ".join(step_by_step(model, prompt, 14)).replace(" <eos> ", "\n")
        expected = expected.replace("<eos> ", "\n").replace(" <eos>", "\n").strip("\n")
        assert text == expected


@pytest.mark.slow
def test_vocabulary_is_read_again_only_when_its_readers_have_changed(model, monkeypatch):
    model.compile(sampler="greedy")
    read, reads = model.read_vocabulary, []
    monkeypatch.setattr(model, "read_vocabulary", lambda: reads.append(1) or read())
    for factor, count in ((1.0, 1), (1.0, 1), (-2.0, 2)):
        for weight in (model.backbone.encoder.bias, model.backbone.lstms[0].kernel):
            weight.assign(weight * factor)
        text = model.generate("the cat", max_length=14, stop_token_ids=None)
        expected = " ".join(step_by_step(model, "the cat", 14)).replace("<eos>", "\n")
        assert text.split() == expected.split()
        assert len(reads) == count


@pytest.mark.slow
def test_texts_of_different_length_are_written_side_by_side(model):
    model.compile(sampler="greedy")
    prompts = ["the", "the dog sat on"]
    together = model.generate(prompts, max_length=10, stop_token_ids=None)
    alone = [model.generate(p, max_length=10, stop_token_ids=None) for p in prompts]
    assert together == alone


def test_word_that_is_not_in_the_vocabulary_is_read_through_its_characters(model):
    tokenizer = model.preprocessor.tokenizer
    packed = model.preprocessor.generate_preprocess(["the mats", "the dogs"], sequence_length=5)
    np.testing.assert_array_equal(packed["token_ids"][0], packed["token_ids"][1])
    vectors = keras.ops.convert_to_numpy(model.backbone.read(packed["character_ids"]))
    assert np.abs(vectors[0, 2] - vectors[1, 2]).max() > 1e-3
    table = keras.ops.convert_to_numpy(model.read_vocabulary())
    assert table.shape == (11, 4 * 6)
    the = keras.ops.convert_to_numpy(model.backbone.lstms[0].project(vectors[0, 1:2]))[0]
    np.testing.assert_allclose(the, table[tokenizer.token_to_id("the")], atol=1e-6)


@pytest.mark.slow
def test_text_ends_with_its_sentence(model):
    bias = np.zeros(11, "float32")
    bias[0] = 50  # <eos> is all that it will write
    model.next_word.bias.assign(bias)
    model.compile(sampler="greedy")
    assert model.generate("the cat", max_length=10) == "the cat"
    assert model.generate("the cat", max_length=6, stop_token_ids=None).startswith("the cat")


def test_training_targets_are_the_next_words(model):
    x, y, weights = model.preprocessor(["the cat", "on the mat sat"], sequence_length=6)
    tokenizer = model.preprocessor.tokenizer
    assert x.shape[:2] == (2, 6)
    assert y[0][:3].tolist() == [2, tokenizer.token_to_id("cat"), 0]
    assert weights.sum(-1).tolist() == [3, 5]


@pytest.mark.slow
def test_fit_learns_from_raw_texts(model):
    texts = ["the cat sat\n", "a cat sat on the cat\n"] * 8
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss=model_loss())
    history = model.fit(texts, batch_size=4, epochs=12, shuffle=False, verbose=0).history["loss"]
    assert history[-1] < 0.7 * history[0]
    x, y, mask = model.preprocessor(texts[:4])
    by_hand = model.evaluate(texts[:4], batch_size=4, verbose=0)
    logits = model(x, training=False)
    losses = model_loss(reduction="none")(y, logits)
    expected = np.asarray(losses)[mask].sum() / mask.size
    np.testing.assert_allclose(by_hand[0], expected, rtol=1e-4)


def model_loss(**options):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, **options)


def test_mismatched_tokenizer_or_option_is_rejected(model, tokenizer):
    with pytest.raises(InputError, match=r"at most 3 words.*Received 4"):
        model.generate("the cat sat", max_length=3)
    with pytest.raises(InputError, match=r"tokenizer of 10 words"):
        models.CharacterLM(
            model.backbone, 10, preprocessor=models.CharacterLMPreprocessor(tokenizer)
        )
    with pytest.raises(InputError, match="Did you mean 'small'"):
        models.character_lm("smal")
    with pytest.raises(InputError, match="begins with <eos> and <unk>"):
        models.CharacterTokenizer(["a", "b"], "ab")
    with pytest.raises(InputError, match="unknown one: color"):
        models.character_lm(color=1)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("the company", "a str: 'the company'"),
        ([], "none"),
        (None, "a NoneType"),
        (["the", 5], "5, which is no word"),
        (["the cat"], "'the cat', which is no word"),
    ],
    ids=str,
)
def test_vocabulary_is_learned_from_words_only(words, found):
    with pytest.raises(InputError, match=f"Expected a list of words. Received {found}"):
        models.CharacterTokenizer.learn(words)


def test_text_to_go_on_with_is_checked(model):
    with pytest.raises(InputError, match=r"Expected texts\. Received none"):
        model.generate([])
    with pytest.raises(InputError, match="Received a int: 5"):
        model.next_words(5)
    with pytest.raises(InputError, match="Expected `top`"):
        model.next_words("the cat", top=0)


@pytest.mark.parametrize(
    ("texts", "message"), [([b"caf\xe9", b"a"], "UTF-8"), ([1, 2], "Expected texts")]
)
def test_what_is_no_text_is_rejected(model, texts, message):
    with pytest.raises(InputError, match=message):
        model.preprocessor._pack(np.array(texts), 8, True)
