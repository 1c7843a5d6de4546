"""What a disk or a path does not allow is said in one line, before the first epoch where it can be known."""

import resource

import pytest

import winninghand as wh
from winninghand.base import files
from winninghand.recipe import make_recipe

RECIPE = make_recipe(
    {
        "network": {"name": "conv2", "width": 2, "input_size": 16},
        "compression": {"method": "dense"},
        "training": {"epochs": 2, "batch_size": 16, "precision": "32-true"},
    }
)


class Epochs(wh.Callback):
    def __init__(self):
        self.seen = 0

    def on_epoch_start(self, trainer):
        self.seen += 1


def refused(images, out, named):
    watching = Epochs()
    with pytest.raises(wh.InputError, match=named) as error:
        wh.train(RECIPE, images, out, device="cpu", callbacks=[watching])
    assert "\n" not in str(error.value)
    return watching.seen


def test_a_path_that_can_be_no_folder_is_refused_before_the_first_epoch(tiny_images, tmp_path):
    (tmp_path / "file").write_text("")
    for out, named in (
        (tmp_path / "file", "file"),
        (tmp_path / "file/run", "file"),
        ("a\0b", "cannot be a path"),
        (tmp_path / ("x" * 300), "too long"),
        ("/proc/run", "cannot write to"),
    ):
        assert refused(tiny_images, out, named) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_disk_without_room_for_a_checkpoint_is_refused_before_the_first_epoch(
    tiny_images, tmp_path, monkeypatch
):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: Usage)
    assert refused(tiny_images, tmp_path, r"has room for 1,000 bytes, and [\d,]{6} are needed") == 0
    assert not list(tmp_path.iterdir())


class Usage:
    free = 1000


@pytest.mark.parametrize(("limit", "epochs"), [(100, 0), (8_000, 1)])
def test_a_disk_that_is_full_leaves_nothing_half_written(limit, epochs, tiny_images, tmp_path):
    wh.train(RECIPE, tiny_images)  # what is compiled is kept before the limit
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        seen = refused(tiny_images, tmp_path, "cannot write .*(File too large|make room)")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert seen == epochs
    assert {path.name for path in tmp_path.iterdir()} <= {"run.json", "metrics.csv"}
    card = wh.train(RECIPE, tiny_images, tmp_path)  # and it goes on
    assert card.metadata.accuracies["test"] > 0.5
