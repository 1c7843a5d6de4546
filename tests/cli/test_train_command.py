"""`winninghand train`: with and without a recipe, stopped and gone on with."""

import pytest
import torch

import winninghand as wh
from winninghand.base import launch
from winninghand.training.trainer import Trainer

SMALL = ("--set", "network.width=2", "--set", "compression.method=dense", "--set", "training.epochs=2")


def test_a_network_without_a_recipe_is_trained_by_defaults(run, tmp_path):
    out = tmp_path / "run"
    words = ("train", "--network", "conv2", *SMALL, "--threads", "1", "--out", out)
    code, printed, err = run(*words)
    assert (code, printed) == (0, "")
    lines = err.splitlines()
    assert lines[0].startswith("conv2 on digits, dense, domain clean: 1 phase, 2 epochs in all; Ctrl-C")
    assert [line.split(":")[0] for line in lines[1:3]] == ["epoch 1 of 2", "epoch 2 of 2"]
    assert lines[3].startswith(f"{out}/card.card: ") and len(lines) == 4
    assert run(*words)[2].splitlines() == lines[3:]
    card = wh.load(out / "card.card")
    assert card.metadata.recipe["network"] == {"name": "conv2", "width": 2}
    assert card.metadata.recipe["training"]["batch_size"] == 1293 // 8


def test_a_recipe_s_network_may_be_named_anew(run, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('network = {name = "resnet18", width = 9}\n[training]\nepochs = 1\n')
    words = ("train", recipe, "--network", "conv2", *SMALL[:4], "--dry-run", "--out", tmp_path / "run")
    assert run(*words)[0] == 0
    code, _, err = run("train", "--network", "conv3", "--dry-run")
    assert code == 2 and "did you mean 'conv" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("count", "device", "said"),
    [
        (3, "cpu", "--devices 3 begins 3 processes, and there are 2 cores for them; give --devices 2"),
        (2, "cuda", "--devices 2 begins 2 processes, and there is 1 GPU for them; leave it out"),
        (3, None, "and there are 2 cores for them; give --devices 2"),
    ],
)
def test_more_processes_than_cores_or_gpus_are_refused_before_any_begins(
    check_refusal, tmp_path, monkeypatch, count, device, said
):
    monkeypatch.setattr(launch, "usable_cores", lambda: 1.5)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    monkeypatch.setattr(launch.subprocess, "Popen", None)
    where = () if device is None else ("--device", device)
    check_refusal(tmp_path, ("train", "--devices", count, *where, "--out", tmp_path / "run"), said)


def test_ctrl_c_says_where_it_was_and_the_same_command_goes_on(run, tmp_path, monkeypatch):
    step, taken = Trainer.step, []

    def interrupted(trainer, *arguments):
        taken.append(trainer.epoch)
        if len(taken) == 10:
            raise KeyboardInterrupt
        return step(trainer, *arguments)

    monkeypatch.setattr(Trainer, "step", interrupted)
    out = tmp_path / "run"
    words = ("train", "--network", "conv2", *SMALL, "--out", out)
    code, _, err = run(*words)
    assert code == 130
    assert err.splitlines()[2:] == [
        f"winninghand: {out}: stopped in epoch 2 of 2; training in the same folder goes on from it",
        "winninghand: interrupted; run the same command again to go on where it was",
    ]
    code, _, err = run(*words)
    assert code == 0
    assert err.splitlines()[0] == f"winninghand: {out}: going on from epoch 2 of 2"
    assert taken[10:] == [1] * 8


def test_a_run_that_goes_on_takes_the_threads_it_began_with(run, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("winninghand.base.threads.use_threads", asked.append)
    monkeypatch.setattr("winninghand.training.new_run", lambda *_: pytest.fail("it began"))
    monkeypatch.setattr("winninghand.training.RunFolder.threads", lambda _: 3)
    for words, threads in (((), 3), (("--threads", "5"), 5), (("--dry-run",), None)):
        run("train", "--network", "conv2", "--out", tmp_path / "run", *words)
        assert asked.pop() == threads
    code, _, err = run("train", "--network", "conv2", "--threads", "0")
    assert (code, asked) == (2, []) and "--threads" in err
