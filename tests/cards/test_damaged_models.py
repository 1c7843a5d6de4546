"""Damaged card and deck files through `wh.load`: the very same model, or one line."""

from __future__ import annotations

import random

import pytest
import torch

import winninghand as wh
from winninghand.spectra import SpectralProfile

IMAGES = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def some_card(seed):
    torch.manual_seed(seed)
    module = wh.network("conv2", width=2, classes=3, input_size=16)
    profile = SpectralProfile.of(torch.rand(8, 3, 16, 16))
    return wh.Card.from_module(module, ["a", "b", "c"], (16, 16), profile=profile)


def some_model(kind, seed):
    if kind == "card":
        return some_card(seed)
    return wh.Deck([some_card(seed), some_card(seed + 1).quantized("int8")])


def damaged(whole, other, chance):
    place, length = chance.randrange(8, len(whole)), chance.randrange(1, 200)
    match chance.randrange(6):
        case 0:
            return whole[:place]
        case 1:
            return whole[:place] + whole[place + length :]
        case 2:
            return whole[:place] + chance.randbytes(length) + whole[place + length :]
        case 3:
            return other[:place] + whole[place:]
        case 4:
            return chance.randrange(1 << 40).to_bytes(8, "little") + whole[8:]
        case _:
            flipped = bytearray(whole)
            flipped[place] ^= 1 << chance.randrange(8)
            return bytes(flipped)


@pytest.mark.parametrize("kind", ["card", "deck"])
def test_a_damaged_file_is_refused_in_one_line_or_is_the_same_model(kind, tmp_path):
    path = tmp_path / f"a.{kind}"
    wholes = []
    for seed in (5, 1):
        model = some_model(kind, seed)
        model.save(path)
        wholes.append(path.read_bytes())
    other, whole = wholes
    expected, chance = model(IMAGES), random.Random(0)
    refused = 0
    for _ in range(300):
        content = damaged(whole, other, chance)
        path.write_bytes(content)
        try:
            loaded = wh.load(path)
        except wh.InputError as error:
            assert "\n" not in str(error)
            refused += 1
        else:
            assert torch.equal(loaded(IMAGES), expected)
    assert refused > 280


@pytest.mark.parametrize("kind", ["card", "deck"])
def test_an_undamaged_file_is_the_same_model(kind, tmp_path):
    model = some_model(kind, 1)
    model.save(tmp_path / "a")
    assert torch.equal(wh.load(tmp_path / "a")(IMAGES), model(IMAGES))
