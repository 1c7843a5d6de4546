from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from winninghand.base.errors import InputError
from winninghand.images import checks, load_images
from winninghand.images.shards import parquet
from winninghand.images.shards.splits import shards_by_split

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
    said = r"1 of the 2 parquet files of the train split; fetch train-00001-of-00002\.parquet"
    with pytest.raises(InputError, match=said):
        load_images(folder)
    (folder / "tmp").rename(data / "train-00001-of-00002.parquet")
    (data / "test-00000-of-00001.parquet").rename(folder / "tmp")
    with pytest.raises(InputError, match="no parquet file of the test split"):
        load_images(folder)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["train-00000-of-00005-0a1b"], "1 of the 5 parquet files"),
        (["train-00001-of-00005"], "1 of the 5 parquet files"),
        (
            ["train-00000-of-00002-0a1b", "train-00000-of-00002 (1)"],
            "part 0 of the train split more than once",
        ),
        (
            ["train-00000-of-00002", "train-00001-of-00002", "train-00001-of-00002-copy"],
            "part 1 of the train",
        ),
        (
            ["train-00000-of-00001", "train-00000-of-00001.1"],
            r"more than once \(train-00000-of-00001\.1\.parquet",
        ),
        (["train-00000-of-00001", "train-00000-of-00002"], "several divisions"),
        (["train", "train-00000-of-00001"], "several divisions"),
        (["train-00001-of-00002", "train-00003-of-00002"], "numbers its 2 parquet files"),
        (["train-00000-of-00002", "train-00002-of-00002"], "numbers its 2 parquet files"),
        (["train/0000", "train/0002"], "2 of the 3 parquet files"),
        (["train/0001", "train/0002", "train/0004"], "3 of the 4 parquet files"),
        (["train/0002", "train/0003"], "2 of the 3 parquet files"),
        (["train/00", "train/0", "train/1"], "part 0 of the train split more than once"),
    ],
)
def test_missing_and_doubled_parts_are_refused(names, message):
    paths = [Path(f"{name}.parquet") for name in (*names, "test-00000-of-00001")]
    with pytest.raises(InputError, match=message):
        shards_by_split("here", paths)


@pytest.mark.parametrize(
    "names",
    [
        ["train-00000-of-00002-0a1b", "train-00001-of-00002-9f"],
        ["train-00001-of-00002", "train-00002-of-00002"],
        ["train/0000", "train/0001"],
        ["train/2017", "train/2018"],
        ["train"],
        ["train-a", "train-b"],
    ],
)
def test_whole_divisions_are_taken(names):
    paths = [Path(f"{name}.parquet") for name in (*names, "test")]
    assert shards_by_split("here", paths)["train"] == tuple(paths[:-1])


def test_a_copy_under_any_name_is_refused(tmp_path, pixels, write_parquet):
    for name, seed in (("train", 0), ("test", 1)):
        write_parquet(tmp_path / f"{name}.parquet", pixels(2, seed=seed), [0, 1])
    shutil.copy(tmp_path / "train.parquet", tmp_path / "train of monday.parquet")
    with pytest.raises(InputError, match=r"is a copy of .*remove one, or its images count twice"):
        load_images(tmp_path)


def test_numbers_that_no_image_has_are_no_classes(tmp_path, pixels, write_parquet):
    write_parquet(tmp_path / "train.parquet", pixels(3), [3, 1, 2])
    write_parquet(tmp_path / "test.parquet", pixels(1), [2])
    images = load_images(tmp_path)
    assert images.classes == ("1", "2", "3")
    assert (images.train.labels.tolist(), images.test.labels.tolist()) == ([2, 0, 1], [1])
    write_parquet(tmp_path / "train.parquet", pixels(3), [3, 2**40, 2])
    with pytest.raises(InputError, match=r"train labels must lie in 0..65535, not 2..1099511627776"):
        load_images(tmp_path)
    table = pq.read_table(tmp_path / "train.parquet")
    labels = pa.array([3, 2**64 - 1, 2], pa.uint64())
    pq.write_table(table.set_column(1, "label", labels), tmp_path / "train.parquet")
    with pytest.raises(InputError, match=r"not 2..18446744073709551615"):
        load_images(tmp_path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["cat", "cat"], "'cat' is given more than once"),
        (["cat", ""], "must be readable"),
        (["cat", "dog\n"], "must be readable"),
        (["cat", None], "must be text, not None"),
        (["cat", ["dog"]], "must be text"),
        ("ab", "no list but 'ab'"),
        ({"0": "cat", "1": "dog"}, "no list but"),
        (["cat"] * 65537, "not 65537"),
        ([], "2 to 65536 classes, not 0"),
    ],
)
def test_class_names_that_are_none_are_refused(tmp_path, pixels, write_parquet, names, message):
    for split in ("train", "test"):
        write_parquet(tmp_path / f"{split}.parquet", pixels(2, seed=len(split)), [0, 1], names=names)
    with pytest.raises(InputError, match=message):
        load_images(tmp_path)


def with_column(path, contents, labels, **options):
    """Write a column of `img.bytes` that says nothing of how it is to be read."""
    bytes_and_path = [contents, pa.nulls(len(labels), pa.string())]
    images = pa.StructArray.from_arrays(bytes_and_path, names=["bytes", "path"])
    table = pa.table({"img": images, "label": pa.array(labels)})
    pq.write_table(table, path, compression="zstd", store_schema=False, **options)


def test_what_a_file_makes_of_few_bytes_is_counted(tmp_path, pixels, write_parquet, monkeypatch):
    monkeypatch.setattr(checks, "PLAIN_BYTES", 2**20)
    write_parquet(tmp_path / "train.parquet", pixels(2), [0, 1])
    path = tmp_path / "test.parquet"
    # One value of 100 kB in a dictionary, a thousand rows of it.
    value = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), pa.array([b"x" * 100_000]))
    with_column(path, value, [0] * 1000)
    assert path.stat().st_size < 3000
    with pytest.raises(InputError, match="bytes of memory; it is damaged or made to fill the memory"):
        load_images(tmp_path)
    with_column(path, pa.array([bytes(2**22)]), [0], use_dictionary=False)  # one page of zeros
    with pytest.raises(InputError, match="would take 4,194,"):
        load_images(tmp_path)
    with_column(path, pa.nulls(10**6, pa.binary()), [0] * 10**6)  # nothing but rows
    with pytest.raises(InputError, match="would take 256,000,000 bytes"):
        load_images(tmp_path)


def test_validation_images_are_for_tests_where_these_have_no_labels(folder, pixels, write_parquet, caplog):
    data, names = folder / "data", ["cat", "dog"]
    write_parquet(data / "test-00000-of-00001.parquet", pixels(2, seed=1), [-1, -1], names=names)
    with pytest.raises(InputError, match=r"have no labels .*; add all parquet files of the validation split"):
        load_images(folder)
    write_parquet(data / "validation-00000-of-00001.parquet", pixels(1, seed=2), [1], names=names)
    assert load_images(folder, size=8, stream=True).test.labels.tolist() == [1]
    assert "its test images have no labels; those for validation take their place" in caplog.text
    (data / "test-00000-of-00001.parquet").unlink()
    assert load_images(folder).test.labels.tolist() == [1]


def test_a_row_group_that_would_fill_the_memory_is_not_streamed(folder, monkeypatch):
    monkeypatch.setattr(parquet, "TOGETHER", 100)
    with pytest.raises(InputError, match=r"has a row group of [\d,]+ bytes, .*pyarrow: row_group_size=100"):
        load_images(folder, size=8, stream=True)
    assert len(load_images(folder).train) == 5


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
