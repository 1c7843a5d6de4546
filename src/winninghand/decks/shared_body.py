"""Cards of one body played fast: the images of a batch in one pass, whatever norms each is played under."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse
from torch.nn import functional

from winninghand.base.device import device_of
from winninghand.cards import Card
from winninghand.networks import laid_out, takes_channels_last
from winninghand.networks.entering import copied
from winninghand.networks.norms import NORMS, with_norms_of_its_own

_STATISTICS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
)
# Torch's own, and no class derived from them: what else such a class does would be lost.
_KNOWN = (*_STATISTICS, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)

# Copies of larger bodies would take more memory than they save time.
_LARGEST_COPY = 1 << 26

# How far folded norms may be from the card's own, in units of its largest logit.
_TOLERANCE = 1e-4


class SharedBody:
    """Plays cards of one body without gradients.

    A batch under several sets of norms goes through the body together: after each convolution every image
    has the scale and the shift of its own norms. Where all of a batch is played under one set, that is folded
    into the convolutions. Both keep copies of bodies of up to 64 MiB: one, and one for each set that was
    played alone. They are made when first needed, and anew where a weight has changed.
    """

    def __init__(self, cards: Sequence[Card]) -> None:
        self._cards = tuple(cards)
        networks = [card.network for card in cards]
        self._tensors = [tensor for one in networks for tensor in one.state_dict(keep_vars=True).values()]
        self._stamp = self._present_stamp()
        self._small = sum(one.nbytes for one in networks[0].parameters()) <= _LARGEST_COPY
        self._images = threading.local()
        with torch.inference_mode(False), torch.no_grad():
            self._together = self._with_norms_by_image(networks)
        self._folded: dict[int, nn.Module | None] = {}

    @property
    def is_current(self) -> bool:
        """Whether the cards still have the weights, on the device, that this was made of."""
        return self._stamp == self._present_stamp()

    def play(self, images: Tensor, weights: Tensor, temperatures: Tensor) -> Tensor | None:
        """Return probabilities (N, classes) of float images under weights (N, cards), each card's logits
        divided by its temperature, in its type; None where images cannot be told apart within the body.
        """
        images = images.to(self._cards[0].normalisation.mean.dtype)
        places, numbers = weights.nonzero(as_tuple=True)
        played = numbers.unique()
        all_places = torch.arange(len(images), device=images.device)
        if len(played) and len(places) == len(images) * len(played):
            # Each card that is played at all has the whole batch.
            logits = torch.cat([self._logits_of_one(images, number) for number in played.tolist()])
            places, numbers = all_places.repeat(len(played)), played.repeat_interleave(len(images))
        else:
            once = torch.equal(places, all_places)
            try:
                logits = self._logits(images if once else images[places], numbers)
            except _NotByImageError:
                return None
        shares = (logits / temperatures[numbers, None]).softmax(dim=1).to(weights.dtype)
        probabilities = weights.new_zeros(len(images), shares.shape[1])
        return probabilities.index_add_(0, places, shares * weights[places, numbers, None])

    def _logits(self, images: Tensor, numbers: Tensor) -> Tensor:
        """Return logits (N, classes) of images (N, 3, H, W), each of the card with its number (N,)."""
        self._images.numbers = numbers
        try:
            return self._run(self._together, images)
        finally:
            del self._images.numbers

    def _logits_of_one(self, images: Tensor, number: int) -> Tensor:
        if number not in self._folded:
            with torch.inference_mode(False), torch.no_grad():
                self._folded[number] = self._with_norms_folded(number) if self._small else None
        network = self._folded[number]
        return self._cards[number](images, checked=True) if network is None else self._run(network, images)

    def _run(self, network: nn.Module, images: Tensor) -> Tensor:
        first = self._cards[0]
        normalised = first.normalisation(images)
        logits: Tensor = network(laid_out(normalised, first.network))
        return logits

    def _present_stamp(self) -> tuple[int, int]:
        # Whatever writes to a tensor raises its version; a move gives the first of them another place.
        return sum(tensor._version for tensor in self._tensors), self._tensors[0].data_ptr()

    def _with_norms_by_image(self, networks: Sequence[nn.Module]) -> nn.Module:
        first = networks[0]
        network = self._laid_out(copied(first) if self._small else with_norms_of_its_own(first))
        for path, part in list(network.named_modules()):
            if isinstance(part, NORMS):
                norms = [one.get_submodule(path) for one in networks]
                parent, _, leaf = path.rpartition(".")
                setattr(
                    network.get_submodule(parent), leaf, _NormByImage(norms, lambda: self._images.numbers)
                )
        return network.eval()

    def _with_norms_folded(self, number: int) -> nn.Module | None:
        """Return the network of a card with its norms in the convolutions; None for one that cannot be."""
        network, height, width = self._cards[number].network, *self._cards[0].input_size
        try:
            folded = self._laid_out(fuse(network))
            generator = torch.Generator().manual_seed(0)
            images = torch.rand(2, 3, height, width, generator=generator).to(device_of(network))
            wanted, found = network(images), folded(images)
        except Exception:  # whatever tracing, or the caller's network as it is traced, raises
            return None
        agree = wanted.shape == found.shape and bool(
            (wanted - found).abs().max() <= _TOLERANCE * wanted.abs().max().clamp_min(1)
        )
        return folded if agree else None

    def _laid_out(self, network: nn.Module) -> nn.Module:
        """Return a network with its weights as its images lie, which else a convolution would see to."""
        first = self._cards[0].network
        if self._small and takes_channels_last(first, device_of(first)):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network


def can_be_played_together(cards: Sequence[Card]) -> bool:
    """Say whether cards, which are of one body, are under norms that can be told apart by image."""
    first = cards[0]
    if first.normalisation.mean.dtype != torch.float32:
        return False
    parts = [part for card in cards for part in card.network.modules() if isinstance(part, NORMS)]
    alike = all(
        torch.equal(one, other)
        for card in cards[1:]
        for one, other in zip(first.normalisation.buffers(), card.normalisation.buffers(), strict=True)
    )
    inference = any(tensor.is_inference() for card in cards for tensor in card.network.state_dict().values())
    return alike and not inference and bool(parts) and all(map(_is_known, parts))


def _is_known(norm: nn.Module) -> bool:
    # A batch norm without statistics looks at the other images of a batch.
    batch = isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.running_var is None
    return type(norm) in _KNOWN and not batch


class _NormByImage(nn.Module):
    """Norms of several cards at one place of their body: image n is normalised by those of its own card."""

    scale: Tensor | None
    shift: Tensor | None

    def __init__(self, norms: Sequence[nn.Module], numbers: Callable[[], Tensor]) -> None:
        super().__init__()
        self._numbers = numbers
        # In a tuple, since it is a part of a card and none of this module.
        self._norms = (norms[0],)
        self._of_channels = not isinstance(norms[0], nn.LayerNorm | nn.RMSNorm)
        pairs = [_scale_and_shift(norm) for norm in norms]
        for name, tensors in zip(("scale", "shift"), zip(*pairs, strict=True), strict=True):
            known = [tensor for tensor in tensors if tensor is not None]
            self.register_buffer(name, torch.stack(known).detach() if known else None, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return x (N, …), normalised."""
        x = self._normalised(x)
        if self.scale is None:
            return x
        numbers = self._numbers()
        if len(x) != len(numbers):
            raise _NotByImageError
        scale = self._spread(self.scale[numbers], x)
        if self.shift is None:
            return x * scale
        return torch.addcmul(self._spread(self.shift[numbers], x), x, scale)

    def _normalised(self, x: Tensor) -> Tensor:
        (norm,) = self._norms
        if isinstance(norm, nn.RMSNorm):
            return functional.rms_norm(x, norm.normalized_shape, eps=norm.eps)
        if isinstance(norm, nn.LayerNorm):
            return functional.layer_norm(x, norm.normalized_shape, eps=norm.eps)
        if isinstance(norm, nn.GroupNorm):
            return functional.group_norm(x, norm.num_groups, eps=norm.eps)
        if isinstance(norm, nn.modules.instancenorm._InstanceNorm) and norm.running_var is None:
            return functional.instance_norm(x, eps=norm.eps)
        return x

    def _spread(self, values: Tensor, x: Tensor) -> Tensor:
        """Return values of each image in a shape that broadcasts over x."""
        ones = [1] * (x.ndim - values.ndim)
        return (
            values.view(*values.shape, *ones)
            if self._of_channels
            else values.view(len(values), *ones, *values.shape[1:])
        )


def _scale_and_shift(norm: nn.Module) -> tuple[Tensor | None, Tensor | None]:
    """Return what a norm multiplies by and adds, once it has normalised by what is not stored."""
    weight, bias = cast("Tensor | None", norm.weight), cast("Tensor | None", getattr(norm, "bias", None))
    if not isinstance(norm, _STATISTICS) or norm.running_mean is None or norm.running_var is None:
        return weight, bias
    scale = (norm.running_var + norm.eps).rsqrt()
    scale = scale if weight is None else scale * weight
    shift = -norm.running_mean * scale
    return scale, shift if bias is None else shift + bias


class _NotByImageError(Exception):
    """A norm of a network sees something else than one row for each image."""
