"""`winninghand theory` from end to end, on few images."""

import json

import pytest
import torch

import winninghand as wh


def test_a_card_is_found_in_a_random_network_and_its_answers_are_proved(run, tmp_path):
    pytest.importorskip("vl_convert")
    torch.manual_seed(0)
    network = wh.network("conv2", width=1, classes=10, input_size=32)
    wh.Card.from_module(network, [str(one) for one in range(10)], (32, 32)).save(tmp_path / "a.card")
    where = ("--corruptions", "fog", "--severities", "3", "--limit", "10", "--out", tmp_path / "out")
    code, out, err = run("theory", "--target", tmp_path / "a.card", "--epsilon", "0.5", *where)
    assert (code, out) == (0, ""), err
    written = json.loads((tmp_path / "out/theory.json").read_text())
    assert written["bound"] <= 0.5
    assert [cell["corruption"] for cell in written["cells"]] == ["clean", "fog"]
    assert all(cell["alike"] >= cell["proved_here"] >= cell["proved"] for cell in written["cells"])
    ticket = wh.theory.load_ticket(tmp_path / "out/theory.ticket", wh.load(tmp_path / "a.card"))
    assert ticket.bound == written["bound"]
    page = (tmp_path / "out/theory.html").read_text()
    assert "Proved: at no image whatever" in page
    assert page.count("<svg") == 22


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--epsilon", "0"), "epsilon must be a number above 0"),
        (("--depth", "3L"), "the depth of a ticket is one of 2L, L+1, not '3L'"),
        (("--kind", "ternary"), "the kind of a ticket is one of float, binary, integers"),
        (("--target", "no.card"), "no.card"),
    ],
)
def test_what_cannot_be_proved_is_told(tmp_path, check_refusal, words, named):
    check_refusal(tmp_path, ("theory", *words, "--out", tmp_path / "out"), named)
