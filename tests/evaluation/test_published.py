"""People's answers, and those of published networks, in the order of the data set."""

import json

import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, cli, data, evaluation
from keras_unrolled.data.order import read_order

NAMES = ("cat", "dog", "frog")


@pytest.fixture
def examples():
    """Four of six images, shuffled as TFDS does."""
    images = np.zeros((4, 2, 2, 3), "uint8")
    order = read_order([f"test_{i}" for i in (5, 0, 3, 2)], 6, NAMES)
    return data.Examples(images, [0, 1, 2, 0], NAMES, "made up", order=order)


def test_counts_of_answers_become_shares_in_the_order_of_the_examples(examples, tmp_path):
    counts = np.arange(18).reshape(6, 3)
    np.save(tmp_path / "counts.npy", counts)
    expected = (counts / counts.sum(-1, keepdims=True))[[5, 0, 3, 2]]
    found = evaluation.read_soft_labels(tmp_path / "counts.npy", examples)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_cross_entropy_equals_plain_numpy(rng):
    scores, shares = rng.normal(size=(5, 3)), rng.dirichlet(np.ones(3), 5)
    shares[0] = [0, 1, 0]
    found = evaluation.score_soft_labels(scores, shares, temperature=2.0)
    q = np.exp(scores / 2) / np.exp(scores / 2).sum(-1, keepdims=True)
    assert found["cross_entropy"] == pytest.approx(-np.mean(np.sum(shares * np.log(q), -1)))
    own = [sum(-p * np.log(p) for p in row if p) for row in shares]
    assert found["entropy"] == pytest.approx(np.mean(own))
    assert found["agreement"] == np.mean(scores.argmax(-1) == shares.argmax(-1))
    with pytest.raises(InputError, match=r"Expected scores \(5, 3\)"):
        evaluation.score_soft_labels(scores[:, :2], shares)


def test_answers_are_read_from_numbers_scores_and_names(examples, tmp_path):
    answers = np.array([0, 1, 2, 2, 1, 0])
    np.save(tmp_path / "numbers.npy", answers)
    np.save(tmp_path / "scores.npy", np.eye(3)[answers])
    names = "\n".join(NAMES[i] for i in answers)
    (tmp_path / "names.csv").write_text(f"prediction\n{names}\n")
    (tmp_path / "numbers.csv").write_text("prediction\n" + "\n".join(map(str, answers)) + "\n")
    for name in ("numbers.npy", "scores.npy", "names.csv", "numbers.csv"):
        found = evaluation.read_answers(tmp_path / name, examples)
        np.testing.assert_array_equal(found, answers[[5, 0, 3, 2]], err_msg=name)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(5, int), "each of the 6 images"),
        (np.full(6, 3), "classes from 0 to 2"),
        (np.full(6, -1), "classes from 0 to 2"),
        (np.zeros((6, 4)), r"scores \(images, 3\)"),
        (np.full((6, 3), np.nan), "finite scores .* row 0"),
        (np.zeros((6, 3), "datetime64[s]"), r"scores \(images, 3\)"),
        (np.zeros((6, 3), complex), r"scores \(images, 3\)"),
        (np.full((6, 3), "a"), r"scores \(images, 3\)"),
        (np.zeros(6), "class numbers"),
        (np.array(["a"] * 6), "class numbers"),
    ],
    ids=[
        *(
            "few",
            "large",
            "negative",
            "classes",
            "nan",
            "dates",
            "complex",
            "texts",
            "floats",
            "text",
        )
    ],
)
def test_answers_that_do_not_fit_are_rejected(examples, tmp_path, array, message):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(InputError, match=message):
        evaluation.read_answers(tmp_path / "x.npy", examples)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((5, 3)), "each of the 6 images"),
        (np.ones((6, 2)), r"numbers \(images, 3\)"),
        (np.zeros((6, 3)), "some answers for each image"),
        (-np.ones((6, 3)), "negative numbers in row 0"),
        (np.array([[1, 1, 1]] * 4 + [[1, 1, np.nan], [1, 1, 1]]), "row 4"),  # of no example
        (np.array([[object()] * 3] * 6), "an .npy file with one array"),  # pickled, and not loaded
    ],
    ids=["few", "classes", "none", "negative", "nan", "objects"],
)
def test_soft_labels_that_do_not_fit_are_rejected(examples, tmp_path, array, message):
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    with pytest.raises(InputError, match=message):
        evaluation.read_soft_labels(tmp_path / "x.npy", examples)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("answer\ncat\n", "a column prediction"),
        ("prediction\ncat\nbird\n", r"'bird' \(row 3\)"),
        ("", "a column prediction"),
        ("prediction\ncaf\xe9\n", "in UTF-8"),
        ("prediction\n" + "a" * 200_000, "field larger"),
        (None, "No such file"),
    ],
    ids=["column", "class", "empty", "latin-1", "long", "missing"],
)
def test_tables_of_answers_that_do_not_fit_are_rejected(examples, tmp_path, text, message):
    if text is not None:
        (tmp_path / "x.csv").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=message):
        evaluation.read_answers(tmp_path / "x.csv", examples)


@pytest.mark.parametrize("kind", ["npz", "damaged npz", "no array", "scalar", "too large"])
def test_files_of_another_kind_are_rejected(examples, tmp_path, kind):
    path = tmp_path / "x.npy"
    if kind == "scalar":
        np.save(path, 3)
    elif kind == "too large":
        np.save(path, np.zeros(6, int))
        content = path.read_bytes()
        path.write_bytes(content.replace(b"(6,), }" + b" " * 15, b"(1000000000000000,), }"))
        assert path.stat().st_size == len(content)
    elif kind == "no array":
        path.write_text("1,2\n")
    else:
        with path.open("wb") as file:
            np.savez(file, np.zeros(6, int))
        path.write_bytes(path.read_bytes()[: 100 if kind == "damaged npz" else None])
    with pytest.raises(InputError, match="file with one array of numbers") as raised:
        evaluation.read_answers(path, examples)
    assert "allow_pickle" not in str(raised.value)  # no advice to load it unsafely


def test_entropy_of_answers_in_agreement_is_zero_without_a_sign():
    found = evaluation.score_soft_labels(np.zeros((2, 3)), np.eye(3)[:2])
    assert str(found["entropy"]) == "0.0"


@pytest.mark.slow
def test_names_with_braces_are_compared(tmp_path, capsys):
    np.save(tmp_path / "{x}.npy", data.load_sample().labels)
    names = [f"published:{tmp_path}/{{x}}.npy", "resnet_bn_cifar10"]
    assert cli.main(["compare", *names, "--limit", "20"]) == 0
    assert "{x}.npy: 100.00%" in capsys.readouterr().out


@pytest.mark.slow
def test_command_line_compares_with_people_and_published_answers(tmp_path, capsys):
    sample = data.load_sample()
    np.save(tmp_path / "people.npy", np.eye(10)[sample.labels])
    np.save(tmp_path / "answers.npy", (sample.labels + np.arange(1000) // 500) % 10)
    assert (
        cli.main(
            ["evaluate", "resnet_bn_cifar10", "--soft-labels", f"{tmp_path}/people.npy", "--json"]
        )
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    scores = ku.from_preset("resnet_bn_cifar10").predict(sample.images, verbose=0).astype("float64")
    log_q = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    loss = -log_q[np.arange(1000), sample.labels].mean()
    assert found["people"]["cross_entropy"] == pytest.approx(loss, rel=1e-4)
    assert found["people"]["agreement"] == found["accuracy"]
    assert found["people"]["calibrated"] != found["people"]["cross_entropy"]
    assert (
        cli.main(["compare", f"published:{tmp_path}/answers.npy", "resnet_bn_cifar10", "--json"])
        == 0
    )
    row = json.loads(capsys.readouterr().out)
    assert row["accuracies"] == [0.5, pytest.approx(found["accuracy"])]
    for wrong in (
        ["compare", f"published:{tmp_path}/none.npy", "resnet_bn_cifar10"],
        ["compare", f"published:{tmp_path}/answers.npy", f"published:{tmp_path}/answers.npy"],
        [
            "compare",
            f"published:{tmp_path}/answers.npy",
            "highway_small_ptb",
            "--data-dir",
            str(tmp_path),
        ],
        ["evaluate", "highway_small_ptb", "--soft-labels", "x.npy", "--data-dir", str(tmp_path)],
        [
            "evaluate",
            "resnet_bn_cifar10",
            "--soft-labels",
            "x.npy",
            "--report",
            f"{tmp_path}/report",
        ],
    ):
        assert cli.main(wrong) == 2
        assert "Expected" in capsys.readouterr().err
