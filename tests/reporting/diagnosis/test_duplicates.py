import itertools

import numpy as np
import pytest

from keras_unrolled import InputError
from keras_unrolled.reporting.diagnosis import duplicates, find_duplicates, find_unusual_sizes


def make_data(rng, n=60, channels=16):
    """Features, hashes and digests of pictures that have nothing in common."""
    features = rng.normal(size=(n, channels)).astype("float32")
    hashes = rng.integers(0, 2**64, n, "uint64", endpoint=False)
    return features, hashes, np.arange(n, dtype="uint64")


def test_planted_pairs_are_found_by_both_criteria_together(rng):
    features, hashes, digests = make_data(rng)
    features[7], hashes[7] = 3 * features[3] + 0.01, hashes[3] ^ np.uint64(0b101)
    features[9] = features[2]  # looks alike to the network only
    hashes[11] = hashes[4]  # and to the hash only
    features[20], hashes[20] = features[1], hashes[1] ^ np.uint64(0xFFF)  # 12 bits
    found = find_duplicates(features, hashes, digests, cosine=0.95, bits=6)
    assert [(row["first"], row["second"], row["bits"]) for row in found] == [(3, 7, 2)]
    cosine = features[3] @ features[7] / np.linalg.norm(features[3]) / np.linalg.norm(features[7])
    assert found[0]["cosine"] == pytest.approx(cosine, abs=1e-6)
    assert not found[0]["identical"]


def test_pictures_of_the_same_pixels_always_count_and_come_first(rng):
    features, hashes, digests = make_data(rng)
    features[[1, 5]], digests[5], hashes[5] = 0, digests[1], hashes[1]
    features[8], hashes[8] = features[6], hashes[6]
    found = find_duplicates(features, hashes, digests)
    assert [(row["first"], row["second"], row["identical"]) for row in found] == [
        (1, 5, True),
        (6, 8, False),
    ]


def test_blocks_give_what_a_loop_over_all_pairs_gives(rng, monkeypatch):
    monkeypatch.setattr(duplicates, "BLOCK", 7)
    features, hashes, digests = make_data(rng, 40, 2)
    hashes &= np.uint64(0xFF)
    found = find_duplicates(features, hashes, digests, cosine=0.5, bits=3)
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    expected = {
        (i, j)
        for i, j in itertools.combinations(range(40), 2)
        if units[i] @ units[j] >= 0.5 and bin(int(hashes[i]) ^ int(hashes[j])).count("1") <= 3
    }
    assert {(row["first"], row["second"]) for row in found} == expected
    assert len(expected) > 20
    keys = [(row["bits"], -row["cosine"]) for row in found]
    assert keys == sorted(keys)


def test_number_of_pairs_is_limited_to_the_most_alike(rng, monkeypatch):
    monkeypatch.setattr(duplicates, "MOST_PAIRS", 10)
    monkeypatch.setattr(duplicates, "BLOCK", 4)
    features, _, digests = make_data(rng, 30)
    features[:], hashes = 1, np.zeros(30, "uint64")
    hashes[:20] = 1
    digests[[28, 29]] = 99
    found = find_duplicates(features, hashes, digests)
    assert len(found) == 10
    assert (found[0]["first"], found[0]["second"]) == (28, 29)
    assert all(row["bits"] == 0 for row in found)


def test_likeness_is_the_largest_correlation_over_shifts_by_a_pixel(rng):
    features, hashes, digests = make_data(rng, 40)
    thumbnails = rng.integers(0, 256, (40, 8, 8)).repeat(4, 1).repeat(4, 2).astype("uint8")
    noise = rng.normal(0, 8, (32, 32))
    thumbnails[5] = np.clip(0.8 * thumbnails[2] + 20 + noise, 0, 255)  # another contrast
    thumbnails[7] = np.roll(thumbnails[3], (1, -1), (0, 1))
    thumbnails[9] = np.roll(thumbnails[4], 4, 0)  # too far
    thumbnails[[10, 11]] = 128  # plain ones say nothing
    found = find_duplicates(features, hashes, digests, thumbnails)
    assert [(row["first"], row["second"]) for row in found] == [(3, 7), (2, 5)]

    def shrink(picture):
        return picture.reshape(15, 2, 15, 2).mean((1, 3)).ravel()

    for row in found:
        ours = shrink(thumbnails[row["first"], 1:31, 1:31])
        theirs = thumbnails[row["second"]]
        values = [
            np.corrcoef(ours, shrink(theirs[y : y + 30, x : x + 30]))[0, 1]
            for y in range(3)
            for x in range(3)
        ]
        assert row["likeness"] == pytest.approx(max(values), abs=1e-4)
    assert find_duplicates(features, hashes, digests) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [({"bits": 65}, "bits"), ({"cosine": 1.5}, "cosine")],
)
def test_impossible_limits_are_rejected(rng, options, message):
    with pytest.raises(InputError, match=message):
        find_duplicates(*make_data(rng), **options)
    with pytest.raises(InputError, match="n hashes and digests"):
        find_duplicates(np.ones((3, 2)), np.zeros(2, "uint64"), np.zeros(3, "uint64"))


def test_unusual_sizes_are_found_with_the_reason():
    sizes = np.array([[100, 150]] * 7 + [[50, 75], [99, 150], [100, 300], [400, 600]])
    found = find_unusual_sizes(sizes)
    assert [(row["number"], row["height"], row["width"]) for row in found] == [
        (10, 400, 600),
        (7, 50, 75),
        (9, 100, 300),
    ]
    assert found[0]["why"] == "16 times the pixels of the median picture"
    assert found[2]["why"] == "2 times its width to height"
    assert find_unusual_sizes(np.full((5, 2), 32)) == []
