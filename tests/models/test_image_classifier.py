import keras
import keras_hub
import numpy as np
import pytest
from PIL import Image

from keras_unrolled import InputError, models


def small(**options):
    return models.resnet(8, dataset="cifar", **options)


def test_raw_images_of_any_size_are_resized_and_normalised(rng):
    preprocessor = models.make_preprocessor("cifar")
    images = rng.integers(0, 256, (3, 32, 32, 3)).astype("uint8")
    mean, std = np.array([0.4914, 0.4822, 0.4465]), np.array([0.2470, 0.2435, 0.2616])
    found = keras.ops.convert_to_numpy(preprocessor(images))
    np.testing.assert_allclose(found, (images / 255 - mean) / std, atol=1e-5)
    assert preprocessor(rng.integers(0, 256, (3, 50, 41, 3)).astype("uint8")).shape == (
        3,
        32,
        32,
        3,
    )


def test_imagenet_images_are_resized_to_256_and_cropped_to_224(rng):
    image = rng.integers(0, 256, (8, 8, 3)).astype("uint8")
    image = np.asarray(Image.fromarray(image).resize((512, 512), Image.BILINEAR))
    found = keras.ops.convert_to_numpy(models.make_preprocessor("imagenet")(image[None]))[0]
    expected = np.asarray(Image.fromarray(image).resize((256, 256), Image.BILINEAR), "float64")
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = ((expected / 255 - mean) / std)[16:240, 16:240]
    assert found.shape == (224, 224, 3)
    assert np.abs(found - expected).mean() < 0.01  # PIL rounds to whole numbers


def test_the_converter_is_rebuilt_from_its_configuration():
    converter = models.make_preprocessor("imagenet").image_converter
    again = models.ImageConverter.from_config(converter.get_config())
    assert again.get_config() == converter.get_config()
    assert again.image_size == (256, 256)
    assert again.output_size == (224, 224)


def test_decode_names_the_best_classes_with_their_probabilities():
    model = small(num_classes=3, labels=["cat", "dog", "frog"])
    scores = np.log(np.array([[0.2, 0.7, 0.1], [0.5, 0.25, 0.25]]))
    first, second = model.decode(scores, top=2)
    assert [label for label, _ in first] == ["dog", "cat"]
    np.testing.assert_allclose([p for _, p in first], [0.7, 0.2])
    assert second[0][0] == "cat"


def test_scores_are_float32_under_mixed_precision(rng):
    model = small(dtype="mixed_bfloat16")
    scores = model(rng.normal(size=(2, 8, 8, 3)).astype("float32"))
    assert keras.backend.standardize_dtype(scores.dtype) == "float32"
    assert model.backbone.compute_dtype == "bfloat16"


def test_it_is_a_keras_hub_image_classifier_that_keras_hub_reloads(tmp_path, rng):
    model = small(labels=[f"c{i}" for i in range(10)])
    images = rng.integers(0, 256, (4, 20, 24, 3)).astype("uint8")
    expected = model.predict(images, verbose=0)
    model.save_to_preset(str(tmp_path))
    again = keras_hub.models.ImageClassifier.from_preset(str(tmp_path))
    assert type(again) is models.ImageClassifier
    assert again.labels == model.labels
    assert np.abs(again.predict(images, verbose=0) - expected).max() == 0.0


def test_fit_learns_from_raw_images():
    # Two classes that differ in brightness: a few steps must separate them.
    model = small(num_classes=2)
    images = np.zeros((32, 16, 16, 3), "uint8")
    images[16:] = 255
    labels = np.repeat([0, 1], 16)
    model.compile(
        optimizer=keras.optimizers.Adam(1e-2),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    history = model.fit(images, labels, epochs=6, batch_size=32, shuffle=False, verbose=0).history
    assert history["loss"][-1] < 0.3 * history["loss"][0]


def test_unknown_arguments_are_refused():
    with pytest.raises(InputError, match="Did you mean 'name'"):
        models.ImageClassifier(small().backbone, 10, nam="x")
    with pytest.raises(InputError, match="Expected `pooling`"):
        models.ImageClassifier(small().backbone, 10, pooling="sum")
