import numpy as np
import pytest

from winninghand.base.errors import InputError
from winninghand.corruptions import (
    CORRUPTIONS,
    corrupt,
    corruption,
    corruption_names,
    family_of,
    missing_corruptions,
    open_archive,
    write_archive,
)

COMMON = [
    *("gaussian_noise", "shot_noise", "impulse_noise"),
    *("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    *("snow", "frost", "fog", "brightness"),
    *("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
]
EXTRA = ["speckle_noise", "gaussian_blur", "spatter", "saturate"]
BAR = [
    *("blue_noise_sample", "brownish_noise", "checkerboard_cutout", "sparkles", "inverse_sparkles"),
    *("ripple", "pinch_and_twirl", "circular_motion_blur", "lines", "transverse_chromatic_abberation"),
]
IMAGENET_BAR = [
    *("single_frequency_greyscale", "cocentric_sine_waves", "plasma_noise", "perlin_noise"),
    "caustic_refraction",
]


def test_the_groups_are_the_benchmarks():
    assert list(corruption_names("common")) == COMMON
    assert list(corruption_names("extra")) == EXTRA
    assert corruption_names("all") == corruption_names(["common", "extra"])
    assert list(corruption_names("bar")) == BAR
    assert list(corruption_names("imagenet_bar")) == IMAGENET_BAR
    assert {*corruption_names("all"), *BAR, *IMAGENET_BAR} == set(CORRUPTIONS)


def test_names_are_selected_once_in_the_order_given():
    assert corruption_names("fog, snow,fog") == ("fog", "snow")
    assert corruption_names(["fog", "extra"])[:2] == ("fog", "speckle_noise")


@pytest.mark.parametrize("selection", ["", " , ", []])
def test_an_empty_selection_is_refused(selection):
    with pytest.raises(InputError, match="no corruption is selected"):
        corruption_names(selection)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'gaussian_noise'"):
        corruption_names("fog,gausian_noise")


def test_frost_is_missing_without_its_textures(monkeypatch):
    monkeypatch.setattr("winninghand.corruptions.weather.find_spec", lambda name: None)
    missing = missing_corruptions(["fog", "frost"])
    assert list(missing) == ["frost"]
    assert "pip install --no-deps imagecorruptions" in missing["frost"]


@corruption("dust", "lens", group="workshop")
def dust(images, severity, rng):
    """Black out more pixels at higher severities."""
    kept = rng.uniform(*images.shape[1:3]) > severity / 50
    return images * kept[..., None]


@pytest.fixture
def foreign(monkeypatch):
    """A corruption of another package, known as its entry point would make it known."""
    monkeypatch.setitem(CORRUPTIONS._entries, "dust", dust)


def test_another_packages_corruption_is_selected_by_name_and_by_its_own_group_only(foreign):
    assert corruption_names("dust,workshop,fog") == ("dust", "fog")
    assert "dust" not in corruption_names("all")
    assert (family_of("dust"), family_of("fog"), family_of("of_a_package_not_here")) == (
        "lens",
        "weather",
        "other",
    )


def test_another_packages_corruption_is_applied_written_and_read(foreign, noise_images, tmp_path):
    expected = corrupt(noise_images, "dust", 5, seed=1)
    assert 0.05 < (expected != noise_images).any(-1).mean() < 0.15
    write_archive(noise_images, np.arange(7), tmp_path, "dust", [5], seed=1)
    archive = open_archive(tmp_path)
    assert archive.names == ("dust",) and np.array_equal(archive.cell("dust", 5), expected)


def test_a_corruption_that_changes_the_type_is_refused(foreign, noise_images, monkeypatch):
    bright = corruption("bright", "lens")(lambda images, severity, rng: images * 1.5)
    monkeypatch.setitem(CORRUPTIONS._entries, "bright", bright)
    assert bright.group == "other"
    with pytest.raises(InputError, match=r"'bright' made torch\.float32"):
        corrupt(noise_images, "bright", 1)
