"""After `import keras_unrolled`, Keras and KerasHub find this package's classes by themselves."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import layers, models
from tests.conftest import first_fast
from tests.nets import randomize


def run(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


ORDERS = ["import keras_unrolled, keras", "import keras, keras_unrolled"]


@pytest.fixture(scope="module")
def classifier():
    model = models.highway(8, dataset="cifar", num_classes=3, labels=["a", "b", "c"])
    randomize(model)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("order", first_fast(*ORDERS))
def test_keras_file_of_a_classifier_loads_in_a_new_process(order, classifier, tmp_path):
    classifier.save(tmp_path / "m.keras")
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    np.save(tmp_path / "x.npy", x)
    code = f"{order}; import sys, numpy as np; m = keras.saving.load_model(sys.argv[1]); "
    code += "np.save(sys.argv[3], m(np.load(sys.argv[2])))"
    run(code, tmp_path / "m.keras", tmp_path / "x.npy", tmp_path / "y.npy")
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), classifier(x), rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_keras_file_with_a_layer_loads_without_kerashub(tmp_path):
    x = keras.Input((4,))
    keras.Model(x, layers.Highway(gating="full")(x)).save(tmp_path / "m.keras")
    code = f"{ORDERS[0]}; import sys; keras.saving.load_model(sys.argv[1]); "
    code += "print('keras_hub' in sys.modules)"
    assert run(code, tmp_path / "m.keras").strip() == "False"


@pytest.mark.parametrize("order", first_fast(*ORDERS))
def test_kerashub_loads_our_preset_in_a_new_process(order, classifier, tmp_path):
    ku.save_preset(classifier, tmp_path / "preset")
    code = f"{order}; import sys, keras_hub; "
    code += "print(type(keras_hub.models.ImageClassifier.from_preset(sys.argv[1])).__module__)"
    assert run(code, tmp_path / "preset").strip() == "keras_unrolled.models.image_classifier"


@pytest.mark.slow
def test_class_loads_a_preset_by_its_name():
    model = models.ImageClassifier.from_preset("resnet_bn_cifar10")
    images = ku.data.load_sample().images[:5]
    expected = ku.from_preset("resnet_bn_cifar10").predict(images, verbose=0)
    np.testing.assert_array_equal(model.predict(images, verbose=0), expected)
    code = "from keras_unrolled.models import ImageClassifier; "
    code += "print(ImageClassifier.from_preset('plain_bn_cifar10').num_classes)"
    assert run(code).strip() == "10"


def test_public_functions_are_reachable_after_import():
    assert ku.evaluate("resnet_bn_cifar10", limit=50)["n"] == 50
    for name in ("finetune", "data", "evaluation", "analysis", "convert"):
        assert getattr(ku, name)


def test_classes_list_their_presets_as_kerashubs_do():
    images, texts = models.ImageClassifier.presets, models.CharacterLM.presets
    assert "highway_bn_cifar10" in images
    assert images["highway_bn_cifar10"]["metadata"]["params"] == 280_506
    assert "highway_small_ptb" in texts
    assert images.keys().isdisjoint(texts)
    assert images.keys() | texts.keys() == {p.name for p in ku.list_presets() if p.has_weights}
