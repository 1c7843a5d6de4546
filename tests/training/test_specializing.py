"""`wh.specialize`: norms train, nothing else does."""

import numpy as np
import pytest
import torch
from torch import nn

import winninghand as wh
from winninghand.decks.bodies import bodies_of
from winninghand.networks.norms import norm_names

SETTINGS = {"epochs": 2, "limit": 90, "batch_size": 30, "learning_rate": 0.5}


@pytest.fixture(scope="module")
def images():
    whole = wh.load_images("digits")
    return wh.ImageSet(whole.train.take(np.arange(100)), whole.test, whole.classes)


class Net(nn.Module):
    def __init__(self, norm):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.head = nn.Conv2d(3, 8, 3, 2), norm, nn.Linear(8, 10)

    def forward(self, x):
        return self.head(self.norm(self.conv(x)).relu().mean((2, 3)))


def card_of(norm, images):
    return wh.Card.from_module(Net(norm), images.classes, images.train.size)


@pytest.mark.parametrize(
    "norm",
    [
        nn.BatchNorm2d(8),
        nn.BatchNorm2d(8, affine=False),
        nn.GroupNorm(2, 8),
        nn.LayerNorm([8, 15, 15]),
        nn.InstanceNorm2d(8, affine=True),
    ],
    ids=lambda norm: type(norm).__name__,
)
def test_norms_train_and_the_body_is_the_cards(norm, images):
    card = card_of(norm, images)
    before = {name: tensor.clone() for name, tensor in card.state_dict().items()}
    deck = wh.specialize(card, images, ["clean", "gaussian"], **SETTINGS)
    assert all(torch.equal(tensor, before[name]) for name, tensor in card.state_dict().items())
    assert bodies_of(deck.cards) == ((0, 1),) and deck.gate == "weighted"
    names = norm_names(card.network)
    for one in deck.cards:
        state = one.network.state_dict()
        for name, tensor in card.network.state_dict().items():
            assert torch.equal(state[name], tensor) == (name not in names), name
        assert all(parameter.requires_grad for parameter in one.network.parameters())
    one, other = (card.network.state_dict() for card in deck.cards)
    assert any(not torch.equal(one[name], other[name]) for name in names)
    weights = deck.choose(torch.rand(5, 3, *images.train.size))
    assert bool((weights > 0).sum(dim=1).eq(1).all()), "one pass per image"


def test_it_repeats_itself_and_reopens(images, tmp_path):
    torch.manual_seed(0)
    network = wh.network("resnet18", width=2, stem_stride=2)
    card = wh.Card.from_module(network, images.classes, images.train.size)
    told = []
    decks = [
        wh.specialize(
            card, images, ["gaussian", {"name": "gaussian", "sigma": 0.2}], progress=told.append, **SETTINGS
        )
        for _ in range(2)
    ]
    for number, deck in enumerate(decks):
        deck.save(tmp_path / f"{number}.deck")
    assert (tmp_path / "0.deck").read_bytes() == (tmp_path / "1.deck").read_bytes()
    assert sum(told) % 2 == 0 and len(told) > 8
    loaded = wh.load(tmp_path / "0.deck")
    x = torch.rand(8, 3, *images.train.size)
    assert torch.equal(loaded(x), decks[0](x)) and bodies_of(loaded.cards) == ((0, 1),)
    about = loaded.cards[1].metadata
    assert about.domain["sigma"] == 0.2 and about.recipe["specialization"]["epochs"] == 2
    assert about.accuracies == {} and loaded.cards[1].profile.rule == "plain"
    assert torch.equal(*(card.profile.clean.mean for card in loaded.cards))


def test_a_bare_name_shows_one_view(images):
    deck = wh.specialize(card_of(nn.BatchNorm2d(8), images), images, ["augmix"], **SETTINGS)
    assert deck.cards[0].metadata.domain["jsd"] is False


def test_bad_input_is_refused_in_one_line(images):
    card = card_of(nn.BatchNorm2d(8), images)
    other = wh.ImageSet(images.train, images.test, tuple(f"c{name}" for name in images.classes))
    plain = wh.Card.from_module(wh.network("conv2", width=2), images.classes, images.train.size)
    for arguments, said in (
        ((plain, images), "conv2, has no norms"),
        ((card_of(nn.InstanceNorm2d(8), images), images), "has no norms with weights"),
        ((card, other), "other classes or another size"),
        ((card, images, ["clean", "augmx"]), "did you mean 'augmix'"),
        ((card, images, ["clean", "clean"]), "named twice"),
        ((card, images, "clean"), "must be a list"),
        ((card, images, []), "must be a list"),
        ((card, images, ["clean"], 0), "epochs"),
        ((card.network, images), "takes a card"),
        ((card, images.train), "must be an ImageSet"),
    ):
        with pytest.raises(wh.InputError, match=said) as caught:
            wh.specialize(*arguments)
        assert "\n" not in str(caught.value)
    with torch.no_grad():
        card.network.head.weight *= 1e30
    with pytest.raises(wh.InputError, match="diverged"):
        wh.specialize(card, images, ["clean"], batch_size=8)
    with pytest.raises(wh.InputError, match="learning rate"):
        wh.specialize(card, images, ["clean"], learning_rate=-1)
    with pytest.raises(wh.InputError, match="learning rate"):
        wh.specialize(card, images, ["clean"], learning_rate="fast")
