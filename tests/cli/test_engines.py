"""`--engine` and `winninghand benchmark`: by what a model is run, and how long it takes."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import winninghand as wh
from winninghand.runtimes import load, speed


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = wh.network("resnet20", width=4, classes=10)
    wh.Card.from_module(module, [str(digit) for digit in range(10)], (32, 32)).save("a.card")
    pixels = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("a.png")
    return tmp_path


def test_the_engine_gives_the_figures_of_pytorch(run, place):
    words = (
        "evaluate",
        "a.card",
        "--corruptions",
        "contrast",
        "--severities",
        "3",
        "--limit",
        "40",
        "--json",
        "-",
    )
    documents = [json.loads(run(*words, "--engine", engine)[1]) for engine in ("auto", "torch", "sparse")]
    assert [document.pop("runtime") for document in documents] == ["torch", "torch", "sparse"]
    # Bit by bit, and but for the last bits of probabilities.
    assert documents[0] == documents[1]
    cells = [document["cells"] for document in documents[1:]]
    assert [cell["accuracy"] for cell in cells[0]] == [cell["accuracy"] for cell in cells[1]]


def test_predictions_by_the_engine(run, place):
    documents = [
        json.loads(run("predict", "a.card", "a.png", "--engine", engine, "--json", "-")[1])
        for engine in ("torch", "sparse")
    ]
    assert [document["runtime"] for document in documents] == ["torch", "sparse"]
    first, second = (document["predictions"][0] for document in documents)
    assert first["class"] == second["class"]
    assert first["probability"] == pytest.approx(second["probability"], abs=1e-4)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("evaluate", "a.card", "--engine", "spares"), "there is no engine 'spares'; did you mean 'sparse'"),
        (("predict", "a.card", "a.png", "--engine", "onnx", "--adapt", "4"), "leave --adapt or --engine out"),
        (("predict", "a.card", "a.png", "--engine", "sparse", "--device", "cuda"), "leave --device out"),
        (("benchmark", "a.card", "--batch", "1,0"), "--batch takes whole numbers from 1 to 4096"),
        (("benchmark", "a.card", "--batch", "x"), "--batch takes whole numbers from 1 to 4096"),
    ],
)
def test_refusals(check_refusal, place, words, named):
    check_refusal(place, words, named)


def test_without_onnx_runtime(check_refusal, place, monkeypatch):
    pytest.importorskip("onnxscript")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    named = "onnxruntime is needed to run a model by ONNX Runtime and cannot be imported; pip install"
    check_refusal(place, ("predict", "a.card", "a.png", "--engine", "onnx"), named)
    missing = speed.ways_to_run(wh.load("a.card"), 1)[1]
    assert all(missing[name].startswith(named) for name in ("onnxruntime", "onnxruntime-int8"))


def test_benchmark_times_each_runtime_in_turn(run, place, monkeypatch):
    monkeypatch.setattr(speed, "_SAMPLE", 1e-3)
    monkeypatch.setattr(speed, "_by_int8", refusing)
    busy = iter([0.5, 0.0] * 1000)
    monkeypatch.setattr(load.OtherLoad, "share", lambda _: next(busy))
    code, out, err = run("benchmark", "a.card", "--batch", "1,3,1", "--threads", "1", "--json", "-")
    document = json.loads(out)
    assert code == 0
    assert document["missing"].pop("onnxruntime-int8") == "no levels"
    named = {"sparse", "sparse-int8", "torch", "onnxruntime", "torch-bf16"} - set(document["missing"])
    assert {(row["runtime"], row["batch"]) for row in document["rows"]} == {
        (name, batch) for name in named for batch in (1, 3)
    }
    for row in document["rows"]:
        assert row["images_per_second"] == pytest.approx(1000 * row["batch"] / row["milliseconds"])
        assert row["spread"][0] <= row["milliseconds"] <= row["spread"][1]
    assert document["machine"]["threads"] == 1
    assert document["machine"]["torch"] == torch.__version__
    assert "without onnxruntime-int8: no levels" in err


def refusing(model, threads):
    raise wh.InputError("no levels")


def test_samples_that_others_disturb_count_only_where_there_are_no_better_ones():
    taken = [(0.004, 0.5), (0.001, 0.0), (0.002, 0.01), (0.003, 0.05), (0.009, 0.06)]
    row = speed._speed("sparse", 8, taken)
    assert (row.milliseconds, row.spread, row.samples, row.quiet) == (2.0, (1.0, 3.0), 3, True)
    row = speed._speed("sparse", 8, taken[:3])
    assert (row.milliseconds, row.samples, row.quiet) == (2.0, 3, False)
    assert speed._speed("sparse", 8, [(0.004, None)] * 3).quiet is None
