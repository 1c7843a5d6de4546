from __future__ import annotations

import os
import pickle
import pickletools
import time

import numpy as np
import pytest

from winninghand.base.errors import InputError
from winninghand.images import load_images
from winninghand.images.plain_pickle import read_plain_pickle

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
        *(
            (pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"labels": labels}, 3), message)
            for labels, message in [
                (["x"], "whole numbers in 0..255"),
                ([2**40], "whole numbers in 0..255"),
                ([2**100], "whole numbers in 0..255"),
                ([-1], "whole numbers in 0..255"),
                ([True], "whole numbers in 0..255"),
                ([10], r"test labels must lie in 0..9, not 10..10"),
                ([0, 1], "1 images and 2 labels"),
            ]
        ),
        (pickle.dumps({b"data": np.zeros((1, 30), np.uint8), b"labels": [0]}, 3), "rows of 3072"),
        (b"\x80\x04 broken", "is not a pickle"),
        (b"", "is not a pickle"),
    ],
)
def test_broken_batches_are_refused(batches, content, message):
    (batches / "test_batch").write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_images(batches)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([b"a"] * 10, "'a' is given more than once"),
        ([*NAMES[:9], b""], "must be readable"),
        ([*NAMES[:9], b"x\x1b[2J"], "must be readable"),
        ([*NAMES[:9], b"\xff"], "no UTF-8"),
        ([*NAMES[:9], None], "must be text, not None"),
        (b"abcdefghij", "no list of class names"),
    ],
)
def test_class_names_that_are_none_are_refused(batches, names, message):
    (batches / "batches.meta").write_bytes(as_python_2({b"label_names": names}))
    with pytest.raises(InputError, match=message):
        load_images(batches)


def test_plain_values_of_every_protocol_are_read(tmp_path):
    path = tmp_path / "a"
    array = np.asfortranarray(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    content = {
        b"data": array,
        b"x": [1, -(2**70), 0.5, None, True, "é", (), (1,), (1, 2, 3, 4), {}, {"a": b"b"}],
    }
    for protocol in (3, 4):
        path.write_bytes(pickle.dumps(content, protocol))
        read = read_plain_pickle(path)
        assert np.array_equal(read.pop(b"data"), array)
        assert read == {b"x": content[b"x"]}
    for protocol in range(3):
        path.write_bytes(pickle.dumps({"a": [1, 2.5, "b", (1, 2), {"c": [None]}]}, protocol))
        assert read_plain_pickle(path) == {"a": [1, 2.5, "b", (1, 2), {"c": [None]}]}


OBJECTS = pickle.dumps({b"data": np.array([None, 1], dtype=object)}, 3)
ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n"
KIND = b"cnumpy\ndtype\n(C\x02u1K\x00K\x01tR"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (OBJECTS, "another type than uint8: 'O8'"),
        (OBJECTS.replace(b"O8", b"u1"), "not of bytes"),
        (b"\x80\x02cnumpy\nndarray\n(K\x08tR.", "calls something"),  # np.ndarray(8), raw memory
        (b"\x80\x02cnumpy\nndarray\n)\x81.", "has the step NEWOBJ"),
        (b"\x80\x02cnumpy\nndarray\n}b.", "sets the state of something"),
        (b"\x80\x02" + ARRAY + b"(cnumpy\ndtype\nK\x00\x85C\x01btR.", "calls something"),
        (b"\x80\x02(K\x01cnumpy\nndarray\no.", "has the step OBJ"),
        (b"\x80\x02cposix\nsystem\n.", "asks for posix.system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "asks for os.system"),
        (b"\x80\x04K\x01K\x02\x93.", "without a name"),
        (b"cnumpy\ndtype\n(S'i4'\nI0\nI1\ntR.", "another type than uint8"),
        (b"cnumpy\ndtype\n(S'u1'\nI0\nI1\ntR.", "holds a _ByteType"),
        (b"\x80\x02]j\xff\xff\xff\xff.", "not a pickle"),  # what was never kept
        (b"\x80\x02B\xff\xff\xff\x7f.", "not a pickle"),  # 2 GB of bytes that are not there
        (b"\x80\x02\x8e" + b"\xff" * 7 + b"\x7f.", "not a pickle"),
        (b"\x80\x02\x8b\xff\xff\xff\x7f.", "not a pickle"),
        (b"I" + b"9" * 5000 + b"\n.", "not a pickle"),
        (b"(" * 100_000 + b"t" * 100_000 + b".", "holds a tuple"),
        (b"(" * 50_000 + b"t" * 50_000 + b"}\x94h\x00.", "not a pickle"),
        (b"}(tNs.", "a key is no string"),
        (b"}K\x01Ns.", "a key is no string"),  # numbers can be made that have one hash
        (b"N" * (2**20 + 1) + b".", "more than 1048576 steps"),
        (b"P1\n.", "has the step PERSID"),
        (b"}]}b.", "sets the state of something"),
        (
            b"\x80\x02"
            + ARRAY
            + b"(cnumpy\nndarray\nK\x00\x85C\x01btR(K\x01J\xff\xff\xff\x7f\x85"
            + KIND
            + b"\x89C\x03abctb.",
            "not a pickle",
        ),
    ],
)
def test_a_pickle_gets_no_more_than_plain_values(tmp_path, content, message):
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_plain_pickle(path)


def test_names_that_would_take_for_ever_are_refused_at_once(tmp_path):
    path = tmp_path / "a"
    doubled = b"".join(b"(h%ch%clq%c" % (place, place, place + 1) for place in range(60))
    path.write_bytes(b"\x80\x02]q\x00" + doubled + b"K\x02\x93.")  # a list of 2^60 lists in place of a module
    with pytest.raises(InputError, match="without a name"):
        read_plain_pickle(path)
    path.write_bytes(
        b"\x80\x02}("
        + b"".join(b"\x8a\x0a%bN" % (n * (2**61 - 1)).to_bytes(10, "little") for n in range(20_000))
        + b"u."
    )
    started = time.process_time()
    with pytest.raises(InputError, match="a key is no string"):
        read_plain_pickle(path)
    assert time.process_time() - started < 1


def test_a_large_place_in_the_memo_takes_no_memory(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"\x80\x02}r\xff\xff\xff\x7fX\x01\x00\x00\x00aj\xff\xff\xff\x7fs.")
    content = read_plain_pickle(path)
    assert content["a"] is not None  # itself, under a key


def test_mutated_pickles_are_read_or_refused(tmp_path):
    path, generator = tmp_path / "a", np.random.default_rng(0)
    whole = as_python_2({b"data": np.zeros((2, 50), np.uint8), b"labels": [1, 2], b"names": ["a", "b"]})
    outcomes = {True: 0, False: 0}
    for _ in range(300):
        mutant = bytearray(whole)
        for place in generator.integers(0, len(whole), generator.integers(1, 4)):
            mutant[place] = generator.integers(256)
        path.write_bytes(mutant)
        try:
            outcomes[isinstance(read_plain_pickle(path), dict)] += 1
        except InputError:
            outcomes[False] += 1
    assert min(outcomes.values()) > 30


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
