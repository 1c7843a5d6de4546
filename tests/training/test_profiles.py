"""Profiles as a test image would come, the rule in the file, and profiles made anew."""

import numpy as np
import pytest
import torch

import winninghand as wh
from winninghand.augmentation import make_domain
from winninghand.base.device import to_unit
from winninghand.cards.container import read_streams, write_streams
from winninghand.spectra import log_spectra
from winninghand.training.data import training_profile
from winninghand.training.profiles import profiled

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def images():
    return wh.load_images("digits")


def card_of(domain, images, rule="plain"):
    torch.manual_seed(0)
    card = wh.Card.from_module(wh.network("conv2", width=2), images.classes, images.train.size)
    made = make_domain(domain)
    profile = training_profile(made, images.train, 0, CPU)
    parts = card.with_metadata(domain={"name": made.name, **made.model_dump(mode="json")}).parts
    return wh.Card(
        *parts._replace(profile=profile.__class__(profile.mean, profile.spread, profile.clean, rule))
    )


def photographs():
    """Training and test images with the spectrum of photographs: amplitudes that fall with frequency."""
    generator = torch.Generator().manual_seed(0)
    frequency = torch.fft.fftfreq(32)[:, None].square() + torch.fft.rfftfreq(32).square()
    waves = torch.randn(600, 3, 32, 17, 2, generator=generator)
    fields = torch.fft.irfft2(torch.view_as_complex(waves) / (frequency + 1e-3).sqrt(), norm="ortho")
    fields = fields / fields.std(dim=(1, 2, 3), keepdim=True)
    pixels = (128 + 50 * fields).clamp(0, 255).byte().movedim(1, -1).numpy()
    labels = np.arange(600) % 10
    names = [str(number) for number in range(10)]
    return wh.ImageSet.from_arrays((pixels[:400], labels[:400]), (pixels[400:], labels[400:]), names)


@pytest.mark.parametrize("name", [name for name in wh.names("domains") if name != "clean"])
@pytest.mark.parametrize("kind", ["digits", "photographs"])
def test_uncorrupted_images_lie_nearest_to_clean(name, kind, images):
    images = images if kind == "digits" else photographs()
    deck = wh.Deck([card_of(name, images), card_of("clean", images)], "spectral")
    test = to_unit(torch.from_numpy(images.test.images))
    for batch in test.split(64):
        assert deck.choose(batch)[:, 1].all(), f"a batch of uncorrupted images went to {name}"


def test_a_plain_profile_of_clean_images_is_that_of_the_images_themselves(images):
    profile = training_profile(make_domain("clean"), images.train, 3, CPU)
    assert torch.equal(profile.mean, profile.clean.mean) and torch.equal(profile.spread, profile.clean.spread)
    shown = log_spectra(to_unit(torch.from_numpy(images.train.images))).mean(dim=0)
    assert torch.allclose(profile.mean, shown, atol=1e-5)  # all training images are in the sample


def test_the_file_says_the_rule_and_one_without_it_is_of_the_old_one(images, tmp_path):
    new, old = card_of("gaussian", images), card_of("gaussian", images, "padded")
    for card, rule in ((new, "plain"), (old, "padded")):
        card.save(tmp_path / "a.card")
        assert wh.load(tmp_path / "a.card").profile.rule == rule
        header, streams = read_streams(tmp_path / "a.card")
        assert header.pop("profile_rule", None) == ("plain" if rule == "plain" else None)
        write_streams(tmp_path / "b.card", header, streams)
        assert wh.load(tmp_path / "b.card").profile.rule == "padded"
    write_streams(tmp_path / "c.card", header | {"profile_rule": "round"}, streams)
    with pytest.raises(wh.InputError, match="by a rule that is not known here, 'round'; upgrade"):
        wh.load(tmp_path / "c.card")


def test_the_rule_goes_with_the_state_dict(images):
    new, old = card_of("gaussian", images), card_of("gaussian", images, "padded")
    state = new.state_dict()
    old.load_state_dict(state)
    assert old.profile.rule == "plain"
    state.pop("profile_plain")
    new.load_state_dict(state)
    assert new.profile.rule == "padded"


def test_unfitted_gates_refuse_old_profiles_and_name_the_way_out(images, tmp_path):
    cards = [card_of("clean", images), card_of("gaussian", images, "padded")]
    for gate in ("spectral", "spectral_image", "stream", "weighted"):
        with pytest.raises(wh.InputError, match=r"card 2 was made by the old rule.*winninghand profile CARD"):
            wh.Deck(cards, gate)
    wh.Deck(cards, "average")
    # A deck that somebody has still opens; its gate does not choose.
    deck = wh.Deck([card_of("clean", images), card_of("gaussian", images)])
    deck.save(tmp_path / "a.deck")
    header, streams = read_streams(tmp_path / "a.deck")
    for one in header["cards"]:
        del one["profile_rule"]
    write_streams(tmp_path / "old.deck", header, streams)
    opened = wh.load(tmp_path / "old.deck")
    batch = torch.rand(2, 3, *images.train.size)
    for play in (opened, opened.choose, lambda x: opened.weigh(log_spectra(x))):
        with pytest.raises(wh.InputError, match="card 1 was made by the old rule"):
            play(batch)
    assert opened.with_gate("average")(batch).shape == (2, 10)
    again = profiled(opened, images)
    assert torch.equal(again(batch), deck(batch))


def test_fitted_gates_take_old_profiles_unless_they_are_mixed(images):
    scores = {"slopes": [[0.1 * one] * 8 for one in range(2)], "offsets": [0.0, 0.5]}
    old = [card_of(name, images, "padded") for name in ("clean", "gaussian")]
    assert wh.Deck(old, "weighted", scores=scores)(torch.rand(2, 3, *images.train.size)).shape == (2, 10)
    with pytest.raises(wh.InputError, match="card 2 was made by the old rule"):
        wh.Deck([card_of("clean", images), old[1]], "weighted", scores=scores)


def test_a_profile_made_anew_is_that_of_the_cards_own_training(tmp_path, images):
    recipe = {
        "network": {"name": "conv2", "width": 2},
        "domain": "gaussian",
        "seed": 5,
        "compression": {"method": "dense"},
        "training": {"epochs": 1, "validation": 0.2},
    }
    card = wh.train(recipe, images)
    spoiled = wh.Card(*card.parts._replace(profile=card_of("clean", images, "padded").profile))
    again = profiled(spoiled, images)
    again.save(tmp_path / "a.card")
    card.save(tmp_path / "b.card")
    assert (tmp_path / "a.card").read_bytes() == (tmp_path / "b.card").read_bytes()
    unknown = card.with_metadata(domain=None)
    with pytest.raises(wh.InputError, match=r"does not know the domain.*--domain"):
        profiled(unknown, images)
    assert torch.equal(profiled(unknown, images, "gaussian").profile.mean, card.profile.mean)
    other = wh.ImageSet(images.train, images.test, [f"c{name}" for name in images.classes])
    with pytest.raises(wh.InputError, match="other classes or another size"):
        profiled(card, other)
