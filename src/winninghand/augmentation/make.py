"""From a recipe's `domain` to the domain itself."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from winninghand.augmentation.domain import DOMAINS, Domain
from winninghand.base.errors import InputError, first_error
from winninghand.base.registry import nearest


def make_domain(spec: str | Mapping[str, object]) -> Domain:
    """Return the domain that `spec` describes: its name, or a mapping of `name` and its parameters.

    Raises `InputError` where the name or a parameter is unknown, with the nearest known one, and
    where a value has the wrong type or lies out of range.
    """
    settings = {"name": spec} if isinstance(spec, str) else spec
    if not isinstance(settings, Mapping) or not isinstance(settings.get("name"), str):
        raise InputError('domain must be a name or a table with a name, such as {name = "augmix"}')
    parameters = {str(key): value for key, value in settings.items() if key != "name"}
    kind = DOMAINS[str(settings["name"])]
    _refuse_unknown(parameters, kind)
    try:
        return kind.model_validate(parameters)
    except ValidationError as error:
        raise InputError(f"domain {kind.name!r}: {first_error(error)}") from None


def _refuse_unknown(parameters: Mapping[str, object], kind: type[Domain]) -> None:
    known = list(kind.model_fields)
    for key in parameters:
        if key not in known:
            raise InputError(f"domain {kind.name!r} has no parameter {key!r}; {nearest(key, known)}")
