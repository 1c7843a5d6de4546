"""Networks from outside the catalog: of libraries by name, and one's own by import path.

`timm:NAME`, `torchvision:NAME` and `hf:OWNER/NAME` are built by the library, which is imported when it is
asked for. `package.module:function` is code of the caller's: it is run only where the caller allows it.
"""

from __future__ import annotations

import difflib
import inspect
import re
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as registration
from torch.overrides import TorchFunctionMode

from winninghand.base import catalog
from winninghand.base.errors import InputError, brief, shown
from winninghand.networks.libraries import Built, Found

_HOME = "winninghand.networks.libraries"
LIBRARIES = catalog.LIBRARIES
# What people call the libraries, in small letters, and how their networks are named here.
_LIBRARY_NAMES = {
    **{prefix: prefix for prefix in LIBRARIES},
    **{library: prefix for prefix, library in LIBRARIES.items()},
    "huggingface": "hf",
}

_OWN = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_RESERVED = frozenset({"name", "version", "trust"})
# Settings also come from files of strangers, and a library builds as many layers as it is told to.
_LARGEST_SETTING = 2**20
_MOST_SETTINGS = 20_000
_DEEPEST = 16
_MOST_PARAMETERS, _MOST_LAYERS = 2**30, 50_000
_MOST_IN_TABLES = 2**26  # numbers that a network computes for itself, such as tables of positions


def runs_code(name: str) -> bool:
    """Tell whether to build a network is to run code of the caller's own: its name is an import path."""
    return ":" in name and name.partition(":")[0] not in LIBRARIES


def sketch(name: str, settings: Mapping[str, Any], trust: bool = False, fetch: bool = True) -> Built:
    """Return a network of a library on the device `meta`, without values; what code makes is as it is.

    Torch's random state stays as it is. Raises `InputError` as `build` does.
    """
    with torch.random.fork_rng(devices=[]):
        if runs_code(name):
            return build(name, settings, trust)
        try:
            with torch.device("meta"):
                return build(name, settings, weights=False, fetch=fetch)
        except InputError as error:
            if not isinstance(error.__cause__, NotImplementedError | RuntimeError):
                raise
        # Some compute their widths by tensors, which need their values.
        with torch.device("meta"), _ShortTables():
            return build(name, settings, weights=False, fetch=fetch)


def build(
    name: str, settings: Mapping[str, Any], trust: bool = False, weights: bool = True, fetch: bool = True
) -> Built:
    """Return a network from outside the catalog; see `networks.network`.

    Without `weights` none are fetched, whatever `pretrained` says; unless it may `fetch`, as for a file of
    a stranger, nothing is, and what would have to be is refused. Raises `InputError` for an unknown
    name, a library that is missing, settings that it does not take, and an import path without `trust`.
    """
    check_settings(name, settings)
    if runs_code(name):
        return _own(name, settings, trust)
    prefix, _, there = name.partition(":")
    library = import_module(f"{_HOME}.{LIBRARIES[prefix]}")
    rest = dict(settings)
    if not fetch and ("pretrained" in rest or (prefix == "hf" and "config" not in rest)):
        raise InputError(f"network {shown(repr(name))}: its settings are not those that a card keeps")
    pretrained = rest.pop("pretrained", False)
    if not isinstance(pretrained, bool):
        raise InputError(f"network {name!r}: pretrained must be true or false, not {brief(pretrained)}")
    if not library.is_known(there):
        raise _unknown(name, library.names())
    with _said_of(name, settings, pretrained and weights):
        complete = library.complete(there, rest, pretrained)
        _check_classes(name, complete)
        with _bounded(name), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a library's advice to whoever calls it
            module = library.build(there, complete, pretrained and weights)
        asked = library.expected(there, module, complete, fetch and "config" not in rest)
    return Built(module, complete, _version(LIBRARIES[prefix]), asked)


def size_setting(name: str, settings: Mapping[str, Any]) -> str | None:
    """Return the setting that says which size a network of a library takes; None where there is none."""
    prefix, _, there = name.partition(":")
    if runs_code(name) or "config" in settings:
        return None
    library = import_module(f"{_HOME}.{LIBRARIES[prefix]}")
    if not library.is_known(there):
        raise _unknown(name, library.names())
    with _said_of(name, settings, False):
        found: str | None = library.size_setting(there, settings.get("pretrained") is True)
        return found


def _unknown(name: str, known: Sequence[str]) -> InputError:
    if not known:
        return InputError(f"a network of the hub is named hf:OWNER/NAME, not {shown(repr(name))}")
    library, _, there = name.partition(":")
    close = difflib.get_close_matches(there, known, n=1)
    advice = f"did you mean '{library}:{close[0]}'?" if close else f"{library} has {len(known)} others"
    return InputError(f"unknown network {shown(repr(name))}; {advice}")


def version_of(name: str) -> str:
    """Return the version of the library or package that has built a network, as it is here; "" if unknown."""
    return _version(library_of(name))


def library_of(name: str) -> str:
    """Return the library or package that builds a network, as it is imported."""
    prefix = name.partition(":")[0]
    return LIBRARIES.get(prefix, prefix.partition(".")[0])


class _ShortTables(TorchFunctionMode):
    """Gives short ranges of numbers their values on the device `meta`, too."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401 (torch's)
        kwargs = dict(kwargs or {})
        short = all(abs(one) <= _LARGEST_SETTING for one in args if isinstance(one, int | float))
        if function in (torch.arange, torch.linspace, torch.tensor) and short:
            kwargs.setdefault("device", "cpu")
        return function(*args, **kwargs)


def recognised(module: nn.Module) -> Found | None:
    """Return name and settings of a module that a library made and the caller brought.

    Its layers are still to be compared with those of the network that these make.
    """
    top = type(module).__module__.partition(".")[0]
    for prefix, library in LIBRARIES.items():
        if library == top:
            with suppress(Exception):  # whatever a library raises about a module that it did not make so
                found: Found | None = import_module(f"{_HOME}.{library}").recognised(module)
                return None if found is None else Found(f"{prefix}:{found.name}", found.settings)
    return None


def check_settings(name: str, settings: Mapping[str, Any]) -> None:
    """Raise `InputError` unless settings are plain values of moderate size."""
    count = 0
    level: list[tuple[str, Any]] = list(settings.items())
    for key in settings:
        if not isinstance(key, str) or not key.isidentifier() or key in _RESERVED:
            raise InputError(f"network {name!r}: no setting can have the name {shown(repr(key))}; rename it")
    for _ in range(_DEEPEST):
        count += len(level)
        if count > _MOST_SETTINGS:
            break
        inner: list[tuple[str, Any]] = []
        for key, value in level:
            if isinstance(value, dict):
                inner += [(f"{key}.{shown(part, 40)}", one) for part, one in value.items()]
            elif isinstance(value, list | tuple):
                inner += [(key, one) for one in value]
            else:
                _check_value(name, key, value)
        level = inner
        if not level:
            return
    raise InputError(f"network {name!r}: its settings are too many, or nested too deep")


def _check_value(name: str, key: str, value: object) -> None:
    if isinstance(value, bool) or value is None or isinstance(value, float):
        return
    if isinstance(value, str) and len(value) <= 200:
        return
    if isinstance(value, int) and abs(value) <= _LARGEST_SETTING:
        return
    raise InputError(
        f"network {name!r}: {key} must be a number up to {_LARGEST_SETTING:,}, true, false, a short text, or "
        f"a list or table of these, not {brief(value)}"
    )


def _check_classes(name: str, settings: Mapping[str, Any]) -> None:
    classes = settings["classes"]
    if isinstance(classes, bool) or not isinstance(classes, int) or not 2 <= classes <= 65536:
        raise InputError(f"network {name!r}: classes must be a whole number from 2 to 65536, not {classes!r}")


def _own(name: str, settings: Mapping[str, Any], trust: bool) -> Built:
    """Return what a function of the caller's builds."""
    home, _, path = name.partition(":")
    meant = _LIBRARY_NAMES.get(home.lower())
    if not trust and meant is not None:
        raise InputError(
            f"unknown network {shown(repr(name))}; did you mean {shown(repr(f'{meant}:{path}'))}?"
        )
    if not _OWN.fullmatch(name):
        raise InputError(
            f"unknown network {shown(repr(name))}; networks from elsewhere are named timm:NAME, "
            "torchvision:NAME, hf:OWNER/NAME, or package.module:function"
        )
    if not trust:
        raise InputError(
            f"the network {name!r} is code, which is run to build it; where you trust it, say so by --trust "
            "or trust=True, or pass the module as network="
        )
    if home == "__main__":
        raise InputError("a network in __main__ cannot be found again; put its function into a module")
    function = _imported(name, home, path)
    complete = _own_settings(name, function, settings)
    try:
        module = function(**complete)
    except InputError:
        raise
    except Exception as error:  # whatever the caller's code raises
        raise InputError(f"network {name!r} failed: {type(error).__name__}, {error}") from error
    if not isinstance(module, nn.Module):
        raise InputError(f"network {name!r} must return a torch.nn.Module, not {type(module).__name__}")
    return Built(module, complete, _version(home.partition(".")[0]), None)


def _imported(name: str, home: str, path: str) -> Any:  # noqa: ANN401 (the caller's)
    try:
        found: Any = import_module(home)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"network {name!r} cannot be imported ({error}); run in a folder, or install the package, where "
            f"`import {home}` works"
        ) from error
    except Exception as error:  # whatever the caller's code raises
        raise InputError(f"network {name!r} cannot be imported: {type(error).__name__}, {error}") from error
    if not callable(found):
        raise InputError(f"network {name!r} must be a function that returns a torch.nn.Module")
    return found


def _own_settings(name: str, function: Any, settings: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """Return the arguments of a function, its defaults included where they are plain values.

    `classes` is left out where the function does not take it: its network has the outputs that it has.
    """
    given = dict(settings)
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # of a builtin
        return given
    takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    if "classes" in given and "classes" not in parameters and not takes_all:
        del given["classes"]
    unknown = [key for key in given if key not in parameters and not takes_all]
    if unknown:
        raise InputError(f"network {name!r} has no setting {unknown[0]!r}; it has {', '.join(parameters)}")
    defaults = {
        key: one.default
        for key, one in parameters.items()
        if key not in given and isinstance(one.default, bool | int | float | str)
    }
    return {**defaults, **given}


def _version(library: str) -> str:
    version = getattr(sys.modules.get(library), "__version__", "")
    return str(version)[:64]


@contextmanager
def _said_of(name: str, settings: Mapping[str, Any], fetches: bool) -> Iterator[None]:
    """Turn what a library raises into one line."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        with_them = "".join(f", {key} = {brief(value)}" for key, value in settings.items())
        advice = (
            "; the weights are fetched from the network: check that it is there, or set pretrained = false"
            if fetches
            else ""
        )
        raise InputError(
            f"network {name!r}{with_them} cannot be built: {type(error).__name__}, {error}{advice}"
        ) from error


@contextmanager
def _bounded(name: str) -> Iterator[None]:
    """Raise `InputError` as soon as a network that is built in the block has more layers or weights than is
    sound.
    """
    thread = threading.get_ident()
    count = {"layers": 0, "weights": 0, "tables": 0}

    def layer(_: nn.Module, __: str, ___: object) -> None:
        add("layers", 1, _MOST_LAYERS)

    def parameter(_: nn.Module, __: str, value: Tensor | None) -> None:
        add("weights", 0 if value is None else value.numel(), _MOST_PARAMETERS)

    def buffer(_: nn.Module, __: str, value: Tensor | None) -> None:
        add("tables", 0 if value is None else value.numel(), _MOST_IN_TABLES)

    def add(what: str, number: int, most: int) -> None:
        if threading.get_ident() == thread:
            count[what] += number
            if count[what] > most:
                raise InputError(f"network {name!r} has more than {most:,} {what}; make it smaller")

    hooks = [
        registration.register_module_module_registration_hook(layer),
        registration.register_module_parameter_registration_hook(parameter),
        registration.register_module_buffer_registration_hook(buffer),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
