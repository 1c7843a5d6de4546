"""Several targets in one random network, each under a mask of its own."""

import pytest
import torch
from torch import nn

import winninghand as wh

SIZE = (6, 6)


def card_of(seed, bias=True):
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(3, 3, 3, bias=False),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(48, 2, bias=bias),
    )
    with torch.no_grad():
        network[1].bias.uniform_(-0.5, 0.5)
        network[4].weight.mul_(1 + seed)
    return wh.Card.from_module(network.eval(), ["a", "b"], SIZE, mean=(0.5, 0.4, 0.3))


@pytest.fixture
def deck():
    return wh.Deck([card_of(seed) for seed in range(3)], "average")


@pytest.mark.parametrize(
    ("kind", "epsilon", "depth"), [("float", 0.05, "2L"), ("float", 1.0, "L+1"), ("binary", 2.0, "2L")]
)
def test_one_random_network_holds_all_cards_of_a_deck(deck, tmp_path, kind, epsilon, depth):
    tickets = wh.theory.embed_deck(deck, epsilon, seed=2, kind=kind, depth=depth)
    images = torch.rand(30, 3, *SIZE)
    weights = [[layer.weight.data_ptr() for layer in one.network.layers.values()] for one in tickets.tickets]
    assert weights[0] == weights[1] == weights[2]
    for card, ticket in zip(deck.cards, tickets.tickets, strict=True):
        assert ticket.bound <= tickets.bound <= epsilon
        assert (ticket.network(images) - card(images)).abs().max() <= ticket.bound + 1e-5
    assert not torch.equal(*(one.network.state_dict()["layers.2.kept"] for one in tickets.tickets[:2]))
    # A mean of softmaxes is twice as far from another one as their logits are, at most.
    assert (tickets(images) - deck(images)).abs().max() <= 2 * tickets.bound + 1e-5
    path = tmp_path / "a.tickets"
    wh.theory.save_ticket(tickets, path)
    again = wh.theory.load_ticket_deck(path, deck)
    assert torch.equal(again(images), tickets(images))
    assert again.bound == tickets.bound
    wh.theory.save_ticket(tickets.tickets[0], tmp_path / "one.ticket")
    one = wh.theory.load_ticket(tmp_path / "one.ticket", deck.cards[0])
    assert torch.equal(one.network(images), tickets.tickets[0].network(images))


def test_levels_of_a_deck_are_reached_exactly():
    deck = wh.Deck([card_of(seed).quantized("int8") for seed in range(2)], "average")
    assert wh.theory.embed_deck(deck, 1e-9, kind="integers").bound < 1e-200


def test_a_gate_chooses_among_the_tickets(deck):
    tickets = wh.theory.embed_deck(deck, 0.05)
    images = torch.rand(4, 3, *SIZE)
    chosen = torch.eye(3)[torch.tensor([0, 2, 2, 1])]
    tickets.targets.choose = lambda _: chosen
    answer = tickets.answer(images)
    for number, row in enumerate(chosen.argmax(1)):
        logits = tickets.tickets[row].network(images[number : number + 1])
        torch.testing.assert_close(answer.outputs[number], logits.log_softmax(1)[0])
    assert torch.equal(answer.weights, chosen)


@pytest.mark.parametrize(
    ("ask", "named"),
    [
        (lambda deck, path: wh.theory.embed(deck), "take wh.theory.embed_deck, or embed its cards"),
        (lambda deck, path: wh.theory.embed_deck(deck.cards[0]), "embed_deck takes a deck, not Card"),
        (
            lambda deck, path: wh.theory.embed_deck(wh.Deck([card_of(0), card_of(1, bias=False)], "average")),
            "the cards are not of one network",
        ),
        (lambda deck, path: wh.theory.load_ticket(path, deck.cards[0]), "take wh.theory.load_ticket_deck"),
        (
            lambda deck, path: wh.theory.load_ticket_deck(path, wh.Deck(deck.cards[:2], "average")),
            "the deck has 2 cards, and the file holds 3 tickets",
        ),
        (
            lambda deck, path: wh.theory.load_ticket_deck(path, wh.Deck(deck.cards[::-1], "average")),
            "give the target that it is the ticket of",
        ),
        (lambda deck, path: wh.theory.load_ticket_deck(path, deck.cards[0]), "takes a deck, not Card"),
    ],
)
def test_what_is_no_deck_of_tickets_is_told(deck, tmp_path, ask, named):
    path = tmp_path / "a.tickets"
    wh.theory.save_ticket(wh.theory.embed_deck(deck, 0.5), path)
    with pytest.raises(wh.InputError, match=named):
        ask(deck, path)
