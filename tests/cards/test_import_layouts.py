"""Checkpoints in other layouts than the catalog's: their names, their settings, what they leave out."""

from __future__ import annotations

import pytest
import torch

import winninghand as wh
from winninghand.cards.importing import Import, import_cards
from winninghand.cards.importing.published import CIFAR10

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def small(name, **settings):
    torch.manual_seed(0)
    return wh.network(name, **{"width": 4, **settings}).eval()


def kept(content, path):
    torch.save(content, path)
    return path


def imported(state, tmp_path, name, **how):
    (card,) = import_cards(kept(state, tmp_path / "a.pt"), Import(name, **how))
    return card


def assert_same(card, module):
    expected = module.state_dict()
    found = card.network.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], tensor) for key, tensor in expected.items())


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("wideresnet", {"depth": 16, "widen_factor": 3, "classes": 5}),
        ("dm_wideresnet", {"depth": 22, "widen_factor": 2, "classes": 5}),
        ("resnext29", {"cardinality": 2, "base_width": 3, "classes": 5}),
        ("resnet18", {"stem_stride": 4, "classes": 5}),
        ("resnet50", {"stem_stride": 1, "classes": 5}),
        ("wideresnet50_2", {"classes": 5}),
        ("preactresnet18", {"classes": 5}),
        ("cifar_resnet", {"depth": 26, "classes": 5}),
        ("cifar_vgg", {"depth": 19, "classes": 5}),
    ],
)
def test_settings_are_read_off_names_and_shapes(name, settings, tmp_path):
    module = small(name, **settings)
    card = imported(module.state_dict(), tmp_path, name)
    assert card.metadata.architecture == {"name": name, **module.architecture.settings}
    assert_same(card, module)


def test_what_is_said_counts_before_what_is_read(tmp_path):
    state = small("resnet18").state_dict()
    card = imported(state, tmp_path, "resnet18", settings={"stem_stride": 2})
    assert card.metadata.architecture["stem_stride"] == 2
    with pytest.raises(wh.InputError, match="it holds 'block1"):
        imported(small("wideresnet", depth=16).state_dict(), tmp_path, "wideresnet", settings={"depth": 10})


def test_names_of_other_resnets_become_torchvisions(tmp_path):
    module = small("resnet18")
    others = {
        name.replace("downsample", "shortcut").replace("fc.", "linear."): tensor
        for name, tensor in module.state_dict().items()
    }
    assert others.keys() != module.state_dict().keys()
    assert_same(imported(others, tmp_path, "resnet18"), module)


def test_blocks_that_no_image_passes_are_left_out(tmp_path):
    module = small("wideresnet", depth=10, widen_factor=2)
    state = module.state_dict()
    state |= {f"sub_{name}": tensor for name, tensor in state.items() if name.startswith("block1.")}
    assert_same(imported(state, tmp_path, "wideresnet"), module)


def test_the_last_of_several_is_taken(tmp_path):
    last, best = small("preactresnet18"), small("preactresnet18", classes=3)
    content = {"last": last.state_dict(), "best": best.state_dict()}
    assert_same(imported(content, tmp_path, "preactresnet18"), last)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_imagenets_weights_bring_its_normalisation_and_size(name, tmp_path):
    module = small(name, stem_stride=4, classes=1000)
    card = imported(module.state_dict(), tmp_path, name)
    assert (card.metadata.mean, card.metadata.std) == IMAGENET
    assert card.input_size == (224, 224) and card.metadata.preparation.transform == "resize256"
    for how, transform in (({"input_size": 64}, "crop"), ({"transform": "resize232"}, "resize232")):
        other = imported(module.state_dict(), tmp_path, name, **how)
        side = how.get("input_size", 224)
        assert (other.input_size, other.metadata.preparation.transform) == ((side, side), transform)
    with pytest.raises(wh.InputError, match="224×224 pixels cannot be cut out of images whose shorter side"):
        imported(module.state_dict(), tmp_path, name, transform="resize200")


def test_networks_whose_code_normalises_bring_that(tmp_path):
    state = small("dm_wideresnet", depth=10).state_dict()
    card = imported(state, tmp_path, "dm_wideresnet")
    assert card.metadata.mean == (0.4914, 0.4822, 0.4465)
    assert card.classes == CIFAR10.classes
    for name in ("cifar_resnet", "cifar_vgg"):
        card = imported(small(name).state_dict(), tmp_path, name)
        assert (card.metadata.mean, card.metadata.std) == IMAGENET
        assert card.classes == CIFAR10.classes


def openlth(tmp_path):
    """Return a network with the files that OpenLTH writes of it: weights, masks, and both as a checkpoint."""
    module = small("cifar_resnet", depth=8)
    masks = {
        name: (torch.rand_like(weight) < 0.3).int()
        for name, weight in module.named_parameters()
        if weight.ndim > 1
    }
    state = module.state_dict()
    inside = {f"model.{name}": tensor for name, tensor in state.items()}
    inside |= {"mask_" + name.replace(".", "___"): mask.float() for name, mask in masks.items()}
    content = {"ep": 160, "it": 0, "model_state_dict": inside, "logger": "", "optimizer_state_dict": {}}
    files = {"model_ep0_it0": state, "mask": masks, "checkpoint": content}
    paths = {name: kept(one, tmp_path / f"{name}.pth") for name, one in files.items()}
    with torch.no_grad():
        for name, mask in masks.items():
            module.get_parameter(name).mul_(mask)
    return module, paths


def test_openlths_weights_and_masks_make_a_card_from_either_file(tmp_path):
    module, paths = openlth(tmp_path)
    (card,) = import_cards(paths["checkpoint"], Import("cifar_resnet"))
    assert_same(card, module)
    (card,) = import_cards(paths["model_ep0_it0"], Import("cifar_resnet", mask=paths["mask"]))
    assert_same(card, module)


def test_masks_that_do_not_go_with_the_weights_are_refused(tmp_path):
    _, paths = openlth(tmp_path)
    weights = paths["model_ep0_it0"]
    for content, reason in (
        ({"fc.weight": torch.ones(3, 3)}, "its mask or scores"),
        ({"fc.weight": torch.full((10, 16), 2)}, "other values than 0 and 1"),
        ({"blocks.9.conv1.weight": torch.ones(4, 4, 3, 3)}, "give its own masks"),
        ({f"models.{number}.fc.weight": torch.ones(10, 16) for number in (0, 1)}, "masks of 2 networks"),
    ):
        with pytest.raises(wh.InputError, match=reason) as refusal:
            import_cards(weights, Import("cifar_resnet", mask=kept(content, tmp_path / "mask2.pth")))
        assert "\n" not in str(refusal.value)
    with pytest.raises(wh.InputError, match="no such file"):
        import_cards(weights, Import("cifar_resnet", mask=tmp_path / "absent.pth"))


@pytest.mark.parametrize("name", ["wideresnet", "dm_wideresnet", "resnext29", "resnet50", "cifar_vgg"])
def test_shapes_of_strangers_that_say_nothing_are_refused_in_one_line(name, tmp_path):
    keys = {
        "wideresnet": ("conv1.weight", "block1.layer.0.conv1.weight"),
        "dm_wideresnet": ("init_conv.weight", "layer.0.block.0.conv_0.weight"),
        "resnext29": ("conv_1_3x3.weight", "stage_1.0.conv_conv.weight"),
        "resnet50": ("conv1.weight", "fc.weight"),
        "cifar_vgg": ("layers.0.conv.weight", "layers.5.conv.weight"),
    }[name]
    for shapes in (((0, 3, 3, 3), (4, 0, 3, 3)), ((3, 3), (4,)), ((3, 3, 5, 5), (7, 2, 3, 3))):
        state = {key: torch.zeros(shape) for key, shape in zip(keys, shapes, strict=True)}
        with pytest.raises(wh.InputError) as refusal:
            imported(state, tmp_path, name)
        assert "\n" not in str(refusal.value)
