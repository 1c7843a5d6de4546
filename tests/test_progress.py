"""How far a work is: a bar on a terminal, a line in a notebook, plain lines elsewhere."""

import re
import sys
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import pytest
from rich.console import Console

import winninghand as wh
from winninghand.base.progress import duration, progress_bar, say_line

TABLE = {
    "network": {"name": "conv2", "width": 2, "input_size": 16},
    "compression": {"method": "lrr", "sparsity": 0.8, "fraction_per_round": 0.8},
    "training": {"epochs": 2, "batch_size": 14, "learning_rate": 0.05, "precision": "32-true"},
}
LINE = (
    r"epoch {} of 4 \(phase {} of 2\): loss \d\.\d{{4}}, accuracy \d+\.\d\d%, validation \d+\.\d\d%, "
    r"[\d,]+ images/s, \d:\d\d:\d\d left"
)


def test_without_a_terminal_each_epoch_is_a_line(tiny_images, tmp_path, capsys):
    wh.train(TABLE, tiny_images, tmp_path)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    for number, line in enumerate(lines, start=1):
        assert re.fullmatch(LINE.format(number, (number + 1) // 2), line)
    assert lines[-1].endswith("0:00:00 left")


class Stop(wh.Callback):
    def on_step_end(self, trainer, loss, logits, labels):
        if trainer.steps_done == 20:
            raise KeyboardInterrupt


def test_an_interrupted_training_says_where_it_was_and_goes_on(tiny_images, tmp_path, caplog, capsys):
    for out in (tmp_path / "run", None):
        with pytest.raises(KeyboardInterrupt):
            wh.train(TABLE, tiny_images, out, callbacks=[Stop()])
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        f"{tmp_path / 'run'}: stopped in epoch 3 of 4; training in the same folder goes on from it"
    ]
    capsys.readouterr()
    wh.train(TABLE, tiny_images, tmp_path / "run")
    assert caplog.records[-1].getMessage().endswith("going on from epoch 3 of 4")
    assert [line[:12] for line in capsys.readouterr().err.splitlines()] == ["epoch 3 of 4", "epoch 4 of 4"]


def test_a_terminal_has_a_bar_with_the_figures_of_the_last_epoch(tiny_images, monkeypatch, capsys):
    monkeypatch.setattr(Console, "is_terminal", True)
    monkeypatch.setattr("winninghand.base.progress._Bar", FakeBar)
    wh.train(TABLE, tiny_images)
    notes = FakeBar.notes
    assert len(notes) == 32 and notes[0] == "epoch 1 of 4 (phase 1 of 2)"
    assert re.fullmatch(
        r"epoch 4 of 4 \(phase 2 of 2\); last loss \d.*, accuracy .*, validation .*%", notes[-1]
    )
    assert capsys.readouterr().err == ""


class FakeBar:
    notes: ClassVar = []

    def __init__(self, *_, **__):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def add_task(self, *_, **__):
        return 0

    def update(self, task, advance, note):
        self.notes.append(note)


def test_a_notebook_has_one_line_that_is_written_anew(monkeypatch):
    shown = []

    def display(data, raw, display_id):
        assert raw and display_id
        shown.append(data)
        return SimpleNamespace(update=lambda data, raw: shown.append(data))

    module = ModuleType("IPython.display")
    module.display = display
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    with progress_bar("training", 2_000) as progress:
        progress(500, "epoch 1")
        progress(1_500, "\x1b[2J")
    assert [set(data) for data in shown] == [{"text/plain"}] * len(shown)
    assert shown[0]["text/plain"] == "training: 0 of 2,000 images"
    assert re.fullmatch(
        r"training: 2,000 of 2,000 images, [\d,]+ images/s, 0:00:00 left; \\x1b\[2J", shown[-1]["text/plain"]
    )


def test_lines_that_nobody_takes_end_nothing(monkeypatch):
    class Closed:
        def write(self, text):
            raise BrokenPipeError

    for stream in (Closed(), None):
        monkeypatch.setattr(sys, "stderr", stream)
        say_line("epoch 1")
    assert [duration(seconds) for seconds in (0.4, 61, 36_000)] == ["0:00:00", "0:01:01", "10:00:00"]
