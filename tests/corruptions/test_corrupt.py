import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from winninghand.base.errors import InputError
from winninghand.corruptions import (
    CORRUPTIONS,
    checked_severities,
    corrupt,
    corruption_names,
    missing_corruptions,
)
from winninghand.corruptions.corrupt import PIXELS_PER_CHUNK

NAMES = [
    pytest.param(
        name, marks=pytest.mark.skipif(name in missing_corruptions([name]), reason="textures missing")
    )
    for name in CORRUPTIONS
]
CHUNK_OF_FOUR = 4 * 32 * 32


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("severity", [2, 5])
def test_pixels_depend_on_neither_batch_order_chunk_nor_threads(noise_images, name, severity, monkeypatch):
    together = corrupt(noise_images, name, severity, seed=3, start=100)
    monkeypatch.setitem(PIXELS_PER_CHUNK, "cpu", CHUNK_OF_FOUR)
    order = np.array([6, 2, 0, 5, 1, 4, 3])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3 - min(threads, 2))
        shuffled = corrupt(noise_images[order], name, severity, seed=3, indices=order + 100)
        alone = corrupt(noise_images[4:5], name, severity, seed=3, start=104)
    finally:
        torch.set_num_threads(threads)
    assert np.array_equal(shuffled, together[order])
    assert np.array_equal(alone, together[4:5])


@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if not CORRUPTIONS[name].deterministic])
def test_seed_index_and_severity_change_what_is_random(name, photographs):
    if name in missing_corruptions([name]):
        pytest.skip("textures missing")
    image = np.repeat(photographs[:1], 12, axis=0)
    drawn = corrupt(image, name, 4)
    # There are only six ways to deal three zooms to three channels.
    assert len({one.tobytes() for one in drawn}) > (3 if name == "transverse_chromatic_abberation" else 6)
    assert not np.array_equal(drawn, corrupt(image, name, 4, seed=1))
    assert np.array_equal(drawn[5:], corrupt(image[5:], name, 4, start=5))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(8, 8), (28, 28), (40, 64), (96, 33), (224, 224)])
def test_any_size_works_and_leaves_the_input_alone(name, size):
    images = np.random.default_rng(1).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    before = images.copy()
    result = corrupt(images, name, 5)
    assert result.shape == images.shape and result.dtype == np.uint8
    assert np.array_equal(images, before)
    if min(size) >= 28:
        assert not np.array_equal(result, before)


@pytest.mark.parametrize("name", ["gaussian_noise", "pixelate", "fog"])
def test_the_same_kind_comes_back_and_grey_becomes_colour(noise_images, name):
    expected = corrupt(noise_images, name, 3)
    tensor = corrupt(torch.from_numpy(noise_images), name, 3)
    assert isinstance(tensor, torch.Tensor) and isinstance(expected, np.ndarray)
    assert np.array_equal(tensor.numpy(), expected)
    grey = noise_images[..., 0]
    from_grey = corrupt(grey, name, 3)
    assert np.array_equal(from_grey, corrupt(np.repeat(grey[..., None], 3, axis=-1), name, 3))
    assert np.array_equal(from_grey, corrupt(grey[..., None], name, 3))
    assert np.array_equal(
        corrupt(noise_images[:, ::-1], name, 3), corrupt(noise_images[:, ::-1].copy(), name, 3)
    )


@given(level=st.integers(0, 255), severity=st.integers(1, 5))
@settings(max_examples=20, deadline=None)
def test_blurs_and_warps_leave_a_constant_image_as_it_is(level, severity):
    flat = np.full((2, 32, 32, 3), level, np.uint8)
    for name in ("zoom_blur", "motion_blur", "elastic_transform", "pixelate", "contrast"):
        assert np.array_equal(corrupt(flat, name, severity), flat), name


@pytest.mark.parametrize(
    ("images", "name", "severity", "message"),
    [
        (np.zeros((2, 32, 32, 3), np.uint8), "fogg", 1, "did you mean 'fog'"),
        (np.zeros((2, 32, 32, 3), np.uint8), "fog", 0, "from 1 to 5, not 0"),
        (np.zeros((2, 32, 32, 3), np.uint8), "fog", 2.5, "from 1 to 5, not 2.5"),
        (np.zeros((2, 32, 32, 3), np.float32), "fog", 1, "must be uint8"),
        (torch.zeros(2, 32, 32, 3), "fog", 1, "must be uint8"),
        (np.zeros((2, 32, 32, 3), np.uint8), "fog", True, "from 1 to 5, not True"),
        (np.zeros((2, 32, 32, 3), np.uint8), "fog", [1, 2], r"from 1 to 5, not \[1, 2\]"),
        (np.zeros((2, 32, 32, 3), np.uint8), "fog", np.arange(1, 3), "from 1 to 5, not array"),
        (np.zeros((2, 3, 32, 32), np.uint8), "fog", 1, "must have the shape .*; move the channels last"),
        (
            np.zeros((3, 32, 32), np.uint8),
            "fog",
            1,
            r"\(3, 32, 32\) may be one image with its channels first",
        ),
        (torch.zeros(3, 9, 8, dtype=torch.uint8), "fog", 1, "one image with its channels first"),
        (np.zeros((32, 4, 3), np.uint8), "fog", 1, r"at least 8 pixels high and wide, not \(32, 4\)"),
        (np.zeros((32, 32), np.uint8), "fog", 1, "must have the shape"),
        (np.zeros((0, 32, 32, 3), np.uint8), "fog", 1, "holds no images"),
        (np.zeros((2, 4, 32, 3), np.uint8), "fog", 1, "at least 8 pixels"),
        ([[1, 2]], "fog", 1, "array or a torch tensor"),
    ],
)
def test_bad_input_is_refused_in_one_line(images, name, severity, message):
    with pytest.raises(InputError, match=message) as refusal:
        corrupt(images, name, severity)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "said"), [("BAR", "known: common, extra, bar"), ("imagenet-bar", "'imagenet_bar'")]
)
def test_groups_are_among_what_is_known(name, said):
    with pytest.raises(InputError, match=said):
        corruption_names(name)


def test_one_image_comes_back_as_one(noise_images):
    expected = corrupt(noise_images[:1], "gaussian_noise", 3, seed=2, start=5)[0]
    assert np.array_equal(corrupt(noise_images[0], "gaussian_noise", 3, seed=2, start=5), expected)
    tensor = corrupt(torch.from_numpy(noise_images[0]), "gaussian_noise", 3, seed=2, indices=[5])
    assert np.array_equal(tensor.numpy(), expected)
    grey = noise_images[:1, :, :, :1]
    assert np.array_equal(corrupt(grey[0], "fog", 2), corrupt(grey, "fog", 2)[0])


@pytest.mark.parametrize(
    "arguments",
    [
        *({"seed": seed} for seed in (-1, 0.5, "1", True, None, 2**63, 10**5000)),
        *({"start": start} for start in (-1, 0.5, 2**63, 2**62 + 1, None)),
        *({"indices": [0, other]} for other in (-1, 2**63, 2**64, 0.5, None, "a")),
        {"indices": np.array([0, 2**63], np.uint64)},
        {"indices": 3},
    ],
)
def test_places_and_seeds_are_whole_numbers(arguments):
    with pytest.raises(InputError, match=r"(seed|start|indices) must be") as refusal:
        corrupt(np.zeros((2, 32, 32, 3), np.uint8), "fog", 1, **arguments)
    assert len(str(refusal.value)) < 150


def test_the_largest_places_are_streams_of_their_own(noise_images):
    same = noise_images[[0, 0, 0]]
    ends = corrupt(same, "gaussian_noise", 1, indices=np.array([0, 2**63 - 1, 2**63 - 2], np.uint64))
    assert len({image.tobytes() for image in ends}) == 3
    first = corrupt(same[:2], "fog", 1, start=2**62)
    assert np.array_equal(first, corrupt(same[:2], "fog", 1, indices=[2**62, 2**62 + 1]))


@pytest.mark.parametrize(
    "severities", [3, None, "3", (), [0], [6], [1, 2.5], [True], [[1]], [None], range(6), [1, "2"]]
)
def test_severities_are_several_of_1_to_5(severities):
    with pytest.raises(InputError, match=r"must be whole numbers in 1..5, such as \[1, 3, 5\], not"):
        checked_severities(severities)


def test_severities_keep_their_order_and_count_once():
    assert checked_severities(level for level in (5, 1, 5, 1)) == (5, 1)
    assert checked_severities(np.array([2, 3])) == (2, 3)


@pytest.mark.parametrize("indices", [np.arange(3), np.zeros(2), np.zeros((2, 1), np.int64)])
def test_indices_must_be_one_whole_number_per_image(indices):
    with pytest.raises(InputError, match="indices must be 2 whole numbers"):
        corrupt(np.zeros((2, 32, 32, 3), np.uint8), "fog", 1, indices=indices)


def test_frost_is_refused_and_not_replaced_without_its_textures(noise_images, monkeypatch):
    monkeypatch.setattr("winninghand.corruptions.weather.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install --no-deps imagecorruptions"):
        corrupt(noise_images, "frost", 1)


class OneDevice(TorchDispatchMode):
    """Refuses what a GPU would refuse: operations on tensors of two devices."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = [
            leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor) and leaf.dim()
        ]
        assert "copy" in str(function) or len({tensor.device for tensor in found}) < 2, function
        return function(*args, **(kwargs or {}))


# A codec and a loop that ends when nothing changes need real data.
@pytest.mark.parametrize(
    "name", [name for name in NAMES if name.values[0] not in ("jpeg_compression", "spatter")]
)
def test_all_work_is_done_on_the_images_own_device(name):
    images = torch.empty(2, 32, 32, 3, dtype=torch.uint8, device="meta")
    with OneDevice():
        assert corrupt(images, name, 5).device == images.device
