"""The temperature of a record: who applies it, and who may not."""

import json

import numpy as np
import pytest
from PIL import Image

import keras_unrolled as ku
from keras_unrolled import InputError, data, models
from keras_unrolled.presets.calibration import find_temperature
from tests.cli.calling import call
from tests.nets import randomize

TEMPERATURE = 2.5
CALIBRATION = {"temperature": TEMPERATURE, "dataset": "cifar10", "split": "test[:20]", "n": 20}
CALIBRATION |= {"origin": "a half of the test set"}


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    model = models.highway(8, dataset="cifar", labels=list(data.load_sample().names))
    randomize(model)
    folder = tmp_path_factory.mktemp("calibrated") / "small"
    ku.save_preset(model, folder, calibration=CALIBRATION)
    return folder


def softmax(scores):
    p = np.exp(scores.astype("float64") - scores.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


@pytest.mark.slow
def test_predict_applies_the_temperature_only_when_asked(capsys, preset, tmp_path):
    image = data.load_sample().images[0]
    Image.fromarray(image).save(tmp_path / "a.png")
    scores = ku.from_preset(preset).predict(image[None], verbose=0)
    for flags, divisor in (([], 1), (["--calibrated"], TEMPERATURE)):
        code, out, err = call(
            *(capsys, "predict", preset, tmp_path / "a.png", "--top", 10, "--json", *flags)
        )
        assert code == 0, err
        found = [p["probability"] for p in json.loads(out)[0]["predictions"]]
        assert found == pytest.approx(np.sort(softmax(scores / divisor)[0])[::-1], abs=1e-5)
        assert sum(found) == pytest.approx(1)


def test_decode_divides_logits_by_a_temperature(preset):
    model = ku.from_preset(preset)
    scores = np.array([[1.0, 4.0, *[0.0] * 8]])
    ((label, p),) = model.decode(scores, top=1, temperature=find_temperature(model))[0]
    assert label == "automobile"
    assert p == pytest.approx(np.exp(1.6) / (np.exp(1.6) + np.exp(0.4) + 8))
    with pytest.raises(InputError, match="temperature"):
        model.decode(scores, temperature=0)
    backbone = model.backbone
    sure = models.ImageClassifier(backbone, 3, activation="softmax")
    with pytest.raises(InputError, match="probabilities already"):
        sure.decode([[0.2, 0.3, 0.5]], temperature=2)


@pytest.mark.slow
def test_temperature_is_of_the_preset_as_it_was_saved_only(capsys, preset, tmp_path):
    model = ku.from_preset(preset)
    assert find_temperature(model) == TEMPERATURE
    copy = ku.save_preset(model, tmp_path / "copy")
    assert copy.calibration == CALIBRATION
    model.output_dense.kernel.assign(2 * model.output_dense.kernel)
    with pytest.raises(InputError, match="other weights"):
        find_temperature(model)
    assert ku.save_preset(model, tmp_path / "changed").calibration == {}
    with pytest.raises(InputError, match="another head"):
        find_temperature(ku.from_preset(preset, num_classes=10))
    with pytest.raises(InputError, match="without a record"):
        find_temperature(models.highway(8, dataset="cifar"))
    Image.fromarray(data.load_sample().images[0]).save(tmp_path / "a.png")
    arguments = ["predict", tmp_path / "changed", tmp_path / "a.png", "--calibrated"]
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    assert "Received 'changed' without one" in err


def test_text_has_no_temperature(capsys):
    code, _, err = call(capsys, "predict", "highway_small_ptb", "--prompt", "the", "--calibrated")
    assert code == 2
    assert "--calibrated" in err
