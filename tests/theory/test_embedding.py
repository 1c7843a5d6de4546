"""Tickets against their targets: nobody finds an error above the bound."""

import pytest
import torch
from torch import nn

import winninghand as wh
from winninghand.theory.certificate import Certificate
from winninghand.theory.decomposition import target_of
from winninghand.theory.embedding import program_of
from winninghand.theory.norms import spectral_norm

SIDE = 6


class PreActivation(nn.Module):
    """A sum of values that can be negative, and a norm that stands before its activation."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = self.first(x)
        x = x + self.second(torch.relu(self.norm(x)))
        return self.head(x.mean((2, 3)))


def network(name):
    torch.manual_seed(0)
    made = {
        "fully connected": lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(3 * SIDE**2, 8), nn.ReLU(), nn.Linear(8, 3)
        ),
        "convolutions": lambda: nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 5, 3, stride=2),
            nn.ReLU6(),
            nn.Flatten(),
            nn.Linear(5, 3),
        ),
        "groups": lambda: nn.Sequential(
            nn.Conv2d(3, 6, 1),
            nn.Tanh(),
            nn.Conv2d(6, 6, 3, padding=1, groups=3),
            nn.LeakyReLU(0.1),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(24, 3),
        ),
        "pre-activation": PreActivation,
    }[name]()
    for part in made.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.uniform_(-0.5, 0.5)
            part.running_var.uniform_(0.5, 2)
    return made.eval()


def card_of(module):
    return wh.Card.from_module(
        module, ["a", "b", "c"], (SIDE, SIDE), mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3)
    )


def farthest(ticket, card):
    """Return the largest error that random images, corners and gradient ascent over the box find."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(40, 3, SIDE, SIDE, generator=generator, dtype=torch.float64)
    images[20:] = images[20:].round()
    card = card.double()
    found = 0.0
    for step in range(12):
        images.requires_grad_(True)
        error = (ticket.network(images) - card(images)).abs().amax(1)
        found = max(found, float(error.detach().max()))
        (gradient,) = torch.autograd.grad(error.sum(), images)
        images = (images + gradient.sign() * 0.5 / (step + 1)).clamp(0, 1).detach()
    return found


@pytest.mark.parametrize(
    ("name", "kind", "epsilon", "depth"),
    [
        ("fully connected", "float", 0.05, "2L"),
        ("convolutions", "float", 0.05, "2L"),
        ("groups", "float", 0.05, "2L"),
        ("pre-activation", "float", 0.05, "2L"),
        ("fully connected", "binary", 4.0, "2L"),
        ("pre-activation", "binary", 10.0, "2L"),
        ("fully connected", "float", 0.5, "L+1"),
        ("convolutions", "float", 2.0, "L+1"),
        ("groups", "float", 1.0, "L+1"),
        ("pre-activation", "float", 4.0, "L+1"),
        ("convolutions", "binary", 400.0, "L+1"),
    ],
)
def test_no_image_is_answered_farther_away_than_the_bound(name, kind, epsilon, depth):
    card = card_of(network(name))
    images = torch.rand(50, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    expected = card(images)
    ticket = wh.theory.embed(card, epsilon, seed=3, kind=kind, depth=depth)
    proof = ticket.certificate.prove(images)
    errors = (ticket.network(images) - expected).abs().amax(1)
    assert ticket.bound <= epsilon
    assert 0 < ticket.kept < 0.5
    # Single precision is in the errors, and not in the bounds.
    assert (errors <= proof.bounds + 1e-4).all()
    assert (proof.bounds <= ticket.bound * (1 + 1e-9)).all()
    assert torch.equal(proof.answers, expected.argmax(1))
    sure = proof.proved | proof.proved_here
    assert torch.equal(ticket.network(images).argmax(1)[sure], proof.answers[sure])
    assert farthest(ticket, card) <= ticket.bound + 1e-9
    if kind == "binary":
        for layer in ticket.network.layers.values():
            assert layer.weight.abs().unique().numel() == 1
    hidden = sum(report.hidden > 0 for report in ticket.certificate.layers)
    assert hidden == (1 if depth == "L+1" else len(ticket.certificate.layers))


def test_a_seed_is_one_network_and_one_mask():
    card = card_of(network("convolutions"))
    one, same, other = (wh.theory.embed(card, 0.5, seed).network.state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_images_of_another_kind_are_told():
    certificate = wh.theory.embed(card_of(network("convolutions")), 0.5).certificate
    for images, named in ((torch.rand(0, 3, SIDE, SIDE), "one image or more"), ("a", "must be a tensor")):
        with pytest.raises(wh.InputError, match=named):
            certificate.prove(images)
    with pytest.raises(wh.InputError, match=r"in \[0, 1\]"):
        certificate.prove(torch.full((1, 3, SIDE, SIDE), 2.0))


def test_any_module_may_be_a_target():
    module = network("fully connected")[1:]
    ticket = wh.theory.embed(module, 0.5, input_shape=(3 * SIDE**2,))
    images = torch.rand(20, 3 * SIDE**2)
    assert (ticket.network(images) - module(images)).abs().max() <= ticket.bound


@pytest.mark.parametrize(
    ("form", "depth"), [("int8", "2L"), ("int4", "2L"), ("int8", "L+1"), ("int4", "L+1")]
)
def test_levels_of_a_quantized_card_are_reached_exactly(form, depth):
    card = card_of(network("convolutions")).quantized(form)
    ticket = wh.theory.embed(card, 1e-9, kind="integers", depth=depth)
    images = torch.rand(20, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    proof = ticket.certificate.prove(images)
    assert ticket.bound < 1e-200
    assert all(layer.largest_error == 0 for layer in ticket.certificate.layers)
    assert proof.proved.all()
    torch.testing.assert_close(ticket.network(images), card(images), rtol=1e-5, atol=1e-5)
    # The scales of norms are rounded to single precision in the target's steps, and not in the module.
    assert farthest(ticket, card) <= 1e-6
    random = ticket.network.layers["4"].weight
    assert torch.equal(random, random.round())


@pytest.mark.parametrize(("epsilon", "depth"), [(0.5, "2L"), (4.0, "L+1")])
def test_a_file_holds_seed_and_masks(tmp_path, epsilon, depth):
    card = card_of(network("convolutions"))
    ticket = wh.theory.embed(card, epsilon, seed=4, depth=depth)
    wh.theory.save_ticket(ticket, tmp_path / "a.ticket")
    again = wh.theory.load_ticket(tmp_path / "a.ticket", card)
    state = ticket.network.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in again.network.state_dict().items())
    assert (again.bound, again.seed, again.kept) == (ticket.bound, 4, ticket.kept)
    assert again.depth == depth
    # A bit for each weight and not 32; the rest is names.
    assert (tmp_path / "a.ticket").stat().st_size < sum(one.numel() for one in state.values()) / 4
    with pytest.raises(wh.InputError, match="it is a ticket of 3 layers, not 2"):
        wh.theory.load_ticket(tmp_path / "a.ticket", card_of(network("fully connected")))
    other = network("convolutions")
    with torch.no_grad():
        other[0].weight.mul_(1.5)
    with pytest.raises(wh.InputError, match="give the target that it is the ticket of"):
        wh.theory.load_ticket(tmp_path / "a.ticket", card_of(other))


def test_pruned_weights_take_no_random_ones():
    module = network("fully connected")
    with torch.no_grad():
        module[1].weight[:, ::2] = 0
    ticket = wh.theory.embed(card_of(module), 0.5)
    assert ticket.certificate.layers[0].targets <= 8 * 54 * 3


@pytest.mark.parametrize("depth", ["2L", "L+1"])
@pytest.mark.parametrize("kind", ["float", "binary"])
@pytest.mark.parametrize("empty", [(0,), (2,), (0, 2)])
def test_layers_without_weights_are_embedded_as_others(empty, kind, depth):
    torch.manual_seed(0)
    target = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    with torch.no_grad():
        for number in empty:
            target[number].weight.zero_()
            target[number].bias.zero_()
    ticket = wh.theory.embed(target, 0.05, kind=kind, depth=depth, input_shape=(6,))
    images = torch.rand(20, 6)
    assert ticket.bound <= 0.05
    assert (ticket.network(images) - target(images)).abs().max() <= ticket.bound + 1e-6


def test_the_answer_of_a_single_class_is_proved():
    ticket = wh.theory.embed(nn.Linear(6, 1), 0.05, input_shape=(6,))
    assert ticket.certificate.prove(torch.rand(4, 6)).proved.all()


def test_a_certificate_trusts_no_mask():
    card = card_of(network("convolutions"))
    ticket = wh.theory.embed(card, 0.5)
    target = target_of(program_of(card))
    second, hidden = ticket.network.layers["2"], ticket.network.layers["7"]
    place = tuple(int(index[0]) for index in torch.where(second.kept))
    second.kept[place] = False
    assert Certificate(target, ticket.network).bound > 2 * ticket.bound
    hidden.kept[0] = True
    with pytest.raises(wh.InputError, match="keeps several weights"):
        Certificate(target, ticket.network)
    ticket = wh.theory.embed(card, 4.0, depth="L+1")
    second = ticket.network.layers["4"]
    copy, constant = (int(torch.where(second.bias_kept == kept)[0][0]) for kept in (False, True))
    place = tuple(int(index[0]) for index in torch.where(second.kept))
    second.kept[place] = False
    assert Certificate(target, ticket.network).bound > ticket.bound
    second.bias_kept[copy] = True
    with pytest.raises(wh.InputError, match="has biases of its own"):
        Certificate(target, ticket.network)
    second.kept[copy] = False
    # A copy that is a constant is none, and what read it is told to be far away.
    assert Certificate(target, ticket.network).bound > 2 * ticket.bound
    second.bias_kept[copy], second.bias_kept[constant] = False, False
    assert Certificate(target, ticket.network).bound > 2 * ticket.bound


def test_norms_are_bounded_closely():
    generator = torch.Generator().manual_seed(0)
    for shape in ((5, 40), (30, 7), (1, 1)):
        matrix = torch.randn(shape, generator=generator, dtype=torch.float64)
        exact = float(torch.linalg.matrix_norm(matrix, 2))
        assert exact <= spectral_norm(matrix) <= 1.03 * exact


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 3)

    def forward(self, x):
        x = self.head(x.mean((2, 3)))
        return x * torch.sigmoid(x)


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(nn.functional.scaled_dot_product_attention(x, x, x).mean(1))


class WithImage(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, 3)

    def forward(self, x):
        return self.head((x + torch.relu(self.body(x))).mean((2, 3)))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda card: wh.theory.embed(card, 0.0), "epsilon must be a number above 0, not 0.0"),
        (lambda card: wh.theory.embed(card, kind="ternary"), "binary, integers, not 'ternary'"),
        (lambda card: wh.theory.embed(card, depth="L+2"), "one of 2L, L\\+1, not 'L\\+2'"),
        (
            lambda card: wh.theory.embed(WithImage(), input_shape=(3, 6, 6), depth="L+1"),
            "adds or joins the image",
        ),
        (
            lambda card: wh.theory.embed(card, 1e-4, samples=6),
            r"\(6 samples for each of 144 weights, .* would do",
        ),
        (lambda card: wh.theory.embed(card, kind="integers"), "not of whole levels; quantize the card"),
        (lambda card: wh.theory.embed(card, 1e-12), "raise epsilon by the factor"),
        (lambda card: wh.theory.embed(card, 1e-7, kind="binary"), "GiB, more than half"),
        (lambda card: wh.theory.embed(card.network), "give input_shape, such as"),
        (lambda card: wh.theory.embed(card.network, input_shape="abc"), "give input_shape, such as"),
        (lambda card: wh.theory.embed(card_of(Gated())), "is a product of two values"),
        (
            lambda card: wh.theory.embed(card_of(nn.Sequential(network("fully connected"), nn.GELU()))),
            "has the activation gelu, which raises differences",
        ),
        (
            lambda card: wh.theory.embed(
                nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), input_shape=(3, 4)
            ),
            "attention",
        ),
        (lambda card: wh.theory.embed(nn.Identity(), input_shape=(3,)), "are the images themselves"),
        (
            lambda card: wh.theory.embed(nn.Sequential(nn.Linear(3, 3), nn.ELU()), input_shape=(3,)),
            "the operation elu; known are layers, norms, sums, pools and the activations relu",
        ),
        (
            lambda card: wh.theory.embed(Attending(), input_shape=(3, 4)),
            "products of values, as in attention",
        ),
        (
            lambda card: wh.theory.embed(nn.Sequential(nn.Linear(3, 3), nn.Softmax(1)), input_shape=(3,)),
            "does not know softmax",
        ),
    ],
)
def test_what_cannot_be_embedded_is_told(change, named):
    with pytest.raises(wh.InputError, match=named) as told:
        change(card_of(network("fully connected" if "144" not in named else "convolutions")))
    assert len(str(told.value).splitlines()) == 1
