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
