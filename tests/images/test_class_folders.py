from __future__ import annotations

from unicodedata import normalize

import numpy as np
import pytest
from PIL import Image

from winninghand.base.errors import InputError
from winninghand.images import load_images, pictures
from winninghand.images.folders import class_folders


@pytest.fixture
def folder(tmp_path, pixels, write_class_folders):
    train, test = pixels(5), pixels(2, seed=1)
    root = tmp_path / "pets"
    write_class_folders(
        root, {"train/dog": train[:2], "train/cat": train[2:], "test/cat": test[:1], "test/dog": test[1:]}
    )
    return root


def test_classes_are_the_sorted_folders(folder, pixels):
    (folder / "train" / "dog" / "notes.txt").write_text("not an image")
    images = load_images(folder)
    assert images.name == "pets"
    assert images.classes == ("cat", "dog")
    assert images.train.labels.tolist() == [0, 0, 0, 1, 1]
    assert np.array_equal(images.train.images, pixels(5)[[2, 3, 4, 0, 1]])
    assert np.array_equal(images.test.images, pixels(2, seed=1))


def test_grey_and_palette_images_become_rgb_and_photographs_stand_upright(folder):
    grey = Image.fromarray(np.full((8, 6), 7, np.uint8))
    grey.save(folder / "test" / "cat" / "0.png")
    grey.convert("P").save(folder / "test" / "dog" / "0.gif")
    (folder / "test" / "dog" / "0.png").unlink()
    turned = Image.new("RGB", (8, 6), "white")
    turned.getexif()[0x0112] = 6
    turned.save(folder / "test" / "dog" / "1.jpg", exif=turned.getexif())
    images = load_images(folder).test.images
    assert images.shape == (3, 8, 6, 3)
    assert [int(image.min()) for image in images] == [7, 7, 255]


def test_an_image_of_another_size_is_named_and_a_size_mends_it(folder):
    Image.new("RGB", (40, 20), (10, 20, 30)).save(folder / "train" / "dog" / "odd.png")
    with pytest.raises(InputError, match=r"odd\.png is 40×20 pixels where the first image is 6×8"):
        load_images(folder)
    images = load_images(folder, size=(5, 4))
    assert images.train.images.shape == (6, 5, 4, 3)
    assert (images.train.images[-1] == (10, 20, 30)).all()


def test_shrinking_averages_what_falls_into_a_pixel(folder):
    board = np.indices((64, 64)).sum(0) % 2 * 255
    for path in folder.rglob("*.png"):
        Image.fromarray(board.astype(np.uint8)).save(path)
    inner = load_images(folder, size=8).train.images[:, 1:-1, 1:-1]
    assert np.abs(inner.astype(int) - 127).max() <= 3


def test_broken_images_are_named(folder):
    path = folder / "test" / "cat" / "0.png"
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no image at all"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"0\.png cannot be read as an image.* leave it out by --skip-b"):
            load_images(folder)


def test_decompression_bombs_and_deep_images_are_refused(folder, monkeypatch):
    path = folder / "test" / "cat" / "0.png"
    Image.fromarray(np.zeros((8, 6), np.uint16)).save(path)
    with pytest.raises(InputError, match="8-bit"):
        load_images(folder)
    Image.new("1", (300, 200)).save(path)
    monkeypatch.setattr(pictures, "MOST_PIXELS", 50_000)
    for of_pillow in (10**6, 50_000, 20_000):  # beyond the second Pillow warns, beyond the third it raises
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", of_pillow)
        with pytest.raises(InputError, match=r"0\.png has more than 50000 pixels"):
            load_images(folder, size=8)


def test_files_that_are_no_pictures_are_counted_in_one_line(folder, caplog):
    for name in ("train/dog/a.HEIC", "train/cat/b.heic", "test/dog/below/c.eps", "test/cat/notes", "d.HEIC"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"")
    (folder / "train" / "dog" / ".hidden.heic").write_bytes(b"")
    (folder / "train" / "dog" / "link").symlink_to(folder / "train")
    assert len(load_images(folder).train) == 5
    (line,) = caplog.messages
    assert line == (
        f"{folder}: 5 files that are no JPEG, PNG, BMP, GIF, PPM, TIFF, WEBP are left out "
        "(.heic 2, .eps 1, linked folder 1, no suffix 1): test/cat/notes, test/dog/below/c.eps, "
        "train/cat/b.heic, train/dog/a.HEIC, train/dog/link"
    )
    for path in (folder / "test" / "dog").glob("*.png"):
        path.unlink()
    with pytest.raises(InputError, match=r"dog holds no images: 1 file that is no .* \(\.eps 1\)"):
        load_images(folder)


def test_folders_that_link_to_themselves_end(folder):
    (folder / "train" / "dog" / "again").symlink_to(folder / "train" / "dog")
    (folder / "train" / "cat" / "other.png").symlink_to(folder / "train" / "dog" / "0.png")
    assert load_images(folder).train.labels.tolist() == [0, 0, 0, 0, 1, 1]
    (folder / "train" / "dog" / "loop.png").symlink_to(folder / "train" / "dog" / "loop.png")
    with pytest.raises(InputError, match=r"loop\.png cannot be read"):
        load_images(folder)


@pytest.mark.parametrize("target", ["/", "..", "../.."])
def test_a_class_that_links_to_what_it_lies_in_is_refused(folder, target):
    (folder / "train/whole").symlink_to(target)
    with pytest.raises(InputError, match="is a link to what it lies in"):
        load_images(folder)


def test_a_folder_of_very_many_files_is_refused(folder, monkeypatch):
    monkeypatch.setattr(pictures, "_MOST_FILES", 1)
    with pytest.raises(InputError, match="holds more than 1 files"):
        load_images(folder)


def test_names_that_control_a_terminal_are_refused_in_readable_text(folder):
    for split in ("train", "test"):
        (folder / split / "dog").rename(folder / split / "d\x1b[2Kog\n")
    with pytest.raises(InputError, match=r"must be readable text, not 'd\\x1b\[2Kog\\n'; rename the class$"):
        load_images(folder)


def test_all_names_that_cannot_be_are_told_before_anything_is_decoded(folder, monkeypatch):
    for split in ("train", "test"):
        (folder / split / "dog").rename(folder / split / "d\tog")
        (folder / split / "cat").rename(folder / split / "c\x1bat")
    monkeypatch.setattr(class_folders, "picture_set", None)
    with pytest.raises(InputError, match=r"not 'c\\x1bat', 'd\\tog'; rename the classes$"):
        load_images(folder)


def test_a_name_is_the_same_however_its_letters_are_composed(folder):
    for part, form in (("train", "NFC"), ("test", "NFD")):
        (folder / part / "cat").rename(folder / part / normalize(form, "été"))
    images = load_images(folder)
    assert images.classes == ("dog", "\u00e9t\u00e9")
    assert images.train.labels.tolist() == [0, 0, 1, 1, 1]
    assert images.test.labels.tolist() == [0, 1]
    (folder / "train" / "dog").rename(folder / "train" / normalize("NFD", "été"))
    with pytest.raises(InputError, match="two class folders that read 'été'; make them one"):
        load_images(folder)


def test_splits_must_have_the_same_classes_and_images_in_each(folder):
    (folder / "test" / "owl").mkdir()
    with pytest.raises(InputError, match="owl holds no images"):
        load_images(folder)
    Image.new("RGB", (6, 8)).save(folder / "test" / "owl" / "0.png")
    with pytest.raises(InputError, match=r"class 'owl' under test/ but not under train/"):
        load_images(folder)
    (folder / "test" / "owl").rename(folder / "train" / "owl")
    for stream in (False, True):
        with pytest.raises(InputError, match=r"class 'owl' under train/ but not under test/; add or remove"):
            load_images(folder, size=8, stream=stream)


def test_a_split_without_class_folders_is_refused(folder):
    (folder / "test").rename(folder / "rest")
    (folder / "test").mkdir()
    with pytest.raises(InputError, match="test holds no class folders"):
        load_images(folder)
