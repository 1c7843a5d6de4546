"""Image classifiers of transformers: `hf:OWNER/NAME` of the Hugging Face hub.

A card keeps the whole configuration, so that it opens without the hub.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from winninghand.base.errors import InputError, shown
from winninghand.networks.libraries import Found, Preprocessing, imported, preprocessing, refuse

_NAME = re.compile(r"(?:[\w.-]{1,96}/)?[\w.-]{1,96}")
_REFUSED = frozenset({"config", "num_labels", "id2label", "label2id", "trust_remote_code"})
# Keys of a configuration that name code, files or weights elsewhere, or say nothing of the network. Code of
# the hub can also come as a kernel, by the way in which attention is computed.
_DROPPED = re.compile(
    r"_.*|attn_implementation|experts_implementation|kernel_config|use_kernels|auto_map|quantization_config"
    r"|name_or_path|backbone|backbone_kwargs|use_pretrained_backbone|use_timm_backbone|architectures"
    r"|transformers_version|torch_dtype|dtype|id2label|label2id|num_labels|problem_type|finetuning_task"
    r"|output_attentions|output_hidden_states|return_dict|use_return_dict|torchscript|is_encoder_decoder"
    r"|chunk_size_feed_forward|pruned_heads"
)


def names() -> Sequence[str]:
    """Return no names: the hub has hundreds of thousands."""
    return ()


def is_known(name: str) -> bool:
    """Tell whether a name can be one of the hub."""
    return _NAME.fullmatch(name) is not None and ".." not in name


def complete(name: str, settings: Mapping[str, Any], pretrained: bool) -> dict[str, Any]:
    """Return the number of classes and the whole configuration, fetched from the hub unless it is given."""
    rest = {key: value for key, value in settings.items() if key not in ("classes", "config")}
    refuse(f"hf:{name}", rest, _REFUSED)
    if "config" in settings:
        if rest:
            raise InputError(f"network 'hf:{name}': {sorted(rest)[0]!r} belongs into its config")
        if not isinstance(settings["config"], Mapping) or "classes" not in settings:
            raise InputError(f"network 'hf:{name}': a config is a table, and goes with the number of classes")
        return {"classes": settings["classes"], "config": plain(settings["config"])}
    found = _fetched(name)
    for key, value in rest.items():
        if not hasattr(found, key):
            raise InputError(f"network 'hf:{name}' ({found.model_type}) has no setting {key!r}; leave it out")
        setattr(found, key, value)
    table = {**found.to_dict(), "model_type": found.model_type}
    return {"classes": settings.get("classes", found.num_labels), "config": plain(table)}


def size_setting(name: str, pretrained: bool) -> str | None:
    """Return the setting that says which size a network takes; None where its weights, or no key, say it."""
    return "image_size" if not pretrained and hasattr(_fetched(name), "image_size") else None


def build(name: str, settings: Mapping[str, Any], pretrained: bool) -> nn.Module:
    """Return the network, which gives logits; its head is new for another number of classes."""
    config = _configuration(name, settings)
    auto = imported("transformers", f"hf:{name}").AutoModelForImageClassification
    with _quiet(name):
        module: nn.Module = (
            _with_weights(auto, name, config) if pretrained else auto.from_config(config, dtype=torch.float32)
        )
    module.register_forward_hook(_logits)
    return module.float()


def expected(name: str, module: nn.Module, settings: Mapping[str, Any], fetch: bool) -> Preprocessing | None:
    """Return how a network expects its images, by the hub's file on preprocessing; None without one.

    Unless it may `fetch` the file, that is one that lies here already.
    """
    size = settings["config"].get("image_size")
    try:
        path = imported("transformers.utils", f"hf:{name}").cached_file(
            name,
            "preprocessor_config.json",
            local_files_only=not fetch,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
            _raise_exceptions_for_gated_repo=False,
        )
        table = {} if path is None else json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(table, dict):
        return None
    if not isinstance(size, int | list):
        size = _side(table.get("crop_size")) or _side(table.get("size"))
    mean, std = table.get("image_mean"), table.get("image_std")
    return preprocessing(mean, std, size) if table.get("do_normalize", True) else None


def recognised(module: nn.Module) -> Found | None:
    """Return the configuration of a network of transformers."""
    config: Any = getattr(module, "config", None)
    if not type(module).__name__.endswith("ForImageClassification") or not hasattr(config, "to_dict"):
        return None
    table = {**config.to_dict(), "model_type": config.model_type}
    path = str(getattr(config, "_name_or_path", ""))
    name = path if is_known(path) else str(config.model_type)
    return Found(name, {"classes": config.num_labels, "config": plain(table)})


def plain(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a configuration says how a network is built, and nothing that names code or files."""
    kept: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(key, str) and not _DROPPED.fullmatch(key):
            kept[key] = plain(value) if isinstance(value, Mapping) else value
    return kept


def _fetched(name: str) -> Any:  # noqa: ANN401 (transformers')
    with _quiet(name):
        config = imported("transformers", f"hf:{name}").AutoConfig.from_pretrained(
            name, trust_remote_code=False
        )
    _check_kind(name, config.model_type)
    return config


def _configuration(name: str, settings: Mapping[str, Any]) -> Any:  # noqa: ANN401 (transformers')
    table = dict(settings["config"])
    kind = table.pop("model_type", None)
    _check_kind(name, kind)
    auto = imported("transformers", f"hf:{name}").AutoConfig
    return auto.for_model(kind, **table, num_labels=settings["classes"])


def _check_kind(name: str, kind: object) -> None:
    known = imported("transformers.models.auto.modeling_auto", f"hf:{name}")
    if kind == "timm_wrapper":
        raise InputError(f"'hf:{name}' is a network of timm; name it timm:NAME, as timm does")
    if kind not in known.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES:
        raise InputError(
            f"'hf:{name}' is of the kind {shown(repr(kind))}, of which transformers has no image classifier"
        )


def _with_weights(auto: Any, name: str, config: Any) -> nn.Module:  # noqa: ANN401 (transformers')
    module, report = auto.from_pretrained(
        name,
        config=config,
        dtype=torch.float32,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        trust_remote_code=False,
    )
    head = _head(module)
    others = [entry if isinstance(entry, str) else entry[0] for entry in report["mismatched_keys"]]
    odd = sorted(key for key in [*others, *report["missing_keys"]] if not key.startswith(head))
    if odd:
        raise InputError(
            f"the pretrained weights of 'hf:{name}' do not fit it with these settings: {odd[0]!r}"
        )
    found: nn.Module = module
    return found


def _head(module: nn.Module) -> tuple[str, ...]:
    """Return the names of the last layer, and of what transformers calls a classifier."""
    last = list(dict(module.named_parameters()))[-1].rpartition(".")[0]
    return (last, "classifier", "cls_classifier", "distillation_classifier")


def _logits(_: nn.Module, __: object, outputs: Any) -> Tensor:  # noqa: ANN401 (transformers')
    logits: Tensor = outputs.logits
    return logits


def _side(size: object) -> object:
    """Return (height, width) or a side of what preprocessing says of a size."""
    if isinstance(size, Mapping):
        sides = (size.get("height"), size.get("width"))
        return sides if None not in sides else size.get("shortest_edge")
    return size


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Have transformers say nothing of its own: not of new heads, not how far it is."""
    log = imported("transformers.utils.logging", f"hf:{name}")
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity(50)
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()
