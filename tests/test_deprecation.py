"""Names of version 0.1 still work, and say what they are called now."""

from importlib import import_module

import numpy as np
import pytest
from torch import nn

import winninghand as wh
from winninghand.cards.importing import Import
from winninghand.decks import fit_gate
from winninghand.evaluation import fourier_heatmap
from winninghand.recipe import make_recipe

CLASSES = ["cat", "dog"]


@pytest.fixture
def card():
    return wh.Card.from_module(module(), CLASSES, (8, 8), std=(0.5, 0.5, 0.25))


def module():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2))


def both_names(old, new, said):
    """Return what both names give; only the old one warns."""
    with pytest.warns(DeprecationWarning, match=said):
        return old(), new()


def test_old_attributes(card):
    recipe = wh.Recipe.model_validate({"compression": {"milestones": [0.5], "rewind_lr_factor": 0.3}})
    for old, new, said in [
        (lambda: card.facts.classes, lambda: card.metadata.classes, "card.metadata"),
        (lambda: card.metadata.deviation, lambda: card.metadata.std, "card.metadata.std"),
        (lambda: recipe.training.held_out, lambda: recipe.training.validation, "training.validation"),
        (lambda: recipe.compression.pass_through, lambda: (0.5,), "compression.milestones"),
        (lambda: recipe.compression.round_rate, lambda: 0.3, "compression.rewind_lr_factor"),
    ]:
        found, expected = both_names(old, new, f"is now called {said}")
        assert found == expected
    with pytest.raises(AttributeError):
        recipe.compression.nothing  # noqa: B018


def test_old_arguments(card):
    pair = (np.zeros((8, 8, 8, 3), np.uint8), np.arange(8) % 2)
    split = wh.ImageSet.from_arrays(train=pair, test=pair, classes=CLASSES).train
    with pytest.warns(DeprecationWarning, match="deviation is now called std"):
        made = wh.Card.from_module(module(), CLASSES, (8, 8), deviation=(0.5, 0.5, 0.25))
    assert made.metadata.std == (0.5, 0.5, 0.25)
    with pytest.warns(DeprecationWarning, match="refresh_steps is now called"):
        wh.Pruner(module(), "gmp", 0.5, 10, refresh_steps=2)
    told = []
    with pytest.warns(DeprecationWarning, match="advance is now called progress"):
        fourier_heatmap(card, split, limit=2, advance=told.append)
    assert told
    with pytest.warns(DeprecationWarning, match="advance is now called progress"):
        fit_gate(wh.Deck([card], "average"), split, limit=4, advance=told.append)


def test_the_warning_stands_at_the_line_that_used_the_old_name():
    table = {
        "compression": {"method": "gmp", "refresh_steps": 3},
        "training": {"held_out": 0.2},
    }
    for use in (wh.Recipe.model_validate, make_recipe, lambda one: wh.Recipe(**one)):
        with pytest.warns(DeprecationWarning) as told:
            use(table)
        assert [one.filename for one in told] == [__file__] * 2


def test_old_names_of_modules(card, tmp_path):
    for module, name, said in [
        ("cards", "CardFacts", "winninghand.cards.CardMetadata"),
        ("cards", "architecture_facts", "winninghand.cards.architecture_metadata"),
        ("cards", "card_entropy_bound", "card.entropy_bound"),
        ("cards", "save_card", "card.save"),
        ("decks", "adaptation_of", "winninghand.cards.adaptation_of"),
        ("decks", "adapted", "winninghand.decks.with_bn_adaptation"),
    ]:
        with pytest.warns(DeprecationWarning, match=f"winninghand.{module}.{name} is now called {said};"):
            assert callable(getattr(import_module(f"winninghand.{module}"), name))
    with pytest.warns(DeprecationWarning):
        from winninghand.cards import card_entropy_bound, save_card
    save_card(card, tmp_path / "old.card")
    card.save(tmp_path / "new.card")
    assert (tmp_path / "old.card").read_bytes() == (tmp_path / "new.card").read_bytes()
    assert card_entropy_bound(card) == card.entropy_bound()


def test_old_keywords_of_constructors(card):
    with pytest.warns(DeprecationWarning, match="deviation is now called std") as told:
        assert Import("conv2", deviation=(0.5, 0.5, 0.25)).std == (0.5, 0.5, 0.25)
    assert told[0].filename == __file__
    with pytest.raises(wh.InputError, match="deviation is the old name of std; give one"):
        Import("conv2", std=(1, 1, 1), deviation=(1, 1, 1))
    old, new = both_names(
        lambda: card.normalisation.deviation,
        lambda: card.normalisation.std,
        "is now called card.normalisation.std",
    )
    assert old is new


def test_an_old_and_a_new_name_at_once_are_refused():
    with pytest.raises(wh.InputError, match=r"held_out is the old name of training\.validation; give one"):
        make_recipe({"training": {"held_out": 0.2, "validation": 0.1}})
    with pytest.raises(wh.InputError, match="deviation is the old name of std; give one"):
        wh.Card.from_module(nn.Linear(2, 2), CLASSES, (8, 8), std=(1, 1, 1), deviation=(1, 1, 1))
    for new in ({"progress": print}, {}):
        places = () if new else ("common", range(1, 6), 0, None, 256, print)
        with pytest.raises(wh.InputError, match="advance is the old name of progress; give one"):
            wh.evaluate(nn.Linear(2, 2), None, *places, advance=print, **new)
    with pytest.raises(wh.InputError, match=r"round_rate is the old name of compression\.rewind_lr_factor"):
        wh.Pruner(nn.Linear(2, 2), "lrr", 0.5, 10, round_rate=0.3, rewind_lr_factor=0.3)
    with pytest.raises(wh.InputError, match="deviation"):
        wh.Card.from_module(module(), CLASSES, (8, 8)).with_metadata(deviation=(1, 1, 1), std=(1, 1, 1))


def test_representations_are_short(card, tiny_images):
    table = wh.evaluate(
        nn.Sequential(nn.Flatten(), nn.Linear(tiny_images.test.images[0].size, len(tiny_images.classes))),
        tiny_images.test,
        "contrast",
        severities=[1],
    )
    for one in (card, tiny_images, tiny_images.test, table, table.cells[0]):
        assert len(repr(one)) < 120
