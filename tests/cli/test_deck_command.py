import shutil

import pytest
import torch

import winninghand as wh
from winninghand.cli.deck import parse_bytes
from winninghand.spectra import SpectralProfile


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cards")
    images = torch.from_numpy(wh.load_images("digits").train.images[:200]).permute(0, 3, 1, 2) / 255
    classes = [str(digit) for digit in range(10)]
    torch.manual_seed(0)
    for number, noise in enumerate((0.0, 0.1, 0.1)):
        shown = (images + noise * torch.randn(images.shape)).clamp(0, 1)
        profile = SpectralProfile.of(shown, clean=images)
        module = wh.network("conv2", width=2)
        wh.Card.from_module(module, classes, (32, 32), profile=profile).save(folder / f"{number}/card.card")
    module = wh.network("conv2", width=2)
    wh.Card.from_module(module, classes[::-1], (32, 32)).save(folder / "other/card.card")
    return folder


@pytest.mark.parametrize(
    ("text", "expected"),
    [("3MB", 3_000_000), ("500 kB", 500_000), ("2MiB", 2 * 2**20), ("1.5mb", 1_500_000), ("70000", 70_000)],
)
def test_sizes_have_units(text, expected):
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "MB", "3zB", "-3MB", "3 M B"])
def test_other_sizes_are_refused(text):
    with pytest.raises(wh.InputError, match="3MB"):
        parse_bytes(text)


def test_all_cards_of_a_folder_make_a_deck(run, place, tmp_path):
    words = ("--gate", "weighted", "--max-active", 1)
    code, _, err = run("deck", tmp_path / "a.deck", place / "0", place / "1/card.card", *words)
    assert code == 0, err
    deck = wh.load(tmp_path / "a.deck")
    assert len(deck.cards) == 2
    assert (deck.gate, deck.settings.max_active, deck.settings.scores) == ("weighted", 1, None)


def test_a_card_that_is_given_twice_counts_once(run, place, tmp_path):
    card = place / "1/card.card"
    shutil.copy(card, tmp_path / "copy.card")
    words = ("--gate", "weighted", "--max-active", 1, "--data", "digits", "--limit", 20, "--fallback")
    cards = (card, place / "0/card.card", tmp_path / "copy.card", place / "1")
    code, _, err = run("deck", tmp_path / "a.deck", *cards, *words)
    assert code == 0, err
    line = f"counts once: {tmp_path / 'copy.card'} is {card}, {card} is {card}\n"
    assert line in err and err.count("counts once") == 1
    first, other = (
        card.network.state_dict()["features.0.weight"] for card in wh.load(tmp_path / "a.deck").cards
    )
    assert not torch.equal(first, other)
    assert len(wh.Deck([wh.load(card)] * 2, "average").cards) == 2


def test_a_gate_takes_all_its_settings(run, place, tmp_path):
    words = ("deck", tmp_path / "a.deck", place / "0", place / "1", "--gate")
    code, _, err = run(
        *words, "weighted", "--max-active", 2, "--set", "temperature=0.5", "--set", "confidence = 0.9"
    )
    assert code == 0, err
    settings = wh.load(tmp_path / "a.deck").settings
    assert (settings.max_active, settings.temperature, settings.confidence) == (2, 0.5, 0.9)
    reading = ("amplitude=linear", "distance=cosine", "batch=4")
    code, _, err = run(*words, "spectral", *(word for one in reading for word in ("--set", one)))
    assert code == 0, err
    settings = wh.load(tmp_path / "a.deck").settings
    assert (settings.amplitude, settings.distance, settings.batch) == ("linear", "cosine", 4)


def test_what_a_killed_writer_left_is_no_card(run, place, tmp_path):
    shutil.copytree(place / "0", tmp_path / "runs/0")
    (tmp_path / "runs/0/.card.card.abcd1234.tmp.card").write_bytes(b"half")
    code, _, err = run("deck", tmp_path / "a.deck", tmp_path / "runs", place / "1")
    assert code == 0, err
    assert len(wh.load(tmp_path / "a.deck").cards) == 2


def test_with_data_the_deck_is_fitted_and_fits_the_budget(run, place, tmp_path):
    sizes = [(place / f"{number}/card.card").stat().st_size for number in range(3)]
    words = ("--gate", "weighted", "--data", "digits", "--limit", 40, "--budget", 2 * max(sizes) + 4096)
    code, _, err = run("deck", tmp_path / "a.deck", *(place / str(number) for number in range(3)), *words)
    assert code == 0, err
    deck = wh.load(tmp_path / "a.deck")
    assert 1 <= len(deck.cards) <= 2
    assert (tmp_path / "a.deck").stat().st_size <= 2 * max(sizes) + 4096
    assert deck.settings.scores is not None
    assert "ECE before" in err
    assert "Choice of cards" in err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["."], "other classes"),
        (["0", "missing.card"], "no such file"),
        (["0", "--budget", "3MB"], "--data"),
        (["0", "--fallback"], "--data"),
        (["0", "--data", "digits", "--gate", "average", "--fallback"], "no confidence to fit"),
        (["0", "--data", "digits", "--set", "confidence=0.5", "--fallback"], "leave one of them out"),
        (["0", "--gate", "weighted", "--set", "temprature=2"], "did you mean 'temperature'"),
        (
            ["0", "--gate", "weighted", "--set", "temperature=hot"],
            "temperature: input should be a valid number",
        ),
        (["0", "--set", "batch=true"], "batch: it is no switch; give its value, not true"),
        (["0", "--set", "distance=l3"], "'l2', 'l1' or 'cosine'"),
        (["0", "--set", "temperature"], "such as temperature=0.5"),
        (["0", "--set", "scores=3"], "cannot be set"),
        (["0", "--gate", "spectrall"], "did you mean 'spectral'"),
        (["0", "1", "--gate", "average", "--max-active", "1"], "plays all 2 cards"),
        (["0", "--gate", "weighted", "--max-active", "2", "--set", "max_active=1"], "leave one of them out"),
        (["0", "--gate", "weighted", "--set", "temperature=1", "--set", "temperature=2"], "twice"),
        (["other"], "no spectral profile"),
        (["other", "--gate", "average", "--data", "digits"], "other classes"),
        (["0", "1", "--data", "digits", "--limit", "20", "--budget", "1kB"], "larger budget"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_deck(run, place, tmp_path, words, named):
    options = next((number for number, word in enumerate(words) if word.startswith("-")), len(words))
    places = [*(place / word for word in words[:options]), *words[options:]]
    code, out, err = run("deck", tmp_path / "a.deck", *places)
    assert (code, out) == (2, "")
    assert named in err
    assert err.count("\n") == 1
    assert not (tmp_path / "a.deck").exists()
