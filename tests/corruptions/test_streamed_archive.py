"""Archives of images that stay in their files are those of the same images in memory."""

import numpy as np
import pytest
from PIL import Image

import winninghand as wh
from winninghand.corruptions import write_archive, write_folders


@pytest.fixture
def folder(tmp_path):
    generator = np.random.default_rng(0)
    for part in ("train/a", "train/b", "val/a", "val/b"):
        (tmp_path / "set" / part).mkdir(parents=True)
        for number in range(3):
            pixels = generator.integers(0, 256, (50 + number, 60, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / part / f"{number}.JPEG")
    return tmp_path / "set"


@pytest.mark.parametrize("layout", ["arrays", "folders"])
def test_an_archive_of_streamed_images_has_the_bytes_of_one_of_images_in_memory(folder, tmp_path, layout):
    for stream in (False, True):
        images = wh.load_images(folder, size=40, stream=stream)
        test, settings = images.test, {"names": "contrast,shot_noise", "severities": (2, 5)}
        place = tmp_path / f"{stream}"
        if layout == "arrays":
            write_archive(test.images, test.labels, place, **settings)
        else:
            write_folders(test.images, test.labels, images.classes, place, **settings)
    held, streamed = (
        {
            path.relative_to(tmp_path / stream): path.read_bytes()
            for path in (tmp_path / stream).rglob("*.*")
            if path.is_file() and not path.name.startswith(".")
        }
        for stream in ("False", "True")
    )
    assert len(held) == (4 if layout == "arrays" else 1 + 2 * 2 * 6)
    assert streamed == held
