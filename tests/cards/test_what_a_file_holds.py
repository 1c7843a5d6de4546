"""What a card holds is what its file holds, or it is not written; what cannot be is not loaded."""

import json
import time
import zlib

import numpy as np
import pytest
import torch
from torch import nn

import winninghand as wh
from winninghand.cards.codec import encode_tensors
from winninghand.cards.container import read_streams, write_streams
from winninghand.spectra import SpectralProfile

IMAGES = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def some_card(profile=True):
    torch.manual_seed(0)
    module = wh.network("conv2", width=2, classes=3, input_size=16)
    shown = torch.rand(8, 3, 16, 16)
    return wh.Card.from_module(
        module, ["a", "b", "c"], (16, 16), profile=SpectralProfile.of(shown, shown) if profile else None
    )


@pytest.mark.parametrize("kind", ["fp16", "int8", "int4", "binary"])
def test_a_quantized_card_that_was_changed_is_not_written(tmp_path, kind):
    card = some_card().quantized(kind)
    card.save(tmp_path / "a.card")
    loaded = wh.load(tmp_path / "a.card")
    with torch.no_grad():
        loaded.network.features[0].weight[0, 0, 0, 0] = 1e6
    with pytest.raises(wh.InputError, match=f"'features.0.weight' has been changed since .* to {kind}"):
        loaded.save(tmp_path / "b.card")
    assert not (tmp_path / "b.card").exists()
    loaded.with_metadata(quantization=None).save(tmp_path / "b.card")
    again = wh.load(tmp_path / "b.card")
    assert torch.equal(again(IMAGES), loaded(IMAGES))


@pytest.mark.parametrize("kind", ["fp16", "int8", "int4", "binary"])
def test_a_quantized_card_that_was_trained_is_not_written(tmp_path, kind):
    card = some_card().quantized(kind)
    optimizer = torch.optim.SGD(card.parameters(), 0.01)
    card(IMAGES).sum().backward()
    optimizer.step()
    with pytest.raises(wh.InputError, match="has been changed"):
        wh.Deck([card], "average").save(tmp_path / "a.deck")


def test_other_precisions_are_written_exactly_or_not_at_all(tmp_path):
    card = some_card()
    halves = some_card().half()
    halves.save(tmp_path / "half.card")
    state = wh.load(tmp_path / "half.card").state_dict()
    assert all(torch.equal(state[name], tensor.float()) for name, tensor in halves.state_dict().items())
    doubles = some_card().double()
    doubles.save(tmp_path / "double.card")
    assert torch.equal(wh.load(tmp_path / "double.card")(IMAGES), card(IMAGES))
    doubles.network.classifier[0].bias.data[0] = 1 / 3
    with pytest.raises(wh.InputError, match="single precision"):
        doubles.save(tmp_path / "third.card")


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_values_that_are_not_finite_are_neither_quantized_nor_written(tmp_path, value):
    card = some_card()
    card.network.classifier[4].weight.data[0, 0] = value
    for kind in ("fp16", "int8", "int4", "binary"):
        with pytest.raises(wh.InputError, match=r"'classifier.4.weight' holds"):
            card.quantized(kind)
    with pytest.raises(wh.InputError, match=r"'classifier.4.weight' holds"):
        card.save(tmp_path / "a.card")
    other = some_card()
    with pytest.raises(wh.InputError, match=r"classifier.4.weight' holds"):
        other.load_state_dict(card.state_dict())
    with pytest.raises(wh.InputError, match="NaN or infinite"):
        other.quantized("int4", torch.full((2, 3, 16, 16), value))


def test_accuracies_go_when_the_network_changes(tmp_path):
    card = some_card().with_metadata(accuracies={"test": 0.9})
    card.save(tmp_path / "a.card")
    card = wh.load(tmp_path / "a.card")
    assert card.with_metadata(domain={"name": "x"}).metadata.accuracies == {"test": 0.9}
    assert card.quantized("int8").metadata.accuracies == {}
    card.network.classifier[0].bias.data[0] += 1
    card.save(tmp_path / "b.card")
    assert wh.load(tmp_path / "b.card").metadata.accuracies == {}
    assert wh.Deck([card], "average").cards[0].with_metadata().metadata.accuracies == {}
    again = card.with_metadata(accuracies={"test": 0.8})
    assert wh.Card(*again.parts).metadata.accuracies == {"test": 0.8}


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.two.weight = self.one.weight
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        return self.head(self.two(self.one(x)).mean((2, 3)))


def test_what_is_tied_stays_tied(tmp_path):
    card = wh.Card.from_module(Tied(), ["a", "b"], (16, 16))
    card.save(tmp_path / "a.card")
    loaded = wh.load(tmp_path / "a.card", network=Tied())
    assert loaded.network.one.weight is loaded.network.two.weight
    assert loaded.inspect() == card.inspect()
    assert torch.equal(loaded(IMAGES), card(IMAGES))
    untied = Tied()
    untied.two.weight = nn.Parameter(untied.one.weight + 1)
    wh.Card.from_module(untied, ["a", "b"], (16, 16)).save(tmp_path / "b.card")
    with pytest.raises(wh.InputError, match="are one in the network and differ"):
        wh.load(tmp_path / "b.card", network=Tied())


def test_a_network_of_ones_own_is_checked_after_it_was_filled(tmp_path):
    class Pair(Tied):
        def forward(self, x):
            return super().forward(x), x

    card = wh.Card.from_module(Pair(), ["a", "b"], (16, 16))
    card.save(tmp_path / "a.card")
    compiled = torch.nn.DataParallel(Pair())
    assert torch.equal(wh.load(tmp_path / "a.card", network=compiled)(IMAGES), card(IMAGES))

    class Single(Tied):
        def forward(self, x):
            return super().forward(x)[:, :1]

    with pytest.raises(wh.InputError, match="one per class"):
        wh.load(tmp_path / "a.card", network=Single())


def forged(tmp_path, card=None, tensors=None, deck=None):
    """Write a card whose checksums are right, with other values in its header or among its tensors."""
    (some_card() if deck is None else wh.Deck([some_card(), some_card()], "weighted")).save(
        tmp_path / "honest"
    )
    header, streams = read_streams(tmp_path / "honest")
    header.get("card", {}).update(card or {})
    header.update(deck or {})
    if tensors is not None:
        own = {f"network.{name}": tensor for name, tensor in some_card().network.state_dict().items()}
        profile = some_card().profile
        own |= {"profile.mean": profile.mean, "profile.spread": profile.spread, **tensors}
        streams = encode_tensors({name: tensor for name, tensor in own.items() if tensor is not None})
    write_streams(tmp_path / "forged", header, streams)
    return tmp_path / "forged"


WEIGHT, MEAN = "network.features.0.weight", "profile.mean"


@pytest.mark.parametrize(
    ("forgery", "said"),
    [
        ({"card": {"architecture": {"name": "conv2", "width": 2, "input_size": 16}}}, "10 outputs for 3"),
        ({"card": {"input_size": [20000, 20000]}}, "less than or equal to 4096"),
        ({"card": {"input_size": [16, 32]}}, "16 × 16"),
        ({"card": {"prunable": ["features.9.weight"]}}, "no prunable weight 'features.9.weight'"),
        ({"card": {"prunable": ["features.0.weight"] * 2}}, "named twice"),
        ({"card": {"deviation": [1e-300, 1, 1]}}, "greater than or equal to"),
        ({"card": {"mean": [1e300, 0, 0]}}, "less than or equal to"),
        ({"card": {"recipe": {"training": [1]}}}, "training must be a table"),
        ({"card": {"recipe": {"training": {"validation": "much"}}}}, "fraction"),
        ({"card": {"recipe": {"training": {"held_out": 7}}}}, "fraction"),
        ({"card": {"domain": {"name": ["clean"]}}}, "name must be a text"),
        ({"card": {"domain": {"name": "x" * 201}}}, "at most 200 characters"),
        ({"card": {"quantization": {"weights": "int2"}}}, "int8"),
        ({"card": {"recipe": eval("[" * 50 + "]" * 50)}}, "header is damaged"),
        ({"card": {"recipe": {"a": eval("[" * 50 + "]" * 50)}}}, "nested"),
        ({"tensors": {WEIGHT: torch.zeros(2, 3, 3, 3, dtype=torch.int8)}}, "is int8, not float32"),
        ({"tensors": {WEIGHT: torch.zeros(2, 3, 3, 3).half()}}, "is float16, not float32"),
        ({"tensors": {WEIGHT: torch.full((2, 3, 3, 3), torch.nan)}}, "NaN"),
        ({"tensors": {WEIGHT: torch.zeros(2, 3, 3)}}, "does not fit"),
        ({"tensors": {WEIGHT: None}}, "does not fit"),
        ({"tensors": {"network.more": torch.zeros(1)}}, "does not fit"),
        ({"tensors": {MEAN: torch.zeros(16)}}, "no profile of images"),
        ({"tensors": {MEAN: torch.zeros(32, 17)}}, "no profile of images"),
        ({"tensors": {MEAN: torch.zeros(16, 9, dtype=torch.int32)}}, "no profile of images"),
        ({"tensors": {MEAN: torch.full((16, 9), torch.inf)}}, "infinite"),
        ({"tensors": {"profile.spread": torch.full((16, 9), -1.0)}}, "negative"),
        ({"deck": {"temperatures": [1e-300, 1.0]}}, "temperatures"),
        ({"deck": {"temperatures": [1.0]}}, "temperatures"),
        ({"deck": {"settings": {"temperature": 1e-300}}}, "temperature"),
        ({"deck": {"settings": {"scores": {"slopes": [[1e300] * 8] * 2, "offsets": [0, 0]}}}}, "slopes"),
        ({"deck": {"settings": {"scores": {"slopes": [[0] * 7] * 2, "offsets": [0, 0]}}}}, "fit it again"),
        ({"deck": {"gate": "no gate"}}, "no gate"),
        ({"deck": {"cards": []}}, "streams of cards that it does not have"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_what_would_fail_later_is_refused_on_load(tmp_path, forgery, said):
    with pytest.raises(wh.InputError, match=said) as caught:
        wh.load(forged(tmp_path, **forgery))
    assert "\n" not in str(caught.value)


def test_a_stranger_s_domain_moves_no_cursor(tmp_path):
    card = wh.load(forged(tmp_path, {"domain": {"name": "a\x1b[2J\nCard(good)"}}))
    assert repr(card) == r"Card(conv2, 3 classes, 16×16, sparsity 0.0%, domain a\x1b[2J\nCard(good))"


def test_shapes_are_compared_before_anything_is_decoded(tmp_path):
    for shape in ((2**31 - 1, 0), (0, 2**31 - 1), (4096, 4096)):
        some_card(profile=False).save(tmp_path / "honest")
        header, streams = read_streams(tmp_path / "honest")
        index = [["network.features.0.weight", "float32", list(shape), "floats"]]
        packed = zlib.compress(json.dumps(index).encode())
        streams["index"] = torch.from_numpy(np.frombuffer(packed, np.uint8).copy())
        write_streams(tmp_path / "forged", header, streams)
        start = time.perf_counter()
        with pytest.raises(wh.InputError, match="does not fit"):
            wh.load(tmp_path / "forged")
        assert time.perf_counter() - start < 1


def test_a_deck_is_bounded_as_one_file(tmp_path):
    """Twenty cards of a million weights each, all zero, are a few kilobytes: too few for all of them."""
    torch.manual_seed(0)
    with torch.no_grad():
        module = wh.network("conv2", width=16, classes=3, input_size=64)
        for parameter in module.parameters():
            parameter.zero_()
    card = wh.Card.from_module(module, ["a", "b", "c"], (64, 64))
    assert card.inspect().parameters > 1_000_000
    card.save(tmp_path / "a.card")
    assert (tmp_path / "a.card").stat().st_size < 4000
    wh.load(tmp_path / "a.card")
    header, streams = read_streams(tmp_path / "a.card")
    many = {f"{number}/{name}": stream.clone() for number in range(20) for name, stream in streams.items()}
    deck = {"gate": "average", "cards": [{"card": header["card"]}] * 20, "kind": "deck"}
    write_streams(tmp_path / "many.deck", deck, many)
    with pytest.raises(wh.InputError, match="beyond the limit"):
        wh.load(tmp_path / "many.deck")


def test_a_deck_has_no_more_cards_than_declared(tmp_path):
    with pytest.raises(wh.InputError, match="at most 256"):
        wh.load(forged(tmp_path, deck={"cards": [{}] * 4000}))
    with pytest.raises(wh.InputError, match="1 to 256"):
        wh.Deck([some_card()] * 257, "average")
