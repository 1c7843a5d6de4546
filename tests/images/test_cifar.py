from __future__ import annotations

import os
import pickle
import pickletools

import numpy as np
import pytest

from winninghand.base.errors import InputError
from winninghand.images import load_images

NAMES = [f"class {number}" for number in range(10)]


def as_python_2(content) -> bytes:
    """Pickle as Python 2 did: byte strings as strings, NumPy under its old name."""
    pickled = bytearray(pickle.dumps(content, protocol=3))
    for opcode, _, place in pickletools.genops(bytes(pickled)):
        old = {"SHORT_BINBYTES": b"U", "BINBYTES": b"T"}.get(opcode.name)
        if old:
            pickled[place : place + 1] = old
    return bytes(pickled).replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def write_batch(path, images, labels, key=b"labels"):
    rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        as_python_2({b"data": np.ascontiguousarray(rows), key: list(labels), b"batch_label": b"x"})
    )


@pytest.fixture
def batches(tmp_path, pixels):
    folder = tmp_path / "cifar-10-batches-py"
    images = pixels(30, 32, 32)
    write_batch(folder / "data_batch_1", images[:10], range(10))
    write_batch(folder / "data_batch_2", images[10:20], reversed(range(10)))
    write_batch(folder / "test_batch", images[20:], range(10))
    names = [name.encode() for name in NAMES]
    (folder / "batches.meta").write_bytes(as_python_2({b"label_names": names, b"num_vis": 3072}))
    return folder


@pytest.mark.parametrize("how", ["above", "inside", "path"])
def test_official_cifar10_batches(batches, pixels, how):
    root = {"above": batches.parent, "inside": batches}.get(how)
    images = load_images("cifar10", root=root) if root else load_images(batches)
    assert images.name == ("cifar10" if root else "cifar-10-batches-py")
    assert images.classes == tuple(NAMES)
    assert np.array_equal(images.train.images, pixels(30, 32, 32)[:20])
    assert np.array_equal(images.test.images, pixels(30, 32, 32)[20:])
    assert images.train.labels.tolist() == [*range(10), *reversed(range(10))]


def test_official_cifar100_has_its_fine_classes(tmp_path, pixels):
    folder = tmp_path / "cifar-100-python"
    for split in ("train", "test"):
        write_batch(folder / split, pixels(100, 32, 32), range(100), b"fine_labels")
    names = [f"fine {number}".encode() for number in range(100)]
    (folder / "meta").write_bytes(as_python_2({b"fine_label_names": names, b"coarse_label_names": [b"x"]}))
    images = load_images("cifar100", root=tmp_path)
    assert images.classes[99] == "fine 99"
    assert images.test.labels.tolist() == list(range(100))


class Malicious:
    def __reduce__(self):
        return os.mkdir, (os.environ["TARGET"],)


def test_a_malicious_pickle_is_refused_before_it_runs(batches, tmp_path, monkeypatch):
    target = tmp_path / "made by the pickle"
    monkeypatch.setenv("TARGET", str(target))
    harmful = pickle.dumps({b"data": Malicious(), b"labels": []})
    pickle.loads(harmful)
    assert target.is_dir()  # it would run
    target.rmdir()
    (batches / "data_batch_2").write_bytes(harmful)
    with pytest.raises(InputError, match=r"data_batch_2 is not a pickle of plain arrays .*mkdir"):
        load_images("cifar10", root=tmp_path)
    assert not target.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps([1, 2]), "holds a list"),
        (pickle.dumps({b"labels": [0]}), "no entry 'data'"),
        (pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"labels": ["x"]}, 3), "whole numbers"),
        (pickle.dumps({b"data": np.zeros((1, 30), np.uint8), b"labels": [0]}, 3), "rows of 3072"),
        (b"\x80\x04 broken", "is not a pickle"),
        (b"", "is not a pickle"),
    ],
)
def test_broken_batches_are_refused(batches, content, message):
    (batches / "test_batch").write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_images(batches)


def test_cifar100_in_the_hub_layout(tmp_path, pixels, write_parquet):
    names = [f"fine {number}" for number in range(100)]
    for split in ("train", "test"):
        path = tmp_path / "cifar100" / "cifar100" / f"{split}-00000-of-00001.parquet"
        write_parquet(path, pixels(100), range(100), label="fine_label", names=names)
    assert load_images("cifar100", root=tmp_path).classes == tuple(names)


def test_another_set_is_not_taken_for_cifar(tmp_path, pixels, write_parquet):
    for split in ("train", "test"):
        write_parquet(tmp_path / f"{split}.parquet", pixels(2), [0, 1])
    with pytest.raises(InputError, match="cifar10 has 10 classes but the files found for it hold 2"):
        load_images("cifar10", root=tmp_path)
