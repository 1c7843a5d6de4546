"""Folders of photographs as people have them: mixed, divided or not, with files that are broken."""

from __future__ import annotations

import io
import shutil
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from winninghand.base.errors import InputError
from winninghand.images import load_images
from winninghand.images.pictures import Picture, decode, decoded
from winninghand.images.resizing import resized

COUNTS = {"cat": 10, "dög": 7}


def photograph(seed, size=(40, 30), mode="RGB"):
    """A smooth picture of random colours, which JPEG keeps nearly as it is."""
    corners = np.random.default_rng(seed).integers(0, 256, (3, 3, 3), dtype=np.uint8)
    return Image.fromarray(corners).resize(size, Image.Resampling.BICUBIC).convert(mode)


@pytest.fixture
def photos(tmp_path):
    """Class folders alone, of pictures of all sizes and modes, some in folders of their own."""
    root = tmp_path / "photos"
    for name, count in COUNTS.items():
        (root / name / "more").mkdir(parents=True)
        for number in range(count):
            place = root / name / ("more" if number % 3 == 0 else "") / f"{number} é.jpg"
            photograph(number, (40 + number, 30)).save(place)
    photograph(1, mode="L").save(root / "cat" / "grey.PNG")
    photograph(2, mode="P").save(root / "dög" / "palette.gif")
    Image.new("RGBA", (20, 50), (0, 0, 0, 0)).save(root / "dög" / "clear.png")
    return root


def divided(images):
    return [np.bincount(split.labels, minlength=2).tolist() for split in (images.train, images.test)]


def labelled(images):
    """Count each image with its label, in whichever part it is."""
    parts = (images.train, images.test)
    return Counter(
        (image.tobytes(), int(label))
        for part in parts
        for image, label in zip(part.images, part.labels, strict=True)
    )


def test_without_a_test_folder_images_are_drawn_by_class_and_seed(photos):
    images = load_images(photos, size=16)
    assert images.classes == ("cat", "dög")
    assert divided(images) == [[9, 7], [2, 2]]
    assert images.test.images.shape[1:] == (16, 16, 3)
    assert images.summary() == (
        "photos: 16 images to train and 4 to test of 16×16, 2 classes (cat 9 + 2, dög 7 + 2); test images "
        "drawn: 0.2 of each class by seed 0; 1 image with transparent parts laid on white"
    )
    assert load_images(photos, size=16).summary() == images.summary()  # from the cache
    other = load_images(photos, size=16, split_seed=1, test_fraction=0.5)
    assert divided(other) == [[5, 5], [6, 4]]
    again = load_images(photos, size=16, split_seed=2)
    assert again.test.digest != images.test.digest


def test_a_new_photograph_moves_hardly_any_other(photos):
    def drawn():
        return {image.tobytes() for image in load_images(photos, size=16).test.images}

    before = drawn()
    for number in range(3):
        photograph(100 + number).save(photos / "cat" / f"new{number}.jpg")
    assert len(before - drawn()) <= 1


@pytest.mark.parametrize("names", [("train", "val"), ("Training", "valid"), ("TRAIN", "validation")])
def test_validation_images_are_the_test_images_where_there_are_no_others(photos, tmp_path, names):
    root = tmp_path / "other"
    shutil.copytree(photos, root / names[0])
    shutil.copytree(photos, root / names[1])
    images = load_images(root, size=8)
    assert divided(images) == [[11, 9], [11, 9]]
    assert not images.origin.drawn
    shutil.copytree(photos, root / "test")
    images = load_images(root, size=8)
    assert divided(images) == [[22, 18], [11, 9]]
    assert "images for validation are among those to train on" in images.summary()
    (root / "valid ation").mkdir()
    (root / names[1]).rename(root / "val2")
    assert divided(load_images(root, size=8)) == [[11, 9], [11, 9]]


def test_a_training_folder_alone_is_divided_and_a_folder_in_a_folder_is_opened(photos, tmp_path, caplog):
    root = tmp_path / "outer"
    shutil.copytree(photos, root / "inner" / "train")
    (root / "inner" / "readme.txt").write_text("")
    images = load_images(root / "inner", size=8)
    assert divided(images) == [[9, 7], [2, 2]]
    (root / "inner" / "readme.txt").unlink()
    assert load_images(root, size=8).name == "outer"
    (root / "inner" / "rest").mkdir()
    photograph(3).save(root / "inner" / "loose.jpg")
    caplog.clear()
    load_images(root, size=8)
    assert caplog.messages == [f"{root}: left out, as it is in no class folder: 'loose.jpg', 'rest'"]


def test_a_class_may_be_called_as_a_split(tmp_path):
    for name in ("bus", "train"):
        (tmp_path / "vehicles" / name).mkdir(parents=True)
        for number in range(4):
            photograph(number).save(tmp_path / "vehicles" / name / f"{number}.jpg")
    assert load_images(tmp_path / "vehicles").classes == ("bus", "train")
    (tmp_path / "vehicles" / "bus").rename(tmp_path / "vehicles" / "test")
    with pytest.raises(InputError, match="holds no class folders"):
        load_images(tmp_path / "vehicles")


def test_all_broken_files_are_named_at_once_and_left_out_on_request(photos, caplog):
    for number in range(1, 4):
        (photos / "cat" / f"broken {number}.jpg").write_bytes(b"no picture" * number)
    whole = (photos / "dög" / "1 é.jpg").read_bytes()
    (photos / "dög" / "1 é.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"4 of 23 images cannot be used") as caught:
        load_images(photos, size=16)
    for name in ("broken 1.jpg", "broken 2.jpg", "broken 3.jpg", "1 é.jpg", "--skip-broken"):
        assert name in str(caught.value)
    for _ in range(2):  # decoded, and from the cache
        caplog.clear()
        images = load_images(photos, size=16, skip_broken=True)
        assert sum(map(sum, divided(images))) == 19
        assert "4 images that cannot be read are left out" in caplog.text
        assert "left out as broken: 4" in images.summary()
    with pytest.raises(InputError, match=r"4 of 23 images cannot be used"):
        load_images(photos, size=16)


def test_test_images_are_drawn_from_what_can_be_read(photos):
    clean = load_images(photos, size=16, split_seed=3)
    for name, count in (("cat", 12), ("dög", 3)):
        for number in range(count):
            (photos / name / f"broken {number}.jpg").write_bytes(b"no picture")
    found = load_images(photos, size=16, split_seed=3, skip_broken=True)
    assert divided(found) == divided(clean) == [[9, 7], [2, 2]]
    assert (found.train.digest, found.test.digest) == (clean.train.digest, clean.test.digest)
    tests = {image.tobytes() for image in clean.test.images}
    (photos / "cat" / "1 é.jpg").write_bytes(b"")
    fewer = load_images(photos, size=16, split_seed=3, skip_broken=True)
    assert len({image.tobytes() for image in fewer.test.images} & tests) >= 3
    before, now = labelled(clean), labelled(fewer)
    assert now < before and (before - now).total() == 1


def test_a_class_with_one_readable_image_cannot_spare_it(photos):
    for path in [*(photos / "cat").rglob("*.*")][1:]:
        path.write_bytes(b"")
    with pytest.raises(InputError, match="photos: one image alone of class 'cat' can be read"):
        load_images(photos, size=8, skip_broken=True)


def test_of_very_many_broken_files_the_first_are_named(photos):
    for number in range(300):
        (photos / "cat" / f"{number}.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"300 of 320 images .* and 2\d\d more; replace"):
        load_images(photos, size=16)


def test_a_class_that_is_broken_as_a_whole_is_refused(photos):
    for path in (photos / "dög").rglob("*.*"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="no image of class 'dög' can be read"):
        load_images(photos, size=8, skip_broken=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: shutil.rmtree(root / "cat"), r"one class alone, 'dög'; a classifier needs two"),
        (
            lambda root: (
                [shutil.move(path, root) for path in (root / "cat").glob("*.jpg")]
                and [shutil.rmtree(path) for path in root.iterdir() if path.is_dir()]
            ),
            r"holds \d images and no class folders",
        ),
        (lambda root: (root / "owl").mkdir(), r"class folder .*owl holds no images"),
        (
            lambda root: [(root / name).mkdir() for name in ("owl", "newt")],
            r"class folders 'newt', 'owl' hold no images",
        ),
        (
            lambda root: [
                (root / name).mkdir() or photograph(0).save(root / name / "a.jpg") for name in "xy"
            ],
            r"has one image alone of 'x', 'y'; add some",
        ),
    ],
)
def test_what_cannot_be_trained_on_is_refused_in_one_line(photos, change, message):
    change(photos)
    with pytest.raises(InputError, match=message):
        load_images(photos, size=8)


def test_sizes_that_differ_ask_for_one(photos):
    with pytest.raises(
        InputError,
        match=r"give one size for all, such as --size 64 \(in Python size=64, in a recipe images.size\)$",
    ):
        load_images(photos)


def test_where_sizes_differ_broken_and_unknown_files_are_named_too(photos, caplog):
    for name in ("cat/a broken.jpg", "dög/z broken.jpg"):
        (photos / name).write_bytes(b"no picture")
    (photos / "dög" / "notes.txt").write_text("none")
    for skip, said in ((False, "2 of 22 images cannot be used"), (True, "left out as broken are")):
        caplog.clear()
        with pytest.raises(InputError, match="give one size for all") as caught:
            load_images(photos, skip_broken=skip)
        assert all(one in str(caught.value) for one in (said, "a broken.jpg", "z broken.jpg"))
        assert "notes.txt" in caplog.text


# A red bar on the left, a green one on the right, blue between; four times as wide as high.
BARS = np.zeros((20, 80, 3), np.uint8)
BARS[:, :20], BARS[:, 20:60], BARS[:, 60:] = (255, 0, 0), (0, 0, 255), (0, 255, 0)


def corners(pixels):
    return [tuple(int(value) for value in pixels[place]) for place in ((0, 0), (5, 0), (5, 9), (9, 9))]


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        ("crop", [(0, 0, 255)] * 4),
        ("squash", [(255, 0, 0), (255, 0, 0), (0, 255, 0), (0, 255, 0)]),
        ("pad", [(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 0)]),
    ],
)
def test_each_transform_gives_pictures_and_arrays_what_it_says(transform, expected):
    picture = decoded([Picture("p", Image.fromarray(BARS))], (10, 10), transform)[0]
    array = resized(BARS[None], (10, 10), transform)[0]
    assert corners(picture) == corners(array) == expected
    upright = resized(BARS.swapaxes(0, 1)[None], (10, 10), transform)[0]
    assert np.array_equal(upright, array.swapaxes(0, 1))


@pytest.mark.parametrize("transform", ["crop", "squash", "pad"])
def test_pictures_come_as_arrays_do(transform):
    for seed in range(3):
        image = photograph(seed, (75 + seed, 58))
        picture = decoded([Picture("p", image)], (24, 20), transform)[0].astype(int)
        array = resized(np.asarray(image)[None], (24, 20), transform)[0]
        assert np.abs(picture - array).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_at_a_size_is_the_upright_one(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    photograph(7, (400, 300)).save(file, "JPEG", quality=95, exif=exif)
    whole = decoded([Picture("p", file.getvalue())], None)
    for size in ((24, 32), (16, 16)):
        small = decoded([Picture("p", file.getvalue())], size)[0].astype(int)
        assert np.abs(small - resized(whole, size)[0]).mean() < 2


def test_reduced_decoding_differs_little_from_whole_decoding(monkeypatch):
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((512, 384), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    reduced = decoded([Picture("p", file.getvalue())], (48, 64)).astype(int)
    monkeypatch.setattr("winninghand.images.pictures._FINER", 10**6)
    whole = decoded([Picture("p", file.getvalue())], (48, 64))
    assert 0 < np.abs(reduced - whole).mean() < 1


def test_broken_pictures_leave_no_gap():
    good = [Picture("p", Image.new("RGB", (8, 8), (level, 0, 0))) for level in (1, 2, 3)]
    bad = Picture("bad", b"")
    found = decode([bad, good[0], bad, good[1], good[2], bad], (8, 8))
    assert found.images[:, 0, 0, 0].tolist() == [1, 2, 3]
    assert found.kept.tolist() == [1, 3, 4]
    assert [index for index, _ in found.broken] == [0, 2, 5]


@pytest.mark.parametrize(
    "wrong",
    [
        {"transform": "stretch"},
        {"test_fraction": 1.0},
        {"test_fraction": float("nan")},
        {"split_seed": -1},
        {"skip_broken": "yes"},
        {"size": 0},
    ],
)
def test_settings_are_checked(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        load_images("digits", **wrong)
