"""Compiled cards and decks are played as what they were made of, and say what runs them."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

import winninghand as wh
from tests.engine.drawn import drawn_card
from winninghand.decks import share_body, with_bn_adaptation
from winninghand.engine import running
from winninghand.engine.vectors import DOTS_OF_BYTES
from winninghand.spectra import SpectralProfile

CLASSES = list("abcd")


def patches(count, seed=0):
    """Images of a few large patches."""
    grid = torch.rand(count, 3, 2, 2, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(grid, size=(16, 16), mode="bilinear")


def noise(count, seed=0):
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def made_card(seed, images, network=None):
    torch.manual_seed(seed)
    module = wh.network("resnet18", classes=4, width=8) if network is None else copy.deepcopy(network)
    module.train()(noise(16, seed))
    with torch.no_grad():
        for weight in module.parameters():
            if weight.ndim > 1 and network is None:
                weight.mul_(torch.rand(weight.shape) < 0.1).add_(0.0)
            elif weight.ndim == 1:
                weight.add_(torch.rand_like(weight))
    profile = SpectralProfile.of(images)
    return wh.Card.from_module(module.eval(), CLASSES, (16, 16), (0.5, 0.4, 0.3), (0.2, 0.3, 0.2), profile)


def one_body(count=2):
    first = made_card(0, patches(32))
    body = {key: value for key, value in first.network.state_dict().items() if value.ndim > 1}
    cards = [first]
    for seed in range(1, count):
        card = made_card(seed, noise(32), first.network)
        card.network.load_state_dict({**card.network.state_dict(), **body, "fc.bias": first.network.fc.bias})
        cards.append(card)
    return share_body(cards)


def some_deck(gate, shared):
    cards = one_body() if shared else [made_card(0, patches(32)), made_card(1, noise(32))]
    return wh.Deck(cards, gate, temperatures=(0.7, 1.3))


def agree(compiled, model, images):
    with torch.no_grad():
        expected, found = model.answer(images), compiled.answer(images)
    torch.testing.assert_close(found.outputs, expected.outputs, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.weights, expected.weights)


@pytest.mark.parametrize("seed", range(40, 56))
def test_a_compiled_card_gives_its_logits_for_any_batch(seed):
    card = drawn_card(seed)
    compiled = wh.compile(card, threads=1 + seed % 2)
    assert (compiled.runtime, compiled.reason) == ("sparse", None)
    for count in (1, 2, 17, 33):
        agree(compiled, card, torch.rand(count, 3, *card.input_size))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("gate", ["average", "weighted", "spectral", "stream", "features"])
def test_a_compiled_deck_chooses_and_mixes_as_the_deck_does(gate, shared):
    deck = some_deck(gate, shared)
    compiled = wh.compile(deck)
    assert (compiled.runtime, compiled.kind, compiled.gate) == ("sparse", "deck", gate)
    assert len(compiled._runners) == (1 if shared else 2)
    images = torch.cat([patches(5, 1), noise(6, 2)])
    agree(compiled, deck, images[torch.randperm(11)])
    agree(compiled, deck, noise(1))


def test_each_body_of_a_deck_is_packed_once():
    one, other = one_body()
    deck = wh.Deck([made_card(5, patches(32)), one, made_card(6, noise(32)), other], "weighted", max_active=2)
    compiled = wh.compile(deck)
    assert [numbers for _, numbers in compiled._runners] == [(0,), (1, 3), (2,)]
    images = torch.cat([patches(5, 1), noise(6, 2)])
    agree(compiled, deck, images[torch.randperm(11)])


def test_evaluate_and_predict_take_it(tiny_images):
    deck = some_deck("weighted", True)
    compiled = wh.compile(deck)
    unnamed = replace(tiny_images.test, classes=None)
    found, expected = (
        wh.evaluate(one, unnamed, corruptions="contrast", severities=[3]) for one in (compiled, deck)
    )
    assert found.clean_accuracy == expected.clean_accuracy
    assert [cell.accuracy for cell in found.cells] == [cell.accuracy for cell in expected.cells]
    assert [one.label for one in compiled.predict(noise(3))] == [one.label for one in deck.predict(noise(3))]


def test_it_keeps_what_the_model_was(tmp_path):
    card = made_card(0, patches(4))
    compiled, images = wh.compile(card), noise(2)
    before = compiled(images)
    with torch.no_grad():
        for weight in card.parameters():
            weight.zero_()
    assert torch.equal(compiled(images), before)
    card.save(tmp_path / "a.card")
    assert torch.equal(wh.compile(tmp_path / "a.card")(images), torch.zeros(2, 4))


def test_what_goes_on_around_it_does_not_matter():
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Dropout(), nn.Flatten(), nn.Linear(1568, 4)
    )
    card = wh.Card.from_module(network, CLASSES, (16, 16))
    images = noise(3)
    with torch.no_grad():
        expected = card(images)
    network.train()
    statistics = network[1].running_mean.clone()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        compiled = wh.compile(card)
        found = compiled(images)
    assert compiled.runtime == "sparse"
    torch.testing.assert_close(found.clone(), expected, atol=1e-4, rtol=1e-4)
    assert network[2].training
    assert torch.equal(network[1].running_mean, statistics)


class Odd(nn.Module):
    """A network that no program says, in a way that ONNX can say, or cannot."""

    def __init__(self, traceable):
        super().__init__()
        self.conv, self.traceable = nn.Conv2d(3, 4, 3), traceable

    def forward(self, x):
        if not self.traceable and float(x[0, 0, 0, 0]) > 1e9:
            return self.conv(x).mean((2, 3)) + 1
        return self.conv(x).flatten(2).softmax(2).amax(2)


def test_what_the_engine_cannot_run_is_run_by_the_next_best(caplog):
    pytest.importorskip("onnxruntime")
    card = wh.Card.from_module(Odd(True), CLASSES, (16, 16))
    said = []
    for traceable, runtime in ((True, "onnxruntime"), (False, "torch")):
        card = wh.Card.from_module(Odd(traceable), CLASSES, (16, 16))
        compiled = wh.compile(card)
        assert compiled.runtime == runtime
        agree(compiled, card, noise(3))
        said += [one.message for one in caplog.records if one.name.startswith("winninghand")]
        caplog.clear()
    said = [one.partition(", not by the engine: ")[::2] for one in said]
    unknown = "the engine does not know the operation "
    named = "the engine does not know softmax, the operation _softmax"
    assert said[0] == ("this card is run by ONNX Runtime", named)
    assert said[1][0] == "this card is run by PyTorch"
    assert said[1][1].startswith(f"{unknown}_local_scalar_dense; nor by ONNX Runtime: its network cannot be")
    assert len(said) == 2
    assert "\n" not in said[1][1]


def test_what_overflows_and_where_the_engine_fails_is_left_to_others(caplog, monkeypatch):
    pytest.importorskip("onnxruntime")
    network = nn.Sequential(nn.Conv2d(3, 4, 16), nn.Flatten())
    with torch.no_grad():
        network[0].weight.fill_(1e38)
    card = wh.Card.from_module(network, CLASSES, (16, 16))
    compiled = wh.compile(card)
    assert (compiled.runtime, compiled.reason) == ("torch", "its logits are NaN or infinite")
    assert torch.equal(compiled(noise(1)), card(noise(1)))
    monkeypatch.setattr(running, "Weights", refusing)
    compiled = wh.compile(made_card(0, patches(4)))
    assert compiled.runtime == "onnxruntime"
    assert compiled.reason == "the engine failed (NotImplementedError: no such instruction)"
    assert [one.message.count("\n") for one in caplog.records if one.name.startswith("winninghand")] == [0, 0]


def refusing(program):
    raise NotImplementedError("no such instruction\nand more")


def test_no_more_threads_than_cores(caplog, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    compiled = wh.compile(made_card(0, patches(4)), threads=1000)
    assert compiled._runners[0][0].threads == 2
    assert caplog.messages == ["2 threads instead of 1,000: this machine has no more cores"]


def test_float_weights_are_held_once_without_their_zeros():
    card = made_card(0, patches(4))
    program = wh.compile(card, threads=1)._runners[0][0].program
    assert all(step.weight.is_meta for step in program.convolutions)
    assert sum(step.weight.numel() for step in program.convolutions) > 10_000


class Deciding(nn.Module):
    """Does something else with dark images."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 16)

    def forward(self, x):
        logits = self.layer(x).flatten(1)
        return logits if x.mean() > -9 else -logits


def test_a_network_that_decides_by_its_values_is_told_of_in_one_line(caplog, capfd):
    pytest.importorskip("onnxruntime")
    card = wh.Card.from_module(Deciding(), CLASSES, (16, 16))
    compiled = wh.compile(card)
    assert (compiled.runtime, compiled.reason) == ("torch", "it takes a mean over all images")
    assert [one.message.count("\n") for one in caplog.records if one.name.startswith("winninghand")] == [0]
    assert "".join(capfd.readouterr()).count("\n") <= 1


def test_norms_that_adapt_to_each_batch_are_left_to_others():
    card = with_bn_adaptation(made_card(0, patches(4)), 4.0)
    compiled = wh.compile(card)
    assert compiled.reason == "its batch norms adapt to each batch"
    assert compiled.adaptation_prior == 4.0
    agree(compiled, card, noise(5))


def test_bad_input(tmp_path):
    card = made_card(0, patches(4))
    compiled = wh.compile(card)
    for images, line in (
        (noise(2)[:, :, :8], r"shape \(N, 3, 16, 16\)"),
        (torch.full((1, 3, 16, 16), torch.nan), "NaN"),
        ((noise(2) * 255).to(torch.uint8), "float"),
    ):
        with pytest.raises(wh.InputError, match=line):
            compiled(images)
    with pytest.raises(wh.InputError, match="CPU"):
        compiled(torch.empty(2, 3, 16, 16, device="meta"))
    with pytest.raises(wh.InputError, match="dense tensor"):
        compiled(noise(2).to_sparse())
    agree(compiled, card, torch._neg_view(-noise(2)))
    with pytest.raises(wh.InputError, match="compiled card runs on the CPU"):
        compiled.double()
    with pytest.raises(wh.InputError, match="belongs to this machine"):
        compiled.save(tmp_path / "a.card")
    with pytest.raises(wh.InputError, match="is not pickled"):
        copy.deepcopy(compiled)
    for model, threads, line in (
        (compiled, None, "compiled already"),
        (card.network, None, "a card or a deck is compiled"),
        (card, 0, "threads must be a whole number"),
        (card, 10**9, "threads must be a whole number from 1 to 1024"),
        (tmp_path / "none.card", None, "none.card"),
    ):
        with pytest.raises(wh.InputError, match=line):
            wh.compile(model, threads=threads)
    with torch.no_grad():
        card.network.conv1.weight[0] = torch.nan
    with pytest.raises(wh.InputError, match=r"'conv1.weight' holds values that are NaN"):
        wh.compile(card)


@pytest.mark.parametrize(
    "model", [made_card(0, patches(32)), some_deck("average", True)], ids=["card", "deck"]
)
def test_convolutions_of_bytes_answer_nearly_alike(model):
    """Activations have 256 levels, so logits move by a little; the norms of each card stay its own."""
    images = torch.cat([patches(20), noise(20)])
    fast = wh.compile(model, threads=1, calibration=images)
    assert fast.runtime == "sparse"
    assert fast.precision == ("int8" if DOTS_OF_BYTES else "float32")
    with torch.no_grad():
        expected = model(images)
    assert (fast(images) - expected).norm() < 0.05 * expected.norm()
    with pytest.raises(wh.InputError, match="divide bytes by 255"):
        wh.compile(model, calibration=torch.zeros(1, 3, 16, 16, dtype=torch.uint8))


def test_binary_cards_need_no_products_of_bytes(monkeypatch, caplog):
    for module in ("quantizing", "packing", "regions", "vectors"):
        monkeypatch.setattr(f"winninghand.engine.{module}.DOTS_OF_BYTES", False)
    images, card = patches(20), made_card(0, patches(32))
    assert wh.compile(card, threads=1, calibration=images).precision == "float32"
    assert [record.getMessage() for record in caplog.records] == [
        "this processor has no instruction for sums of bytes: float32 is used"
    ]
    card = card.quantized("binary")
    fast = wh.compile(card, threads=1, calibration=images)
    assert fast.precision == "int8"
    with torch.no_grad():
        expected = card(images)
    assert (fast(images) - expected).norm() < 0.05 * expected.norm()
