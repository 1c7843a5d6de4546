"""Corrupt, train and play on the CPU and on a pretended device, and print which results are alike."""

import json
import sys

import pretended_device
import torch

MODE = pretended_device.pretend()

import winninghand as wh  # noqa: E402 (the pretence comes first)
from winninghand.decks import fit_gate  # noqa: E402
from winninghand.training import run  # noqa: E402

RECIPE = {
    "network": {"name": "conv2", "width": 4, "input_size": 32},
    "training": {
        "epochs": 2,
        "batch_size": 64,
        "learning_rate": 0.1,
        "validation": 0.1,
        "precision": "32-true",
    },
}
RECIPES = {
    "lrr": {
        "network": {"name": "resnet18", "width": 4, "stem_stride": 2},
        "compression": {"method": "lrr", "sparsity": 0.3},
        "domain": "augmix",
    },
    "gmp": {
        "compression": {"method": "gmp", "sparsity": 0.8, "scope": "layerwise"},
        "domain": "gaussian",
        "training": {**RECIPE["training"], "average": 0.9},
        "quantization": {"weights": "int8"},
    },
    "lth": {"compression": {"method": "lth", "sparsity": 0.3, "rewind_epoch": 1}, "domain": "pixmix"},
    "ep": {"compression": {"method": "ep", "sparsity": 0.5, "ramp_epochs": 1}, "domain": "trivialaugment"},
    "bp": {"compression": {"method": "bp", "sparsity": 0.5, "ramp_epochs": 1, "train_norm": True}},
}


class Fabric:
    """As much of a Fabric as the trainer uses, on the pretended device."""

    device = torch.device(pretended_device.DEVICE)

    def setup(self, *parts):
        return parts

    def backward(self, loss):
        loss.backward()


def trained(images):
    recipes = {name: wh.Recipe.model_validate({**RECIPE, **changes}) for name, changes in RECIPES.items()}
    return {name: wh.train(recipe, images) for name, recipe in recipes.items()}


def corrupted(pixels):
    return {name: wh.corrupt(pixels, name, severity=3).cpu() for name in wh.names("corruptions")}


def played(cards, images, device):
    hand = [cards["lrr"].to(device), cards["gmp"].to(device)]
    decks = {gate: wh.Deck(hand, gate) for gate in wh.names("gates")}
    decks["fitted"] = fit_gate(
        wh.Deck(hand, "weighted").with_gate("weighted", max_active=1), images.train, 30
    )
    tables = {
        name: wh.evaluate(deck, images.test, "fog,contrast", (1, 5), 0, 40) for name, deck in decks.items()
    }
    return {name: [cell.accuracy for cell in table.cells] for name, table in tables.items()}


def alike(first, second):
    weights = second.cpu().state_dict()
    return all(
        torch.allclose(weight, weights[name], rtol=1e-3) for name, weight in first.state_dict().items()
    )


def main():
    torch.set_num_threads(1)
    digits = wh.load_images("digits")
    images = wh.ImageSet.from_arrays(
        train=(digits.train.images[:300], digits.train.labels[:300]),
        test=(digits.test.images, digits.test.labels),
        classes=list(digits.classes),
    )
    pixels = torch.from_numpy(images.test.images[:8])
    pictures, cards = corrupted(pixels), trained(images)
    answers = played(cards, images, "cpu")
    run.make_fabric = lambda precision, device: Fabric()
    # What a GPU does; on other devices sums are taken in another order.
    run.channels_last_pays = lambda device: True
    with MODE:
        pictures_there, cards_there = corrupted(pixels.to(pretended_device.DEVICE)), trained(images)
        answers_there = played(cards_there, images, pretended_device.DEVICE)
    report = {
        "pictures": {name: torch.equal(pictures_there[name], one) for name, one in pictures.items()},
        "cards": {name: alike(card, cards_there[name]) for name, card in cards.items()},
        "decks": {name: answers_there[name] == one for name, one in answers.items()},
    }
    json.dump(report, sys.stdout)


main()
