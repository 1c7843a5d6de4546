from __future__ import annotations

import numpy as np
import pytest
import torch

from winninghand.base.errors import InputError
from winninghand.images import ImageSet, Split


def arrays(count=4, side=5):
    return np.zeros((count, side, side, 3), np.uint8), np.arange(count) % 2


def test_from_arrays_takes_tensors_and_grey_images():
    grey = torch.arange(2 * 4 * 5, dtype=torch.uint8).reshape(2, 4, 5)
    images = ImageSet.from_arrays((grey, torch.tensor([0, 1])), (grey[..., None], [1, 0]), ["a", "b"])
    assert images.train.size == (4, 5)
    assert images.train.labels.dtype == np.int64
    for channel in range(3):
        assert np.array_equal(images.train.images[..., channel], grey.numpy())
    assert np.array_equal(images.test.images, images.train.images)


def test_take_keeps_images_and_labels_together():
    split = Split(np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1).repeat(3, -1), np.arange(5))
    taken = split.take(np.array([4, 1]))
    assert taken.labels.tolist() == [4, 1]
    assert taken.images[:, 0, 0, 0].tolist() == [4, 1]


def test_a_set_gives_its_splits_the_names_of_its_classes():
    split = Split(*arrays(), classes=["a", "b"])
    assert split.classes == ("a", "b") == split.take(np.array([1])).classes
    renamed = ImageSet(split, Split(*arrays()), ["cat", "dog"])
    assert renamed.classes == renamed.train.classes == renamed.test.classes == ("cat", "dog")
    assert ImageSet(renamed.train, split, ("cat", "dog")).train is renamed.train
    with pytest.raises(InputError, match=r"labels must lie in 0..1, not 0..2"):
        Split(arrays()[0], np.array([0, 1, 2, 0]), ("a", "b"))


def nested(wrap, depth):
    """Return a list that is wrapped again and again."""
    value = [7]
    for _ in range(depth):
        value = wrap([value])
    return value


@pytest.mark.parametrize(
    ("train", "test", "classes", "message"),
    [
        ((arrays()[0].astype(np.float32), arrays()[1]), arrays(), ["a", "b"], "uint8"),
        ((arrays()[0][..., :2], arrays()[1]), arrays(), ["a", "b"], "shape"),
        ((arrays()[0], arrays()[1][:-1]), arrays(), ["a", "b"], "one per image"),
        ((arrays()[0], arrays()[1] / 2), arrays(), ["a", "b"], "whole numbers"),
        ((arrays()[0], arrays()[1] - 1), arrays(), ["a", "b"], "0..1"),
        (arrays(), (arrays()[0], arrays()[1] + 1), ["a", "b"], "0..1"),
        (arrays(), arrays(side=6), ["a", "b"], "resize"),
        (arrays(), arrays(count=0), ["a", "b"], "no images"),
        ((arrays()[0], np.array([0, 1, 0, 2**40])), arrays(), ["a", "b"], r"0..1, not 0..1099511627776"),
        ((arrays()[0], np.array([0, 1, 0, 2**64 - 1], np.uint64)), arrays(), ["a", "b"], r"0..1"),
        ((arrays()[0], [0, 1, [2], 3]), arrays(), ["a", "b"], "labels must be a plain array"),
        ((arrays()[0],), arrays(), ["a", "b"], "train must be a pair"),
        (None, arrays(), ["a", "b"], "train must be a pair"),
        ((arrays()[0], torch.tensor([0, 1, 0, 1]).to_sparse()), arrays(), ["a", "b"], "or dense tensor"),
        ((torch.empty(4, 5, 5, 3, device="meta"), [0, 1, 0, 1]), arrays(), ["a", "b"], "or dense tensor"),
        ((np.ma.masked_equal(arrays()[0], 0), [0, 1, 0, 1]), arrays(), ["a", "b"], "what is masked"),
        *(
            (arrays(), arrays(), classes, message)
            for classes, message in [
                ("catdog", "must be a list of names, not 'catdog'"),
                (b"ab", "must be a list of names"),
                ({"a": 0, "b": 1}, "must be a list of names"),
                (None, "must be a list of names"),
                (["a"], "2 to 65536 classes, not 1"),
                ([str(number) for number in range(65537)], "not 65537"),
                (["a", "a"], "'a' is given more than once"),
                (["1", 1], "'1' is given more than once"),
                (["", "b"], "readable text, not ''"),
                (["a", " "], "readable text, not ' '"),
                (["a", b"b"], "must be text, not b'b'"),
                (["a", None], "must be text, not None"),
                (["a", True], "must be text, not True"),
                (["a", 0.5], "must be text, not 0.5"),
                (["a", 10**5000], "must lie within 64 bits"),
                (["a", [10**5000]], "must be text, not this list"),
                (["a", nested(tuple, 100_000)], "must be text, not"),
                (["a", nested(lambda one: [*one, *one], 60)], "must be text, not"),
                (["a", "b\x1b[2Kc"], r"not 'b\\x1b\[2Kc'"),
                (["a", "b\nc"], r"not 'b\\nc'"),
                (["a", "b\u202ec"], "must be readable"),
                (["a", "\udcff"], "must be readable"),
                (["a", "\u200b"], "must be readable"),
                (["a", "\u2800"], "must be readable"),
                (["a", "\u3164\uffa0"], "must be readable"),
                (["a", "a\ufe0f"], "more than once"),
                (["a", "\xa0"], "must be readable"),
                (["a", "a "], "'a' is given more than once"),
                (["é", "e\u0301"], "'é' is given more than once"),
                (["a", "\u00ada"], "'a' is given more than once"),
                ((name for name in "ab"), "must be a list of names"),
                ({"a", "b"}, "must be a list of names"),
                (np.array([["a"], ["b"]]), "must be text"),
                (["a", "b" * 201], "must be readable"),
            ]
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused(train, test, classes, message):
    with pytest.raises(InputError, match=message):
        ImageSet.from_arrays(train, test, classes)


def test_class_names_may_be_any_readable_text_and_whole_numbers():
    names = np.array(["été 猫", "a b"]), ["👨‍👩‍👧", 7], (np.int64(3), "b" * 200)
    made = [ImageSet.from_arrays(arrays(), arrays(), given).classes for given in names]
    assert made == [("été 猫", "a b"), ("👨‍👩‍👧", "7"), ("3", "b" * 200)]


@pytest.mark.parametrize(
    "labels", [[0, 2**40], [0, -1], [0, 65536], [0, 0.5], [[0], [1]], [0], ["a", "b"], [0, 2**64 - 1]]
)
def test_a_split_is_what_it_says_however_it_is_made(labels):
    with pytest.raises(InputError, match="labels must"):
        Split(arrays(2)[0], np.array(labels))
    with pytest.raises(InputError, match="timedelta64"):
        Split(arrays(2)[0], np.array([0, 1], "m8[s]"))
    assert Split(arrays(2)[0][..., 0], np.array([0, 1], np.int32)).images.shape == (2, 5, 5, 3)
    with pytest.raises(InputError, match=r"test labels must lie in 0..1, not 0..2"):
        ImageSet(Split(*arrays(4)), Split(arrays(2)[0], np.array([0, 2])), ("a", "b"))
