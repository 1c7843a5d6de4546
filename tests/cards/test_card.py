import pytest
import torch
from torch import nn

import winninghand as wh


@pytest.fixture
def card():
    torch.manual_seed(0)
    module = wh.network("resnet18", width=2, classes=3)
    with torch.no_grad():
        module.layer1[0].conv1.weight[0] = 0
    return wh.Card.from_module(module, ["a", "b", "c"], (16, 16), mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.3))


def test_a_card_normalises_and_is_in_evaluation_mode(card):
    images = torch.rand(2, 3, 16, 16)
    mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.2, 0.3])
    expected = card.network.eval()((images - mean.view(3, 1, 1)) / std.view(3, 1, 1))
    assert torch.allclose(card(images), expected)
    assert not card.training


def test_a_card_comes_back_from_its_file_bit_by_bit(card, tmp_path):
    card.save(tmp_path / "a.card")
    loaded = wh.load(tmp_path / "a.card")
    assert loaded.metadata == card.metadata
    assert loaded.state_dict().keys() == card.state_dict().keys()
    for name, tensor in card.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    loaded.save(tmp_path / "b.card")
    assert (tmp_path / "a.card").read_bytes() == (tmp_path / "b.card").read_bytes()


def test_inspection_counts_zeros_as_pruned(card):
    counts = card.inspect()
    layers = {layer.name: layer for layer in counts.layers}
    assert layers["layer1.0.conv1.weight"].sparsity == pytest.approx(0.5)
    assert counts.parameters == sum(parameter.numel() for parameter in card.network.parameters())
    assert "bn1.weight" not in layers
    assert "fc.weight" in layers


@pytest.mark.parametrize(
    "images",
    [
        torch.rand(1, 3, 32, 32),
        torch.rand(3, 16, 16),
        torch.rand(0, 3, 16, 16),
        torch.zeros(1, 3, 16, 16, dtype=torch.uint8),
    ],
)
def test_images_of_the_wrong_kind_are_refused(card, images):
    with pytest.raises(wh.InputError, match="images must"):
        card(images)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"std": (1.0, 0.0, 1.0)}, "std"),
        ({"classes": ["a", "b", "c"]}, "one per class"),
        ({"input_size": (0, 8)}, "input_size"),
    ],
)
def test_a_card_that_cannot_be_is_refused(wrong, message):
    right = {"classes": list("abcdefghij"), "input_size": (32, 32)}
    with pytest.raises(wh.InputError, match=message):
        wh.Card.from_module(wh.network("resnet18", width=1), **{**right, **wrong})


def test_a_network_that_does_not_fit_is_refused(card, tmp_path):
    card.save(tmp_path / "a.card")
    with pytest.raises(wh.InputError, match="does not fit"):
        wh.load(tmp_path / "a.card", network=nn.Linear(2, 3))


def test_damaged_and_foreign_files_are_refused_in_one_line(card, tmp_path):
    card.save(tmp_path / "a.card")
    content = (tmp_path / "a.card").read_bytes()
    for name, bad in (("cut", content[:-9]), ("empty", b""), ("text", b"not a card" * 20)):
        path = tmp_path / f"{name}.card"
        path.write_bytes(bad)
        with pytest.raises(wh.InputError) as error:
            wh.load(path)
        assert "\n" not in str(error.value)


def two_outputs(classes=("a", "b")):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    return wh.Card.from_module(network, classes, (8, 8))


@pytest.mark.parametrize(
    ("classes", "named"),
    [
        (("a", "a"), "'a' is given more than once"),
        (("a", "a\ufe0f"), "more than once"),
        (("a", "x\x1b[2J"), "must be readable text"),
        (("a", "\u2800"), "must be readable text"),
        (("a",), "2 to 65536 classes, not 1"),
        ("ab", "a list of names"),
    ],
)
def test_classes_are_checked_wherever_they_come_from(classes, named):
    with pytest.raises(wh.InputError, match=named):
        two_outputs().with_metadata(classes=classes)
    with pytest.raises(wh.InputError, match=named):
        two_outputs(classes)


def test_outputs_that_are_not_as_many_as_the_classes_are_neither_played_nor_saved(tmp_path):
    named, head = two_outputs().with_metadata(classes=("a", "b", "c")), two_outputs()
    head.network[3] = nn.Linear(4, 3)
    for card in (named, head, wh.Deck([two_outputs(), head], "average")):
        with pytest.raises(wh.InputError, match=r"outputs for [23] classes"):
            card.predict(torch.rand(3, 8, 8))
        with pytest.raises(wh.InputError, match="one per class"):
            card.save(tmp_path / "a.card")
        assert list(tmp_path.iterdir()) == []


def test_a_file_holds_the_normalisation_that_is_played(tmp_path):
    card, images = two_outputs(), torch.rand(2, 3, 8, 8)
    card = card.with_metadata(accuracies={"test": 0.5})
    card.normalisation.mean.fill_(0.5)
    card.normalisation.std[1] = 0.25
    card.save(tmp_path / "a.card")
    loaded = wh.load(tmp_path / "a.card", network=two_outputs().network)
    assert (loaded.metadata.mean, loaded.metadata.std) == ((0.5, 0.5, 0.5), (1.0, 0.25, 1.0))
    assert loaded.metadata.accuracies == {}
    assert torch.equal(loaded(images), card(images))
    card.normalisation.mean.fill_(float("nan"))
    with pytest.raises(wh.InputError, match=r"card: mean\.0"):
        card.save(tmp_path / "b.card")
