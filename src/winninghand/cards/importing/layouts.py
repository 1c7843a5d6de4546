"""How published checkpoints differ from the catalog's networks, and what their shapes say of settings.

Facts of RobustBench 1.1.1's classes, of torchvision's, and of OpenLTH's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from torch import Tensor

from winninghand.cards.importing.checkpoint import StateDict
from winninghand.networks.catalog import Setting

_FOUR_STAGES = ("resnet18", "resnet34", "resnet50", "wideresnet50_2", "card_lrr")
_UNUSED = "sub_block1."


def in_our_names(architecture: str, weights: StateDict) -> StateDict:
    """Return the weights of a published checkpoint under the catalog's names, without what never computes.

    ResNets may call their shortcuts `shortcut`, as torchvision's are called `downsample`, and their head
    `linear`. Wide ResNets may hold a `sub_block1` that no image passes: it is left out.
    """
    if architecture in _FOUR_STAGES and "fc.weight" not in weights:
        return {_as_torchvision(name): tensor for name, tensor in weights.items()}
    if architecture == "wideresnet":
        return {name: tensor for name, tensor in weights.items() if not name.startswith(_UNUSED)}
    return weights


def _as_torchvision(name: str) -> str:
    head = re.sub(r"^linear\.", "fc.", name)
    return re.sub(r"^(layer[1-4]\.[0-9]+)\.shortcut\.", r"\1.downsample.", head)


def settings_in(architecture: str, weights: StateDict) -> dict[str, Setting]:
    """Return what the names and shapes of weights say of a network's settings, beyond width and classes.

    What they do not say is absent. A 3×3 stem may have either stride: it is taken for 1.
    """
    read = _READERS.get(architecture)
    return {} if read is None else read(weights)


def _stem(weights: StateDict) -> dict[str, Setting]:
    shape = _shape(weights, "conv1.weight")
    if not shape or shape[2:] not in ((3, 3), (7, 7)):
        return {}
    return {"stem_stride": 4 if shape[2] == 7 else 1}


def _wide(stem: str, block: str, first: str) -> Callable[[StateDict], dict[str, Setting]]:
    """Return what reads depth, 6n + 4, and widening off the weights of a wide ResNet's first stage."""

    def read(weights: StateDict) -> dict[str, Setting]:
        narrow, wide = _shape(weights, stem), _shape(weights, f"{block}.0.{first}")
        blocks = _blocks(weights, block)
        if not (blocks and narrow and wide) or narrow[0] == 0 or wide[0] % narrow[0]:
            return {}
        return {"depth": 6 * blocks + 4, "widen_factor": wide[0] // narrow[0]}

    return read


def _groups(weights: StateDict) -> dict[str, Setting]:
    shape = _shape(weights, "stage_1.0.conv_conv.weight")
    if not shape or shape[1] == 0 or shape[0] % shape[1]:
        return {}
    return {"cardinality": shape[0] // shape[1], "base_width": shape[1]}


def _openlth_resnet(weights: StateDict) -> dict[str, Setting]:
    blocks, remainder = divmod(_blocks(weights, "blocks"), 3)
    return {"depth": 6 * blocks + 2} if blocks and not remainder else {}


def _openlth_vgg(weights: StateDict) -> dict[str, Setting]:
    convolutions = sum(re.fullmatch(r"layers\.[0-9]+\.conv\.weight", name) is not None for name in weights)
    return {"depth": convolutions + 3} if convolutions + 3 in (11, 13, 16, 19) else {}


def _blocks(weights: Mapping[str, Tensor], prefix: str) -> int:
    """Return how many different numbers follow `prefix`."""
    pattern = re.compile(re.escape(prefix) + r"\.([0-9]{1,4})\.")
    return len({found[1] for name in weights if (found := pattern.match(name))})


def _shape(weights: StateDict, name: str) -> tuple[int, ...]:
    """Return the shape of a convolution's weight; nothing where it is absent or no such weight."""
    tensor = weights.get(name)
    return tuple(tensor.shape) if tensor is not None and tensor.ndim == 4 else ()


_READERS: dict[str, Callable[[StateDict], dict[str, Setting]]] = {
    **dict.fromkeys(("resnet18", "resnet34", "resnet50", "wideresnet50_2"), _stem),
    "resnext29": _groups,
    "wideresnet": _wide("conv1.weight", "block1.layer", "conv1.weight"),
    "dm_wideresnet": _wide("init_conv.weight", "layer.0.block", "conv_0.weight"),
    "cifar_resnet": _openlth_resnet,
    "cifar_vgg": _openlth_vgg,
}
