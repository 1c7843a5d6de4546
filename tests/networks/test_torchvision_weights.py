"""Where torchvision can be imported: weights of its ResNets, drawn at random, load and give its logits."""

from __future__ import annotations

import pytest
import torch

from winninghand.cards.importing import Import, import_cards

models = pytest.importorskip(
    "torchvision.models", reason="torchvision cannot be imported", exc_type=ImportError
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("resnet18", "resnet18"),
        ("resnet34", "resnet34"),
        ("resnet50", "resnet50"),
        ("wide_resnet50_2", "wideresnet50_2"),
    ],
)
@torch.no_grad()
def test_logits_are_torchvisions(theirs, ours, tmp_path):
    torch.manual_seed(0)
    module = getattr(models, theirs)(weights=None)
    images = torch.rand(2, 3, 224, 224)
    module.train()(images)  # running statistics that are not those of a fresh network
    torch.save(module.eval().state_dict(), tmp_path / "theirs.pth")
    (card,) = import_cards(tmp_path / "theirs.pth", Import(ours))
    mean, std = (torch.tensor(three).view(3, 1, 1) for three in (card.metadata.mean, card.metadata.std))
    expected = module((images - mean) / std)
    torch.testing.assert_close(card(images), expected, rtol=1e-4, atol=1e-4 * float(expected.std()))
    assert card.input_size == (224, 224)
    assert card.metadata.std == (0.229, 0.224, 0.225)
