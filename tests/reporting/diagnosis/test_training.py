from keras_unrolled.reporting.diagnosis.training import report_training
from keras_unrolled.reporting.html import Page


def test_one_epoch_and_one_test_image_are_singular(tmp_path):
    page = Page("Report", "Measured on 1 image.")
    result = {
        "base": "resnet",
        "classes": ["cat", "dog"],
        "epochs": 1,
        "phases": [],
        "test": {"n": 1, "accuracy": 1.0},
        "trials": [],
        "limits": [],
        "hints": [],
    }
    report_training(page, result, {})
    page.write(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "trained for 1 epoch." in text
    assert "1 image by which" in text
