"""Networks of timm: `timm:NAME`, or `timm:NAME.TAG` for other pretrained weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from winninghand.networks.libraries import Found, Preprocessing, imported, preprocessing, refuse

CLASSES = "num_classes"
# What reads files, changes timm as a whole, or makes something else than a classifier.
_REFUSED = frozenset(
    {
        "cache_dir",
        "checkpoint_path",
        "exportable",
        "features_only",
        "no_jit",
        "out_indices",
        "pretrained_cfg",
        "pretrained_cfg_overlay",
        "pretrained_strict",
        "scriptable",
        CLASSES,
    }
)


def names() -> Sequence[str]:
    """Return the names of all networks, without those of pretrained weights."""
    found: list[str] = imported("timm", "timm").list_models()
    return found


def is_known(name: str) -> bool:
    """Tell whether there is a network of this name; one in a hub or a folder is none."""
    plain = name.replace("_", "").replace(".", "").replace("-", "").isalnum()
    return plain and bool(imported("timm", f"timm:{name}").is_model(name))


def complete(name: str, settings: Mapping[str, Any], pretrained: bool) -> dict[str, Any]:
    """Return the settings with the number of classes of the pretrained weights where it is not given."""
    refuse(f"timm:{name}", settings, _REFUSED)
    classes = getattr(_configuration(name), CLASSES, None) or 1000
    return {"classes": classes, **settings}


def size_setting(name: str, pretrained: bool) -> str | None:
    """Return the setting that says which size a network takes; None for one that takes any."""
    return "img_size" if getattr(_configuration(name), "fixed_input_size", False) else None


def build(name: str, settings: Mapping[str, Any], pretrained: bool) -> nn.Module:
    """Return the network; its head is new where the weights are of another number of classes."""
    rest = {key: value for key, value in settings.items() if key != "classes"}
    create = imported("timm", f"timm:{name}").create_model
    module: nn.Module = create(name, pretrained=pretrained, num_classes=settings["classes"], **rest)
    return module


def expected(name: str, module: nn.Module, settings: Mapping[str, Any], fetch: bool) -> Preprocessing | None:
    """Return how a network expects its images."""
    known: Mapping[str, Any] = getattr(module, "pretrained_cfg", {})
    size = settings.get("img_size", known.get("input_size", (3, 224, 224))[1:])
    return preprocessing(known.get("mean"), known.get("std"), size)


def recognised(module: nn.Module) -> Found | None:
    """Return what makes a network as this one would be, if it was made by timm with nothing but defaults."""
    known = getattr(module, "pretrained_cfg", None)
    name = known.get("architecture") if isinstance(known, Mapping) else None
    classes = getattr(module, CLASSES, None)
    return Found(name, {"classes": classes}) if isinstance(name, str) and isinstance(classes, int) else None


def _configuration(name: str) -> Any:  # noqa: ANN401 (timm's)
    return imported("timm.models", f"timm:{name}").get_pretrained_cfg(name)
