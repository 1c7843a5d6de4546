"""What the page says of a picture, without a page: answers, curves, samples, HTML, a Space's folder."""

import ast
import html
import re

import numpy as np
import pytest
import torch
from PIL import Image

import winninghand as wh
from winninghand.app.panels import complaint, panel
from winninghand.app.playground import Playground
from winninghand.app.playing import play, prepared
from winninghand.app.samples import Samples, samples_for
from winninghand.app.server import opened
from winninghand.app.space import write_space
from winninghand.app.spectra import along_frequency, on_plane, profiles_of
from winninghand.spectra import SpectralProfile, log_spectra

HAND, CARD = "zoo:cifar10-lrr95-hand", "zoo:cifar10-lrr95-clean"
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def hand():
    return wh.load(HAND)


@pytest.fixture(scope="module")
def picture():
    generator = np.random.default_rng(0)
    soft = Image.fromarray(generator.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    return np.asarray(soft.resize((32, 32), Image.Resampling.BICUBIC))


def test_an_answer_is_what_the_deck_and_its_cards_say(hand, picture):
    played = play(hand, picture, "gaussian_noise", 4)
    corrupted = wh.corrupt(picture, "gaussian_noise", 4)
    assert np.array_equal(played.corrupted.picture, corrupted)
    for says, pixels in ((played.clean, picture), (played.corrupted, corrupted)):
        (expected,) = hand.predict(pixels, top=5)
        assert [label for label, _ in says.likeliest] == [label for label, _ in expected.top]
        assert says.likeliest[0][1] == pytest.approx(expected.probability, abs=1e-5)
        image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255
        assert [card.weight for card in says.cards] == pytest.approx(hand.choose(image)[0].tolist())
        assert torch.allclose(says.spectrum, log_spectra(image)[0], atol=1e-5)
        # One card alone is played, so that the deck says what this card says.
        (active,) = (card for card in says.cards if card.weight == 1)
        assert active.likeliest[0][1] == pytest.approx(says.likeliest[0][1], abs=1e-5)
    assert [card.weight for card in played.clean.cards] != [card.weight for card in played.corrupted.cards]


def test_severity_0_is_the_picture_as_it_is(hand, picture):
    played = play(hand, picture, "fog", 0)
    assert played.corrupted is played.clean


@pytest.mark.parametrize(
    ("corruption", "severity", "named"),
    [("fogg", 1, "did you mean 'fog'"), ("fog", 6, "from 0 to 5, not 6"), ("fog", 1.5, "not 1.5")],
)
def test_what_cannot_be_played_is_told_in_one_line(hand, picture, corruption, severity, named):
    with pytest.raises(wh.InputError, match=named):
        play(hand, picture, corruption, severity)


def test_a_file_is_brought_to_the_size_of_the_model(hand, tmp_path):
    Image.new("RGB", (64, 48), (200, 10, 10)).save(tmp_path / "red.png")
    assert prepared(hand, tmp_path / "red.png", "red.png").shape == (32, 32, 3)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(wh.InputError, match=r"^holiday\.png cannot be read as an image; choose a PNG"):
        prepared(hand, tmp_path / "text.png", "holiday.png")


def test_stripes_stand_where_their_frequency_is():
    """Eight stripes across: in the curve at 8 of 16, on the plane 8 columns beside the middle, twice."""
    columns = torch.arange(32)
    wave = 0.5 + 0.4 * torch.cos(2 * torch.pi * 8 * columns / 32)
    (spectrum,) = log_spectra(wave.expand(1, 3, 32, 32))
    curve = along_frequency(spectrum)
    assert len(curve) == 17
    assert sorted(range(1, 17), key=lambda step: -curve[step])[0] == 8
    plane = np.asarray(on_plane(spectrum, float(spectrum.min()), float(spectrum.max())).convert("L"))
    assert plane.shape == (32, 33)
    bright = {tuple(place) for place in np.argwhere(plane > 100).tolist()}
    assert bright == {(16, 16), (16, 8), (16, 24)}


def test_the_plane_is_its_own_mirror():
    (spectrum,) = log_spectra(torch.rand(1, 3, 32, 32))
    plane = np.asarray(on_plane(spectrum, -4.0, 4.0)).astype(int)
    assert np.array_equal(plane[1:, 1:-1], plane[1:, 1:-1][::-1, ::-1])


def test_cards_of_one_domain_share_a_profile():
    names = ("dense-clean", "lrr95-augmix", "lrr95-clean")
    deck = wh.Deck([f"zoo:cifar10-{name}" for name in names], "average")
    profiles = profiles_of(deck.cards)
    assert {profile.domain: profile.cards for profile in profiles} == {"clean": (1, 3), "augmix": (2,)}
    clean = [deck.cards[number - 1].profile.mean for number in (1, 3)]
    assert torch.allclose(profiles[0].mean, torch.stack(clean).mean(dim=0))


def test_samples_are_one_of_each_class(hand, tiny_images):
    digits = samples_for(hand, "hand")
    assert digits.labels == tuple("0123456789")
    assert digits.images.shape == (10, 32, 32, 3)
    assert digits.foreign
    assert not samples_for(digit_card(), "card").foreign


def digit_card(classes=tuple("0123456789")):
    module = wh.network("conv2", width=2, classes=10)
    return wh.Card.from_module(
        module, classes, (32, 32), profile=SpectralProfile.of(torch.rand(4, 3, 32, 32))
    )


def test_the_panel_names_everything_and_no_text_is_markup(picture):
    card = digit_card((HOSTILE, *"123456789"))
    shown = panel(card, play(card, picture, "fog", 2), truth=HOSTILE)
    assert HOSTILE not in shown
    assert html.escape(HOSTILE) in shown
    assert "What each card says" not in shown
    assert shown.count("data:image/png") == 5
    assert not re.search(r'(src|href)="(?!data:)', shown)
    assert HOSTILE not in complaint(HOSTILE)


def test_the_panel_of_a_deck_shows_weights_and_profiles(hand, picture):
    shown = panel(hand, play(hand, picture, "gaussian_noise", 3), truth=None)
    assert shown.count('<th scope="row">') == 3
    assert shown.count("not played") == 4
    assert "domain gaussian (card 1)" in shown
    assert shown.count("<polyline") == 5
    assert "right" not in shown.replace("\N{CHECK MARK} right", "")


def test_a_stranger_among_questions_is_answered_by_a_line(picture):
    samples = Samples(picture[None], ("cat",), "one", foreign=False)
    asked = Playground(wh.load(CARD), "card", samples)
    assert "number of a sample must be a whole number from 0 to 0, not 7" in asked.answer(
        None, "", 7, "fog", 1
    )
    assert 'role="status"' in asked.answer(None, "", 0, "fog", 1)
    names = [name for _, name in asked.corruptions]
    assert set(names) | set(asked.missing) == set(wh.names("corruptions"))


def test_a_space_is_a_folder_that_serves_the_model(tmp_path):
    files = write_space(CARD, tmp_path / "space", title='A "card"', licence="mit")
    model, samples, program, needs, page = files
    names = ["model.card", "samples.npz", "app.py", "requirements.txt", "README.md"]
    assert [file.name for file in files] == names
    asked = opened(model, samples=samples, name="play").samples
    assert (asked.labels, asked.source, asked.foreign) == (tuple("0123456789"), "digits", True)
    assert np.array_equal(asked.images, samples_for(wh.load(CARD), "card").images)
    calls = (node for node in ast.walk(ast.parse(program.read_text())) if isinstance(node, ast.Call))
    (call,) = (call for call in calls if ast.unparse(call.func) == "serve")
    assert [ast.unparse(word) for word in call.keywords] == [
        "host='0.0.0.0'",
        "port=7860",
        """name='A "card"'""",
        "samples=here / 'samples.npz'",
    ]
    assert needs.read_text() == f"winninghand[app]=={wh.__version__}\n"
    assert page.read_text().startswith('---\ntitle: "A \\"card\\""\n')
    assert "\nsdk: gradio\n" in page.read_text()
    assert "\nlicense: mit\n" in page.read_text()
    assert wh.load(model).classes == wh.load(CARD).classes
    with pytest.raises(wh.InputError, match="holds something"):
        write_space(CARD, tmp_path / "space")
    with pytest.raises(wh.InputError, match="one line of text"):
        write_space(CARD, tmp_path / "other", title="two\nlines")
    assert not (tmp_path / "other").exists()
