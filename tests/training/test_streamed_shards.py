"""Class folders, the hub's parquet files and WebDataset shards: one order, one set of batches, one card."""

import os
import shutil
import threading

import numpy as np
import pytest
import streamed_trainings
import torch
from streamed_trainings import draw_folders, drawn, same

import winninghand as wh
from benchmarks.shards import write_shards
from winninghand.images import streamed
from winninghand.images.shards.parquet_files import RowGroups
from winninghand.training.batches import batches_of

CPU = torch.device("cpu")
LAYOUTS = ("folders", "parquet", "tar")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder with two classes of 30 pictures each, in three layouts; row groups of 8 rows."""
    place = tmp_path_factory.mktemp("shards")
    draw_folders(place / "folders", {"train": 30, "test": 3}, ("ant", "bee"), ".jpg")
    for kind in ("parquet", "tar"):
        write_shards(place / "folders", place / kind, kind, rows=8)
    return place


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WINNINGHAND_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def loaded(place, layout):
    folder = place / layout if layout == "folders" else place / layout / "data"
    return wh.load_images(folder, size=16, stream=True)


def epoch(split, workers, *parts, first=0):
    return drawn(batches_of(split, 8, CPU, workers), *parts, first=first)


def recipe(workers=1, **training):
    return streamed_trainings.recipe({"method": "dense"}, workers, **training)


def test_the_three_layouts_give_the_same_batches_whoever_decodes_them(place):
    folders, *others = (loaded(place, layout) for layout in LAYOUTS)
    whole = epoch(folders.train, 1, 0, 5)
    assert len(whole) == 7 and folders.classes == ("ant", "bee")
    for images in others:
        assert images.classes == folders.classes and "streamed" in images.summary()
        for workers in (0, 1, 3):
            same(whole, epoch(images.train, workers, 0, 5))
        same(whole[4:], epoch(images.train, 3, 0, 5, first=4))
        np.testing.assert_array_equal(images.test.images[:], folders.test.images[:])
        some = np.array([50, 3, 27])
        np.testing.assert_array_equal(images.train.take(some).images[1:], folders.train.images[some[1:]])


def test_the_three_layouts_give_one_card_though_two_were_stopped(place, tmp_path):
    class Stop(wh.Callback):
        def on_step_end(self, trainer, loss, logits, labels):
            if trainer.steps_done == 5:
                raise KeyboardInterrupt

    first, cards = wh.train(recipe(), loaded(place, "folders"), tmp_path / "folders"), {}
    for layout in ("parquet", "tar"):
        with pytest.raises(KeyboardInterrupt):
            wh.train(
                recipe(3, checkpoint_minutes=1e-9),
                loaded(place, layout),
                tmp_path / layout,
                callbacks=[Stop()],
            )
        cards[layout] = wh.train(recipe(2), loaded(place, layout), tmp_path / layout)
    for layout, card in cards.items():
        for name, tensor in first.network.state_dict().items():
            assert torch.equal(tensor, card.network.state_dict()[name]), (layout, name)
        assert card.metadata.accuracies == first.metadata.accuracies
    tables = [
        wh.evaluate(first, loaded(place, layout).test, corruptions="fog", severities=[3])
        for layout in LAYOUTS
    ]
    assert len({table.clean_accuracy for table in tables}) == 1


def test_held_row_groups_bound_the_memory_and_an_order_by_windows_repeats(place, monkeypatch):
    images = loaded(place, "parquet")
    length = int(images.train.images.source.groups()[1][0])
    monkeypatch.setattr(streamed, "TOGETHER", 2 * length)
    read, most = [], []
    monkeypatch.setattr(
        RowGroups, "_read", lambda self, *key, own=RowGroups._read: (read.append(key), own(self, *key))[1]
    )
    keep = RowGroups._keep

    def kept(self, *arguments):
        keep(self, *arguments)
        most.append(sum(self._bytes.values()))

    monkeypatch.setattr(RowGroups, "_keep", kept)
    images.train.images.source._held._most = 4 * length
    order = images.train.images.order(torch.Generator().manual_seed(3))
    assert sorted(order.tolist()) == list(range(60))
    assert order.tolist() != images.train.images.order(torch.Generator().manual_seed(4)).tolist()
    # Eight groups of 8, 8, 8 and 6 rows in two files; each window is of about two of them.
    groups = images.train.images.source.groups()[0][order.numpy()]
    assert len(set(groups[:14].tolist())) <= 3 and len(set(groups.tolist())) == 8
    same(epoch(images.train, 1, 9), epoch(images.train, 3, 9))
    assert max(most) <= 4 * length
    assert len(read) <= 2 * 8 + 4  # each group once in each epoch, but for those at a window's edge


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        ("tar", r"train-000001\.tar member 000029\.jpg cannot be read"),
        ("parquet", r"train-00001-of-00002\.parquet row 29 cannot be read as an image"),
    ],
)
def test_a_broken_picture_stops_the_run_and_is_named(place, tmp_path, layout, said):
    shutil.copytree(place / "folders", tmp_path / "folders")
    path = sorted((tmp_path / "folders" / "train" / "bee").iterdir())[-1]
    path.write_bytes(path.read_bytes()[:200])
    write_shards(tmp_path / "folders", tmp_path / layout, layout)
    images, before = loaded(tmp_path, layout), threading.active_count()
    with pytest.raises(wh.InputError, match=said):
        wh.train(recipe(2), images, tmp_path / "run")
    assert threading.active_count() == before
    assert not (tmp_path / "run" / "card.card").exists()


def test_a_shard_that_goes_away_stops_the_run_and_is_named(place, tmp_path):
    shutil.copytree(place / "tar" / "data", tmp_path / "tar" / "data")
    images, before = loaded(tmp_path, "tar"), threading.active_count()

    class Gone(wh.Callback):
        def on_step_end(self, trainer, loss, logits, labels):
            (tmp_path / "tar" / "data" / "train-000001.tar").unlink(missing_ok=True)

    with pytest.raises(
        wh.InputError, match=r"train-000001\.tar member \d+\.jpg cannot be read \(No such file"
    ):
        wh.train(recipe(2), images, tmp_path / "run", callbacks=[Gone()])
    assert threading.active_count() == before


def test_an_index_is_made_once_and_a_damaged_one_anew(place, cache, monkeypatch):
    loaded(place, "tar")
    kept = sorted((cache / "indexes").iterdir())
    assert len(kept) == 4
    monkeypatch.setattr("tarfile.open", lambda *_, **__: pytest.fail("the index was there"))
    images = loaded(place, "tar")
    assert len(images.train) == 60
    monkeypatch.undo()
    os.environ["WINNINGHAND_CACHE"] = str(cache)
    kept[0].write_bytes(kept[0].read_bytes()[:-40])
    assert loaded(place, "tar").train.digest == images.train.digest
