"""`Card.predict` and `Deck.predict`: every form of an image gets one answer."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import winninghand as wh
from winninghand.cards import Prediction
from winninghand.spectra import SpectralProfile

CLASSES = ("cat", "dog", "ship")
PIXELS = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
IMAGES = torch.from_numpy(PIXELS).permute(0, 3, 1, 2) / 255


def make_card(level=1.0):
    profile = SpectralProfile.of(level * torch.rand(20, 3, 16, 16))
    return wh.Card.from_module(wh.network("resnet18", width=2, classes=3), CLASSES, (16, 16), profile=profile)


@pytest.fixture(scope="module")
def card():
    torch.manual_seed(0)
    return make_card()


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for path, pixels in zip(paths, PIXELS, strict=True):
        Image.fromarray(pixels).save(path)
    return paths


def without_paths(predictions):
    return [(one.label, one.probability, one.cards, one.top) for one in predictions]


def test_all_forms_get_one_answer(card, files):
    probabilities, choices = card(IMAGES.contiguous(memory_format=torch.channels_last)).softmax(1).max(1)
    answers = card.predict(IMAGES)
    assert [one.label for one in answers] == [CLASSES[choice] for choice in choices]
    assert [one.probability for one in answers] == probabilities.tolist()
    assert answers[0] == Prediction(
        None, answers[0].label, answers[0].probability, (1,), ((answers[0].label, answers[0].probability),)
    )
    forms = [
        PIXELS,
        list(PIXELS),
        list(IMAGES),
        [Image.fromarray(pixels) for pixels in PIXELS],
        files,
        files[0].parent,
        [str(files[0]), PIXELS[1], IMAGES[2], Image.fromarray(PIXELS[3])],
        [IMAGES[:2], PIXELS[2:]],
    ]
    for form in forms:
        assert without_paths(card.predict(form)) == without_paths(answers)
    assert [one.path for one in card.predict([files[0], PIXELS[1]])] == [files[0], None]


def test_the_likeliest_classes_come_first(card):
    for one, row in zip(card.predict(IMAGES, top=9), card(IMAGES).softmax(1), strict=True):
        assert [CLASSES.index(label) for label, _ in one.top] == row.argsort(descending=True).tolist()
        assert one.top[0] == (one.label, one.probability)
        assert sum(probability for _, probability in one.top) == pytest.approx(1)
    assert [len(one.top) for one in card.predict(IMAGES[:2], top=2)] == [2, 2]


def test_images_of_any_size_are_brought_to_the_models(card, tmp_path):
    large = np.random.default_rng(1).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    Image.fromarray(large).save(tmp_path / "large.png")
    tensor = torch.from_numpy(large).permute(2, 0, 1) / 255
    by_file, by_array, by_tensor = card.predict([tmp_path / "large.png", large, tensor])
    assert by_file.probability == by_array.probability
    # A tensor is not rounded to bytes after it has been resized.
    assert by_tensor.probability == pytest.approx(by_array.probability, abs=1e-3)


def test_a_deck_says_which_cards_it_played_and_looks_at_batches():
    deck = wh.Deck([make_card(), make_card(0.3)], "spectral")
    images = torch.cat([IMAGES[:1], 0.3 * IMAGES[:3]])
    one_by_one = [one.cards for one in deck.predict(images, batch_size=1)]
    assert one_by_one == [(1,), (2,), (2,), (2,)]
    assert [one.cards for one in deck.predict(images)] == [(2,)] * 4
    assert deck.predict(images, device="cpu") == deck.predict(images)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (IMAGES * 255, "divide by 255"),
        (IMAGES - 1, r"lie in \[0, 1\]"),
        (torch.full((3, 16, 16), torch.nan), "nan"),
        (torch.from_numpy(PIXELS), "must be float"),
        (PIXELS / 255, "must be uint8"),
        (PIXELS[..., 0], "must be uint8"),
        (PIXELS[:0], "must be uint8"),
        (np.broadcast_to(np.uint8(0), (100_000, 100_000, 3)), "more than 67108864 pixels"),
        (torch.zeros(()).expand(3, 10**5, 10**5), "more than 67108864 pixels"),
        (torch.zeros(()).expand(3, 2, 10**5), "a side of more than 65,536"),
        ("", "must be a path, not empty"),
        (IMAGES[:, :1], "must be float"),
        (IMAGES[:0], "holds no image"),
        (7, "int is no image"),
        (None, "NoneType is no image"),
        ([[PIXELS[0]]], "list within a list"),
        (b"bytes", "bytes is no image"),
        ("missing.png", "no file or folder"),
        (Path(__file__), "cannot be read as an image"),
        ([IMAGES[0], Image.new("F", (4, 4))], "8-bit"),
    ],
)
def test_other_forms_are_refused_in_one_line(card, wrong, said):
    with pytest.raises(wh.InputError, match=said) as caught:
        card.predict(wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong", [{"top": 0}, {"top": 1.5}, {"batch_size": 0}, {"device": "nowhere"}], ids=str
)
def test_settings_out_of_range_are_refused(card, wrong):
    with pytest.raises(wh.InputError):
        card.predict(IMAGES, **wrong)


def test_old_names_of_predictions_still_work():
    with pytest.warns(DeprecationWarning, match=r"deck\.predict"):
        from winninghand.decks import predict
    with pytest.warns(DeprecationWarning, match=r"cards\.Prediction"):
        from winninghand.decks import Prediction as Old
    assert Old is Prediction
    assert callable(predict)
