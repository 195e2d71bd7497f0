import math

import numpy as np
import pytest

from keras_unrolled import InputError, models


def trainable(model):
    return sum(math.prod(v.shape) for v in model.trainable_variables)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("depth", "count"),
    [
        (18, 11_689_512),
        (34, 21_797_672),
        (50, 25_557_032),
        pytest.param(101, 44_549_160, marks=pytest.mark.slow),
        pytest.param(152, 60_192_808, marks=pytest.mark.slow),
    ],
)
def test_imagenet_resnets_have_the_published_number_of_parameters(depth, count):
    assert trainable(models.resnet(depth)) == count


@pytest.mark.parametrize(
    ("depth", "count"),
    [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018), (110, 1_727_962)],
)
def test_cifar_resnets_with_padding_shortcuts_have_the_published_number(depth, count):
    assert trainable(models.resnet(depth, dataset="cifar")) == count


@pytest.mark.slow
def test_highway_50_at_full_width():
    assert trainable(models.highway(50)) == 46_278_952


@pytest.mark.slow
def test_highway_50_is_as_large_as_resnet_50_at_the_papers_width():
    assert trainable(models.highway(50, width_multiplier=0.734375)) == pytest.approx(
        25.38e6, rel=1e-3
    )


@pytest.mark.slow
def test_highway_110_of_the_authors_cifar_comparison():
    model = models.highway(
        110, dataset="cifar", width_multiplier=0.875, transform_relu=True, transform_bias=-6.0
    )
    assert [stage[0].output_filters for stage in model.backbone.stages] == [14, 28, 56]
    assert trainable(model) == 2_649_918


def test_shipped_pair_is_of_one_size():
    resnet = trainable(models.resnet(20, dataset="cifar"))
    highway = trainable(models.highway(20, dataset="cifar", stackwise_num_filters=[16, 16, 48]))
    assert abs(highway / resnet - 1) < 0.05


@pytest.mark.slow
def test_macs_are_the_published_ones():
    assert models.resnet(50).count_macs() == pytest.approx(4.09e9, rel=2e-3)
    assert models.resnet(18).count_macs() == pytest.approx(1.814e9, rel=2e-3)
    assert models.resnet(20, dataset="cifar").count_macs() == pytest.approx(40.55e6, rel=1e-3)


def test_builders_differ_in_their_gating():
    gatings = [
        models.plain(8, dataset="cifar"),
        models.resnet(8, dataset="cifar"),
        models.highway(8, dataset="cifar"),
        models.highway(8, dataset="cifar", gating="c_only"),
    ]
    assert [m.backbone.gating for m in gatings] == ["plain", "residual", "coupled", "c_only"]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((51,), {}, "depth of 18, 34, 50"),
        ((21,), {"dataset": "cifar"}, "nearest is 20"),
        ((20,), {"dataset": "cifar100"}, "Did you mean 'cifar'"),
        ((20,), {"dataset": "cifar", "widht_multiplier": 2}, "Did you mean 'width_multiplier'"),
        ((20,), {"dataset": "cifar", "num_classes": 1}, "Expected `num_classes`"),
        ((20,), {"dataset": "cifar", "labels": ["a"]}, "one label for each of 10"),
        ((20,), {"dataset": "cifar", "stem": "mnist"}, "Expected `stem`"),
        ((20,), {"dataset": "cifar", "stackwise_num_filters": [16]}, "as many filters"),
        ((20,), {"dataset": "cifar", "stackwise_num_filters": [10**7] * 3}, "whole number from"),
        ((20,), {"dataset": "cifar", "stackwise_num_filters": [60_000] * 3}, "2,147,483,648"),
        ((20,), {"dataset": "cifar", "stackwise_num_blocks": [10**6] * 3}, "whole number from"),
        ((20,), {"dataset": "cifar", "width_multiplier": 1e9}, "Expected `width_multiplier`"),
        ((20,), {"dataset": "cifar", "image_shape": 32}, "Expected `image_shape`"),
        ((20,), {"dataset": "cifar", "layer_dropout": 1.0}, "Expected `layer_dropout`"),
    ],
    ids=str,
)
def test_unknown_and_oversized_arguments_are_rejected(arguments, options, message):
    with pytest.raises(InputError, match=message):
        models.resnet(*arguments, **options)


def test_highway_net_starts_close_to_a_copy(rng):
    # Gates start at sigmoid(-1) = 0.27: a stack changes its input by a part only.
    model = models.highway(20, dataset="cifar")
    found = model.backbone.forward_intermediates(rng.normal(size=(2, 16, 16, 3)).astype("float32"))
    gate = np.asarray(found["stage2_block2/transform_gate"])
    assert 0.2 < gate.mean() < 0.35


@pytest.mark.parametrize("build", [models.resnet, models.highway, models.plain])
def test_preprocessor_of_the_caller_is_kept(build):
    preprocessor = models.make_preprocessor({**models.DATASETS["cifar"], "image_size": (40, 40)})
    model = build(8, dataset="cifar", preprocessor=preprocessor)
    assert model.preprocessor is preprocessor
    assert build(8, dataset="cifar", preprocessor=None).preprocessor is None


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 16])
def test_preprocessor_fits_the_channels(channels, rng):
    model = models.resnet(8, dataset="cifar", image_shape=(None, None, channels))
    images = rng.integers(0, 256, (2, 40, 50, channels)).astype("uint8")
    assert model.predict(images, verbose=0).shape == (2, 10)
    statistics = models.DATASETS["cifar"]
    mean, std = np.array(statistics["mean"]), np.array(statistics["std"])
    if channels != 3:
        mean, std = mean.mean(), std.mean()
    gray = np.full((1, 32, 32, channels), 100, "uint8")
    found = np.asarray(model.preprocessor(gray))[0, 5, 6]
    np.testing.assert_allclose(found, np.broadcast_to((100 / 255 - mean) / std, channels), 1e-4)


@pytest.mark.parametrize(
    ("image_shape", "size"), [((64, 48, 3), (64, 48)), ((None, 48, 1), (32, 48))]
)
def test_preprocessor_fits_the_size_of_the_network(image_shape, size, rng):
    model = models.highway(8, dataset="cifar", image_shape=image_shape)
    assert model.preprocessor.image_converter.image_size == size
    images = rng.integers(0, 256, (2, 70, 50, image_shape[-1])).astype("uint8")
    assert model.predict(images, verbose=0).shape == (2, 10)


def test_statistics_of_another_number_of_channels_are_rejected():
    two = {**models.DATASETS["cifar"], "mean": [0.5, 0.5], "std": [0.2, 0.2]}
    with pytest.raises(InputError, match=r"mean and std of 3 channels\. Received 2"):
        models.make_preprocessor(two)
