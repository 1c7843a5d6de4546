"""What a shell is told: completions, the version, help by what people do."""

import os
import resource
import shutil
import subprocess
import sys
from typing import Literal, get_args

import pytest
import shellingham

import winninghand as wh
from winninghand.cli import about
from winninghand.cli.commands import COMMANDS
from winninghand.corruptions.parameters import Parameters
from winninghand.evaluation.orders import Order
from winninghand.images.preparation import Preparation
from winninghand.runtimes.choosing import Engine


@pytest.fixture
def complete(run, monkeypatch):
    """Return what bash is answered for words; the last one is being typed."""

    def ask(*words, shell="bash"):
        monkeypatch.setenv("_WINNINGHAND_COMPLETE", f"complete_{shell}")
        monkeypatch.setenv("COMP_WORDS", "\n".join(("winninghand", *words)))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", " ".join(("winninghand", *words)))
        monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
        code, out, err = run()
        assert (code, err) == (0, "")
        return out.split("\n")[:-1]

    return ask


def test_commands_options_and_names_are_completed(complete):
    assert complete("be") == ["benchmark"]
    assert complete("evaluate", "--corr") == ["--corruptions"]
    assert complete("evaluate", "a.card", "--corruptions", "contrast,fo") == ["contrast,fog"]
    assert complete("evaluate", "a.card", "--data", "") == ["digits", "cifar10", "cifar100"]
    assert complete("deck", "a.deck", "a.card", "--gate", "spectral_") == ["spectral_image"]
    assert complete("train", "--network", "resnet1") == ["resnet18"]
    assert complete("train", "--set", "compression.method=sy") == ["synflow"]  # bash breaks no word here…
    assert complete("train", "--set", "domain", "=", "pi") == ["pixmix"]  # …and here it does
    assert complete("evaluate", "a.card", "--engine", "=", "sp") == ["sparse"]
    assert complete("names", "cl") == ["claims"]


@pytest.mark.parametrize(
    ("command", "option", "taken"),
    [
        ("evaluate", "--order", Order),
        ("evaluate", "--engine", Engine),
        ("corrupt", "--transform", Literal["crop", "squash", "pad", "resize256"]),
        ("corrupt", "--parameters", Parameters),
    ],
)
def test_the_words_of_an_option_are_those_that_it_takes(complete, command, option, taken):
    assert complete(command, option, "") == list(get_args(taken))
    if option == "--transform":
        assert [Preparation(transform=word).transform for word in get_args(taken)] == list(get_args(taken))


def test_a_model_is_a_file_or_one_of_the_zoo(complete):
    assert complete("evaluate", "") == complete("evaluate", "runs") == [""]  # the shell's own: files
    for words in (("evaluate", "zoo", ":", "cifar10-d"), ("evaluate", "zoo:cifar10-d")):
        assert complete(*words) == ["cifar10-dense-clean"]
    assert complete("evaluate", "a.card", "--baseline", "zo") == [f"zoo:{name}" for name in wh.names("zoo")]


def test_other_shells_are_given_whole_words(complete):
    assert complete("evaluate", "zoo:cifar10-d", shell="fish") == ["zoo:cifar10-dense-clean"]
    assert "contrast" in complete("evaluate", "a.card", "--corruptions", "con", shell="zsh")[0]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_asks_and_is_answered_at_once_without_torch(tmp_path):
    program = tmp_path / "winninghand"
    program.write_text(
        f'#!/bin/sh\nexec {sys.executable} -X importtime -m winninghand "$@" 2>>{tmp_path / "imported"}\n'
    )
    program.chmod(0o755)
    script = """
eval "$(_WINNINGHAND_COMPLETE=source_bash winninghand)"
COMP_WORDS=(winninghand evaluate zoo : cifar10-d); COMP_CWORD=4
_winninghand_completion winninghand
printf '%s\n' "${COMPREPLY[@]}"
"""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (done.stdout, done.stderr) == ("cifar10-dense-clean\n", "")
    assert after.ru_utime - before.ru_utime < 1.2  # asked twice
    assert "| torch\n" not in (tmp_path / "imported").read_text(encoding="utf-8")


def test_completion_is_installed_for_the_shell_at_hand(run, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(shellingham, "detect_shell", lambda: ("bash", "/bin/bash"))
    code, script, _ = run("--show-completion")
    assert code == 0 and "complete -o default -F _winninghand_completion winninghand" in script
    code, out, _ = run("--install-completion")
    (written,) = (tmp_path / ".bash_completions").iterdir()
    assert code == 0 and str(written) in out
    assert written.read_text(encoding="utf-8").strip() == script.strip()

    monkeypatch.setenv("HOME", str(written))  # a file, where nothing can be written
    code, out, err = run("--install-completion")
    assert (code, out, err.count("\n")) == (2, "", 1) and "--show-completion prints" in err

    def unknown():
        raise shellingham.ShellDetectionFailure

    monkeypatch.setattr(shellingham, "detect_shell", unknown)
    for flag in ("--install-completion", "--show-completion"):
        said = f"winninghand: {flag} is for bash, zsh, fish and PowerShell; run it within one of them\n"
        assert run(flag) == (2, "", said)


def test_the_version_is_told_with_what_a_report_needs(run, monkeypatch):
    code, out, err = run("--version")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0].split(", ")[0] == f"winninghand {wh.__version__}"
    assert [line.split()[0] for line in lines[1:]] == [
        "Python", "platform", "torch", "threads", "CPU", "device", "beside",
    ]  # fmt: skip

    monkeypatch.setitem(sys.modules, "torch", None)  # as where it was installed in part
    code, out, _ = run("--version")
    assert code == 0 and ": cannot be imported (" in out and "CPU " in out


@pytest.mark.skipif(shutil.which("git") is None, reason="needs Git")
def test_the_commit_is_told_of_a_checkout_alone(tmp_path):
    package = tmp_path / "src/winninghand"
    package.mkdir(parents=True)
    (package / "a.py").touch()
    assert about._commit(package) is None

    def git(*words):
        named = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        return subprocess.run(
            ["git", "-C", tmp_path, *named, *words], check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init")
    git("add", ".")
    git("commit", "--message", "a")
    assert about._commit(package) == git("rev-parse", "--short", "HEAD")
    (package / "a.py").write_text("a = 1\n")
    assert about._commit(package).endswith(" with changes")
    assert about._commit(tmp_path / "lib/winninghand") is None


def test_help_is_grouped_by_what_people_do(run):
    out = run("--help")[1]
    tasks = list(dict.fromkeys(command.task for command in COMMANDS.values()))
    places = [out.index(f"─ {task} ─") for task in tasks]
    assert places == sorted(places)


def test_every_example_is_in_the_help_in_one_line(run):
    for name, command in COMMANDS.items():
        out = run(name, "--help")[1]
        for example in command.examples:
            assert example.startswith(f"winninghand {name}") and example in out
