"""Image sets that stay in their files: what is decoded, when, and which part of an image is taken."""

import io
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

import winninghand as wh
from winninghand.base.randomness import CounterRNG
from winninghand.images.random_boxes import DRAWS, random_box


def ramp(height, width, form="JPEG", **options):
    """Return a picture whose red is its row's part of 255, and whose green its column's."""
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([255 * y / (height - 1), 255 * x / (width - 1), np.full(y.shape, 90)], 2)
    file = io.BytesIO()
    Image.fromarray(pixels.round().astype(np.uint8)).save(file, form, quality=98, subsampling=0, **options)
    return file.getvalue()


@pytest.fixture
def folder(tmp_path):
    for split, count in (("train", 6), ("val", 2)):
        for wnid in ("n02", "n01"):
            place = tmp_path / "set" / split / wnid
            place.mkdir(parents=True)
            for number in range(count):
                (place / f"{wnid}_{number}.JPEG").write_bytes(ramp(60 + number, 90 - number))
    return tmp_path / "set"


def draws(count, name="draws"):
    return CounterRNG(name, torch.arange(count)).uniform(*DRAWS).numpy()


def test_streamed_images_are_those_in_memory(folder):
    held, streamed = (wh.load_images(folder, size=24, stream=stream) for stream in (False, True))
    assert streamed.classes == ("n01", "n02") and streamed.train.images.shape == (12, 24, 24, 3)
    places = np.array([7, 0, 11])
    for one, other in ((held.train, streamed.train), (held.test, streamed.test)):
        np.testing.assert_array_equal(other.images[:], one.images)
        np.testing.assert_array_equal(other.labels, one.labels)
    np.testing.assert_array_equal(streamed.train.take(places).images[1:], held.train.images[places[1:]])
    np.testing.assert_array_equal(streamed.train.images[5], held.train.images[5])
    assert "streamed" in streamed.summary()


def test_nothing_is_decoded_before_it_is_asked_for(folder):
    images = wh.load_images(folder, size=24, stream=True)
    path = folder / "train" / "n01" / "n01_3.JPEG"
    path.write_bytes(path.read_bytes()[:300])
    assert images.train.images[[0, 2]].shape == (2, 24, 24, 3)
    with pytest.raises(wh.InputError, match=r"n01_3\.JPEG cannot be read"):
        images.train.images[2:5]
    path.unlink()
    with pytest.raises(wh.InputError, match=r"n01_3\.JPEG"):
        images.train.images.random_crop(3, draws(1)[0])


def test_the_digest_tells_files_apart(folder):
    before = wh.load_images(folder, size=24, stream=True)
    assert before.train.digest == wh.load_images(folder, size=24, stream=True).train.digest
    assert before.train.digest != wh.load_images(folder, size=25, stream=True).train.digest
    (folder / "train" / "n01" / "n01_3.JPEG").write_bytes(ramp(50, 50))
    assert before.train.digest != wh.load_images(folder, size=24, stream=True).train.digest


def test_drawn_test_images_are_those_of_a_set_in_memory(folder):
    held, streamed = (wh.load_images(folder / "train", size=24, stream=stream) for stream in (False, True))
    np.testing.assert_array_equal(streamed.test.images[:], held.test.images)
    assert len(streamed.test) == 2 and streamed.origin.drawn


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"size": 24, "skip_broken": True}, "cannot be left out"),
        ({}, "give it, such as --size 224"),
    ],
)
def test_what_cannot_be_streamed_is_refused(folder, settings, said):
    with pytest.raises(wh.InputError, match=said):
        wh.load_images(folder, stream=True, **settings)
    with pytest.raises(wh.InputError, match="digits cannot be streamed"):
        wh.load_images("digits", stream=True)


def test_a_class_that_is_not_in_the_test_split_is_named(folder):
    (folder / "train" / "n03").mkdir()
    (folder / "train" / "n03" / "a.JPEG").write_bytes(ramp(30, 30))
    with pytest.raises(wh.InputError, match="class 'n03' under train/ but not under val/"):
        wh.load_images(folder, size=24, stream=True)


def test_boxes_have_the_areas_and_ratios_of_the_crop():
    boxes = np.array([random_box((300, 400), (224, 224), own) for own in draws(2000)])
    top, left, height, width = boxes.T
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + height <= 300).all() and (left + width <= 400).all()
    ratio, area = width / height, height * width / 120_000
    assert 0.74 < ratio.min() < 0.76 and 1.32 < ratio.max() < 1.35
    assert 0.075 < area.min() < 0.09 and 0.9 < area.max() <= 1
    # Larger parts fit less often: the mean lies below the middle, 0.54.
    assert 0.4 < area.mean() < 0.54
    assert abs((left / (401 - width)).mean() - 0.5) < 0.02
    # None of ten parts fits into a strip: the middle is taken.
    assert random_box((8, 400), (16, 16), np.full(DRAWS, 0.9, np.float32)) == (0, 196, 8, 8)


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("own", [(40, 50), (480, 640), (1500, 2000)])
def test_a_random_part_is_where_its_box_says(tmp_path, own, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for split in ("train", "test"):
        for name in ("a", "b"):
            (tmp_path / split / name).mkdir(parents=True)
            (tmp_path / split / name / "1.jpg").write_bytes(ramp(*own, exif=exif))
    images = wh.load_images(tmp_path, size=(32, 48), stream=True).train.images
    wanted = (48, 32) if orientation == 6 else (32, 48)
    y, x = ((np.arange(side) + 0.5) / side for side in wanted)
    for number, one in enumerate(draws(6, f"parts {own}")):
        part = images.random_crop(number % 2, one)
        assert part.shape == (32, 48, 3)
        upright = np.rot90(part) if orientation == 6 else part
        top, left, height, width = random_box(own, wanted, one)
        rows = (top + y * height - 0.5) / (own[0] - 1) * 255
        columns = (left + x * width - 0.5) / (own[1] - 1) * 255
        # Within a level or two: a pixel's half at the edges of small pictures, and what JPEG rounds.
        edge = 4 if own[0] < 100 else 2
        np.testing.assert_allclose(upright[..., 0].mean(1), rows, atol=edge)
        np.testing.assert_allclose(upright[..., 1].mean(0), columns, atol=edge)


def test_what_is_odd_about_a_picture_is_not_said_in_the_middle_of_a_training(folder):
    cut_off = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x05\x00\x12\x01"
    for path in folder.rglob("*.JPEG"):
        path.write_bytes(ramp(60, 80, exif=cut_off))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        Image.open(path).getexif()
        assert said
        said.clear()
        images = wh.load_images(folder, size=24, stream=True).train.images
        assert images.random_crop(3, draws(1)[0]).shape == (24, 24, 3)
    assert not said


def test_a_link_to_what_is_gone_is_a_broken_image(folder, caplog, monkeypatch, tmp_path):
    monkeypatch.setenv("WINNINGHAND_CACHE", str(tmp_path / "cache"))
    link = sorted((folder / "train").iterdir())[0] / "gone.jpg"
    link.symlink_to("nowhere.jpg")
    with pytest.raises(wh.InputError, match=r"gone\.jpg cannot be read"):
        _ = wh.load_images(folder, size=32, stream=True).train.digest
    with pytest.raises(wh.InputError, match=r"gone\.jpg cannot be read"):
        wh.load_images(folder, size=32)
    for _ in range(2):  # the second time from the cache
        images = wh.load_images(folder, size=32, skip_broken=True)
        assert "gone.jpg" in caplog.text and "not cached" not in caplog.text
        caplog.clear()
    link.unlink()
    assert len(images.train) == len(wh.load_images(folder, size=32).train)
