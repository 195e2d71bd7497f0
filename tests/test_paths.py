import pytest

from keras_unrolled.paths import name_place


@pytest.mark.parametrize(
    ("dataset", "split", "expected"),
    [
        ("cifar10", "sample of test", "cifar10, sample of test"),
        ("/tmp/pets", "/tmp/pets", "/tmp/pets"),
        (
            "/tmp/pets",
            "/tmp/pets, 10 of 120 drawn with seed 0",
            "/tmp/pets, 10 of 120 drawn with seed 0",
        ),
        ("/tmp/pets.csv", "pets.csv", "/tmp/pets.csv"),
        ("./pets/", "pets, 4 of 9", "pets, 4 of 9"),
        ("hf-dataset://ada/pets", "hf-dataset://ada/pets:test", "hf-dataset://ada/pets:test"),
        ("cifar10:test[:9]", "held out", "cifar10:test[:9], held out"),
    ],
)
def test_place_of_data_names_a_path_once(dataset, split, expected):
    assert name_place(dataset, split) == expected
