import numpy as np
import pytest
import torch

import winninghand as wh
from benchmarks.gate_study import Batches, GateStudy, play, players, rows
from winninghand.decks.fitting_data import CLEAN, collect
from winninghand.evaluation import evaluate
from winninghand.images import Split
from winninghand.spectra import SpectralProfile

CONDITIONS = (CLEAN, ("fog", 5), ("gaussian_noise", 5))


@pytest.fixture(scope="module")
def split():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (40, 4, 4, 3)).repeat(4, axis=1).repeat(4, axis=2)
    return Split(images.astype(np.uint8), np.arange(40) % 3)


@pytest.fixture(scope="module")
def deck(split):
    images = torch.from_numpy(split.images).permute(0, 3, 1, 2) / 255
    cards = []
    for seed, noise in enumerate((0.0, 0.2)):
        torch.manual_seed(seed)
        shown = (images + noise * torch.randn(images.shape)).clamp(0, 1)
        profile = SpectralProfile.of(shown, clean=images)
        module = wh.network("resnet18", width=2, classes=3)
        cards.append(wh.Card.from_module(module, ("a", "b", "c"), (16, 16), profile=profile))
    return wh.Deck(cards, "weighted", temperatures=[0.7, 1.4])


@pytest.fixture(scope="module")
def answers(deck, split):
    return collect(deck.cards, split, np.arange(40), CONDITIONS)


@pytest.mark.parametrize("gate", wh.names("gates"))
def test_playing_answers_is_playing_images(deck, split, answers, gate):
    player = deck.with_gate(gate)
    table = evaluate(player, split, ["fog", "gaussian_noise"], [5], batch_size=16)
    played = play(player, answers, Batches("one cell", 16))
    assert played.correct[0].tolist() == table.clean.correct.tolist()
    for place, cell in enumerate(table.cells, start=1):
        assert played.correct[place].tolist() == cell.outcome.correct.tolist()
        assert (played.weights[place] > 0).sum(dim=1).tolist() == cell.outcome.passes.tolist()


def test_mixing_changes_only_what_looks_at_batches(deck, answers):
    for gate, changes in (("weighted", False), ("spectral", True)):
        player = deck.with_gate(gate)
        one_cell, mixed = (
            play(player, answers, Batches(order, 40)).weights for order in ("one cell", "mixed")
        )
        assert torch.equal(one_cell, mixed) != changes


def test_the_oracle_is_the_best_of_single_cards_and_average_in_each_cell(deck, answers):
    study = GateStudy(deck, answers, [100, 300])
    plain = play(wh.Deck(deck.cards, "average"), answers, Batches("one cell", 40)).correct
    cells = torch.stack([*answers.correct, plain]).float().mean(dim=2)[:, 1:]
    assert study.oracle_accuracy == pytest.approx(float(cells.max(dim=0).values.mean()))


def test_rows_count_passes_and_bytes(deck, answers):
    study = GateStudy(deck, answers, [100, 300])
    found = {row.player: row for row in rows(study, deck.cards, answers, ["one", "two"], most=1)}
    assert set(players(deck.cards, answers, 1)) | {"one", "two"} == set(found)
    assert (found["two"].passes, found["two"].bytes) == (1, 300)
    assert (found["average"].passes, found["average"].bytes) == (2, 400)
    assert found["average"].gain.mean == 0
    best = answers.correct.float().mean(dim=2)[:, 1:].amax(dim=0).mean()
    assert all(row.gap.mean == pytest.approx(float(best) - row.robust, abs=1e-6) for row in found.values())
    assert found["spectral, log l2"].passes == 1
    assert 100 <= found["spectral, log l2"].bytes <= 300
