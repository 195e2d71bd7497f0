import math

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_unrolled
from keras_unrolled import InputError, evaluation, models
from tests.nets import randomize


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


def pil_reference(image, size, crop_fraction, interpolation):
    """What timm and torchvision do: PIL's resize of the shorter side, then the center."""
    full, (w, h) = math.floor(size / crop_fraction), image.size
    w, h = (full, int(full * h / w)) if w <= h else (int(full * w / h), full)
    left, top = round((w - size) / 2), round((h - size) / 2)
    resized = image.resize((w, h), interpolation)
    return np.asarray(resized.crop((left, top, left + size, top + size)), "float64")


def converted(image, **options):
    converter = models.ImageConverter(antialias=True, dtype="float32", **options)
    return keras.ops.convert_to_numpy(converter(np.asarray(image)[None]))[0].astype("float64")


PIL = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}


@pytest.mark.parametrize("interpolation", PIL)
@pytest.mark.parametrize("size", [(64, 64), (83, 50), (50, 83), (131, 64), (41, 90)])
@pytest.mark.parametrize("crop_fraction", [0.875, 0.95, 1.0])
def test_pixels_are_those_of_pil(rng, interpolation, size, crop_fraction):
    # Smooth to the eye, so that a window that is off by half a pixel shows.
    noise = Image.fromarray(rng.integers(0, 256, (9, 9, 3)).astype("uint8"))
    image = noise.resize(size, Image.BICUBIC)
    expected = pil_reference(image, 32, crop_fraction, PIL[interpolation])
    found = converted(
        image, image_size=(32, 32), crop_fraction=crop_fraction, interpolation=interpolation
    )
    assert found.shape == (32, 32, 3)
    assert np.abs(found - expected).mean() < 0.4


@pytest.mark.parametrize("interpolation", PIL)
@pytest.mark.parametrize("size", [(1, 6000), (7000, 1), (2, 9001), (3, 12_007), (30_001, 7)])
def test_thin_image_is_cropped_before_it_is_resized(rng, interpolation, size, monkeypatch):
    noise = rng.integers(0, 256, (1 + size[1] // 50, 1 + size[0] // 50, 3)).astype("uint8")
    image = Image.fromarray(noise).resize(size, Image.BICUBIC)
    expected = pil_reference(image, 32, 0.875, PIL[interpolation])
    pixels = []

    def remember(images, size, **options):
        pixels.append(size[0] * size[1])
        return resize(images, size, **options)

    converter = models.ImageConverter(
        image_size=(32, 32),
        crop_fraction=0.875,
        interpolation=interpolation,
        antialias=True,
        dtype="float32",
    )
    resize = converter.resizing.backend.image.resize
    monkeypatch.setattr(converter.resizing.backend.image, "resize", remember)
    found = keras.ops.convert_to_numpy(converter(np.asarray(image)[None]))[0]
    assert found.shape == (32, 32, 3)
    assert max(pixels) < 200_000
    assert np.abs(found - expected).mean() < 0.5


@pytest.mark.parametrize("interpolation", PIL)
@pytest.mark.parametrize("crop_fraction", [0.875, 0.95, 1.0])
def test_photographs_are_prepared_as_timm_prepares_them(photographs, interpolation, crop_fraction):
    options = {"crop_fraction": crop_fraction, "interpolation": interpolation}
    for path in photographs[::20]:
        image = Image.open(path).convert("RGB")
        expected = pil_reference(image, 224, crop_fraction, PIL[interpolation])
        assert np.abs(converted(image, image_size=(224, 224), **options) - expected).mean() < 0.25


def test_pipeline_that_knows_no_sizes_prepares_images_alike(rng):
    converter = models.make_preprocessor("imagenet").image_converter
    images = [rng.integers(0, 256, (*size, 3)).astype("uint8") for size in ((300, 451), (451, 300))]
    stream = tf.data.Dataset.from_generator(
        lambda: images, output_signature=tf.TensorSpec((None, None, 3), "uint8")
    )
    for found, image in zip(stream.map(converter), images, strict=True):
        assert found.shape == (224, 224, 3)
        np.testing.assert_allclose(
            found, keras.ops.convert_to_numpy(converter(image)), atol=1e-5, rtol=0
        )


def test_image_may_be_squeezed_instead(rng):
    image = rng.integers(0, 256, (40, 90, 3)).astype("uint8")
    found = converted(image, image_size=(32, 16), crop_to_aspect_ratio=False)
    expected = np.asarray(Image.fromarray(image).resize((16, 32), Image.BILINEAR), "float64")
    assert np.abs(found - expected).mean() < 0.4
    with pytest.raises(InputError, match="pad_to_aspect_ratio"):
        converted(image, image_size=(32, 16), pad_to_aspect_ratio=True)
    with pytest.raises(InputError, match="Did you mean 'bicubic'"):
        converted(image, image_size=(32, 16), interpolation="bicubik")


def test_converter_is_rebuilt_from_its_configuration():
    converter = models.make_preprocessor("imagenet").image_converter
    again = models.ImageConverter.from_config(converter.get_config())
    assert again.get_config() == converter.get_config()
    assert again.image_size == (224, 224)
    assert again.resizing.full_size == (256, 256)


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


@pytest.mark.slow
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


def test_unknown_arguments_are_rejected():
    with pytest.raises(InputError, match="Did you mean 'name'"):
        models.ImageClassifier(small().backbone, 10, nam="x")
    with pytest.raises(InputError, match="Expected `pooling`"):
        models.ImageClassifier(small().backbone, 10, pooling="sum")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", "a"], "twice: 'a'"),
        (["a", "a\u00a0"], "twice: 'a', 'a.xa0'"),
        (["caf\u00e9", "cafe\u0301"], "twice"),
        ("ab", "the string 'ab'"),
        (b"ab", "the bytes b'ab'"),
        ({"a", "b"}, "the set {"),
        ({"a": 0, "b": 1}, "the dict {"),
        (["a", " "], "a name for each class. Received: ' '"),
        (["a", None], "Received: None"),
        (["a", b"b"], "Received: b'b'"),
        (["a"], "Received 1 label\\."),
    ],
)
def test_labels_are_a_list_of_different_names(labels, message):
    with pytest.raises(InputError, match=message):
        small(num_classes=2, labels=labels)
    with pytest.raises(InputError, match=message):
        models.ImageClassifier.from_preset("resnet_bn_cifar10", num_classes=2, labels=labels)
    with pytest.raises(InputError, match=message):
        keras_unrolled.from_preset("resnet_bn_cifar10", num_classes=2, labels=labels)


@pytest.mark.parametrize(
    "labels", [("a", "b"), np.array(["a", "b"]), range(2), ["hot dog", "Hot dog"]]
)
def test_sequences_of_names_and_numbers_are_labels(labels):
    assert small(num_classes=2, labels=labels).labels == [str(label) for label in labels]


@pytest.mark.slow
def test_images_on_another_scale_are_warned_of(rng):
    model = small(num_classes=2)
    images = rng.uniform(size=(2, 32, 32, 3)).astype("float32")
    labels = np.array([0, 1])
    for use in (
        lambda x: model.predict(x, verbose=0),
        lambda x: model.evaluate(x, labels, verbose=0),
        lambda x: model.fit(x=x, y=labels, shuffle=False, verbose=0),
    ):
        for same in (images, tf.constant(images)):
            with pytest.warns(UserWarning, match="scale of 0 to 255.*from 0 to 1"):
                use(same)
        with pytest.warns(UserWarning, match="normalized already"):
            use(4 * images - 2)
        with pytest.raises(InputError, match=r"values from .* \(uint16\)"):
            use((60_000 * images).astype("uint16"))
        use(255 * images)
        use((255 * images).astype("uint8"))
        use(np.zeros((2, 32, 32, 3), "uint8"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[0], r"Of a single image pass images\[None\]"),
        (lambda x: x[..., 0], "convert"),
        (lambda x: np.concatenate([x, x[..., :1]], -1), r"shape \(2, 32, 32, 4\)"),
        (lambda x: np.moveaxis(x, -1, 1), r"np\.moveaxis\(images, -3, -1\)"),
        (lambda x: x[:0], "Received none"),
    ],
)
def test_images_of_another_shape_are_rejected(change, message):
    model, images = small(num_classes=2), np.full((2, 32, 32, 3), 9, "uint8")
    with pytest.raises(InputError, match=message):
        model.predict(change(images), verbose=0)
    with pytest.raises(InputError, match=message):
        evaluation.predict(model, change(images))
    gray = small(num_classes=2, image_shape=(32, 32, 1))
    assert gray.predict(images[..., :1], verbose=0).shape == (2, 2)


def wrap_in_a_model(model, size):
    images = keras.Input((size, size, 3), dtype="uint8")
    return keras.Model(images, model(model.preprocessor(images)))


def wrap_in_a_sequence(model, size):
    return keras.Sequential(
        [keras.Input((size, size, 3)), model.preprocessor.image_converter, model]
    )


@pytest.mark.parametrize("wrap", [wrap_in_a_model, wrap_in_a_sequence])
@pytest.mark.parametrize("size", [32, 40])
def test_wrapped_network_stays_in_inference_mode(wrap, size, rng):
    model = small(num_classes=3)
    randomize(model)
    images = rng.integers(0, 256, (6, size, size, 3)).astype("uint8")
    expected = keras.ops.convert_to_numpy(model(model.preprocessor(images), training=False))
    before = [keras.ops.convert_to_numpy(w) for w in model.weights]
    wrapped = wrap(model, size)
    scores = keras.ops.convert_to_numpy(wrapped(images))
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)
    for old, new in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, np.asarray(new))


@pytest.mark.slow
def test_exported_network_scores_an_image_alike_in_every_batch(tmp_path, rng):
    model = small(num_classes=3)
    randomize(model)
    wrap_in_a_model(model, 40).export(str(tmp_path / "saved"), verbose=False)
    saved = tf.saved_model.load(str(tmp_path / "saved"))
    images = rng.integers(0, 256, (8, 40, 40, 3)).astype("uint8")
    images[4:] //= 8  # a batch of bright ones, then one of dark ones
    expected = model.predict(images, verbose=0)
    for order in (range(8), [0, 4, 1, 5, 2, 6, 3, 7]):
        for pair in np.reshape(list(order), (-1, 2)):
            np.testing.assert_allclose(saved.serve(images[pair]), expected[pair], atol=1e-3)


def test_export_with_jax_needs_a_known_size(tmp_path, monkeypatch):
    model = small(num_classes=2, image_shape=(None, 32, 3))
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InputError, match=r"Received one for \(None, 32, 3\)\. Load it with"):
        model.export(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


@pytest.mark.slow
def test_keras_file_is_compiled_as_it_was_and_trains_on(tmp_path, rng):
    model = small(num_classes=2)
    images = rng.integers(0, 256, (8, 32, 32, 3)).astype("uint8")
    labels = np.arange(8) % 2
    model.save(tmp_path / "new.keras")
    assert not keras.saving.load_model(tmp_path / "new.keras").optimizer.built
    model.compile(
        optimizer=keras.optimizers.SGD(0.01, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.train_on_batch(model.preprocessor(images), labels)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    scores = [m.train_on_batch(m.preprocessor(images), labels) for m in (model, loaded)]
    np.testing.assert_array_equal(*scores)
    for a, b in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
