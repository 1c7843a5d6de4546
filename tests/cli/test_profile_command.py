"""`winninghand profile` makes profiles anew, in place or in another file."""

import pytest
import torch

import winninghand as wh
from winninghand.spectra import SpectralProfile


@pytest.fixture
def old(tmp_path):
    images = wh.load_images("digits")
    shown = torch.rand(20, 3, 32, 32)
    profile = SpectralProfile.of(shown, clean=shown)
    profile = SpectralProfile(profile.mean, profile.spread, profile.clean, "padded")
    paths = []
    for number, domain in enumerate(("clean", "gaussian")):
        module = wh.network("conv2", width=2, classes=10)
        card = wh.Card.from_module(module, images.classes, (32, 32), profile=profile)
        paths.append(tmp_path / f"{number}.card")
        card.with_metadata(domain={"name": domain}).save(paths[-1])
    return paths


def test_old_cards_are_refused_until_their_profiles_are_made_anew(run, old, check_refusal, tmp_path):
    check_refusal(tmp_path, ("deck", tmp_path / "a.deck", *old), "winninghand profile CARD --data")
    code, out, err = run("profile", old[0], "--data", "digits")
    assert (code, out) == (0, "") and "1 profile made anew" in err
    before = old[1].read_bytes()
    assert run("profile", old[1], "--data", "digits", "--out", tmp_path / "new.card")[0] == 0
    assert old[1].read_bytes() == before
    assert run("deck", tmp_path / "a.deck", old[0], tmp_path / "new.card")[0] == 0
    deck = wh.load(tmp_path / "a.deck")
    assert [card.profile.rule for card in deck.cards] == ["plain", "plain"]
    assert bool(deck.choose(torch.rand(2, 3, 32, 32)).sum(dim=1).eq(1).all())


def test_decks_are_taken_whole(run, old, tmp_path):
    cards = [wh.load(path) for path in old]
    wh.Deck(cards, "average", temperatures=[2.0, 0.5]).save(tmp_path / "a.deck")
    assert run("profile", tmp_path / "a.deck", "--data", "digits")[0] == 0
    deck = wh.load(tmp_path / "a.deck")
    assert deck.gate == "average" and deck.temperatures.tolist() == [2.0, 0.5]
    assert [card.profile.rule for card in deck.cards] == ["plain", "plain"]
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(deck.cards[1](images), cards[1](images))


def test_what_cannot_be_made_anew_is_refused(old, check_refusal, tmp_path):
    zoo = ("profile", "zoo:cifar10-lrr95-clean", "--data", "digits")
    check_refusal(tmp_path, zoo, "say by --out")
    wh.load(old[0]).with_metadata(domain=None).save(tmp_path / "b.card")
    check_refusal(tmp_path, ("profile", tmp_path / "b.card", "--data", "digits"), "name it by --domain")
    wh.load(old[0]).with_metadata(domain={"name": "nosuch", "strength": 3}).save(tmp_path / "c.card")
    words = ("profile", tmp_path / "c.card", "--data", "digits")
    check_refusal(tmp_path, words, "the domain 'nosuch', which is not known here; install the package")


def test_a_domain_that_is_not_known_here_can_be_named(run, old, tmp_path):
    wh.load(old[0]).with_metadata(domain={"name": "nosuch"}).save(tmp_path / "c.card")
    code, _, err = run("profile", tmp_path / "c.card", "--data", "digits", "--domain", "gaussian")
    assert code == 0, err
    assert wh.load(tmp_path / "c.card").profile.rule == "plain"
