"""A recipe: everything about one training, as data that is checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from winninghand.augmentation import make_domain
from winninghand.base.deprecation import renamed, with_new_keys
from winninghand.base.device import Precision
from winninghand.base.errors import LARGEST, InputError, first_error
from winninghand.base.toml import read_toml
from winninghand.compression import Method
from winninghand.compression.method import RENAMED
from winninghand.compression.schedules import MOST_EPOCHS
from winninghand.images import Preparation
from winninghand.images.resizing import checked_size
from winninghand.networks import check_network, size_setting


def _as_table(value: Any) -> Any:  # noqa: ANN401 (anything may stand in a recipe)
    """A bare name stands for a table with nothing but that name."""
    table = {"name": value} if isinstance(value, str) else value
    if not isinstance(table, dict) or not isinstance(table.get("name"), str):
        raise ValueError('a name is needed, alone or in a table: {name = "..."}')
    if "trust" in table:
        raise ValueError("a recipe cannot say that its code is trusted; say so by --trust or trust=True")
    return table


def _with_pair(value: Any) -> Any:  # noqa: ANN401 (anything may stand in a recipe)
    """A side alone stands for a square, a list for height and width."""
    if isinstance(value, dict) and value.get("size") is not None:
        return {**value, "size": checked_size(value["size"])}
    return value


Named = Annotated[dict[str, Any], BeforeValidator(_as_table)]
Images = Annotated[Preparation, BeforeValidator(_with_pair)]


class Training(BaseModel):
    """The `[training]` table: one phase's optimisation."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    epochs: int = Field(default=30, ge=1, le=MOST_EPOCHS, description="per phase")
    batch_size: int = Field(default=256, ge=2, le=LARGEST)
    learning_rate: float = Field(default=0.2, gt=0, description="at the top of the schedule")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Nesterov's, where above 0")
    weight_decay: float = Field(default=5e-4, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    warmup: float = Field(default=0.1, ge=0, lt=1, description="fraction of a phase's steps")
    validation: float = Field(default=0.1, ge=0, le=0.5, description="fraction of the training images")
    precision: Precision = "auto"
    average: float = Field(
        default=0.0, ge=0, lt=1, description="decay per step of the weights' moving average; 0 is none"
    )
    compiled: bool = Field(default=False, description="whether torch.compile translates the network")
    checkpoint_minutes: float = Field(
        default=0.0, ge=0, description="between two checkpoints within an epoch; 0: only after each epoch"
    )
    workers: int = Field(
        default=0, ge=0, le=1024, description="threads that decode streamed images; 0: one for each core"
    )
    synchronised_norms: bool = Field(
        default=True, description="whether batch-norms see the images of all processes of a training"
    )

    @model_validator(mode="before")
    @classmethod
    def _old_names(cls, table: Any) -> Any:  # noqa: ANN401 (checked afterwards)
        return with_new_keys(table, {"held_out": "validation"}, "training")

    @property
    def held_out(self) -> float:
        """Old name of `validation`."""
        renamed("training.held_out", "training.validation")
        return self.validation


class FineTuning(Training):
    """The `[training]` table of a network that was trained before: other defaults, for few images."""

    epochs: int = Field(default=10, ge=1, le=MOST_EPOCHS, description="per phase")
    batch_size: int = Field(default=64, ge=2, le=LARGEST)
    learning_rate: float = Field(default=0.01, gt=0, description="at the top of the schedule")
    warmup: float = Field(default=0.2, ge=0, lt=1, description="fraction of a phase's steps")


LAYER_FLOOR = 0.2
"""The `layer_floor` of a network from outside the catalog, or that was trained before."""
FINE_TUNE_RATE = 0.2
"""The `fine_tune_rate` of a network that was trained before: its learning rate is low as it is."""


class Quantization(BaseModel):
    """The `[quantization]` table: how the finished card's weights are rounded."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    weights: Literal["none", "fp16", "int8", "int4"] = "none"
    images: int = Field(default=512, ge=0, le=LARGEST, description="training images for calibration")
    norms: bool = Field(default=False, description="measure batch-norms again on them")

    @model_validator(mode="after")
    def _agree(self) -> Quantization:
        if self.norms and self.images == 0:
            raise InputError("the statistics of batch-norms are measured on images; set images above 0")
        return self


class Recipe(BaseModel):
    """Network, domain, seed, images, compression, training and quantization; every key has a default.

    Raises `InputError` that names the first key at fault.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    network: Named = {"name": "resnet18", "width": 64}
    domain: Named = {"name": "clean"}
    seed: int = Field(default=0, ge=0, le=LARGEST)
    images: Images = Preparation()
    compression: SerializeAsAny[Method] = Field(
        default_factory=lambda: Method.model_validate({}), validate_default=True
    )
    training: Training = Field(default_factory=Training, validate_default=True)
    quantization: Quantization = Quantization()

    def __init__(self, /, **table: Any) -> None:  # noqa: ANN401 (checked here)
        try:
            super().__init__(**table)
        except ValidationError as error:
            raise InputError(f"recipe: {first_error(error)}{_meant(error)}") from None

    def heeds(self, key: str) -> bool:
        """Say whether a dotted key changes anything of the card, or the method or the rounding ignores it."""
        table, _, setting = key.partition(".")
        if table == "quantization":
            return setting in ("", "weights") or self.quantization.weights != "none"
        if table != "compression" or setting in ("", "method"):
            return True
        setting = RENAMED.get(setting, setting)
        return setting in type(self.compression).model_fields and setting not in self.compression.ignored()

    def of_own_network(self, trained: bool) -> Recipe:
        """Return the recipe with the defaults for a network of the caller's own; what was set stays."""
        changed: dict[str, object] = {"compression": _careful(self.compression, trained)}
        if trained:
            changed["training"] = _fine_tuning(self.training)
        return self.model_copy(update=changed)

    @field_validator("compression", mode="after")
    @classmethod
    def _careful_with_others(cls, method: Method, info: ValidationInfo) -> Method:
        network = info.data.get("network", {})
        trained = network.get("pretrained") is True
        return _careful(method, trained) if trained or ":" in network.get("name", "") else method

    @field_validator("training", mode="after")
    @classmethod
    def _suits_pretrained(cls, training: Training, info: ValidationInfo) -> Training:
        pretrained = info.data.get("network", {}).get("pretrained") is True
        return _fine_tuning(training) if pretrained else training


def _meant(error: ValidationError) -> str:
    """Say which key may have been meant by an unknown one: that of its name in some table, or the nearest."""
    first = error.errors()[0]
    if first["type"] != "extra_forbidden":
        return ""
    given = ".".join(str(part) for part in first["loc"])
    tables: dict[str, type[BaseModel]] = {
        "training": Training,
        "images": Preparation,
        "quantization": Quantization,
    }
    known = [*Recipe.model_fields, "compression.method"]
    known += [f"compression.{key}" for key in Method.model_fields]
    known += [f"{table}.{key}" for table, kind in tables.items() for key in kind.model_fields]
    same = [key for key in known if key.rpartition(".")[2] == given]
    close = same or get_close_matches(given, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _careful(method: Method, trained: bool) -> Method:
    """Return a method with defaults under which no layer of any network is emptied."""
    defaults = {"layer_floor": LAYER_FLOOR}
    if trained and "fine_tune_rate" in type(method).model_fields:
        defaults["fine_tune_rate"] = FINE_TUNE_RATE
    return method.model_copy(
        update={key: value for key, value in defaults.items() if key not in method.model_fields_set}
    )


def _fine_tuning(training: Training) -> Training:
    return FineTuning(**{key: getattr(training, key) for key in training.model_fields_set})


def load_recipe(
    path: Path | str | None, changes: Mapping[str, Any] | None = None, trust: bool = False
) -> Recipe:
    """Read a recipe from a TOML file, with `changes` (dotted key → value) laid over it; None is an empty one.

    With `trust` its network may be an import path, whose code is run.
    Raises `InputError` that names the first key at fault: unknown, ill-typed or out of range.
    """
    table = {} if path is None else read_toml(path, "the recipe")
    if table.keys() & {"recipe", "sweeps"}:
        raise InputError(f"{path} is a study, not a recipe; `winninghand study` takes it")
    for key, value in (changes or {}).items():
        set_dotted(table, key, value)
    return make_recipe(table, trust=trust)


def make_recipe(table: Mapping[str, Any], known_network: bool = True, trust: bool = False) -> Recipe:
    """Return the recipe that a plain table describes; `InputError` names the first key at fault.

    Without `known_network` the network need not have a name: the caller brings it. With `trust` its name
    may be an import path, whose code is run.
    """
    recipe = _with_input_size(Recipe(**{str(key): value for key, value in table.items()}))
    make_domain(recipe.domain)
    recipe.compression.plan(recipe.training.epochs)
    if known_network:
        check_network(**recipe.network, trust=trust)
    return recipe


def _with_input_size(recipe: Recipe) -> Recipe:
    """Return a recipe whose network takes images of the size that they are brought to.

    Some networks have a size among their settings; where it is not given, it is that of the images.
    """
    size = recipe.images.size
    if size is None or size[0] != size[1]:
        return recipe
    setting = size_setting(**recipe.network)
    if setting is None or setting in recipe.network:
        return recipe
    return recipe.model_copy(update={"network": {**recipe.network, setting: size[0]}})


def set_dotted(table: dict[str, Any], key: str, value: Any) -> None:  # noqa: ANN401
    """Set a dotted key of nested tables, in place; a bare name on the way becomes a table with that name."""
    *parents, last = key.split(".")
    for parent in parents:
        inner = table.setdefault(parent, {})
        if not isinstance(inner, dict):
            inner = table[parent] = {"name": inner}
        table = inner
    table[last] = value
