"""Several processes train what one does: the same masks, and the same weights within rounding."""

import json
import os
import socket
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image
from train_together import Smooth

import winninghand as wh
from benchmarks.shards import write_shards
from winninghand.base.threads import usable_cores
from winninghand.training import RunFolder

SCRIPT = Path(__file__).parent / "train_together.py"
TRAINING = {"batch_size": 31, "learning_rate": 0.02, "precision": "32-true", "average": 0.5}
WORK = {"sparsity": 0.5, "epochs": 2, "train_first": True, "training": TRAINING}
# Each with the settings without which two epochs of three steps would leave something out.
METHODS = {
    "dense": {},
    "ft": {},
    "gmp": {"update_every": 1},
    "lth": {"fraction_per_round": 0.3, "rewind_epoch": 0.5},
    "lrr": {"fraction_per_round": 0.3},
    "ep": {"train_norm": True},
    "bp": {},
    "snip": {},
    "grasp": {},
    "synflow": {"iterations": 5},
    "set": {"regrow_every": 2},
    "rigl": {"regrow_every": 2},
}


def work(method, **changes):
    return {**WORK, "method": method, "compression": METHODS[method], **changes}


def together(folder, runs, size, *words):
    """Return the exit codes and what was said on standard error, by rank."""
    folder.mkdir(exist_ok=True)
    (folder / "work.json").write_text(json.dumps(runs))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = str(listener.getsockname()[1])
    started = []
    for rank in range(size):
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        if size > 1:  # as torchrun does
            environment |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1"}
            environment |= {"WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size), "MASTER_PORT": port}
            environment |= {"TORCHELASTIC_RUN_ID": "test"}
        command = [sys.executable, SCRIPT, folder / "work.json", folder, *words]
        started.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    said = [process.communicate(timeout=300)[1] for process in started]
    return [process.returncode for process in started], said


def apart(one, other):
    """Return the greatest difference of two cards' tensors, and how many weights only one has."""
    first, second = (
        wh.load(path / "card.card", network=Smooth()).network.state_dict() for path in (one, other)
    )
    differences = [float((first[key].float() - second[key].float()).abs().max()) for key in first]
    flips = sum(int(((first[key] == 0) != (second[key] == 0)).sum()) for key in first)
    return max(differences), flips


@pytest.fixture(scope="module")
def all_methods(tmp_path_factory):
    """What two undisturbed processes leave of each method, and what they said."""
    folder = tmp_path_factory.mktemp("two")
    codes, said = together(folder, {method: work(method) for method in METHODS}, 2)
    assert codes == [0, 0], said
    return folder, said


@pytest.mark.slow
def test_two_processes_train_what_one_does(all_methods, tmp_path):
    folder, said = all_methods
    assert together(tmp_path, {method: work(method) for method in METHODS}, 1)[0] == [0]
    for method in METHODS:
        difference, flips = apart(tmp_path / method, folder / method)
        assert difference < 1e-4, (method, difference)
        assert flips == 0, method
        one, two = (RunFolder(place / method).read_metrics() for place in (tmp_path, folder))
        for row, other in zip(one, two, strict=True):
            assert row["train_loss"] == pytest.approx(other["train_loss"], rel=1e-4)
            assert row["validation_accuracy"] == other["validation_accuracy"]
    assert said[1] == ""


def drawn_folder(root, count):
    generator = numpy.random.default_rng(0)
    for split, name in product(("train", "test"), ("a", "b")):
        (root / split / name).mkdir(parents=True)
        for number in range(count):
            pixels = generator.integers(0, 256, (20 + number, 30, 3), dtype=numpy.uint8)
            Image.fromarray(pixels).save(root / split / name / f"{number}.jpg")


@pytest.mark.slow
def test_two_processes_read_their_parts_of_streamed_images(tmp_path, monkeypatch):
    drawn_folder(tmp_path, 40)
    runs = {
        domain: work("lrr", streamed=str(tmp_path), domain=domain) for domain in ("augmix", "hybridaugment")
    }
    assert together(tmp_path / "one", runs, 1)[0] == [0]
    for kind in ("parquet", "tar"):
        place = write_shards(tmp_path, tmp_path / kind, kind, rows=9) / "data"
        runs[kind] = work("lrr", streamed=str(place), domain="augmix")
    monkeypatch.setenv("WINNINGHAND_CACHE", str(tmp_path / "cache"))
    codes, said = together(tmp_path / "two", runs, 2)
    assert codes == [0, 0], said
    for name, run in runs.items():
        difference, flips = apart(tmp_path / "one" / run["domain"], tmp_path / "two" / name)
        assert difference < 1e-4 and flips == 0, (name, difference)


@pytest.mark.slow
def test_a_killed_process_ends_the_other_and_both_go_on(all_methods, tmp_path):
    undisturbed, runs = all_methods[0] / "lth", {"lth": work("lth")}
    codes, said = together(tmp_path / "killed", runs, 2, "1:3")
    assert codes == [1, -9]
    assert "another process of this training has ended" in said[0].splitlines()[-1]
    codes, said = together(tmp_path / "killed", runs, 2)
    assert codes == [0, 0]
    assert "going on from epoch 4 of 6" in said[0]
    for file in ("card.card", "rewind.pt"):
        assert (tmp_path / "killed/lth" / file).read_bytes() == (undisturbed / file).read_bytes()
    # What was begun by two goes on in one.
    (tmp_path / "killed/lth/card.card").unlink()
    assert together(tmp_path / "killed", runs, 1)[0] == [0]


@pytest.mark.slow
def test_processes_that_disagree_are_refused(tmp_path):
    for name in ("here", "there"):
        drawn_folder(tmp_path / name, 5)
    (tmp_path / "there/train/b/3.jpg").unlink()
    here, there = (str(tmp_path / name) for name in ("here", "there"))
    runs = {
        "longer": work("dense", changed={"1": {"epochs": 3}}),
        "elsewhere": work("dense", changed={"1": {"out": "other"}}),
        "fewer": work("dense", streamed=here, changed={"1": {"streamed": there}}),
    }
    codes, said = together(tmp_path / "run", runs, 2)
    assert codes == [1, 1]
    differences = [
        "training.epochs is 3 there and 2 here",
        f"its folder is {tmp_path}/run/other there and {tmp_path}/run/elsewhere here",
        "its images or labels are others",
    ]
    what, mend = (
        "process 1 of 2 has another run than process 0",
        "give all of them the same recipe, images and folder",
    )
    refused = [f"{what}: {difference}; {mend}" for difference in differences]
    for one in said:
        assert [line for line in one.splitlines() if line.startswith(what)] == refused
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["work.json"]


def test_synchronised_norms_are_torchs_for_one_process():
    from winninghand.training.synchronised_norms import SynchronisedNorms

    gradients = []
    for synchronised in (False, True):
        torch.manual_seed(0)
        norm = torch.nn.BatchNorm2d(5)
        torch.nn.init.uniform_(norm.weight, 0.5, 2)
        batch = (torch.randn(8, 5, 4, 4) * 3 + 2).requires_grad_()
        if synchronised:
            with SynchronisedNorms(lambda values: values):
                output = norm(batch)
        else:
            output = norm(batch)
        (output * torch.randn(8, 5, 4, 4)).sum().backward()
        gradients.append([output, batch.grad, norm.weight.grad, norm.bias.grad, *norm.buffers()])
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one.float(), other.float(), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(usable_cores() <= 1, reason="two processes need two cores")
def test_train_devices_is_one_command(tiny_images, tmp_path):
    folder = tmp_path / "images.npz"
    train, test = tiny_images.train, tiny_images.test
    numpy.savez(
        folder,
        train_images=train.images,
        train_labels=train.labels,
        test_images=test.images,
        test_labels=test.labels,
    )
    command = [sys.executable, "-m", "winninghand", "train", "--data", folder, "--devices", "2"]
    changes = [
        "network=conv2",
        "network.width=2",
        "network.input_size=16",
        "training.epochs=1",
        "compression.method=dense",
    ]
    words = [word for change in changes for word in ("--set", change)]
    asked = [*command, "--out", tmp_path / "run", *words, "--device"]
    done = subprocess.run([*asked, "cpu"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run/run.json").read_text())["ran_on"][-1]["processes"] == 2
    refused = subprocess.run([*asked, "cpu", "--set", "training.epochs=2"], capture_output=True, text=True)
    assert refused.returncode == 2
    assert refused.stderr.count("holds another run") == 1


def test_sharded_networks_are_refused():
    class FSDPModule(torch.nn.Linear):
        pass

    with pytest.raises(wh.InputError, match="sharded by FSDP"):
        wh.Pruner(FSDPModule(4, 2), steps=1)
