"""A run that stopped goes on where it was, unless its files were damaged; no two work in one folder."""

import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch

import winninghand as wh
from winninghand.base.files import read_sealed, write_sealed
from winninghand.base.locks import folder_lock
from winninghand.recipe import make_recipe
from winninghand.training import RunFolder, new_run

RECIPE = make_recipe(
    {
        "network": {"name": "conv2", "width": 2, "input_size": 16},
        "compression": {"method": "lth", "sparsity": 0.8, "fraction_per_round": 0.7, "rewind_epoch": 0.5},
        "training": {"epochs": 2, "batch_size": 16, "learning_rate": 0.05, "precision": "32-true"},
    }
)


class TakeAway(wh.Callback):
    """Deletes the run's folder under the run."""

    def on_epoch_end(self, trainer, metrics):
        shutil.rmtree(trainer.folder.path)


def test_a_run_whose_folder_is_taken_away_stops_and_makes_no_other(tiny_images, tmp_path):
    with pytest.raises(wh.InputError, match="was taken away"):
        wh.train(RECIPE, tiny_images, tmp_path / "run", callbacks=[TakeAway()])
    assert list(tmp_path.iterdir()) == []


class StopAfter(wh.Callback):
    """Stops the training, as Ctrl-C does, when the checkpoint of an epoch is not written yet."""

    def __init__(self, epochs):
        self.epochs = epochs

    def on_epoch_end(self, trainer, metrics):
        if len(trainer.metrics) == self.epochs:
            raise KeyboardInterrupt


def stop(images, folder, epochs):
    with pytest.raises(KeyboardInterrupt):
        wh.train(RECIPE, images, folder, callbacks=[StopAfter(epochs)])
    return RunFolder(folder)


@pytest.mark.slow
def test_kills_leave_no_trace(tmp_path):
    script = Path(__file__).parent / "killed_runs.py"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "6"
    assert "going on from epoch" in done.stderr
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    assert (killed / "card.card").read_bytes() == (undisturbed / "card.card").read_bytes()
    names = ["card.card", "checkpoint.pt", "metrics.csv", "run.json"]
    assert sorted(path.name for path in killed.iterdir()) == names


def test_a_resumed_run_says_from_where_and_what_changed(tiny_images, tmp_path, caplog):
    folder = stop(tiny_images, tmp_path, 3)
    about = read_sealed(folder.about)
    about["ran_on"][0] |= {"threads": 99, "machine": f"elsewhere, {torch.backends.cpu.get_cpu_capability()}"}
    about["ran_on"][0]["versions"]["torch"] = "1.0"
    write_sealed(about, folder.about)
    state = folder.load_checkpoint(torch.device("cpu"))
    for row in state["rows"]:
        row["held_out_accuracy"] = row.pop("validation_accuracy")  # as in version 0.1
    folder.save_checkpoint(state)
    wh.train(RECIPE, tiny_images, tmp_path)
    _, stopped, conditions, progress = [record.getMessage() for record in caplog.records]
    assert stopped.endswith("stopped in epoch 4 of 6; training in the same folder goes on from it")
    assert f"threads {torch.get_num_threads()} instead of 99" in conditions
    assert f"torch {torch.__version__} instead of 1.0" in conditions
    assert "elsewhere" not in conditions and "\n" not in conditions
    assert progress.endswith("going on from epoch 4 of 6")
    assert [environment["threads"] for environment in json.loads(folder.about.read_text())["ran_on"]] == [
        99,
        torch.get_num_threads(),
    ]
    rows = folder.read_metrics()
    assert len(rows) == 6 and all(row["validation_accuracy"] for row in rows)


@pytest.mark.parametrize("name", ["checkpoint.pt", "rewind.pt"])
def test_a_flipped_bit_is_refused(name, tiny_images, tmp_path):
    folder = stop(tiny_images, tmp_path / "run", 3)
    path = folder.path / name
    whole, draw = path.read_bytes(), random.Random(0)
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(wh.InputError, match=f"{name} is damaged"):
            if name == "rewind.pt":
                folder.load_rewind(torch.device("cpu"))
            else:
                folder.load_checkpoint(torch.device("cpu"))
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(wh.InputError, match="delete the folder"):
        wh.train(RECIPE, tiny_images, folder.path)


def test_a_flipped_bit_of_what_a_run_is_or_measured_is_refused_or_harmless(tiny_images, tmp_path):
    folder = stop(tiny_images, tmp_path, 2)
    run = new_run(RECIPE, tiny_images)
    rows, about, draw = folder.read_metrics(), folder.about.read_bytes(), random.Random(0)
    for _ in range(100):
        damaged = bytearray(about)
        damaged[draw.randrange(len(about))] ^= 1 << draw.randrange(8)
        folder.about.write_bytes(damaged)
        with suppress(wh.InputError):
            run.folder(tmp_path)
            assert read_sealed(folder.about).keys() >= read_keys(about)  # the name of the digest was hit
    folder.about.write_bytes(about)
    folder.metrics.write_bytes(folder.metrics.read_bytes().replace(b"0.", b"9."))
    assert folder.read_metrics() == rows  # the checkpoint's
    folder.checkpoint.unlink()
    folder.metrics.write_text("epoch,seconds\n0,x\n")
    with pytest.raises(wh.InputError, match=r"metrics\.csv is damaged"):
        folder.read_metrics()


def read_keys(about):
    return json.loads(about).keys() - {"digest"}


@pytest.mark.parametrize(
    "content", ["[" * 100_000, "[]", '{"recipe": {}, "ran_on": [3]}', "1" * 5_000, "\x00", '{"recipe": 3}']
)
def test_what_no_run_writes_is_refused_in_one_line(content, tiny_images, tmp_path):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(wh.InputError, match=r"run\.json") as error:
        wh.train(RECIPE, tiny_images, tmp_path)
    assert "\n" not in str(error.value)


def test_a_finished_run_is_rid_of_what_a_killed_one_left(tiny_images, tmp_path):
    wh.train(RECIPE, tiny_images, tmp_path)
    before = {path.name for path in tmp_path.iterdir()}
    for name in (".lock", ".card.card.abcd1234.tmp.card"):
        (tmp_path / name).write_text("")
    wh.train(RECIPE, tiny_images, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == before


@pytest.mark.slow
def test_kills_at_every_rename_leave_no_trace(tmp_path):
    script = Path(__file__).parent / "killed_at_renames.py"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == KILLS_AT_RENAMES


KILLS_AT_RENAMES = 2 * (11 + 16)


def test_a_second_process_is_told_or_waits(tiny_images, tmp_path):
    stop(tiny_images, tmp_path, 5)
    arrived, cards = threading.Event(), []

    def second():
        cards.append(wh.train(RECIPE, tiny_images, tmp_path))

    # A thread stands for a process: the lock keeps out both.
    with folder_lock(tmp_path):
        waiting = threading.Thread(target=second)
        waiting.start()

        def third():
            with pytest.raises(wh.InputError, match=f"process {os.getpid()} on .* works in"):
                wh.train(RECIPE, tiny_images, tmp_path, wait=False)
            arrived.set()

        threading.Thread(target=third).start()
        assert arrived.wait(20)
        time.sleep(0.1)
        assert not cards
        first = wh.train(RECIPE, tiny_images, tmp_path)  # by whom the folder is locked
    waiting.join()
    assert all(map(torch.equal, first.state_dict().values(), cards[0].state_dict().values()))


def test_a_finished_run_needs_no_lock(tiny_images, tmp_path):
    card = wh.train(RECIPE, tiny_images, tmp_path)
    with folder_lock(tmp_path):
        cards = []
        thread = threading.Thread(target=lambda: cards.append(wh.train(RECIPE, tiny_images, tmp_path)))
        thread.start()
        thread.join()
    assert all(map(torch.equal, card.state_dict().values(), cards[0].state_dict().values()))


def test_a_checkpoint_of_version_0_1_goes_on(tiny_images, tmp_path):
    """Without digest, schema and environment, and under the keys of that time."""
    undisturbed = wh.train(RECIPE, tiny_images, tmp_path / "undisturbed")
    folder = stop(tiny_images, tmp_path / "run", 3)
    for path in (folder.checkpoint, folder.rewind):
        content = path.read_bytes()
        path.write_bytes(content[content.index(b"\n") + 1 :])
    shutil.copy(Path(__file__).parent / "run_of_0_1.json", folder.about)
    whole, draw = folder.checkpoint.read_bytes(), random.Random(0)
    good = repr(folder.load_checkpoint(torch.device("cpu")))
    for _ in range(30):  # a bit that is no part of a record may change nothing
        damaged = bytearray(whole)
        damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        folder.checkpoint.write_bytes(damaged)
        try:
            assert repr(folder.load_checkpoint(torch.device("cpu"))) == good
        except wh.InputError as error:
            assert "checkpoint.pt is damaged" in str(error)
    folder.checkpoint.write_bytes(whole)
    card = new_run(RECIPE, tiny_images).train(folder.path)
    assert all(map(torch.equal, undisturbed.state_dict().values(), card.state_dict().values()))


class StopAtStep(wh.Callback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, trainer, loss, logits, labels):
        if trainer.steps_done == self.step:
            raise KeyboardInterrupt


def test_a_run_goes_on_within_an_epoch(tiny_images, tmp_path, caplog):
    often = RECIPE.training.model_copy(update={"checkpoint_minutes": 1e-9, "average": 0.5})
    recipe = RECIPE.model_copy(update={"training": often})
    wh.train(recipe, tiny_images, tmp_path / "whole")
    for step in (5, 17, 21):  # of seven an epoch; the second phase begins in the middle of one
        with pytest.raises(KeyboardInterrupt):
            wh.train(recipe, tiny_images, tmp_path / "stopped", callbacks=[StopAtStep(step)])
        state = RunFolder(tmp_path / "stopped").load_checkpoint(torch.device("cpu"))
        assert state["begun"]["measured"] > 0
    assert any(line.endswith("going on from the middle of epoch 1 of 6") for line in caplog.messages)
    wh.train(recipe, tiny_images, tmp_path / "stopped")
    cards = [tmp_path / name / "card.card" for name in ("whole", "stopped")]
    assert cards[0].read_bytes() == cards[1].read_bytes()
    one, other = (RunFolder(card.parent).read_metrics() for card in cards)
    assert [row["train_loss"] for row in one] == pytest.approx([row["train_loss"] for row in other], rel=1e-6)
    assert [row["train_accuracy"] for row in one] == [row["train_accuracy"] for row in other]
