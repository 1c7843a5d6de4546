"""What the demo's page says to do next: commands for the folder that the demo was started in."""

import sys
from pathlib import Path

import pytest

from winninghand.studies.demo_page import next_section


@pytest.mark.parametrize(("path", "called"), [("", ".venv/bin/winninghand"), (".venv/bin", "winninghand")])
def test_commands_work_where_the_demo_was_started(tmp_path, monkeypatch, path, called):
    program = tmp_path / ".venv/bin/winninghand"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / path) if path else str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(program.with_name("python")))
    commands = [step.command for step in next_section(Path("runs/my demo/deck.deck")).steps]
    assert commands[0] == f"{called} predict 'runs/my demo/deck.deck' PICTURE.png"
    assert all(command.startswith(f"{called} ") for command in commands)
