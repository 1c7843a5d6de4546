"""Decks of one body: what is held once in memory and in the file, and what is refused."""

import copy
import io
import pickle
from functools import partial

import pytest
import torch
from made_cards import CLASSES, SIZE, noisy, smooth
from torch import nn

import winninghand as wh
from winninghand.cards.container import read_streams, write_streams
from winninghand.decks import inspect_file
from winninghand.decks.bodies import bodies_of, share_body
from winninghand.networks.norms import body_tensors, norm_names, with_norms_of_its_own
from winninghand.spectra import SpectralProfile

NORMS = {
    "batch": lambda: nn.BatchNorm2d(6),
    "statistics alone": lambda: nn.BatchNorm2d(6, affine=False),
    "group": lambda: nn.GroupNorm(3, 6),
    "layer": lambda: nn.LayerNorm([6, 14, 14]),
    "instance": lambda: nn.InstanceNorm2d(6, affine=True),
    "instance with statistics": lambda: nn.InstanceNorm2d(6, affine=True, track_running_stats=True),
}


class Net(nn.Module):
    def __init__(self, norm, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.conv = nn.Conv2d(3, 6, 3)
        self.norm = norm()
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.norm(self.conv(x)).relu().mean((2, 3)))


def shaken(network, seed):
    """Change the norms of a network, as training would."""
    generator = torch.Generator().manual_seed(seed)
    names = norm_names(network)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name in names and tensor.is_floating_point():
                factor = 1 + 0.3 * torch.rand(tensor.shape, generator=generator)
                tensor.copy_(((tensor + 0.1) * factor).half())
    return network


def card_of(network, domain):
    shown = (smooth if domain == "clean" else noisy)(64)
    profile = SpectralProfile.of(shown, clean=smooth(64))
    return wh.Card.from_module(network, CLASSES, SIZE, profile=profile).with_metadata(domain={"name": domain})


def cards_of_one_body(network, count=3):
    networks = [shaken(with_norms_of_its_own(network), seed) for seed in range(count)]
    return [card_of(one, "clean" if seed == 0 else "noise") for seed, one in enumerate(networks)]


@pytest.fixture
def cards():
    torch.manual_seed(0)
    return cards_of_one_body(wh.network("resnet18", width=4, classes=3).eval())


def held_once(deck):
    first = body_tensors(deck.cards[0].network)
    return all(
        body_tensors(card.network)[name] is tensor
        for card in deck.cards[1:]
        for name, tensor in first.items()
    )


def norms_apart(deck):
    one, other = (card.network.state_dict(keep_vars=True) for card in deck.cards[:2])
    return all(one[name] is not other[name] for name in norm_names(deck.cards[0].network))


def test_a_file_holds_the_body_once_and_gives_it_back_as_one(cards, tmp_path):
    deck, x = wh.Deck(cards, "average"), smooth(4)
    deck.save(tmp_path / "a.deck")
    for number, card in enumerate(cards):
        card.save(tmp_path / f"{number}.card")
    one, three = (tmp_path / "0.card").stat().st_size, (tmp_path / "a.deck").stat().st_size
    loaded = wh.load(tmp_path / "a.deck")
    assert held_once(loaded) and norms_apart(loaded)
    assert torch.equal(loaded(x), deck(x))
    norms = sum(cards[0].network.state_dict()[name].numel() for name in norm_names(cards[0].network))
    # Each further set of norms, and a profile, takes about two bytes a number.
    assert three - one < 2 * (2.2 * (norms + 2 * 16 * 9) + 1500)
    loaded.save(tmp_path / "b.deck")
    assert (tmp_path / "a.deck").read_bytes() == (tmp_path / "b.deck").read_bytes()
    # Cards that come from files of their own are stored once too.
    wh.Deck([wh.load(tmp_path / f"{number}.card") for number in range(3)], "average").save(
        tmp_path / "c.deck"
    )
    assert (tmp_path / "c.deck").read_bytes() == (tmp_path / "a.deck").read_bytes()


@pytest.mark.parametrize("form", ["fp16", "int8", "binary"])
def test_quantized_bodies_are_shared_too(form, tmp_path):
    torch.manual_seed(0)
    whole = card_of(wh.network("resnet18", width=4, classes=3).eval(), "clean").quantized(form)
    cards = [
        wh.Card(*whole.parts._replace(network=shaken(with_norms_of_its_own(whole.network), seed)))
        for seed in range(2)
    ]
    deck = wh.Deck(cards, "average")
    deck.save(tmp_path / "a.deck")
    loaded = wh.load(tmp_path / "a.deck")
    assert held_once(loaded) and torch.equal(loaded(smooth(4)), deck(smooth(4)))
    loaded.cards[1].save(tmp_path / "b.card")
    assert torch.equal(wh.load(tmp_path / "b.card")(smooth(4)), cards[1](smooth(4)))


def test_sharing_outlives_copies_pickles_moves_and_states(cards):
    deck, x = wh.Deck(cards, "average"), smooth(2)
    written = io.BytesIO()
    torch.save(deck, written)
    written.seek(0)
    for other in (
        copy.deepcopy(deck),
        pickle.loads(pickle.dumps(deck)),
        torch.load(written, weights_only=False),
        copy.deepcopy(deck).double().float(),
        deck.with_gate("spectral"),
    ):
        assert held_once(other) and norms_apart(other)
    assert held_once(copy.deepcopy(deck).to("meta"))
    other = wh.Deck(cards_of_one_body(wh.network("resnet18", width=4, classes=3).eval()), "average")
    other.load_state_dict(deck.state_dict())
    assert held_once(other) and torch.equal(other(x), deck(x))
    state = deck.state_dict()
    state["_cards.1.network.conv1.weight"] = state["_cards.1.network.conv1.weight"] + 1
    with pytest.raises(wh.InputError, match=r"card 2 shares the body of card 1.*'conv1.weight'"):
        other.load_state_dict(state)


def test_cards_are_brought_to_one_body_or_refused(cards):
    apart = [wh.Card(*copy.deepcopy(card).parts) for card in cards]
    assert bodies_of(apart) == ((0,), (1,), (2,))
    deck = wh.Deck(share_body(apart), "average")
    assert bodies_of(deck.cards) == ((0, 1, 2),) and held_once(deck) and norms_apart(deck)
    assert torch.equal(deck(smooth(2)), wh.Deck(apart, "average")(smooth(2)))
    with torch.no_grad():
        apart[2].network.layer1[0].conv1.weight[0, 0] += 1
    with pytest.raises(wh.InputError, match=r"card 3 has another body than card 1: 'layer1.0.conv1.weight'"):
        share_body(apart)
    with pytest.raises(wh.InputError, match=r"norms of another shape, 'norm\.weight' is"):
        share_body([card_of(Net(partial(nn.LayerNorm, shape)), "clean") for shape in ([6, 14, 14], [14])])
    for none in ([], "a.card", [deck]):
        with pytest.raises(wh.InputError, match="must be a list of cards"):
            share_body(none)
    with pytest.raises(wh.InputError, match="of different networks"):
        share_body([cards[0], card_of(Net(NORMS["batch"]), "clean")])


def test_inspection_says_what_is_shared_and_what_norms_cost(cards, tmp_path):
    wh.Deck(cards, "average").save(tmp_path / "a.deck")
    found = inspect_file(tmp_path / "a.deck")
    (body,) = found["bodies"]
    whole, norms = cards[0].inspect().parameters, found["cards"][0]["norms"]["parameters"]
    assert body["cards"] == [0, 1, 2] and body["parameters"] + norms == whole
    assert found["parameters"] == whole + 2 * norms
    own = [card["norms"]["bytes"] for card in found["cards"]]
    assert body["bytes"] + sum(own) < found["bytes"] < body["bytes"] + sum(own) + 8000
    assert [card["norms"]["domain"] for card in found["cards"]] == ["clean", "noise", "noise"]


def test_forged_files_are_refused(cards, tmp_path):
    wh.Deck(cards, "average").save(tmp_path / "a.deck")
    header, streams = read_streams(tmp_path / "a.deck")

    def refused(said, **changes):
        write_streams(tmp_path / "b.deck", header, {**streams, **changes}, once=True)
        with pytest.raises(wh.InputError, match=said) as caught:
            wh.load(tmp_path / "b.deck")
        assert "\n" not in str(caught.value)

    # The norms of another network, and a body in place of norms.
    wider = cards_of_one_body(wh.network("resnet18", width=8, classes=3).eval())
    wh.Deck(wider, "average").save(tmp_path / "c.deck")
    _, others = read_streams(tmp_path / "c.deck")
    refused("does not fit", **{f"1/{name}": others[f"1/{name}"] for name in ("index", "coded", "raw")})
    names = ("index", "coded", "raw")
    refused("parts name a tensor twice", **{f"1/{name}": streams[f"1/body/{name}"] for name in names})
    content = (tmp_path / "a.deck").read_bytes()
    (tmp_path / "d.deck").write_bytes(content.replace(b"1/body/index", b"1/body/index"[::-1], 1))
    with pytest.raises(wh.InputError, match="damaged"):
        wh.load(tmp_path / "d.deck")


def test_what_takes_memory_for_each_card_counts_for_each(cards, tmp_path, monkeypatch):
    """A body is held once; norms that a file stores once for many cards are not."""
    wh.Deck(cards[:2], "average").save(tmp_path / "a.deck")
    header, streams = read_streams(tmp_path / "a.deck")
    many = {
        f"{number}/{name.partition('/')[2]}": stream
        for number in range(40)
        for name, stream in streams.items()
        if name.startswith("0/")
    }
    write_streams(
        tmp_path / "b.deck",
        header | {"cards": [header["cards"][0]] * 40, "temperatures": None},
        many,
        once=True,
    )
    assert len(wh.load(tmp_path / "b.deck").cards) == 40
    body = sum(tensor.numel() for tensor in body_tensors(cards[0].network).values())
    monkeypatch.setattr("winninghand.cards.codec.tensors._FREE_ELEMENTS", 2 * body)
    monkeypatch.setattr("winninghand.cards.codec.tensors._ELEMENTS_PER_BYTE", 0)
    assert len(wh.load(tmp_path / "a.deck").cards) == 2
    with pytest.raises(wh.InputError, match="beyond the limit"):
        wh.load(tmp_path / "b.deck")


def test_ordinary_decks_are_written_as_before(tmp_path):
    cards = [card_of(wh.network("resnet18", width=2, classes=3).eval(), "clean") for _ in range(2)]
    wh.Deck(cards, "average").save(tmp_path / "a.deck")
    assert b'\\"schema\\":1,' in (tmp_path / "a.deck").read_bytes()
    assert set(read_streams(tmp_path / "a.deck")[1]) == {
        f"{number}/{name}" for number in range(2) for name in ("index", "coded", "raw")
    }
