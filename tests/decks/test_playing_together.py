"""Cards of one body in one pass: the same answers as card by card, and when that is not done."""

import threading

import pytest
import torch
from made_cards import smooth
from test_shared_body import NORMS, Net, cards_of_one_body, shaken
from torch import nn

import winninghand as wh
from winninghand.decks import with_bn_adaptation
from winninghand.decks.folding import folded_norms


class Residual(nn.Module):
    """Norms before convolutions, whose outputs two others use."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 3)
        self.norms = nn.ModuleList(nn.BatchNorm2d(8) for _ in range(3))
        self.convs = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(2))

    def forward(self, x):
        x = self.stem(x)
        for norm, conv in zip(self.norms, self.convs, strict=False):
            x = x + conv(norm(x).relu())
        return self.head(self.norms[2](x).relu().mean((2, 3)))


class Tokens(nn.Module):
    """A network whose norm sees tokens of all images in one dimension."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.head = nn.Conv2d(3, 8, 4, 4), nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, x):
        tokens = self.conv(x).flatten(2).mT
        normed = self.norm(tokens.reshape(-1, 8)).view(tokens.shape)
        return self.head(normed.mean(1))


NETWORKS = {
    **{name: lambda norm=norm: Net(norm) for name, norm in NORMS.items()},
    "rms": lambda: Net(lambda: nn.RMSNorm([6, 14, 14])),
    "layer over channels": lambda: Net(lambda: nn.LayerNorm(14)),
    "resnet": lambda: wh.network("resnet18", width=4, classes=3).eval(),
    "pre-activation": lambda: wh.network("wideresnet", width=1, depth=10, classes=3).eval(),
    "binary": lambda: wh.network("card_binary", width=4, classes=3).eval(),
    "residual": Residual,
    "tokens": Tokens,
}


def weights_of(kind):
    if kind == "one card":
        return torch.tensor([[0.0, 1.0, 0.0]]).repeat(7, 1)
    if kind == "all cards":
        return torch.tensor([[0.2, 0.5, 0.3]]).repeat(7, 1)
    if kind == "a card each":
        return torch.eye(3)[torch.tensor([0, 2, 2, 1, 0, 1, 2])]
    mixed = (
        torch.eye(3)[torch.tensor([0, 2, 2, 1, 0, 1, 2])] + torch.eye(3)[torch.tensor([0, 0, 2, 1, 1, 1, 1])]
    )
    return mixed / 2


@pytest.mark.parametrize("kind", ["one card", "all cards", "a card each", "two for some"])
@pytest.mark.parametrize("name", NETWORKS)
def test_answers_are_those_of_the_cards(name, kind):
    deck = wh.Deck(cards_of_one_body(NETWORKS[name]()), "average", temperatures=[0.5, 1.0, 2.0])
    x, weights = smooth(7), weights_of(kind)
    slow = deck.play(x, weights)  # with gradients each card is played on its own
    assert slow.requires_grad
    with torch.inference_mode():
        fast = deck.play(x, weights)
        assert (fast - slow).abs().max() < 1e-4
        assert (deck.play(x, weights) - slow).abs().max() < 1e-4
    with torch.no_grad():
        assert (deck.play(x, weights) - slow).abs().max() < 1e-4


@pytest.mark.parametrize(
    ("name", "norms", "left"),
    [("resnet", 20, 0), ("pre-activation", 7, 3), ("residual", 3, 3), ("asks", 1, 1)],
)
def test_norms_are_folded_where_a_convolution_is_followed_by_nothing_else(name, norms, left):
    network = Asks(NORMS["batch"]) if name == "asks" else NETWORKS[name]()
    shaken(network.eval(), 1)
    with torch.no_grad():
        folded = folded_norms(network, smooth(2))
        assert (folded(smooth(3)) - network(smooth(3))).abs().max() < 1e-5
    counts = [sum(isinstance(one, nn.BatchNorm2d) for one in net.modules()) for net in (network, folded)]
    assert counts == [norms, left]


class Asks(Net):
    """A network whose way depends on its images."""

    def forward(self, x):
        x = self.conv(x)
        return self.head((self.norm(x) if x.mean() < 100 else x).relu().mean((2, 3)))


def test_modules_of_other_threads_are_left_alone():
    # A tracer puts a `__call__` of its own into all modules as long as it runs, or for good under threads.
    called, seen = nn.Module.__call__, set()

    class Watching(Net):
        def forward(self, x):
            seen.add(nn.Module.__call__)
            return super().forward(x)

    deck = wh.Deck(cards_of_one_body(Watching(NORMS["batch"])), "average")
    with torch.inference_mode():
        for kind in ("one card", "a card each"):
            deck.play(smooth(7), weights_of(kind))
    assert seen == {called}


def count_calls(monkeypatch, deck):
    calls = []
    for card in deck.cards:
        monkeypatch.setattr(card, "forward", lambda *_, **__: calls.append(1) or pytest.fail("card by card"))
    return calls


def test_norms_of_other_numbers_are_played_card_by_card():
    cards = cards_of_one_body(Net(lambda: nn.GroupNorm(2, 6)))
    for part in cards[1].network.modules():
        if isinstance(part, nn.GroupNorm):
            part.eps = 1.0
    deck, x, weights = wh.Deck(cards, "average"), smooth(7), weights_of("a card each")
    slow = deck.play(x, weights)
    with torch.no_grad():
        assert (deck.play(x, weights) - slow).abs().max() < 1e-4


def test_one_pass_is_one_pass(monkeypatch):
    deck = wh.Deck(cards_of_one_body(NETWORKS["resnet"]()), "average")
    seen = []
    original = nn.functional.conv2d
    count_calls(monkeypatch, deck)
    with torch.inference_mode():
        deck.play(smooth(7), weights_of("a card each"))
        deck.play(smooth(7), weights_of("one card"))
        monkeypatch.setattr(
            nn.Conv2d,
            "_conv_forward",
            lambda self, x, w, b: (
                seen.append(len(x))
                or original(x, w, b, self.stride, self.padding, self.dilation, self.groups)
            ),
        )
        for kind in ("a card each", "one card"):
            seen.clear()
            deck.play(smooth(7), weights_of(kind))
            assert set(seen) == {7} and len(seen) == 20


def test_changed_weights_are_followed():
    deck = wh.Deck(cards_of_one_body(NETWORKS["resnet"]()), "average")
    other = wh.Deck(cards_of_one_body(NETWORKS["resnet"]()), "average")
    x = smooth(7)
    for kind in ("one card", "a card each"):
        weights = weights_of(kind)
        with torch.inference_mode():
            before = deck.play(x, weights)
        shaken(deck.cards[1].network, 7)
        with torch.inference_mode():
            after = deck.play(x, weights)
        assert (after - before).abs().max() > 1e-3
        assert (after - deck.play(x, weights)).abs().max() < 1e-4
        deck.load_state_dict(other.state_dict())
        with torch.inference_mode():
            assert (deck.play(x, weights) - other.play(x, weights)).abs().max() < 1e-4


def test_what_it_must_not_touch():
    deck = wh.Deck(cards_of_one_body(NETWORKS["resnet"]()), "average")
    x, weights = smooth(7), weights_of("a card each")
    state = torch.random.get_rng_state()
    with torch.inference_mode():
        deck.play(x, weights), deck.play(x, weights_of("one card"))
    assert torch.equal(torch.random.get_rng_state(), state)
    adapted = with_bn_adaptation(deck, 4)
    with torch.inference_mode():
        assert (adapted.play(x, weights) - adapted.play(x, weights)).abs().max() == 0
        fast = adapted.play(x, weights)
    assert torch.equal(fast, adapted.play(x, weights))
    half = weights.clone()
    half[0] = 0
    with torch.inference_mode():
        fast = deck.play(x, half)
    assert torch.allclose(fast, deck.play(x, half), atol=1e-4)


def test_threads_do_not_mix_up_their_images():
    deck = wh.Deck(cards_of_one_body(NETWORKS["resnet"]()), "average")
    x, found = smooth(7), {}
    jobs = {
        number: torch.eye(3)[torch.randint(3, (7,), generator=torch.Generator().manual_seed(number))]
        for number in range(6)
    }

    @torch.inference_mode()
    def work(number):
        for _ in range(10):
            found[number] = deck.play(x, jobs[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, weights in jobs.items():
        assert (found[number] - deck.play(x, weights)).abs().max() < 1e-4
