"""Which run a folder holds: the whole recipe, the data, where the network came from; and a name for it.

A setting that equals its *frozen* default is left out of a name. The frozen defaults are those of
schema 1, in `defaults.json`. They stay as they are when the library's own defaults change, so that

- a new key with a default renames no run: add it to `defaults.json` with that default;
- a changed default gives new runs new names, and a run of the old default stays what it was.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch

from winninghand.augmentation import make_domain
from winninghand.base.errors import InputError
from winninghand.base.files import read_sealed
from winninghand.base.toml import dotted
from winninghand.base.version import __version__
from winninghand.images import ImageSet, Split
from winninghand.networks import NETWORKS, complete_settings, library_versions
from winninghand.recipe import Recipe

SCHEMA = 1

# What version 0.1 called keys of a recipe.
_RENAMED = {
    "training.held_out": "training.validation",
    "compression.pass_through": "compression.milestones",
    "compression.round_rate": "compression.rewind_lr_factor",
    "compression.refresh_steps": "compression.update_every",
}
# The tables whose other keys depend on one of them.
_KINDS = {"network": "name", "domain": "name", "compression": "method"}
_OTHER_IMAGES = (
    "it was begun on other images, labels or class names, or on these in another order; load the images "
    "that it was begun on to go on with it"
)
_DIGESTS = {
    "data": _OTHER_IMAGES,
    "images": _OTHER_IMAGES,
    "origin": "its network began with other weights; start from those to go on with it",
}
# What decides whether a run goes on, and nothing of what comes of it.
_WITHOUT_EFFECT = frozenset({"compression.allow_empty", "training.checkpoint_minutes", "training.workers"})
_MISSING = object()


def identity(
    recipe: Recipe,
    images: ImageSet,
    origin: str = "",
    exclude: Collection[str] = (),
    normalisation: Any = None,  # noqa: ANN401 (a pair of triples, or None)
    trained: bool = False,
) -> dict[str, Any]:
    """Return what makes a run this run, as JSON values.

    `origin` tells the weights that the network arrives with from others; the rest is as in `Run`.
    """
    content = {
        "schema": SCHEMA,
        "recipe": whole(recipe),
        "data": data_digest(images),
        "origin": origin,
        "exclude": sorted(exclude),
        "normalisation": normalisation,
        "trained": trained,
    }
    found: dict[str, Any] = json.loads(json.dumps(content))
    return found


def data_digest(images: ImageSet) -> str:
    """Return a hash of all images, labels and class names."""
    digest = hashlib.blake2b(repr(images.classes).encode(), digest_size=16)
    digest.update(f"{images.train.digest} {images.test.digest}".encode())
    return digest.hexdigest()


def difference(present: Mapping[str, Any], asked: Mapping[str, Any], images: ImageSet) -> str | None:
    """Say in a few words in what the run of a folder differs from the one asked for; None for the same.

    `present` is what the folder's `run.json` holds, of this version or of 0.1; `asked` is an `identity`.
    """
    theirs = _with_defaults(present["recipe"], asked["recipe"])
    found = _first_difference(theirs, dotted(asked["recipe"]))
    if found is not None:
        return found
    if "schema" not in present:
        asked = {**asked, "images": _fingerprint(images.train)}
    keys = present.keys() & asked.keys() - {"schema", "recipe"}
    # Digests tell people nothing.
    for key in sorted(keys & _DIGESTS.keys()):
        if present[key] != asked[key]:
            return _DIGESTS[key]
    return _first_difference({key: present[key] for key in keys}, {key: asked[key] for key in keys})


def disagreement(present: Mapping[str, Any], asked: Mapping[str, Any]) -> str | None:
    """Say in a few words in what one `identity` differs from another, or its folder `out`; None for the same.

    What has no effect on the card counts, too, as all processes keep one checkpoint. How many threads
    decode images is each machine's own.
    """
    own = {"training.workers"}
    found = _first_difference(dotted(present["recipe"]), dotted(asked["recipe"]), own)
    if found is not None:
        return found
    if present["data"] != asked["data"]:
        return "its images or labels are others"
    if present["origin"] != asked["origin"]:
        return "its network is another"
    there, here = (one.get("out") or "none" for one in (present, asked))
    if there != here:
        return f"its folder is {there} there and {here} here"
    rest = present.keys() - {"recipe", "data", "origin", "out"}
    return _first_difference({key: present[key] for key in rest}, {key: asked[key] for key in rest})


def run_name(recipe: Recipe, table: Mapping[str, Any] | None = None) -> str:
    """Return a short name for a run's folder, of its method, domain, seed and all its settings.

    `table` is the `whole` recipe, where the caller has that already.
    """
    table = whole(recipe) if table is None else table
    defaults = _defaults(table)
    apart = {
        key: value
        for key, value in dotted(table).items()
        if key not in _WITHOUT_EFFECT and defaults.get(key, _MISSING) != value
    }
    digest = hashlib.blake2b(json.dumps(apart, sort_keys=True).encode(), digest_size=4).hexdigest()
    return f"{_beginning(recipe)}-{digest}"


def run_path(folder: Path, recipe: Recipe) -> Path:
    """Return where a recipe's run is, or is to be, in a folder of runs; version 0.1 named it otherwise."""
    path = folder / run_name(recipe)
    if path.exists():
        return path
    asked = whole(recipe)
    for about in sorted(folder.glob(f"{_beginning(recipe)}-*/run.json")):
        with suppress(InputError):  # a damaged one is of no run
            present = read_sealed(about)
            theirs = present.get("recipe")
            if "schema" in present or not isinstance(theirs, dict):
                continue
            if _first_difference(_with_defaults(theirs, asked), dotted(asked)) is None:
                return about.parent
    return path


def whole(recipe: Recipe) -> dict[str, Any]:
    """Return all settings of a recipe as JSON values, the defaults of its network and domain included."""
    table: dict[str, Any] = recipe.model_dump(mode="json")
    domain = make_domain(recipe.domain)
    table["domain"] = {"name": domain.name, **domain.model_dump(mode="json")}
    name = recipe.network["name"]
    if name in NETWORKS:
        settings = {key: value for key, value in recipe.network.items() if key != "name"}
        table["network"] = {"name": name, **complete_settings(name, **settings)}
        if "classes" not in settings:
            del table["network"]["classes"]  # the images say how many there are
    return table


def environment(device: torch.device, precision: str, network: str = "") -> dict[str, Any]:
    """Return what numbers depend on beside recipe and data, as JSON values.

    Under `versions` is also that of the library which a `network` of this name comes from.
    """
    return {
        "versions": {
            "winninghand": __version__,
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "python": platform.python_version(),
            **library_versions(network),
        },
        "machine": f"{platform.platform()}, {torch.backends.cpu.get_cpu_capability()}",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "threads": torch.get_num_threads(),
        "precision": precision,
    }


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return the differences of two environments that bits depend on, in words; empty without any."""
    then, here = _conditions(before), _conditions(now)
    keys = [key for key in here if key in then and then[key] != here[key]]
    return ", ".join(f"{key} {here[key]} instead of {then[key]}" for key in keys)


def _conditions(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return an environment flat; of the machine only its instructions, not the kernel's version."""
    flat = {
        "processes": 1,
        **environment["versions"],
        **environment,
        "instructions": environment["machine"].split(", ")[-1],
    }
    return {key: value for key, value in flat.items() if key not in ("versions", "machine")}


def _defaults(table: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the defaults of all keys of a whole recipe: frozen ones, and of later keys their own."""
    return _defaults_of(Recipe, *(table[kind][key] for kind, key in _KINDS.items()))


@lru_cache(maxsize=256)
def _defaults_of(recipe: type[Recipe], *names: str) -> Mapping[str, Any]:
    """Return the defaults under the names of a network, a domain and a method."""
    named = dict(zip(_KINDS, names, strict=True))
    own = whole(recipe.model_validate({kind: {key: named[kind]} for kind, key in _KINDS.items()}))
    frozen = _frozen()
    flat = {**dotted(own), **frozen["recipe"]}
    for kind, name in named.items():
        flat |= {f"{kind}.{key}": value for key, value in frozen[kind].get(name, {}).items()}
    return flat


def _with_defaults(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return all settings of a stored recipe, flat, for comparison with a whole one.

    In 0.1 defaults were left out, and keys of other methods were not: these are left out here.
    """
    known = _defaults(asked)
    flat = {_RENAMED.get(key, key): value for key, value in dotted(stored).items()}
    others = {f"compression.{key}" for settings in _frozen()["compression"].values() for key in settings}
    return {**known, **{key: value for key, value in flat.items() if key in known or key not in others}}


def _first_difference(
    present: Mapping[str, Any], asked: Mapping[str, Any], passed_over: Collection[str] = _WITHOUT_EFFECT
) -> str | None:
    # A name first: other settings follow from it.
    for key in sorted(
        (present.keys() | asked.keys()).difference(passed_over),
        key=lambda key: (not key.endswith((".name", ".method")), key),
    ):
        if present.get(key) != asked.get(key):
            there, here = json.dumps(present.get(key)), json.dumps(asked.get(key))
            return f"{key} is {there} there and {here} here"
    return None


@cache
def _frozen() -> dict[str, Any]:
    """Return the frozen defaults: of the recipe, flat, and of each network, domain and method by name."""
    text = files("winninghand.training").joinpath("defaults.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def _beginning(recipe: Recipe) -> str:
    return f"{recipe.compression.method}-{recipe.domain['name']}-{recipe.seed}"


def _fingerprint(split: Split) -> str:
    """Return version 0.1's hash of a split: its shape, all its labels and a few of its images."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(repr(split.images.shape).encode())
    digest.update(np.ascontiguousarray(split.labels).tobytes())
    digest.update(np.ascontiguousarray(split.images[:: max(1, len(split) // 64)]).tobytes())
    return digest.hexdigest()
