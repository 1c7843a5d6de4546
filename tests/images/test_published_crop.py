"""`resize256` at 224: what torchvision's Resize(256) and CenterCrop(224) make of pictures, to the level."""

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

import winninghand as wh
from winninghand.images.pictures import Picture, decoded
from winninghand.images.resizing import resized

SHORTER, SIDE = 64, 56
SIZES = [(100, 133), (133, 100), (101, 150), (56, 56), (64, 64), (40, 53), (600, 800), (300, 91)]


def drawn(height, width, form="JPEG", mode="RGB", orientation=1):
    noise = np.random.default_rng(height).integers(0, 256, (height // 3 + 1, width // 3 + 1, 3), np.uint8)
    picture = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    picture.save(file, form, exif=exif)
    return file.getvalue()


def published(content, shorter=SHORTER, side=SIDE):
    """Return what torchvision computes for a picture of Pillow, step by step as its functions do."""
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    short, long = sorted(picture.size)
    ends = [shorter, int(shorter * long / short)]
    picture = picture.resize(
        ends if picture.width <= picture.height else ends[::-1], Image.Resampling.BILINEAR
    )
    top, left = (round((end - side) / 2.0) for end in (picture.height, picture.width))
    return np.asarray(picture.crop((left, top, left + side, top + side)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "how",
    [{}, {"form": "PNG"}, {"mode": "L"}, {"mode": "CMYK"}, {"orientation": 3}, {"orientation": 6}],
    ids=str,
)
def test_it_is_torchvisions_to_the_level(size, how):
    content = drawn(*size, **how)
    found = decoded([Picture("p", content)], (SIDE, SIDE), f"resize{SHORTER}")[0]
    np.testing.assert_array_equal(found, published(content))


def test_torchvision_itself_agrees():
    transforms = pytest.importorskip("torchvision.transforms")
    steps = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])
    for size in ((375, 500), (500, 333), (1100, 1501)):
        content = drawn(*size)
        theirs = np.asarray(steps(Image.open(io.BytesIO(content)).convert("RGB")))
        np.testing.assert_array_equal(theirs, published(content, 256, 224))
        np.testing.assert_array_equal(theirs, decoded([Picture("p", content)], (224, 224), "resize256")[0])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("WINNINGHAND_CACHE", str(tmp_path / "cache"))
    for number, (split, name) in enumerate((s, n) for s in ("train", "val") for n in ("a", "b")):
        place = tmp_path / "set" / split / name
        place.mkdir(parents=True)
        place.joinpath("1.jpg").write_bytes(drawn(*SIZES[number]))
    return tmp_path / "set"


@pytest.mark.parametrize("stream", [False, True])
def test_a_test_set_is_what_published_evaluations_see(folder, stream):
    images = wh.load_images(folder, size=SIDE, transform=f"resize{SHORTER}", stream=stream)
    for number, name in enumerate("ab"):
        content = (folder / "val" / name / "1.jpg").read_bytes()
        np.testing.assert_array_equal(images.test.images[number], published(content))
    cropped = wh.load_images(folder, size=SIDE, stream=stream)
    assert not np.array_equal(cropped.test.images[0], images.test.images[0])
    assert cropped.test.digest != images.test.digest


def test_images_that_have_the_size_are_cut_too_also_from_the_cache(folder):
    for path in folder.rglob("*.jpg"):
        path.write_bytes(drawn(SIDE, SIDE))
    as_they_are = wh.load_images(folder)
    cut = wh.load_images(folder, size=SIDE, transform=f"resize{SHORTER}")
    assert not np.array_equal(as_they_are.test.images, cut.test.images)
    np.testing.assert_array_equal(cut.test.images[0], published(drawn(SIDE, SIDE)))
    digits = wh.load_images("digits", size=28, transform="resize32").test.images
    np.testing.assert_array_equal(digits, wh.load_images("digits").test.images[:, 2:30, 2:30])


def test_a_card_sees_each_picture_cut_once(tmp_path):
    card = wh.Card.from_module(wh.network("resnet20", width=4, classes=2).eval(), ["a", "b"], (SIDE, SIDE))
    card = card.with_metadata(recipe={"images": {"transform": f"resize{SHORTER}"}})
    (tmp_path / "a.png").write_bytes(drawn(100, 133, "PNG"))
    seen = torch.from_numpy(published(drawn(100, 133, "PNG")).copy()).permute(2, 0, 1)[None] / 255
    expected = float(card(seen).softmax(1).max().detach())
    for given in (tmp_path / "a.png", Image.open(tmp_path / "a.png")):
        (found,) = card.predict(given)
        assert found.probability == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_arrays_are_cut_as_pictures_are(size):
    content = drawn(*size, form="PNG")
    array = np.asarray(Image.open(io.BytesIO(content)))[None]
    found = resized(array, (SIDE, SIDE), f"resize{SHORTER}")[0].astype(int)
    assert abs(found - published(content)).max() <= 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"transform": "resize"}, "transform: it is crop, squash, pad, or resize and the pixels"),
        ({"transform": "resize9000"}, "such as resize256, not 'resize9000'"),
        ({"size": (40, 65), "transform": "resize64"}, "40×65 pixels cannot be cut out .* or resize65"),
    ],
)
def test_what_cannot_be_cut_is_refused(folder, settings, said):
    with pytest.raises(wh.InputError, match=said):
        wh.load_images(folder, **settings)


@pytest.mark.parametrize("stream", [False, True])
def test_a_picture_that_is_too_narrow_is_named(folder, stream):
    (folder / "val" / "a" / "1.jpg").write_bytes(drawn(3, 400))
    with pytest.raises(wh.InputError, match=r"1\.jpg: an image of 400×3 pixels is too narrow for resize64"):
        wh.load_images(folder, size=SIDE, transform="resize64", stream=stream).test.images[:]
