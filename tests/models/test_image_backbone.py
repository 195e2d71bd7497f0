import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

from keras_unrolled import InputError, models
from tests.nets import OPTIONS, SMALL, make_net, randomize


def images(rng, side=12):
    return rng.normal(size=(2, side, side, 3)).astype("float32")


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_survives_saving_without_a_difference(name, tmp_path, rng):
    net = make_net(name)
    randomize(net)
    x = images(rng)
    expected = np.asarray(net(x))
    assert np.isfinite(expected).all()
    net.save_to_preset(str(tmp_path))
    again = keras_hub.models.Backbone.from_preset(str(tmp_path))
    assert type(again) is models.ImageBackbone
    assert again.get_config() == net.get_config()
    assert np.abs(np.asarray(again(x)) - expected).max() == 0.0


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_trains_in_mixed_precision(name, rng):
    net = make_net(name, dtype="mixed_bfloat16", layer_dropout=0.0)
    x = tf.constant(images(rng))
    with tf.GradientTape() as tape:
        y = net(x, training=True)
        loss = tf.reduce_sum(tf.cast(y, "float32") ** 2)
    assert y.dtype == tf.bfloat16
    variables = net.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        assert gradient is not None, variable.path
        assert bool(tf.reduce_all(tf.math.is_finite(gradient))), variable.path


@pytest.mark.parametrize("name", OPTIONS)
def test_last_intermediate_equals_the_output(name, rng):
    net = make_net(name)
    randomize(net)
    x = images(rng)
    found = net.forward_intermediates(x)
    np.testing.assert_allclose(
        np.asarray(found["features"]), np.asarray(net(x)), rtol=1e-5, atol=1e-5
    )
    blocks = [block.name for stage in net.stages for block in stage]
    assert blocks == ["stage1_block1", "stage2_block1", "stage2_block2"]
    assert {"stem", "features", *blocks} <= found.keys()
    shapes = {found[f"{b}/transform"].shape for b in blocks[1:]}
    assert len(shapes) == 1  # the blocks of a stage estimate the same features


def test_part_of_a_network_gives_its_intermediates(rng):
    net = make_net("coupled")
    randomize(net)
    x = images(rng)
    whole = net.forward_intermediates(x)
    part = net.forward_intermediates(
        whole["stage1_block1"], start="stage2_block1", stop="stage2_block1"
    )
    names = [name for name in whole if name.startswith("stage2_block1")]
    assert list(part) == names
    for name in names:
        np.testing.assert_array_equal(np.asarray(part[name]), np.asarray(whole[name]))
    kept = net.forward_intermediates(x, keep=lambda name: "gate" not in name)
    assert list(kept) == [name for name in whole if "gate" not in name]
    with pytest.raises(InputError, match="Did you mean"):
        net.forward_intermediates(x, start="stage2_block")
    with pytest.raises(InputError, match="at or after"):
        net.forward_intermediates(x, start="stage2_block1", stop="stage1_block1")


def test_names_do_not_depend_on_earlier_models():
    first, second = ([layer.name for layer in make_net("full").layers] for _ in range(2))
    assert first == second == ["images", "stem", "stage1_block1", "stage2_block1", "stage2_block2"]
    paths = [w.path for w in make_net("full").weights]
    assert paths == [w.path for w in make_net("full").weights]
    assert "stage2_block1/transform_gate/conv2/kernel" in paths
    assert "stage2_block1/projection/norm1/moving_mean" in paths


def test_pre_activated_network_ends_in_norm_and_relu(rng):
    net = make_net("pre")
    assert [layer.name for layer in net.layers][-2:] == ["head_norm", "head_relu"]
    assert np.asarray(net(images(rng))).min() >= 0


def test_layer_dropout_rises_linearly_with_depth():
    net = make_net("layer_dropout")
    rates = [block.layer_dropout for stage in net.stages for block in stage]
    np.testing.assert_allclose(rates, [0.5 / 3, 1.0 / 3, 0.5])


def test_stem_for_imagenet_pools_without_letting_the_border_win():
    net = make_net("imagenet_stem_pre")
    stem = net.get_layer("stem")
    stem.conv.kernel.assign(np.full(stem.conv.kernel.shape, -1.0))
    y = np.asarray(stem(np.ones((1, 16, 16, 3), "float32")))
    assert y.shape == (1, 4, 4, 8)
    assert y.max() < 0


def test_unknown_arguments_are_rejected_and_known_ones_named():
    with pytest.raises(InputError, match="unknown one: color"):
        models.ImageBackbone(**SMALL, color="red")


def test_any_image_size_is_taken(rng):
    net = make_net("coupled")
    for side in (8, 13):
        assert net(images(rng, side)).shape == (2, -(-side // 2), -(-side // 2), 16)


def test_fast_normalization_is_what_the_network_uses():
    norms = [
        layer
        for layer in make_net("residual")._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert norms
    assert {type(layer).__module__ for layer in norms} == {"keras_unrolled.layers.normalization"}


def test_options_are_attributes():
    backbone = make_net("pointwise")
    for name, value in backbone.options.items():
        assert getattr(backbone, name) == value
    assert (backbone.gating, backbone.gate_type, backbone.transform_bias) == (
        "full",
        "pointwise",
        -1.0,
    )


def test_pyramid_has_the_last_output_of_each_stride():
    for name in ("coupled", "imagenet_stem", "pre"):
        backbone = make_net(name)
        pyramid = keras.Model(backbone.input, backbone.pyramid_outputs)
        x = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype("float32")
        outputs = pyramid(x)
        first = 2 if name == "imagenet_stem" else 0
        assert outputs.keys() == {f"P{first}", f"P{first + 1}"}
        for level, value in outputs.items():
            assert value.shape[1:3] == (32 >> int(level[1]),) * 2
        np.testing.assert_array_equal(outputs[f"P{first + 1}"], backbone(x))


@pytest.mark.slow
def test_detector_and_segmenter_of_kerashub_train_on_our_backbone(rng):
    def encoder():
        return models.highway(18, num_classes=2, width_multiplier=0.25, stem_filters=16).backbone

    images = rng.normal(size=(2, 128, 128, 3)).astype("float32")
    segmenter = keras_hub.models.DeepLabV3ImageSegmenter(
        keras_hub.models.DeepLabV3Backbone(
            encoder(),
            spatial_pyramid_pooling_key="P5",
            low_level_feature_key="P2",
            upsampling_size=8,
            dilation_rates=[6, 12],
            image_shape=(128, 128, 3),
        ),
        num_classes=3,
    )
    segmenter.compile(loss="sparse_categorical_crossentropy", optimizer="sgd", jit_compile=False)
    masks = rng.integers(0, 3, (2, 128, 128, 1))
    assert np.isfinite(segmenter.train_on_batch(images, masks)).all()
    image_encoder = encoder()
    detector = keras_hub.models.RetinaNetBackbone(
        image_encoder, min_level=3, max_level=5, use_p5=False, image_shape=(128, 128, 3)
    )
    outputs = detector(images)
    assert {level: value.shape[1] for level, value in outputs.items()} == {
        "P3": 16,
        "P4": 8,
        "P5": 4,
    }
    pooled = [keras.layers.GlobalAveragePooling2D()(x) for x in detector.pyramid_outputs.values()]
    model = keras.Model(detector.input, keras.layers.Add()(pooled))
    model.compile(loss="mse", optimizer="sgd", jit_compile=False)
    before = keras.ops.convert_to_numpy(image_encoder.trainable_weights[0])
    model.train_on_batch(images, np.zeros((2, 256), "float32"))
    assert np.abs(keras.ops.convert_to_numpy(image_encoder.trainable_weights[0]) - before).max() > 0
