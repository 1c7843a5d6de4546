"""A card: a compact classifier that carries all it needs; long, since its whole face is one class."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from winninghand.base.deprecation import renamed, renamed_arguments
from winninghand.base.device import device_of, images_at_once, on_device
from winninghand.base.errors import InputError, first_error, percent, shown
from winninghand.base.version import __version__
from winninghand.cards import pushing
from winninghand.cards.answer import Answer
from winninghand.cards.container import write_streams
from winninghand.cards.deprecated import OldCardNames
from winninghand.cards.file import KIND, CardParts, check_parts, entropy_bound_of, pack_card
from winninghand.cards.inspection import Inspection, Work
from winninghand.cards.metadata import CardMetadata, Triple, architecture_metadata, as_triple
from winninghand.cards.prediction import OneOrMore, Prediction, predict
from winninghand.cards.quantization import WeightFormat, input_energies, measure_norms, quantize
from winninghand.compression import prunable_weights
from winninghand.networks import entering, laid_out, preprocessing_of
from winninghand.networks.entering import check_outputs, check_values, copied
from winninghand.spectra import SpectralProfile

# Buffers, besides the normalisation, that a card's state dict holds where the card has them.
_PROFILE, _CLEAN, _SCALE = "profile_", "clean_profile_", "scale/"
_PLAIN = f"{_PROFILE}plain"


class Normalisation(nn.Module):
    """(x − mean) / std per channel, for float images (N, 3, H, W) in [0, 1]."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return the normalised images."""
        return (images - self.mean) / self.std

    @property
    def deviation(self) -> Tensor:
        """Old name of `std`."""
        renamed("card.normalisation.deviation", "card.normalisation.std")
        return self.std


class Card(OldCardNames, nn.Module):
    """A network with its normalisation, classes, training domain and spectral profile.

    Called with float images (N, 3, H, W) in [0, 1] of its `input_size`, it gives logits
    (N, classes). A new card is in evaluation mode, on the device of its network. `scales` holds, for
    weights that are whole levels times a scale per output channel, these scales, float32
    (channels,), by weight name. The state dict holds all but the metadata.
    """

    kind: ClassVar[Literal["card"]] = "card"
    gate: ClassVar[None] = None

    def __init__(
        self,
        network: nn.Module,
        metadata: CardMetadata,
        profile: SpectralProfile | None = None,
        scales: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        check_parts(CardParts(network, metadata, profile, scales or {}))
        device = device_of(network)
        self.network = network
        self.metadata = metadata
        self.normalisation = Normalisation(metadata.mean, metadata.std).to(device)
        for name, tensor in (_profile_buffers(profile) | _scale_buffers(scales or {})).items():
            # A copy, so that a state dict that is loaded into one card changes no other.
            self.register_buffer(name, tensor.detach().to(device, torch.float32, copy=True))
        if profile is not None:
            self.register_buffer(_PLAIN, torch.tensor(profile.rule == "plain", device=device))
        self._measured = _checksum(network) if metadata.accuracies else None
        self.eval()

    @classmethod
    @renamed_arguments(deviation="std")
    def from_module(
        cls,
        module: nn.Module,
        classes: Sequence[str],
        input_size: tuple[int, int],
        mean: Triple | None = None,
        std: Triple | None = None,
        profile: SpectralProfile | None = None,
    ) -> Card:
        """Make a card of a trained module as it stands; weights that are zero count as pruned.

        `input_size` is (height, width) in pixels. `mean` and `std` are those by which the
        module expects its images to be normalised; by default they are those of its library, for a network
        that `wh.network` had of one, and any other module sees images in [0, 1]. Pictures of other sizes are
        brought to `input_size` as that library does it, as far as that is known; any other module sees them
        squashed. The card holds the module itself, or a copy where something about it has to change: see
        `networks.entering`. Raises `InputError` for what is refused there, such as outputs that are not as
        many as the classes, and for values out of range.
        """
        asked = preprocessing_of(module)
        try:
            metadata = CardMetadata(
                classes=classes,  # type: ignore[arg-type]
                input_size=input_size,
                mean=mean if mean is not None else asked.mean if asked else (0.0, 0.0, 0.0),
                std=std if std is not None else asked.std if asked else (1.0, 1.0, 1.0),
                winninghand=__version__,
            )
        except ValidationError as error:
            raise InputError(f"card: {first_error(error)}") from None
        network = entering(module, metadata.input_size, len(metadata.classes))
        known: dict[str, object] = {
            "prunable": tuple(prunable_weights(network)),
            "architecture": architecture_metadata(network),
        }
        if asked is not None:
            known["recipe"] = {"images": {"transform": asked.transform_at(metadata.input_size)}}
        return cls(network, metadata.changed(**known), profile)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return self.metadata.classes

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width, in pixels, of the images that it takes."""
        return self.metadata.input_size

    @property
    def cards(self) -> tuple[Card, ...]:
        """The card itself: played alone, it is all that is played."""
        return (self,)

    @property
    def device(self) -> torch.device:
        """Where its images must be."""
        return self.normalisation.mean.device

    @property
    def profile(self) -> SpectralProfile | None:
        """What its training images look like in the Fourier domain, on the CPU; None where not known."""
        found = {name: tensor.cpu() for name, tensor in self.named_buffers(recurse=False)}
        plain = bool(found.pop(_PLAIN, True))
        found = {name: tensor.float() for name, tensor in found.items()}
        if f"{_PROFILE}mean" not in found:
            return None
        clean = None
        if f"{_CLEAN}mean" in found:
            clean = SpectralProfile(found[f"{_CLEAN}mean"], found[f"{_CLEAN}spread"])
        mean, spread = found[f"{_PROFILE}mean"], found[f"{_PROFILE}spread"]
        return SpectralProfile(mean, spread, clean, "plain" if plain else "padded")

    @property
    def scales(self) -> dict[str, Tensor]:
        """Scales of the weights that are whole levels, float32 (channels,), by weight name."""
        return {
            name.removeprefix(_SCALE).replace("/", "."): tensor
            for name, tensor in self.named_buffers(recurse=False)
            if name.startswith(_SCALE)
        }

    @property
    def network_name(self) -> str:
        """Name of the network in the catalog; for any other module the name of its class."""
        return str((self.metadata.architecture or {}).get("name", type(self.network).__name__))

    @property
    def parts(self) -> CardParts:
        """What the card is made of: `Card(*card.parts)` is the same card.

        Mean and standard deviation are those that it plays. Accuracies are left out where it has been
        changed since it was measured.
        """
        metadata = self.metadata
        for field, buffer in self.normalisation.named_buffers():
            known = torch.tensor(getattr(metadata, field), dtype=torch.float32).to(buffer)
            if not torch.equal(known, buffer.flatten()):
                metadata = metadata.changed(**{field: as_triple(buffer)}, accuracies={})
        if metadata.accuracies and self._measured != _checksum(self.network):
            metadata = metadata.changed(accuracies={})
        return CardParts(self.network, metadata, self.profile, self.scales)

    def with_metadata(self, **changes: object) -> Card:
        """Return the same card, with these fields of its metadata changed.

        Raises `InputError` for a field that metadata does not have and for a value out of range.
        """
        parts = self.parts
        return Card(*parts._replace(metadata=parts.metadata.changed(**changes)))

    def quantized(self, weights: WeightFormat, images: Tensor | None = None, norms: bool = False) -> Card:
        """Return a new card whose prunable weights are rounded; biases, norms and pruned weights stay.

        `weights` is `int8`, `int4`, `fp16` or `binary`: see `quantize`. With `images`, training images,
        float (N, 3, H, W) in [0, 1], each weight's error counts by the mean square of the input it
        meets, so that what is least is the error of the layer's output. With `norms` the statistics of
        batch norms are measured again on them. Accuracies are to be measured again.

        Raises `InputError` for an unknown format, for weights that are not float32, for a weight
        beyond the range of a half, and for `norms` without images.
        """
        if norms and images is None:
            raise InputError("the statistics of batch-norms are measured on images; pass some")
        return self.quantized_on(weights, lambda: () if images is None else (images,), norms)

    def quantized_on(
        self, weights: WeightFormat, images: Callable[[], Iterable[Tensor]], norms: bool = False
    ) -> Card:
        """Return what `quantized` does, for images that need not all be in memory at once.

        `images` yields them in parts each time it is called: once, and with `norms` a second time.
        """
        network, count = copied(self.network).eval(), 0
        prunable = {name: network.get_parameter(name) for name in self.metadata.prunable}

        def counted() -> Iterator[Tensor]:
            nonlocal count
            for batch in self._batches(images()):
                count += len(batch)
                yield batch

        rounded, scales = quantize(prunable, weights, input_energies(network, counted()))
        with torch.no_grad():
            for name, values in rounded.items():
                prunable[name].copy_(values)
        if norms:
            measure_norms(network, self._batches(images()))
        memory = {"weights": weights, "images": count, "norms": norms}
        metadata = self.metadata.changed(quantization=memory, accuracies={})
        return Card(network, metadata, self.profile, scales)

    def forward(self, images: Tensor, checked: bool = False) -> Tensor:
        """Return logits (N, classes) of float images (N, 3, H, W) in [0, 1].

        Raises `InputError` for images of another type or shape, and unless they are `checked`, for pixels
        that are not finite or far out of range.
        """
        check_batch(images, self.metadata.input_size)
        if not checked:
            check_pixels(images)
        normalised = self.normalisation(images.to(self.normalisation.mean.dtype))
        logits: Tensor = self.network(laid_out(normalised, self.network))
        if logits.shape[-1] != len(self.metadata.classes):
            raise InputError(
                f"the card's network gives {logits.shape[-1]} outputs for {len(self.classes)} classes; make "
                "a card of it by Card.from_module, with a name for each"
            )
        return logits

    def answer(self, images: Tensor) -> Answer:
        """Return logits (N, classes), and weights (N, 1) of ones, of float images in [0, 1]."""
        logits = self(images)
        return Answer(logits, logits.new_ones(len(logits), 1))

    def predict(
        self,
        images: OneOrMore | Sequence[OneOrMore],
        top: int = 1,
        device: torch.device | str | None = None,
        batch_size: int = 64,
    ) -> list[Prediction]:
        """Return what it says of images of any size, one prediction for each, in order.

        `images` is a file, a folder, a picture of Pillow, a uint8 array (H, W, 3) or (N, H, W, 3), a float
        tensor (3, H, W) or (N, 3, H, W) in [0, 1], or a list of these. Each is resized to `input_size`,
        bilinearly and with antialiasing. A prediction has `label`, `probability`, the `top` likeliest
        classes and the `cards` played, numbered from 1. `batch_size` images are one batch.

        It is put into evaluation mode, runs on `device`, where it is by default, and is brought back.
        Raises `InputError` for images of another type or range, and for a file that cannot be read.
        """
        self.eval()
        with on_device(self, device):
            return predict(self, images, top, batch_size)

    def reset(self) -> None:
        """Do nothing: a card remembers no images."""

    def train(self, mode: bool = True) -> Card:
        """Set training or evaluation mode; batch norms of the network stay in evaluation mode.

        The statistics of a finished card are part of it. To let them move again, train the network:
        `card.network.train()`.
        """
        super().train(mode)
        for part in self.network.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.eval()
        return self

    def inspect(self) -> Inspection:
        """Return how many parameters it has, and how many of them are not zero, layer by layer."""
        return Inspection.of(self.network, self.metadata.prunable)

    def entropy_bound(self) -> float:
        """Return the bytes that its weights would take at the entropies of each layer (see `entropy_bound`).

        A file can be smaller, where parts of a layer differ.
        """
        return entropy_bound_of(self.parts)

    def save(self, path: Path | str) -> None:
        """Write the card to one file, whole or not at all.

        Raises `InputError` for what a file cannot hold, and for a network that does not give one logit
        per class.
        """
        header, streams = pack_card(self.parts)
        check_outputs(self.network, self.input_size, len(self.classes))
        write_streams(path, {"kind": KIND, **header}, streams)

    push_to_hub = pushing.push_to_hub

    def __repr__(self) -> str:
        height, width = self.input_size
        words = [
            self.network_name,
            f"{len(self.classes)} classes",
            f"{height}×{width}",
            f"sparsity {percent(self.inspect().sparsity, 1)}",
        ]
        words += [f"domain {self.metadata.domain.get('name')}"] if self.metadata.domain else []
        words += [str(self.metadata.quantization.get("weights"))] if self.metadata.quantization else []
        return shown(f"Card({', '.join(words)})")

    def data_sheet(self) -> dict[str, str]:
        """Return what it is as lines of a name and a text, for people: see `inspect` for numbers."""
        from winninghand.cards.data_sheet import data_sheet  # no card that is played needs it

        parts, counts = self.parts, self.inspect()
        work = Work.of(self.network, counts, self.input_size)
        return data_sheet(self.network_name, parts.metadata, parts.profile, counts, work)

    def _repr_html_(self) -> str:
        """Return its data sheet as HTML, which notebooks show."""
        from winninghand.base.html import html_sheet

        return html_sheet(self.data_sheet(), repr(self))

    def _batches(self, images: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield images as the network sees them: 256 at a time, fewer beyond 64×64 pixels, and evenly."""
        at_once = images_at_once(256, 64, self.input_size)
        for part in images:
            check_batch(part, self.input_size)
            for batch in part.tensor_split(math.ceil(len(part) / at_once)):
                check_pixels(batch)
                yield laid_out(self.normalisation(batch), self.network)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Take what is there of profile, scales and normalisation; a state dict of version 0.1 has none."""
        check_values({key: tensor for key, tensor in state_dict.items() if key.startswith(prefix)})
        if f"{prefix}{_PROFILE}mean" in state_dict:
            # One that does not say by which rule its profile was made is older than the present one.
            state_dict.setdefault(prefix + _PLAIN, torch.tensor(False))
        for key, tensor in state_dict.items():
            name = key.removeprefix(prefix)
            if key.startswith(prefix) and name.startswith((_PROFILE, _CLEAN, _SCALE)):
                self.register_buffer(name, torch.empty_like(tensor, device=self.device))
        for name, tensor in self.named_buffers():
            if not name.startswith("network."):
                state_dict.setdefault(prefix + name, tensor)
        for field, buffer in self.normalisation.named_buffers():
            loaded = state_dict[f"{prefix}normalisation.{field}"]
            if loaded.shape == buffer.shape and not torch.equal(loaded.to(buffer), buffer):
                self.metadata = self.metadata.changed(**{field: as_triple(loaded)})
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


def check_batch(images: Tensor, input_size: tuple[int, int]) -> None:
    """Raise `InputError` unless `images` is a float batch (N ≥ 1, 3, *input_size)."""
    height, width = input_size
    if not isinstance(images, Tensor):
        raise InputError(
            f"images must be a float tensor (N, 3, {height}, {width}), not {type(images).__name__}; for "
            "files, pictures and arrays there is predict(images)"
        )
    if not images.is_floating_point():
        raise InputError(f"images must be float in [0, 1], not {images.dtype}; divide bytes by 255")
    if images.layout != torch.strided:
        raise InputError(f"images must be a dense tensor, not one of layout {images.layout}")
    if images.ndim == 4 and len(images) == 0:
        raise InputError(f"images must have the shape (N, 3, {height}, {width}); give at least one image")
    if images.ndim != 4 or tuple(images.shape[1:]) != (3, height, width):
        raise InputError(
            f"images must have the shape (N, 3, {height}, {width}), not {tuple(images.shape)}; resize them"
        )


# Noise that somebody adds to an image stays far below this, bytes in 0 .. 255 go far beyond.
_LARGEST_PIXEL = 16.0


def check_pixels(images: Tensor) -> None:
    """Raise `InputError` for pixels that are NaN, infinite, or in 0 .. 255 where [0, 1] is meant."""
    if torch.compiler.is_compiling() or images.is_meta:
        return
    if images.is_cuda and torch.cuda.is_current_stream_capturing():
        return
    try:
        if plausible_sum(images.sum(dtype=torch.float32).item(), images.numel()):
            return
        low, high = torch.stack(torch.aminmax(images.detach())).tolist()
    except RuntimeError:  # within torch.func.vmap, whose tensors have no values to look at
        return
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError("the batch holds pixels that are NaN or infinite; images must lie in [0, 1]")
    if max(-low, high) > _LARGEST_PIXEL:
        raise InputError(f"pixels must lie in [0, 1], not {low:g} to {high:g}; divide bytes by 255")


def plausible_sum(total: float, pixels: int) -> bool:
    """Tell by their sum whether a batch's pixels need no second look.

    It does so for most batches, in a fifth of the time of a look at each pixel: no number that is not finite
    adds up to one that is, and bytes add up to more than their count, unless nearly all are 0.
    """
    return abs(total) <= pixels


def _checksum(network: nn.Module) -> int:
    """Return the sum of all bits of a network's state, which changes with any of its values."""
    total = 0
    for tensor in network.state_dict().values():
        width = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
        total += int(tensor.detach().contiguous().view(-1).view(width).sum(dtype=torch.int64))
    return total


def _profile_buffers(profile: SpectralProfile | None, prefix: str = _PROFILE) -> dict[str, Tensor]:
    if profile is None:
        return {}
    clean = _profile_buffers(profile.clean, _CLEAN) if prefix == _PROFILE else {}
    return {f"{prefix}mean": profile.mean, f"{prefix}spread": profile.spread, **clean}


def _scale_buffers(scales: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return scales under names that buffers may have: without dots."""
    return {_SCALE + name.replace(".", "/"): scale for name, scale in scales.items()}
