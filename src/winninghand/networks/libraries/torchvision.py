"""Networks of torchvision: `torchvision:NAME`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from winninghand.base.errors import InputError
from winninghand.networks.libraries import Found, Preprocessing, imported, preprocessing, refuse

_REFUSED = frozenset({"weights", "weights_backbone", "progress", "num_classes"})
# Their second heads are of use in training on a million images, and their own draw of weights takes minutes.
_PLAIN_HEAD = {"aux_logits": False, "init_weights": False}
_SETTINGS: dict[str, dict[str, Any]] = {
    "googlenet": {**_PLAIN_HEAD, "transform_input": False},
    "inception_v3": {**_PLAIN_HEAD, "transform_input": False},
}
_AUXILIARY = ("aux", "AuxLogits")


def names() -> Sequence[str]:
    """Return the names of all classifiers."""
    models = _models("torchvision")
    found: list[str] = models.list_models(module=models)
    return found


def is_known(name: str) -> bool:
    """Tell whether there is a classifier of this name."""
    models = _models(name)
    return name in models.list_models(module=models)


def complete(name: str, settings: Mapping[str, Any], pretrained: bool) -> dict[str, Any]:
    """Return the settings with the number of classes of the pretrained weights where it is not given."""
    refuse(f"torchvision:{name}", settings, _REFUSED)
    own = dict(_SETTINGS.get(name, {}))
    if pretrained and "transform_input" in own:
        own["transform_input"] = (
            True  # their weights are of another normalisation, which they make themselves
        )
    weights = _weights(name)
    classes = 1000 if weights is None else len(weights.meta.get("categories", range(1000)))
    return {"classes": classes, **own, **settings}


def size_setting(name: str, pretrained: bool) -> str | None:
    """Return the setting that says which size a network takes; None for one that takes any."""
    return "image_size" if name.startswith("vit_") else None


def build(name: str, settings: Mapping[str, Any], pretrained: bool) -> nn.Module:
    """Return the network; its head is new where the weights are of another number of classes."""
    rest = {key: value for key, value in settings.items() if key != "classes"}
    models = _models(name)
    module: nn.Module = models.get_model(name, weights=None, num_classes=settings["classes"], **rest)
    if pretrained:
        weights = _weights(name)
        if weights is None:
            raise InputError(f"torchvision has no weights of {name!r}; set pretrained = false")
        # Weights are tensors: nothing in the file is executed.
        _fill(module, weights.get_state_dict(progress=False, check_hash=True, weights_only=True), name)
    return module


def expected(name: str, module: nn.Module, settings: Mapping[str, Any], fetch: bool) -> Preprocessing | None:
    """Return how a network expects its images: as its pretrained weights do, or ImageNet's as all do."""
    weights = _weights(name)
    if weights is None:
        return preprocessing((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), settings.get("image_size", 224))
    asked = weights.transforms()
    size = settings.get("image_size", asked.crop_size[0])
    shorter = asked.resize_size[0]
    # Some of its weights are measured on pictures that were resized bicubically.
    known = asked.interpolation.value == "bilinear" and size == asked.crop_size[0] <= shorter
    return preprocessing(list(asked.mean), list(asked.std), size, f"resize{shorter}" if known else "crop")


def recognised(module: nn.Module) -> Found | None:
    """Return what makes a network as this one would be, if it was made by torchvision with defaults."""
    home, models = type(module).__module__, _models("torchvision")
    kept = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    head = next((value for value in reversed([*module.parameters()]) if value.ndim == 1), None)
    if head is None:
        return None
    for name in names():
        if getattr(models.get_model_builder(name), "__module__", None) == home:
            settings = {**_SETTINGS.get(name, {}), "classes": len(head)}
            if _shapes(name, settings) == kept:
                return Found(name, settings)
    return None


def _shapes(name: str, settings: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    import torch

    with torch.device("meta"):
        return {key: tuple(one.shape) for key, one in build(name, settings, False).state_dict().items()}


def _fill(module: nn.Module, weights: Mapping[str, Tensor], name: str) -> None:
    """Load weights but for those of a head of another size; `InputError` where others do not fit."""
    own = module.state_dict()
    rest = {key: value for key, value in weights.items() if not key.startswith(_AUXILIARY)}
    fitting = {key: value for key, value in rest.items() if key in own and own[key].shape == value.shape}
    # The names of the last layer: those of the last parameter.
    head = list(dict(module.named_parameters()))[-1].rpartition(".")[0]
    others = (own.keys() | rest.keys()) - fitting.keys()
    counters = {key for key in own if key.endswith("num_batches_tracked")}
    odd = sorted(key for key in others - counters if not key.startswith(head))
    if odd:
        raise InputError(f"the pretrained weights of {name!r} do not fit it with these settings: {odd[0]!r}")
    module.load_state_dict(fitting, strict=False)


def _models(name: str) -> Any:  # noqa: ANN401 (torchvision's)
    return imported("torchvision.models", f"torchvision:{name}" if name != "torchvision" else name)


def _weights(name: str) -> Any:  # noqa: ANN401 (torchvision's)
    """Return torchvision's own choice of weights; None where it has none."""
    found = list(_models(name).get_model_weights(name))
    return _models(name).get_model_weights(name).DEFAULT if found else None
