import pytest
from made_cards import make_card, smooth

import winninghand as wh
from winninghand.decks import inspect_file, load_card, model_path
from winninghand.zoo import ZOO


def test_a_file_is_told_by_what_it_holds_and_not_by_its_name(tmp_path):
    make_card("smooth").save(tmp_path / "a.deck")
    wh.Deck([make_card("smooth")]).save(tmp_path / "a.card")
    assert wh.load(tmp_path / "a.deck").kind == "card"
    assert wh.load(tmp_path / "a.card").kind == "deck"
    assert load_card(tmp_path / "a.deck")(smooth(1)).shape == (1, 3)
    with pytest.raises(wh.InputError, match="holds a deck, not a card"):
        load_card(tmp_path / "a.card")


def test_the_zoo_is_opened_by_name():
    name = next(iter(ZOO))
    assert model_path(f"zoo:{name}") == ZOO[name]
    assert inspect_file(f"zoo:{name}") == inspect_file(ZOO[name])
    with pytest.raises(wh.InputError, match="did you mean"):
        wh.load(f"zoo:{name}x")
    deck = next(name for name, file in ZOO.usable().items() if file.suffix == ".deck")
    with pytest.raises(wh.InputError, match=f"^zoo:{deck} holds a deck, not a card"):
        load_card(ZOO[deck])


def test_inspection_of_a_deck_sums_over_its_cards(cards, tmp_path):
    wh.Deck(cards).save(tmp_path / "a.deck")
    found = inspect_file(tmp_path / "a.deck")
    assert found["bytes"] == (tmp_path / "a.deck").stat().st_size
    assert found["parameters"] == 4 * cards[0].inspect().parameters
    assert found["layers"][0]["name"] == "0/conv1.weight"
    assert found["sparsity"] == pytest.approx(0)
    assert [card["entropy_bound_bytes"] for card in found["cards"]] == [
        round(card.entropy_bound()) for card in cards
    ]


@pytest.mark.parametrize("name", ["zoo:mine", "hf:me/mine"])
def test_nothing_is_saved_under_the_name_of_a_model(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(wh.InputError, match=f"{name} is a model, and no file to write"):
        wh.load("zoo:cifar10-bp95-clean").save(name)
    assert list(tmp_path.iterdir()) == []
