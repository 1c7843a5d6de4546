"""`augment`: one view per image, which depends on the image, the seed and the index alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from winninghand import InputError
from winninghand.augmentation import augment

IMAGES = np.random.default_rng(0).integers(0, 256, (150, 8, 9, 3), np.uint8)


@pytest.mark.parametrize(
    "name", ["afa", "augmix", "gaussian", "hybridaugment", "pixmix", "prime", "trivialaugment"]
)
def test_arrays_and_tensors_come_back_as_what_they_were(name: str):
    array = augment(IMAGES[:5], name)
    tensor = augment(torch.from_numpy(IMAGES[:5]), name)
    assert array.dtype == np.uint8
    assert array.shape == (5, 8, 9, 3)
    assert isinstance(tensor, Tensor)
    assert np.array_equal(array, tensor.numpy())
    assert not np.array_equal(array, augment(IMAGES[:5], name, seed=1))


@settings(max_examples=20, deadline=None)
@given(begin=st.integers(0, 149), length=st.integers(1, 100), start=st.sampled_from([0, 3, 100_000]))
def test_a_part_is_augmented_as_in_the_whole(begin: int, length: int, start: int):
    whole = augment(IMAGES, "trivialaugment", seed=2, start=start)
    part = augment(IMAGES[begin : begin + length], "trivialaugment", seed=2, start=start + begin)
    assert np.array_equal(part, whole[begin : begin + length])


def test_parameters_are_those_of_the_mapping():
    still = {"name": "gaussian", "sigma": 0.0, "padding": 0, "flip": False}
    assert np.array_equal(augment(IMAGES, still), IMAGES)


def test_read_only_arrays_and_no_images_at_all():
    frozen = IMAGES[:3].copy()
    frozen.setflags(write=False)
    assert np.array_equal(augment(frozen, "clean"), augment(IMAGES[:3], "clean"))
    assert augment(IMAGES[:0], "clean").shape == (0, 8, 9, 3)


@pytest.mark.parametrize(
    ("images", "arguments", "message"),
    [
        (IMAGES.astype(np.float32), {}, "uint8 (N, H, W, 3) or (H, W, 3), not float32 (150, 8, 9, 3)"),
        (IMAGES[0].transpose(2, 0, 1), {}, "not uint8 (3, 8, 9); move the channels last"),
        (IMAGES.transpose(0, 3, 1, 2), {}, "not uint8 (150, 3, 8, 9); move the channels last"),
        (IMAGES[..., 0], {}, "not uint8 (150, 8, 9)"),
        (IMAGES[0, 0], {}, "not uint8 (9, 3)"),
        (IMAGES.tolist(), {}, "images must be a NumPy array or a torch tensor, not list"),
        (IMAGES, {"seed": -1}, "seed must be a whole number of at least 0 and below 2**63, not -1"),
        (IMAGES, {"seed": 2**63}, "seed must be a whole number of at least 0 and below 2**63"),
        (IMAGES, {"seed": 1.5}, "seed must be a whole number of at least 0 and below 2**63, not 1.5"),
        (IMAGES, {"start": -5}, "start must be a whole number from 0 to 4611686018427387904, not -5"),
        (IMAGES, {"start": 2**63}, "start must be a whole number from 0 to 4611686018427387904"),
    ],
)
def test_bad_input_is_refused(images: object, arguments: dict[str, int], message: str):
    with pytest.raises(InputError) as refusal:
        augment(images, "clean", **arguments)  # type: ignore[type-var]
    assert message in str(refusal.value)


def test_one_image_is_augmented_as_the_first_of_a_batch():
    for kind in (np.asarray, torch.from_numpy):
        view = augment(kind(IMAGES[0].copy()), "augmix", seed=4, start=70)
        assert type(view) is type(kind(IMAGES)) and view.shape == (8, 9, 3)
        assert np.array_equal(view, augment(IMAGES[:1], "augmix", seed=4, start=70)[0])


def test_the_largest_start_has_views_of_its_own():
    assert augment(IMAGES[:2], "trivialaugment", start=2**62).shape == (2, 8, 9, 3)


def test_hybrids_are_made_of_images_of_the_call():
    pairs = {"name": "hybridaugment", "single": False, "padding": 0, "flip": False, "probability": 1.0}
    assert np.array_equal(augment(IMAGES[:1], pairs, start=70), IMAGES[:1])
    dark = IMAGES[:70] // 2
    assert augment(dark, pairs).max() < 255
    assert not np.array_equal(augment(dark, pairs), dark)
