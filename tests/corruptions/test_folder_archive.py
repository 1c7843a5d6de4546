"""ImageNet-C's and Tiny-ImageNet-C's layout: JPEG files in class folders."""

import numpy as np
import pytest
from PIL import Image

from winninghand.base.errors import InputError
from winninghand.corruptions import corrupt, open_archive, write_folders

CLASSES = ("n01", "n02", "n09")
LABELS = np.array([2, 0, 0, 2, 0, 2, 0])


@pytest.fixture
def written(tmp_path, noise_images):
    folder = tmp_path / "ImageNet-C"
    write_folders(noise_images, LABELS, CLASSES, folder, ["contrast", "fog"], (1, 3), seed=4)
    return folder


def test_pictures_are_read_back_as_they_are_saved(written, noise_images):
    archive = open_archive(written)
    assert (archive.names, archive.severities) == (("fog", "contrast"), (1, 3))
    order = [1, 2, 4, 6, 0, 3, 5]
    assert archive.labels.tolist() == [0, 0, 0, 0, 2, 2, 2] and archive.indices.tolist() == order
    saved = corrupt(noise_images, "fog", 3, seed=4, saved_as="jpeg")
    cell = archive.cell("fog", 3)
    assert cell.shape == (7, 32, 32, 3) and np.array_equal(cell[:], saved[order])
    assert np.array_equal(cell[np.array([6, 0])], saved[[5, 1]]) and np.array_equal(cell[4], saved[0])
    assert {path.name for path in (written / "fog/3").iterdir()} == set(CLASSES)
    with Image.open(written / "fog/3/n01/00000001.JPEG") as picture:
        assert picture.layer[0][1:3] == (2, 2)  # chroma has half the pixels along both axes


def test_the_published_form_needs_no_description(written):
    (written / "archive.json").unlink()
    archive = open_archive(written)
    assert archive.description is None and len(archive) == 7 and archive.severities == (1, 3)


def test_what_is_there_is_kept_and_another_archive_refused(written, noise_images):
    before = (written / "fog/1/n09/00000000.JPEG").stat().st_mtime_ns
    (written / "fog/.3.part").mkdir()
    names = ["contrast", "fog", "saturate"]
    write_folders(noise_images, LABELS, CLASSES, written, names, (1, 3), seed=4)
    assert (written / "fog/1/n09/00000000.JPEG").stat().st_mtime_ns == before
    assert open_archive(written).names == ("fog", "contrast", "saturate")
    with pytest.raises(InputError, match="choose another folder"):
        write_folders(noise_images, LABELS, CLASSES, written, "fog", (1, 3), seed=5)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("b", "a", "c"), "are not sorted"),
        (("a/b", "c", "d"), "cannot be a file's name"),
        (("a", "b"), "2 classes"),
    ],
)
def test_classes_that_cannot_be_folders_are_refused_before_anything_is_written(
    tmp_path, noise_images, classes, message
):
    with pytest.raises(InputError, match=message):
        write_folders(noise_images, LABELS, classes, tmp_path / "C", "fog")
    assert not (tmp_path / "C").exists()


def test_damage_is_named(written):
    (written / "contrast/3/n77").mkdir()
    with pytest.raises(InputError, match="has the class folder 'n77'"):
        open_archive(written).cell("contrast", 3)
    (written / "fog/3/n01/00000002.JPEG").write_bytes(b"\xff\xd8 cut off")
    with pytest.raises(InputError, match=r"00000002.JPEG is no whole picture"):
        open_archive(written).cell("fog", 3)[:]
    Image.new("RGB", (40, 32)).save(written / "fog/3/n09/00000003.JPEG")
    with pytest.raises(InputError, match=r"00000003.JPEG is 32×40 pixels and others 32×32"):
        open_archive(written).cell("fog", 3)[5]
    (written / "fog/1/n09/00000005.JPEG").unlink()
    with pytest.raises(InputError, match="names 7 images and holds 6"):
        open_archive(written)
