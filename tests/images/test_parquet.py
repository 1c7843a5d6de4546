from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from winninghand.base.errors import InputError
from winninghand.images import load_images

COPY = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def folder(tmp_path, pixels, write_parquet):
    train, test = pixels(5), pixels(2, seed=1)
    root, names = tmp_path / "pets", ["cat", "dog"]
    write_parquet(root / "data" / "train-00000-of-00002.parquet", train[:3], [0, 1, 0], names=names)
    write_parquet(root / "data" / "train-00001-of-00002.parquet", train[3:], [1, 1], names=names)
    write_parquet(root / "data" / "test-00000-of-00001.parquet", test, [1, 0], names=names)
    return root


@pytest.mark.parametrize("below", [".", "data"])
def test_shards_are_read_in_order_with_the_names_of_their_metadata(folder, pixels, below):
    images = load_images(folder / below)
    assert images.classes == ("cat", "dog")
    assert images.train.labels.tolist() == [0, 1, 0, 1, 1]
    assert np.array_equal(images.train.images, pixels(5))
    assert np.array_equal(images.test.images, pixels(2, seed=1))
    assert images.test.labels.tolist() == [1, 0]


def test_columns_have_any_name_and_classes_may_go_unnamed(tmp_path, pixels, write_parquet):
    write_parquet(tmp_path / "train" / "0000.parquet", pixels(3), [0, 2, 1], image="photo", label="kind")
    write_parquet(tmp_path / "test" / "0000.parquet", pixels(1), [2], image="photo", label="kind")
    images = load_images(tmp_path)
    assert images.classes == ("0", "1", "2")
    assert images.train.labels.tolist() == [0, 2, 1]


def test_without_pyarrow_its_extra_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pyarrow is needed .* pip install 'winninghand\[parquet\]'$"):
        load_images(folder)


def rewrite(path, change):
    pq.write_table(change(pq.read_table(path)), path)


def test_fine_labels_are_preferred_and_unclear_ones_refused(folder):
    paths = list(folder.rglob("*.parquet"))
    for path in paths:
        rewrite(path, lambda table: table.append_column("coarse_label", pa.array([0] * len(table))))
        rewrite(path, lambda table: table.rename_columns(["img", "fine_label", "coarse_label"]))
    assert load_images(folder).train.labels.tolist() == [0, 1, 0, 1, 1]
    for path in paths:
        rewrite(path, lambda table: table.rename_columns(["img", "one", "two"]))
    with pytest.raises(InputError, match="no column that is clearly the label"):
        load_images(folder)


def test_incomplete_folders_are_refused(folder):
    data = folder / "data"
    (data / "train-00001-of-00002.parquet").rename(folder / "tmp")
    with pytest.raises(InputError, match="1 of the 2 parquet files of the train split"):
        load_images(folder)
    (folder / "tmp").rename(data / "train-00001-of-00002.parquet")
    (data / "test-00000-of-00001.parquet").rename(folder / "tmp")
    with pytest.raises(InputError, match="no parquet file of the test split"):
        load_images(folder)


def test_several_sets_in_one_folder_are_refused(folder):
    shutil.copytree(folder / "data", folder / "more")
    with pytest.raises(InputError, match=r"several image sets; give one of them.*data, more"):
        load_images(folder)


def test_corrupt_parquet_is_refused(folder):
    path = folder / "data" / "test-00000-of-00001.parquet"
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"PAR1" + bytes(40) + b"PAR1", whole[:4] + whole[-600:]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"test-00000-of-00001\.parquet"):
            load_images(folder)


def test_rows_that_cannot_be_used_are_named(folder, pixels, write_parquet):
    path = folder / "data" / "test-00000-of-00001.parquet"
    names = ["cat", "dog"]
    write_parquet(path, [pixels(1)[0], None], [0, 1], names=names)
    with pytest.raises(InputError, match="row 1 holds no image bytes"):
        load_images(folder)
    write_parquet(path, [pixels(1)[0], b"\xff\xd8 no more"], [0, 1], names=names)
    with pytest.raises(InputError, match="row 1 cannot be read as an image"):
        load_images(folder)
    write_parquet(path, pixels(2), [0, -1], names=names)
    with pytest.raises(InputError, match=r"labels must lie in 0..1"):
        load_images(folder)
    write_parquet(path, pixels(2), [0, None], names=names)
    with pytest.raises(InputError, match="rows without a label"):
        load_images(folder)
    write_parquet(path, pixels(2), [0, 1], names=["dog", "cat"])
    with pytest.raises(InputError, match="different classes"):
        load_images(folder)


def test_the_cifar10_copy_is_found_and_has_its_channel_means():
    if not (COPY / "cifar10").is_dir():
        pytest.skip("the CIFAR-10 copy ../shared/data/cifar10 is not beside this project")
    images = load_images("cifar10", root=COPY)
    assert images.name == "cifar10"
    assert images.classes[::9] == ("airplane", "truck")
    assert np.bincount(images.train.labels).tolist() == [4500] * 10
    assert np.bincount(images.test.labels).tolist() == [1000] * 10
    mean = images.train.images.mean((0, 1, 2)) / 255
    assert np.allclose(mean, [0.4913, 0.4821, 0.4465], atol=5e-4)  # JPEG decoders differ a little
