"""From a folder of photographs and a network's name to a file that a device runs, on the command line.

Networks of libraries go it where these are installed: `make test-networks`.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import drawn_photographs
import numpy as np
import pytest
import torch
from drawn_photographs import BROKEN, CLASSES, PICTURES

import winninghand as wh
from winninghand.cli import main

OWN = """
from torch import nn

def small(width=16, classes=10):
    layers = []
    for before, after in ((3, width), (width, 2 * width), (2 * width, 4 * width)):
        layers += [nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, classes))
"""
FIRST = """
network = {name = "resnet18", width = 8, stem_stride = 2}
compression = {method = "gmp", sparsity = 0.8}
training = {epochs = 6, batch_size = 32}
quantization = {weights = "int8"}
"""
SECOND = """
compression = {method = "ft", sparsity = 0.5, fine_tune_epochs = 2}
quantization = {weights = "int8"}
"""
HUB = "somebody/road-vit"
PRETRAINED = ("--set", "network.pretrained=true", "--set", "training.epochs=6")
NETWORKS = {
    "one's own": ("my_networks:small", ("--trust", "--set", "training.epochs=6")),
    "timm": ("timm:mobilenetv3_small_100", PRETRAINED),
    "torchvision": ("torchvision:shufflenet_v2_x0_5", PRETRAINED),
    "transformers": (f"hf:{HUB}", PRETRAINED),
}
"""Networks of the second card, and the options that train them."""
SAME = {"timm": 0.7}
"""Images that keep their class in whole numbers, at least; depthwise channels share one step."""
PAGE = Path(__file__).parents[2] / "docs" / "import-export.md"

pytestmark = pytest.mark.slow


@contextmanager
def _words(words):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["winninghand", *(str(word) for word in words)])
        yield


def call(*words):
    """Run the program in this process, as the fixture `run` does; also for a fixture of the module."""
    out, err = io.StringIO(), io.StringIO()
    with _words(words), redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as leaving:
        main()
    said = f"$ winninghand {' '.join(map(str, words))}\n{out.getvalue()[:400]}{err.getvalue()}"
    sys.stdout.write(said)  # to be seen where something fails, or with -s
    return leaving.value.code or 0, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the drawn photographs, recipes, a network of one's own and the first card."""
    folder = tmp_path_factory.mktemp("road")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("WINNINGHAND_CACHE", str(folder / "cache"))
        patch.setattr(sys, "path", list(sys.path))
        drawn_photographs.draw(folder / "photographs")
        for name, text in (("first.toml", FIRST), ("second.toml", SECOND), ("my_networks.py", OWN)):
            (folder / name).write_text(text, encoding="utf-8")
        words = ("train", "first.toml", "--data", "photographs", "--size", 64, "--out", "runs/first")
        refused = call(*words)
        left = sorted(path.name for path in folder.iterdir())
        done = call(*words, "--skip-broken")
        yield {"folder": folder, "refused": refused, "left": left, "done": done}
    sys.modules.pop("my_networks", None)


def test_a_folder_is_divided_and_counted_and_all_that_cannot_be_used_is_named(place):
    code, out, err = place["refused"]
    assert (code, out, err.count("\n")) == (2, "", 2)
    others, broken = err.splitlines()
    assert "16 files that are no JPEG" in others and "(.csv 4, .heic 4, .mov 4, .txt 4)" in others
    assert "16 of 384 images cannot be used" in broken and "--skip-broken" in broken
    for name in CLASSES:
        for file in BROKEN:
            assert f"{name}/{file}" in broken
        assert f"{name}/IMG_1.HEIC" in others
    assert "runs" not in place["left"]

    code, out, err = place["done"]
    assert (code, out) == (0, ""), err
    summary = next(line for line in err.splitlines() if line.startswith("photographs: 2"))
    images = wh.load_images("photographs", size=64, skip_broken=True)
    counts = [np.bincount(split.labels, minlength=4) for split in (images.train, images.test)]
    assert (counts[0] + counts[1] == PICTURES).all() and counts[1].min() >= 15
    told = re.findall(r"([^(,]+) (\d+) \+ (\d+)", summary.partition("classes (")[2])
    assert [(name.strip(), int(train), int(test)) for name, train, test in told] == [
        (name, *numbers) for name, *numbers in zip(images.classes, *counts, strict=True)
    ]
    assert set(images.classes) == set(CLASSES)
    # Of the twelve forms two have transparent parts: the 4th, of which each class has 8, and the 12th, 7.
    assert "60 images with transparent parts laid on white; left out as broken: 16" in summary
    assert [line.partition(":")[0] for line in err.splitlines() if line.startswith("epoch")] == [
        f"epoch {number} of 6" for number in range(1, 7)
    ]
    card = wh.load("runs/first/card.card")
    assert card.metadata.accuracies["test"] > 0.8  # chance is 0.25
    assert card.inspect().sparsity == pytest.approx(0.8, abs=1e-3)
    assert card.input_size == (64, 64)


def _learned(module, size, mean, std):
    """Train a network of a library on drawn pictures, so that its weights are of use."""
    generator = np.random.default_rng(5)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (mean, std))
    optimizer = torch.optim.AdamW(module.train().parameters(), 2e-3)
    for _ in range(50):
        kinds = generator.integers(0, 4, 32)
        pixels = np.stack([drawn_photographs.texture(kind, generator, size, size) for kind in kinds])
        logits = module((torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - mean) / std)
        logits = getattr(logits, "logits", logits)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits, torch.from_numpy(kinds)).backward()
        optimizer.step()
    return module.eval()


def _write_weights(kind):
    """Write a network's weights, learned on such pictures, into the caches that its library looks into."""
    pytest.importorskip(kind, exc_type=(ImportError, RuntimeError), reason=f"needs {kind}")
    imagenet = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

    def snapshot(repository):
        folder = Path(os.environ["HF_HOME"], "hub", f"models--{repository.replace('/', '--')}")
        for part, text in (("refs/main", "0" * 40), (f"snapshots/{'0' * 40}/.keep", "")):
            (folder / part).parent.mkdir(parents=True, exist_ok=True)
            (folder / part).write_text(text)
        return folder / "snapshots" / ("0" * 40)

    if kind == "timm":
        import timm
        from safetensors.torch import save_file

        module = _learned(timm.create_model("mobilenetv3_small_100"), 64, *imagenet)
        tag = module.pretrained_cfg["tag"]
        save_file(module.state_dict(), snapshot(f"timm/mobilenetv3_small_100.{tag}") / "model.safetensors")
    elif kind == "torchvision":
        from torchvision import models

        module = _learned(models.shufflenet_v2_x0_5(), 64, *imagenet)
        url = models.get_model_weights("shufflenet_v2_x0_5").DEFAULT.url
        file = Path(os.environ["TORCH_HOME"], "hub/checkpoints", url.rpartition("/")[2])
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save(module.state_dict(), file)
    else:
        import transformers

        sizes = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 3}
        config = transformers.ViTConfig(**sizes, image_size=64, patch_size=8, num_labels=1000)
        mean = std = (0.5, 0.5, 0.5)
        module = _learned(transformers.ViTForImageClassification(config), 64, mean, std)
        module.save_pretrained(snapshot(HUB))
        settings = {"image_mean": mean, "image_std": std, "size": {"height": 64, "width": 64}}
        (snapshot(HUB) / "preprocessor_config.json").write_text(json.dumps(settings))


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_goes_from_the_folder_to_a_file_for_a_device(place, kind):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="the packages for ONNX are not installed")
    name, options = NETWORKS[kind]
    trust = [word for word in options if word == "--trust"]
    if ":" in name and not trust:
        _write_weights(kind)
    data = ("--data", "photographs")
    slug = name.partition(":")[0]
    run, deck, onnx = Path("runs", slug), Path(f"{slug}.deck"), Path(f"{slug}.onnx")

    train = ("train", "second.toml", *data, "--size", 64, "--skip-broken", "--out", run, "--network", name)
    code, _, err = call(*train, *options)
    assert code == 0, err
    card = wh.load(run / "card.card", trust=bool(trust))
    assert card.metadata.architecture["name"] == name
    assert card.metadata.accuracies["test"] > 0.6  # chance is 0.25
    found = card.inspect()
    assert found.sparsity > 0.3  # half of the weights, without those of a small head
    assert all(layer.nonzero for layer in found.layers)
    assert card.input_size == (64, 64)

    code, out, err = call("deck", deck, "runs/first/card.card", run / "card.card", *data, *trust)
    assert (code, out) == (0, ""), err
    assert f"{deck}: 2 cards under the gate spectral, {deck.stat().st_size:,} bytes" in err

    words = ("--corruptions", "contrast,gaussian_noise", "--severities", 3, "--json", f"{slug}.json")
    code, out, err = call("evaluate", deck, *data, *words, *trust, "--baseline", run / "card.card")
    assert (code, out) == (0, ""), err
    figures = json.loads(Path(f"{slug}.json").read_text())
    images = wh.load_images("photographs", size=64, skip_broken=True)
    assert figures["test_digest"] == images.test.digest
    assert figures["clean_accuracy"] > 0.8
    assert 0.25 < figures["robust_accuracy"] <= 1
    assert f"robust_accuracy − {run / 'card.card'}'s" in err

    code, out, err = call("predict", deck, "photographs", "--top", 2, "--csv", f"{slug}.csv", *trust)
    assert code == 0, err
    assert "16 of 384 files could not be read:" in err
    accuracy = float(re.search(r"accuracy ([\d.]+)%", err)[1]) / 100
    assert out.count("\n") == 1 + 4 * PICTURES
    with Path(f"{slug}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    read = [row for row in rows if not row["error"]]
    assert Counter(row["true class"] for row in read) == dict.fromkeys(CLASSES, PICTURES)
    assert {Path(row["file"]).name for row in rows if row["error"]} == set(BROKEN)
    assert sum(int(row["right"]) for row in read) / len(read) == pytest.approx(accuracy, abs=1e-4)
    assert accuracy > 0.8
    assert "photographs/down/tab\\there 08.bmp" in {row["file"] for row in read}
    assert all(row["class 2"] != row["class"] for row in read)

    export = ("export", run / "card.card", onnx, "--quantize", "int8", *data, *trust)
    code, out, err = call(*export)
    assert (code, out) == (0, ""), err
    assert f"{onnx}: {onnx.stat().st_size:,} bytes" in err
    assert "weights by their own levels" in err
    import onnxruntime

    session = onnxruntime.InferenceSession(onnx)
    pixels = torch.from_numpy(images.test.images).permute(0, 3, 1, 2).float() / 255
    (logits,) = session.run(None, {"images": pixels.numpy()})
    with torch.inference_mode():
        same = logits.argmax(1) == card.eval()(pixels).argmax(1).numpy()
    assert same.mean() > SAME.get(kind, 0.9)
    assert (logits.argmax(1) == images.test.labels).mean() > 0.6

    _check_script(card, onnx, slug, SAME.get(kind, 0.9))


def _check_script(card, onnx, slug, least):
    """Run the script of the documents alone on a picture of each form; most answers are the card's."""
    script = Path(f"{slug}-device.py")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    script.write_text(next(block for block in blocks if "onnxruntime" in block), encoding="utf-8")
    # By their numbers in two classes: each form once, XMP and EXIF orientation, tab and folders among them.
    files = [
        path
        for name in ("across", "down")
        for path in sorted(Path("photographs", name).rglob("*[0-9].*"))
        if path.name not in drawn_photographs.OTHERS
        and int(re.search(r"(\d+)\.", path.name)[1]) < len(drawn_photographs.FORMS)
    ]
    assert len(files) == 2 * len(drawn_photographs.FORMS)
    words = [sys.executable, str(script), str(onnx), *map(str, files)]
    done = subprocess.run(words, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    answers = [
        line.removeprefix(f"{path} ") for path, line in zip(files, done.stdout.splitlines(), strict=True)
    ]
    expected = card.predict(files)
    same = [answer.rpartition(" ")[0] == one.label for answer, one in zip(answers, expected, strict=True)]
    assert np.mean(same) > least
