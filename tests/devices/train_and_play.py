"""Corrupt, augment, train or play on the CPU and on a pretended device; print what is alike."""

import copy
import json
import sys
from importlib import import_module

import pretended_device
import torch

MODE = pretended_device.pretend()

import winninghand as wh  # noqa: E402 (the pretence comes first)
from winninghand.augmentation import make_domain  # noqa: E402
from winninghand.decks import fit_gate  # noqa: E402
from winninghand.networks import takes_channels_last  # noqa: E402
from winninghand.training import run  # noqa: E402

TRAINING = {
    "epochs": 2,
    "batch_size": 32,
    "learning_rate": 0.1,
    "validation": 0.1,
    "precision": "32-true",
}
RECIPE = {"network": {"name": "conv2", "width": 4, "input_size": 32}, "training": TRAINING}
# Small steps of few rounds: the pretence makes every operation slow.
RECIPES = {
    "lrr": {
        "network": {"name": "resnet18", "width": 2, "stem_stride": 2},
        "compression": {"method": "lrr", "sparsity": 0.2},
        "domain": "augmix",
        "training": {**TRAINING, "epochs": 1, "batch_size": 64},
    },
    "gmp": {
        "compression": {"method": "gmp", "sparsity": 0.8, "scope": "layerwise"},
        "domain": "gaussian",
        "training": {**TRAINING, "average": 0.9},
        "quantization": {"weights": "int8"},
    },
    "lth": {"compression": {"method": "lth", "sparsity": 0.2, "rewind_epoch": 1}},
    "ep": {"compression": {"method": "ep", "sparsity": 0.5, "ramp_epochs": 1}},
    "bp": {"compression": {"method": "bp", "sparsity": 0.5, "ramp_epochs": 1, "train_norm": True}},
    "set": {"compression": {"method": "set", "sparsity": 0.8, "regrow_every": 2}},
    "rigl": {"compression": {"method": "rigl", "sparsity": 0.8, "regrow_every": 4, "scope": "global"}},
    "snip": {"compression": {"method": "snip", "sparsity": 0.8}},
    "grasp": {"compression": {"method": "grasp", "sparsity": 0.8, "examples_per_class": 4}},
    "synflow": {"compression": {"method": "synflow", "sparsity": 0.9, "iterations": 10}},
}
HERE, THERE = "cpu", pretended_device.DEVICE


class Fabric:
    """As much of a Fabric as the trainer uses, on the pretended device."""

    device = torch.device(THERE)

    def setup(self, *parts):
        return parts

    def backward(self, loss):
        loss.backward()


def trained(images, name, device):
    return wh.train({**RECIPE, **RECIPES[name]}, images, device=device)


def pictures(images):
    """Say of each corruption whether it gives the same pixels there."""
    pixels = torch.from_numpy(images.test.images[:8])
    here = {name: wh.corrupt(pixels, name, severity=3) for name in wh.names("corruptions")}
    with MODE:
        there = {name: wh.corrupt(pixels.to(THERE), name, severity=3).cpu() for name in here}
    return {name: torch.equal(there[name], one) for name, one in here.items()}


def domains(images):
    """Say of each domain whether its views are alike there."""
    pixels = torch.from_numpy(images.test.images[:8])

    def views(name, device):
        return make_domain(name).views(pixels.to(device), torch.Generator(device).manual_seed(0)).cpu()

    here = {name: views(name, HERE) for name in wh.names("domains")}
    with MODE:
        there = {name: views(name, THERE) for name in here}
    # A few values may be apart: PRIME's colour curves magnify the last digit.
    return {name: float((there[name] - one).abs().mean()) < 1e-4 for name, one in here.items()}


def cards(images):
    """Say of each method whether it gives the same weights there."""
    here = {name: trained(images, name, HERE) for name in RECIPES}
    run.make_fabric = lambda precision, device: Fabric()
    # The layouts of the CPU; in others sums are taken in another order.
    run.takes_channels_last = lambda network, device: takes_channels_last(network, torch.device(HERE))
    import_module("winninghand.networks.entering").takes_channels_last = run.takes_channels_last
    with MODE:
        there = {name: trained(images, name, THERE) for name in RECIPES}
    return {name: alike(card, there[name], name in ("ep", "bp")) for name, card in here.items()}


def alike(first, second, by_score):
    """Say whether two cards have the same weights; of scores that lie close, others may be kept there."""
    pairs = zip(first.network.state_dict().values(), second.cpu().network.state_dict().values(), strict=True)
    pairs = [(one.float(), other.float()) for one, other in pairs]
    if by_score:
        return all((one - other).abs().mean() <= 0.1 * one.abs().mean() for one, other in pairs)
    return all(torch.allclose(one, other, rtol=1e-3) for one, other in pairs)


def decks(images):
    """Say of each gate whether a deck under it answers the same there."""
    hand = [trained(images, name, HERE) for name in ("gmp", "bp")]
    here = played(copy.deepcopy(hand), images, HERE)
    with MODE:
        there = played(hand, images, THERE)
    return {name: there[name] == accuracies for name, accuracies in here.items()}


def played(hand, images, device):
    hand = [card.to(device) for card in hand]
    decks = {gate: wh.Deck(hand, gate) for gate in wh.names("gates")}
    decks["fitted"] = fit_gate(
        wh.Deck(hand, "weighted").with_gate("weighted", max_active=1), images.train, 30
    )
    return {
        name: [
            cell.accuracy
            for cell in wh.evaluate(deck, images.test, "fog,contrast", (1, 5), limit=40, device=device).cells
        ]
        for name, deck in decks.items()
    }


def main(part):
    torch.set_num_threads(1)
    digits = wh.load_images("digits")
    images = wh.ImageSet.from_arrays(
        train=(digits.train.images[:160], digits.train.labels[:160]),
        test=(digits.test.images, digits.test.labels),
        classes=list(digits.classes),
    )
    parts = {"pictures": pictures, "domains": domains, "cards": cards, "decks": decks}
    json.dump(parts[part](images), sys.stdout)


main(sys.argv[1])
