"""ImageNet-C's corruptions at 224 pixels and Tiny-ImageNet-C's at 64, against their authors' own pixels."""

import numpy as np
import pytest
from corruption_statistics import LARGE_REFERENCES, SHARED
from published_draws import DRAWN, ORDER, corrupted

from winninghand.base.errors import InputError
from winninghand.corruptions import CORRUPTIONS, SEVERITIES, corrupt, missing_corruptions
from winninghand.corruptions.parameters import published_set

DETERMINISTIC = [name for name in ORDER if CORRUPTIONS[name].deterministic]
NOISE = [name for name in ORDER if CORRUPTIONS[name].family == "noise"]

# Shares of values that may be one level off.
TIES = {("frost", 64): 0.08, ("elastic_transform", 64): 0.005, ("elastic_transform", 224): 0.005}
ROUNDING = 0.001


@pytest.fixture(scope="module", params=[64, 224])
def cells(request):
    """The reference's outputs at one size, read as they are asked for."""
    path = LARGE_REFERENCES[request.param]
    if not path.is_file():
        pytest.skip(f"the reference's outputs are not at {path.relative_to(SHARED.parent)}")
    with np.load(path) as file:
        yield file


def made(cells, name, severity, seed=1, count=None):
    """The library's images of one cell, with the reference's draws where it draws."""
    images = cells["clean"][:count]
    return corrupted(images, name, severity, seed) if name in DRAWN else corrupt(images, name, severity)


def is_same(images, known, allowed):
    difference = np.abs(images.astype(int) - known)
    return difference.max() <= 1 and (difference > 0).mean() <= allowed


def test_these_are_all():
    assert {*DETERMINISTIC, *NOISE, *DRAWN} == set(ORDER)


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_pixels_are_the_references_at_its_severity_and_no_other(cells, name):
    found = {severity: made(cells, name, severity) for severity in SEVERITIES}
    for severity in SEVERITIES:
        known = cells[f"{name}_{severity}"].astype(int)
        same = [other for other in SEVERITIES if is_same(found[other], known, ROUNDING)]
        assert same == [severity]


@pytest.mark.parametrize("name", DRAWN)
def test_the_references_draws_give_its_pixels_at_its_severity_and_no_other(cells, name):
    if name in missing_corruptions([name]):
        pytest.skip("textures missing")
    allowed = TIES.get((name, len(cells["clean"][0])), ROUNDING)
    for severity in (1, 3, 5):
        for suffix, seed in (("", 1), ("_seed2", 2)):
            known = cells[f"{name}_{severity}{suffix}"].astype(int)
            assert is_same(made(cells, name, severity, seed, len(known)), known, allowed)
        for other in {severity - 1, severity + 1} & set(SEVERITIES):
            assert not is_same(made(cells, name, other, count=len(known)), known, allowed)


@pytest.mark.parametrize("name", NOISE)
def test_noise_is_as_strong_as_the_references_at_its_severity_and_no_other(cells, name):
    def figures(images, clean):
        residual = images - clean.astype(float)
        return np.array([(residual != 0).mean(), residual.std(), np.abs(residual).mean()])

    for severity in (1, 3, 5):
        known = cells[f"{name}_{severity}"]
        clean = cells["clean"][: len(known)]
        for other in {severity - 1, severity, severity + 1} & set(SEVERITIES):
            apart = figures(corrupt(clean, name, other), clean) / figures(known, clean) - 1
            assert (np.abs(apart).max() < 0.12) == (other == severity), (severity, other, apart)


def test_the_set_that_is_nearest_by_ratio_gives_the_parameters():
    sides = (8, 32, 45, 46, 64, 96, 119, 120, 224, 512)
    names = ("cifar10-c",) * 3 + ("tiny-imagenet-c",) * 4 + ("imagenet-c",) * 3
    assert tuple(published_set(side, 2 * side) for side in sides) == names
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    tiny, imagenet = (
        corrupt(images, "gaussian_noise", 5, parameters=one).std() for one in ("auto", "imagenet-c")
    )
    assert imagenet > 1.1 * tiny
    assert np.array_equal(
        corrupt(images, "contrast", 5), corrupt(images, "contrast", 5, parameters="tiny-imagenet-c")
    )


@pytest.mark.parametrize("name", ORDER)
@pytest.mark.parametrize("parameters", ["tiny-imagenet-c", "imagenet-c"])
def test_any_set_works_at_any_size(name, parameters):
    if name in missing_corruptions([name]):
        pytest.skip("textures missing")
    images = np.random.default_rng(0).integers(0, 256, (2, 17, 40, 3), dtype=np.uint8)
    assert corrupt(images, name, 5, parameters=parameters).shape == images.shape


def test_saving_takes_noise_away_and_costs_a_clean_image_little():
    generator = np.random.default_rng(0)
    smooth = np.cumsum(generator.normal(size=(4, 64, 64, 3)), axis=1) * 4 + 128
    clean = smooth.clip(0, 255).astype(np.uint8)

    def error(**how):
        return np.sqrt(((corrupt(clean, "gaussian_noise", 5, **how).astype(float) - clean) ** 2).mean())

    assert error(saved_as="jpeg") < 0.85 * error()
    single = corrupt(clean[0], "gaussian_noise", 5, saved_as="jpeg")
    assert np.array_equal(single, corrupt(clean, "gaussian_noise", 5, saved_as="jpeg")[0])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"parameters": "imagenet"}, "did you mean 'imagenet-c'"),
        ({"parameters": 224}, "parameters must be one of auto, cifar10-c"),
        ({"saved_as": "png"}, "saved_as must be one of pixels, jpeg, not 'png'"),
    ],
)
def test_unknown_sets_and_ways_to_save_are_refused(how, message):
    with pytest.raises(InputError, match=message):
        corrupt(np.zeros((1, 32, 32, 3), np.uint8), "fog", 1, **how)
