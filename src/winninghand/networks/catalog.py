"""Networks by name and settings, how a module remembers both, and the draw of its first weights."""

from __future__ import annotations

import hashlib
import inspect
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeAlias, get_type_hints

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from torch import nn
from torch.nn.parameter import is_lazy

from winninghand.base import catalog
from winninghand.base.errors import InputError, first_error, with_article
from winninghand.base.registry import Registry
from winninghand.networks.libraries import Built, Preprocessing

Setting: TypeAlias = int | float | str | bool | list[Any] | dict[str, Any]
# Bounded above because settings also come from card files, which strangers may have made.
Count = Annotated[int, Field(ge=1, le=4096)]
Classes = Annotated[int, Field(ge=2, le=65536)]
_MOST_PARAMETERS = 2**30


@dataclass(frozen=True)
class Architecture:
    """What rebuilds a network: `network(architecture.name, **architecture.settings)`.

    `settings` is complete: it holds the defaults too, so that a later change of a default does
    not change a network that was saved.
    """

    name: str
    settings: dict[str, Setting]
    form: str = field(default="", compare=False, repr=False)
    """Layers and shapes of the network as it was built."""
    version: str = field(default="", compare=False)
    """Version of the library that built it; empty for a network of the catalog."""


def network(name: str, *, trust: bool = False, **settings: Setting) -> nn.Module:
    """Return the network `name`, freshly initialised from torch's global random state.

    `name` is one of the catalog, or of a library: `timm:NAME`, `torchvision:NAME`, or `hf:OWNER/NAME` for an
    image classifier of transformers. Those take `classes`, `pretrained` (false by default; weights are
    fetched, and the head is new where they are of another number of classes), and the library's own
    arguments. Or it is an import path, `package.module:function`, of a function that returns a module: that
    is code, and is run only with `trust`.

    The module maps float images (N, 3, H, W), normalised by the caller, to logits (N, classes),
    and carries its `Architecture` as the attribute `architecture`; one of a library also how it expects its
    images, as `preprocessing` (mean, std, size), or None. Raises `InputError` for an
    unknown name, an unknown setting, a setting of the wrong type or out of range, for more than a
    thousand million parameters, and for a library that is missing, with the line that installs it.
    """
    if is_outside(name):
        from winninghand.networks.outside import build

        return _remembering(name, build(name, settings, trust))
    builder = NETWORKS[name]
    complete = _complete(name, builder, settings)
    if name in NETWORKS.own:
        _check_parameters(name, builder, complete)
        module = builder(**complete)
    else:
        module = _built_elsewhere(name, builder, complete)
    vars(module)["architecture"] = Architecture(name, complete, _form(module))
    return module


def check_network(name: str, *, trust: bool = False, **settings: Setting) -> None:
    """Raise `InputError` where `network` would; no weights are made or fetched."""
    if is_outside(name):
        from winninghand.networks.outside import sketch

        sketch(name, settings, trust)
    else:
        empty_network(name, trust=trust, **settings)


def empty_network(name: str, *, trust: bool = False, **settings: Setting) -> nn.Module:
    """Return the network `name` on the device `meta`, without values; one of an import path with them.

    Raises `InputError` as `network` does.
    """
    if is_outside(name):
        from winninghand.networks.outside import sketch

        return _remembering(name, sketch(name, settings, trust))
    with torch.device("meta"):
        return network(name, trust=trust, **settings)


def rebuilt(
    name: str, settings: Mapping[str, Setting], trust: bool = False, values: bool = False
) -> nn.Module:
    """Return a network that a file names, as `empty_network` does, with `values` as `network` does.

    Nothing is fetched, and torch's random state stays as it is.
    """
    if not is_outside(name):
        return empty_network(name, **settings)  # type: ignore[arg-type]
    from winninghand.networks.outside import build, sketch

    if not values:
        return _remembering(name, sketch(name, settings, trust, fetch=False))
    with torch.random.fork_rng(devices=[]):
        return _remembering(name, build(name, settings, trust, fetch=False))


def size_setting(name: str, **settings: Setting) -> str | None:
    """Return the setting by which a network is told the side of its images; None for one that takes any."""
    if is_outside(name):
        from winninghand.networks import outside

        return outside.size_setting(name, settings)
    known = name in NETWORKS and "input_size" in _complete(name, NETWORKS[name], {})
    return "input_size" if known else None


def recognised(module: nn.Module) -> Architecture | None:
    """Return the architecture of a module that the caller had of timm, torchvision or transformers.

    That is one whose layers and shapes are those of the network that its name there and its number of
    classes make; None for one that was made with other arguments, or changed, and for any other module.
    """
    if type(module).__module__.partition(".")[0] not in ("timm", "torchvision", "transformers"):
        return None
    from winninghand.networks import outside

    found = outside.recognised(module)
    if found is None:
        return None
    name, settings = found
    try:
        made = rebuilt(name, settings)
    except InputError:
        return None
    architecture = getattr(made, "architecture", None)
    fits = isinstance(architecture, Architecture) and architecture.form == _form(module)
    return architecture if fits else None


def _remembering(name: str, built: Built) -> nn.Module:
    """Return a network from outside the catalog, with what it is to remember."""
    module = built.module
    vars(module)["architecture"] = Architecture(name, built.settings, _form(module), built.version)
    vars(module)["preprocessing"] = built.preprocessing
    return module


def is_outside(name: object) -> bool:
    """Tell whether a name is one of a library or an import path: it has a colon, as none of the catalog."""
    return isinstance(name, str) and ":" in name and name not in NETWORKS


def runs_code(name: object) -> bool:
    """Tell whether a name is an import path, so that to build its network is to run code."""
    if not isinstance(name, str) or not is_outside(name):
        return False
    from winninghand.networks import outside

    return outside.runs_code(name)


def version_of(name: str) -> str:
    """Return the version of the library that builds a network from outside the catalog, as it is here."""
    from winninghand.networks import outside

    return outside.version_of(name)


def library_versions(name: str) -> dict[str, str]:
    """Return library and version of a network from outside the catalog, as far as known; else nothing."""
    if not is_outside(name):
        return {}
    from winninghand.networks import outside

    version = outside.version_of(name)
    return {outside.library_of(name): version} if version else {}


def preprocessing_of(module: nn.Module) -> Preprocessing | None:
    """Return how a network of a library expects its images; None for any other."""
    found = getattr(module, "preprocessing", None)
    return found if isinstance(found, Preprocessing) else None


def _built_elsewhere(name: str, builder: Callable[..., nn.Module], settings: Mapping[str, Any]) -> nn.Module:
    """Return what another package's builder makes, where it is a module and has no weight without values."""
    with NETWORKS.called(name), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Initializing zero-element tensors")  # refused below
        module = builder(**settings)
        if not isinstance(module, nn.Module):
            raise TypeError(f"it must return a torch.nn.Module, not {with_article(type(module).__name__)}")
    for key, parameter in module.named_parameters():
        if not is_lazy(parameter) and parameter.numel() == 0:
            raise InputError(
                f"network {name!r} with {_written(settings)} has no weights in {key!r}; make it wider"
            )
    return module


def _check_parameters(name: str, builder: Callable[..., nn.Module], settings: Mapping[str, Any]) -> None:
    """Raise `InputError` for settings, each in its range, that together fill the memory.

    The network is built once without its numbers, which takes a fraction of the time. What a builder
    draws all the same does not count: the network that follows has the same first weights.
    """
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        count = sum(parameter.numel() for parameter in builder(**settings).parameters())
    if count > _MOST_PARAMETERS:
        raise InputError(
            f"network {name!r} with {_written(settings)} has {count:,} parameters, more than "
            f"{_MOST_PARAMETERS:,}; make it narrower"
        )


def _written(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in settings.items())


def complete_settings(name: str, **settings: Setting) -> dict[str, Setting]:
    """Return the settings of the catalog's network `name` with its defaults filled in.

    Raises `InputError` as `network` does.
    """
    return _complete(name, NETWORKS[name], settings)


def architecture_of(module: nn.Module) -> Architecture | None:
    """Return the architecture of a network from the catalog, and None for any other module.

    A network whose layers have been changed since it was built, slimmed for instance, is another module.
    """
    architecture = getattr(module, "architecture", None)
    if not isinstance(architecture, Architecture) or architecture.form != _form(module):
        return None
    return architecture


def _form(module: nn.Module) -> str:
    """Return a digest of a network's layers, with all that says what they compute, and of its shapes."""
    layers = re.sub(r"momentum=[^,)]+", "", repr(module)).replace("SyncBatchNorm", "BatchNorm2d")
    # Sorted, because a weight that was parametrized for a while stands behind its bias afterwards.
    shapes = sorted((name, tuple(getattr(value, "shape", ()))) for name, value in module.state_dict().items())
    return hashlib.blake2b(f"{layers}{shapes}".encode(), digest_size=8).hexdigest()


def _complete(
    name: str, builder: Callable[..., nn.Module], settings: Mapping[str, Any]
) -> dict[str, Setting]:
    """Return the settings with the builder's defaults filled in, checked against its signature."""
    with NETWORKS.called(name):
        schema = _schema(name, builder)
    try:
        return schema.model_validate(dict(settings)).model_dump()
    except ValidationError as error:
        known = ", ".join(f"{key} = {field.default!r}" for key, field in schema.model_fields.items())
        raise InputError(
            f"network {name!r}: {first_error(error)}; its settings and defaults: {known}"
        ) from None


@lru_cache(maxsize=256)
def _schema(name: str, builder: Callable[..., nn.Module]) -> type[BaseModel]:
    """Return the pydantic model of a builder's parameters, made once: studies ask for it for every run."""
    hints = get_type_hints(builder, include_extras=True)
    parameters = inspect.signature(builder).parameters.values()
    for one in parameters:
        if one.name not in hints or one.default is one.empty:
            raise TypeError(f"its parameter {one.name!r} needs a name, a type and a default")
    fields: dict[str, Any] = {one.name: (hints[one.name], one.default) for one in parameters}
    return create_model(name, __config__=ConfigDict(extra="forbid", strict=True), **fields)


def kaiming_normal(
    module: nn.Module, mode: Literal["fan_in", "fan_out"], kinds: tuple[type[nn.Module], ...] = (nn.Conv2d,)
) -> None:
    """Draw the weights of every layer of `kinds` from N(0, 2/fan) and set its bias to zero, in place.

    He et al. 2015, arXiv:1502.01852, section 2.2: `fan_in` keeps the variance of activations,
    `fan_out` that of gradients.
    """
    for layer in module.modules():
        # A network without memory has no weights to draw; drawing them there would take seconds.
        if isinstance(layer, kinds) and not layer.weight.is_meta:
            nn.init.kaiming_normal_(layer.weight, mode=mode, nonlinearity="relu")  # type: ignore[arg-type]
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]


NETWORKS: Registry[Callable[..., nn.Module]] = catalog.NETWORKS
