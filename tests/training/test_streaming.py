"""A training on streamed images: one order and one set of crops, whoever decodes them."""

import gc
import shutil
import threading
import time
import weakref

import numpy as np
import pytest
import streamed_trainings
import torch
from streamed_trainings import draw_folders, drawn, same

import winninghand as wh
from winninghand.augmentation import make_domain
from winninghand.evaluation import accuracy
from winninghand.images.streamed import StreamedPictures
from winninghand.training.batches import batches_of
from winninghand.training.data import channel_statistics, training_profile
from winninghand.training.streaming import AHEAD

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes of 40 small drawn photographs each to train on, and four each to test."""
    place = tmp_path_factory.mktemp("streamed")
    draw_folders(place, {"train": 40, "val": 4}, ("n01", "n02"), ".JPEG")
    return place


@pytest.fixture
def images(folder):
    return wh.load_images(folder, size=16, stream=True)


def recipe(workers, **training):
    compression = {"method": "lrr", "sparsity": 0.5, "fraction_per_round": 0.5}
    return streamed_trainings.recipe(compression, workers, **training)


def test_order_and_crops_do_not_depend_on_the_workers(images):
    one, three = (batches_of(images.train, 16, CPU, workers) for workers in (1, 3))
    whole = drawn(one, 0, 1, 2)
    assert len(whole) == 5 and whole[0][0].shape == (16, 16, 16, 3)
    same(whole, drawn(three, 0, 1, 2))
    same(whole[3:], drawn(three, 0, 1, 2, first=3))
    other = drawn(three, 0, 1, 3)
    assert not np.array_equal(whole[0][1], other[0][1]) or not np.array_equal(whole[0][0], other[0][0])
    labels = np.concatenate([labels for _, labels in whole])
    assert np.bincount(labels).tolist() == [40, 40]


def test_a_process_decodes_its_part_of_each_batch(images):
    batches, part = batches_of(images.train, 16, CPU, 2), slice(5, 10)
    for (whole, labels), (some, others) in zip(
        batches.epoch(0), batches.epoch(0, first=0, part=part), strict=True
    ):
        assert torch.equal(some[part], whole[part]) and torch.equal(labels, others)
        assert not some[:5].any() and not some[10:].any()


def test_an_images_crop_changes_with_the_epoch_and_with_nothing_else(images):
    few = images.train.take(np.array([3, 50]))
    large, small = (batches_of(few, size, CPU, 2) for size in (2, 1))

    def by_label(parts):
        return {int(mark): one for images, labels in parts for one, mark in zip(images, labels, strict=True)}

    first, again, later = (by_label(drawn(*one)) for one in ((large, 0), (small, 0), (large, 1)))
    for label in (0, 1):
        np.testing.assert_array_equal(first[label], again[label])
        assert not np.array_equal(first[label], later[label])


def test_only_a_few_batches_are_in_memory(images, monkeypatch):
    made, random_crop = [], StreamedPictures.random_crop

    def counted(self, place, draws):
        made.append(place)
        return random_crop(self, place, draws)

    monkeypatch.setattr(StreamedPictures, "random_crop", counted)
    split, batches = images.train.take(np.tile(np.arange(80), 2)), []
    for number, (batch, _) in enumerate(batches_of(split, 8, CPU, 2).epoch(0)):
        time.sleep(0.005)  # in which threads decode as far ahead as they may
        assert len(made) <= 8 * (number + AHEAD + 1)
        batches.append(weakref.ref(batch))
    del batch
    gc.collect()
    assert len(made) == 160 and not any(reference() is not None for reference in batches)


def test_the_reading_ends_with_the_loop(images):
    before = threading.active_count()
    batches = batches_of(images.train, 8, CPU, 3).epoch(0)
    next(batches)
    batches.close()
    assert threading.active_count() == before


def test_the_statistics_are_those_of_the_images_in_memory(folder, images):
    held = wh.load_images(folder, size=16)
    assert channel_statistics(images.train) == channel_statistics(held.train)


def test_a_profile_of_large_images_is_made_in_parts(images, monkeypatch):
    made, counts = make_domain("gaussian"), []
    whole = training_profile(make_domain("clean"), images.train, 0, CPU)
    monkeypatch.setattr("winninghand.training.data._PROFILE_PIXELS", 30 * 16 * 16)
    parts = training_profile(make_domain("clean"), images.train, 0, CPU)
    torch.testing.assert_close(parts.mean, whole.mean)
    torch.testing.assert_close(parts.clean.spread, whole.clean.spread)
    views = type(made).views

    def counted(self, batch, generator):
        counts.append((len(batch), generator.initial_seed()))
        return views(self, batch, generator)

    monkeypatch.setattr(type(made), "views", counted)
    training_profile(made, images.train, 0, CPU)
    assert [count for count, _ in counts] == [30, 30, 20]
    assert len({seed for _, seed in counts}) == 3


def test_a_card_does_not_depend_on_the_workers_and_a_resumed_one_is_the_same(images, tmp_path):
    whole = wh.train(recipe(1), images, tmp_path / "one")
    assert whole.metadata.preparation.stream
    wh.train(recipe(3), images, tmp_path / "three")

    class Stop(wh.Callback):
        def on_step_end(self, trainer, loss, logits, labels):
            if trainer.steps_done == 7:
                raise KeyboardInterrupt

    often = recipe(2, checkpoint_minutes=1e-9)
    with pytest.raises(KeyboardInterrupt):
        wh.train(often, images, tmp_path / "stopped", callbacks=[Stop()])
    wh.train(recipe(1), images, tmp_path / "stopped")
    weights = [
        wh.load(tmp_path / name / "card.card").network.state_dict() for name in ("one", "three", "stopped")
    ]
    for name, tensor in weights[0].items():
        assert torch.equal(tensor, weights[1][name]) and torch.equal(tensor, weights[2][name])


def test_a_card_is_measured_on_streamed_images_and_on_others(images, folder, tmp_path):
    card = wh.train(recipe(1, epochs=1), images, tmp_path)
    held = wh.load_images(folder, size=16)
    tables = [
        wh.evaluate(card, split, corruptions="fog", severities=[3]) for split in (images.test, held.test)
    ]
    assert tables[0].clean_accuracy == tables[1].clean_accuracy
    assert accuracy(card, str(folder)) == card.metadata.accuracies["test"]


def test_a_file_that_cannot_be_read_stops_the_run_and_is_named(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "set")
    path = tmp_path / "set" / "train" / "n02" / "017.JPEG"
    images = wh.load_images(tmp_path / "set", size=16, stream=True)
    content = path.read_bytes()
    path.write_bytes(content[:200])
    before = threading.active_count()
    with pytest.raises(wh.InputError, match=r"n02/017\.JPEG cannot be read"):
        wh.train(recipe(2), images, tmp_path / "run")
    assert threading.active_count() == before
    assert not (tmp_path / "run" / "card.card").exists()
