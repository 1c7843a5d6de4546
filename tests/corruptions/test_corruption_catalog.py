import pytest

from winninghand.base.errors import InputError
from winninghand.corruptions import CORRUPTIONS, corruption_names, missing_corruptions
from winninghand.corruptions.weather import frost

COMMON = [
    *("gaussian_noise", "shot_noise", "impulse_noise"),
    *("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    *("snow", "frost", "fog", "brightness"),
    *("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
]
EXTRA = ["speckle_noise", "gaussian_blur", "spatter", "saturate"]


def test_the_groups_are_the_benchmarks():
    assert list(corruption_names("common")) == COMMON
    assert list(corruption_names("extra")) == EXTRA
    assert corruption_names("all") == corruption_names(["common", "extra"])
    assert set(corruption_names("all")) == set(CORRUPTIONS)


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
    monkeypatch.setattr(frost, "find_spec", lambda name: None)
    missing = missing_corruptions(["fog", "frost"])
    assert list(missing) == ["frost"]
    assert "pip install --no-deps imagecorruptions" in missing["frost"]
