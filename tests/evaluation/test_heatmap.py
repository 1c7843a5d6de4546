import numpy as np
import pytest
import torch
from torch import nn

from winninghand.base.charts import save_picture
from winninghand.base.errors import InputError
from winninghand.cards import Card
from winninghand.decks import Deck
from winninghand.evaluation import fourier_heatmap, heatmap_norm, heatmap_shape
from winninghand.images import Split
from winninghand.spectra import basis_images

SIDE, PLACE = 8, (-2, 3)
GREY = Split(np.full((12, SIDE, SIDE, 3), 128, np.uint8), np.zeros(12, np.int64))


def listening(threshold, sides=2):
    """A linear classifier that leaves class 0 when the red channel holds `threshold` of one frequency."""
    basis = basis_images(torch.tensor([PLACE]), SIDE, SIDE)[0]
    head = nn.Linear(3 * SIDE * SIDE, 1 + sides)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.tensor([threshold] + [0.0] * sides))
        for row, sign in enumerate((1, -1)[:sides], start=1):
            head.weight[row, : SIDE * SIDE] = sign * basis.flatten()
    return nn.Sequential(nn.Flatten(), head)


def expected():
    errors = np.zeros((SIDE, SIDE))
    for sign in (1, -1):
        errors[SIDE // 2 + sign * PLACE[0], SIDE // 2 + sign * PLACE[1]] = 1
    return errors


def test_only_the_frequency_listened_to_does_harm():
    table = fourier_heatmap(listening(0.9), GREY, norm=1)
    assert np.array_equal(table.errors, expected())
    assert table.clean_error == 0
    assert table.worst_frequency == PLACE
    assert table.mean_error == pytest.approx(2 / SIDE**2)
    assert not fourier_heatmap(listening(1.1), GREY, norm=1).errors.any()


def test_signs_are_random_and_do_not_depend_on_the_batch():
    split = Split(np.repeat(GREY.images, 20, axis=0), np.repeat(GREY.labels, 20))
    table = fourier_heatmap(listening(0.9, sides=1), split, norm=1)
    error = table.errors[SIDE // 2 + PLACE[0], SIDE // 2 + PLACE[1]]
    assert 0.35 < error < 0.65
    again = fourier_heatmap(listening(0.9, sides=1), split, norm=1, batch_size=7)
    assert np.array_equal(table.errors, again.errors)
    other = fourier_heatmap(listening(0.9, sides=1), split, norm=1, seed=1, limit=None)
    assert other.images == 240
    assert not np.array_equal(table.errors, other.errors)


def test_a_deck_has_a_map_and_progress_counts_frequencies():
    cards = [Card.from_module(listening(level), ["a", "b", "c"], (SIDE, SIDE)) for level in (0.5, 0.6)]
    done = []
    table = fourier_heatmap(Deck(cards, "average"), GREY, norm=1, progress=done.append)
    assert np.array_equal(table.errors, expected())
    assert sum(done) == (SIDE * SIDE + 4) / 2


@pytest.mark.parametrize("norm", [0, -1, float("nan"), float("inf"), 1e308])
def test_the_norm_must_be_positive(norm):
    with pytest.raises(InputError, match="positive number"):
        fourier_heatmap(listening(0.9), GREY, norm=norm)


def test_the_map_is_drawn_by_the_suffix(tmp_path):
    table = fourier_heatmap(listening(0.9), GREY, norm=1)
    save_picture(table.plot(title="a < b"), tmp_path / "map.svg")
    save_picture(table.plot(title="a < b"), tmp_path / "map.png")
    assert "a &lt; b" in (tmp_path / "map.svg").read_text()
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    assert "12 images, seed 0" in (tmp_path / "map.svg").read_text()


def test_the_lowest_frequencies_of_a_map_are_those_of_the_whole_one():
    whole, low = (fourier_heatmap(listening(0.9), GREY, norm=1, side=side) for side in (None, 5))
    row, column = (length // 2 for length in whole.errors.shape)
    assert low.errors.shape == (5, 5)
    assert np.array_equal(low.errors, whole.errors[row - 2 : row + 3, column - 2 : column + 3])


def test_large_images_have_the_papers_63_frequencies_along_an_axis():
    assert heatmap_shape((64, 32)) == (64, 32)
    assert heatmap_shape((224, 224)) == (63, 63) and heatmap_shape((224, 40)) == (63, 40)
    assert heatmap_shape((224, 224), 300) == (224, 224)
    with pytest.raises(InputError, match="the side of the heatmap must be"):
        heatmap_shape((32, 32), 0)
    with pytest.raises(InputError, match="must be odd, such as 17, not 16"):
        heatmap_shape((32, 32), 16)


def test_the_norm_is_the_papers_for_the_size():
    assert heatmap_norm((32, 32)) == heatmap_norm((64, 48)) == 4.0
    assert heatmap_norm((224, 224)) == heatmap_norm((65, 8)) == 15.7
    assert heatmap_norm((224, 224), 3) == 3
    assert fourier_heatmap(listening(0.9), GREY).norm == 4.0
