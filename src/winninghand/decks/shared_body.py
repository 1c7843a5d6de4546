"""Cards of one body played fast: the images of a batch in one pass, whatever norms each is played under."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import chain
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from winninghand.base.device import device_of
from winninghand.cards import Card
from winninghand.decks.folding import folded_norms
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

# From so many places of a channel on, scale and shift are quicker channel by channel than broadcast.
_MANY_PLACES = 16

# How many numbers a norm multiplies by, or adds, its place among all that have so many, and their shape.
_Place = tuple[int, int, torch.Size]


class _Rows(NamedTuple):
    """What norms of one length multiply by and add, (places, images · numbers), and zeros and ones of it."""

    values: Tensor
    zeros: Tensor
    ones: Tensor


# How far folded norms may be from the card's own, in units of its largest logit.
_TOLERANCE = 1e-4


class SharedBody:
    """Plays cards of one body without gradients.

    A batch under several sets of norms goes through the body together: after each convolution every image
    has the scale and the shift of its own norms. Where all of a batch is played under one set, that is folded
    into the convolutions, in copies of bodies of up to 64 MiB: one for each set that was played alone, and
    one whose weights lie channels-last where the images do. They are made when first needed, and anew where
    a weight has changed.
    """

    def __init__(self, cards: Sequence[Card]) -> None:
        self._cards = tuple(cards)
        networks = [card.network for card in cards]
        self._tensors = [tensor for one in networks for tensor in one.state_dict(keep_vars=True).values()]
        self._stamp = self._present_stamp()
        self._small = sum(one.nbytes for one in networks[0].parameters()) <= _LARGEST_COPY
        self._images = threading.local()
        self._making = threading.Lock()
        self._together: dict[torch.memory_format, nn.Module] = {}
        self._folded: dict[tuple[int, torch.memory_format], nn.Module | None] = {}

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
        layout = self._layout_of(images)
        if layout not in self._together:
            with self._making, torch.inference_mode(False), torch.no_grad():
                if layout not in self._together:
                    self._together[layout] = self._with_norms_by_image(layout)
        # Of many norms at once, since starting an operation takes its time.
        self._images.rows = {
            length: _rows(table.index_select(1, numbers)) for length, table in self._tables.items()
        }
        try:
            return self._run(self._together[layout], images)
        finally:
            del self._images.rows

    def _logits_of_one(self, images: Tensor, number: int) -> Tensor:
        key = number, self._layout_of(images)
        if key not in self._folded:
            with self._making, torch.inference_mode(False), torch.no_grad():
                if key not in self._folded:
                    self._folded[key] = self._with_norms_folded(*key) if self._small else None
        network = self._folded[key]
        return self._cards[number](images, checked=True) if network is None else self._run(network, images)

    def _run(self, network: nn.Module, images: Tensor) -> Tensor:
        first = self._cards[0]
        normalised = first.normalisation(images)
        logits: Tensor = network(laid_out(normalised, first.network))
        return logits

    def _layout_of(self, images: Tensor) -> torch.memory_format:
        """Return the layout of weights that is fastest for images, and that the network takes."""
        first = self._cards[0].network
        lies_so = not images.is_contiguous() or len(images) == 1
        if self._small and lies_so and takes_channels_last(first, images.device):
            return torch.channels_last
        return torch.contiguous_format

    def _present_stamp(self) -> tuple[int, int]:
        # Whatever writes to a tensor raises its version; a move gives the first of them another place.
        return sum(tensor._version for tensor in self._tensors), self._tensors[0].data_ptr()

    def _with_norms_by_image(self, layout: torch.memory_format) -> nn.Module:
        networks = [card.network for card in self._cards]
        first = networks[0]
        if layout == torch.channels_last:
            network = copied(first).to(memory_format=layout)  # type: ignore[call-overload]
        else:
            network = with_norms_of_its_own(first)
        columns: dict[int, list[Tensor]] = {}
        for path, part in list(network.named_modules()):
            if isinstance(part, NORMS):
                norms = [one.get_submodule(path) for one in networks]
                by_image = _NormByImage(norms, columns, lambda: self._images.rows)
                parent, _, leaf = path.rpartition(".")
                setattr(network.get_submodule(parent), leaf, by_image)
        self._tables = {length: torch.stack(some) for length, some in columns.items()}
        return cast("nn.Module", network.eval())

    def _with_norms_folded(self, number: int, layout: torch.memory_format) -> nn.Module | None:
        """Return the network of a card with its norms in the convolutions; None for one that cannot be."""
        network, height, width = self._cards[number].network, *self._cards[0].input_size
        generator = torch.Generator().manual_seed(0)
        images = torch.rand(2, 3, height, width, generator=generator).to(device_of(network))
        try:
            folded = folded_norms(network, images).to(memory_format=layout)  # type: ignore[call-overload]
            wanted, found = network(images), folded(images)
        except Exception:  # whatever the caller's network raises as it is watched
            return None
        agree = wanted.shape == found.shape and bool(
            (wanted - found).abs().max() <= _TOLERANCE * wanted.abs().max().clamp_min(1)
        )
        return cast("nn.Module", folded) if agree else None


def can_be_played_together(cards: Sequence[Card]) -> bool:
    """Say whether cards, which are of one body, are under norms that can be told apart by image."""
    first = cards[0]
    if first.normalisation.mean.dtype != torch.float32:
        return False
    norms = [[part for part in card.network.modules() if isinstance(part, NORMS)] for card in cards]
    # Beside its tensors a norm has numbers (`eps`, groups), which the images of all cards are normalised by.
    same = all([one.extra_repr() for one in some] == [one.extra_repr() for one in norms[0]] for some in norms)
    alike = all(
        torch.equal(one, other)
        for card in cards[1:]
        for one, other in zip(first.normalisation.buffers(), card.normalisation.buffers(), strict=True)
    )
    inference = any(tensor.is_inference() for card in cards for tensor in card.network.state_dict().values())
    return alike and same and not inference and bool(norms[0]) and all(map(_is_known, chain(*norms)))


def _is_known(norm: nn.Module) -> bool:
    # A batch norm without statistics looks at the other images of a batch.
    batch = isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.running_var is None
    return type(norm) in _KNOWN and not batch


class _NormByImage(nn.Module):
    """Norms of several cards at one place of their body: image n is normalised by those of its own card."""

    def __init__(
        self,
        norms: Sequence[nn.Module],
        columns: dict[int, list[Tensor]],
        rows: Callable[[], dict[int, _Rows]],
    ) -> None:
        """`columns` holds what norms multiply by and add, (cards, numbers) each, and takes that of these."""
        super().__init__()
        # In a tuple, since it is a part of a card and none of this module.
        self._norms = (norms[0],)
        self._rows = rows
        self._of_channels = not isinstance(norms[0], nn.LayerNorm | nn.RMSNorm)
        # Of scale and shift; None for one that the norm does not have.
        self._places: list[_Place | None] = []
        for values in zip(*map(_scale_and_shift, norms), strict=True):
            known = [one.detach() for one in values if one is not None]
            if not known:
                self._places.append(None)
                continue
            alike = columns.setdefault(known[0].numel(), [])
            self._places.append((known[0].numel(), len(alike), known[0].shape))
            alike.append(torch.stack(known).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        """Return x (N, …), normalised."""
        x = self._normalised(x)
        scale, shift = self._places
        if scale is None:
            return x
        rows = self._rows()
        if len(x) * scale[0] != rows[scale[0]].values.shape[1]:
            raise _NotByImageError
        if shift is None:
            return x * self._spread(rows, scale, x)
        if self._of_channels and x.is_contiguous() and x.shape[2:].numel() >= _MANY_PLACES:
            return self._channel_by_channel(x, rows[scale[0]], scale, shift)
        return torch.addcmul(self._spread(rows, shift, x), x, self._spread(rows, scale, x))

    @staticmethod
    def _channel_by_channel(x: Tensor, rows: _Rows, scale: _Place, shift: _Place) -> Tensor:
        """Return x, scaled and shifted, as a batch norm of one image that has all images' channels.

        Where the places of a channel lie side by side this takes a third of the time of a broadcast product.
        """
        shape, (values, zeros, ones) = x.shape, rows
        together = x.view(1, -1, *shape[2:])
        scaled = functional.batch_norm(together, zeros, ones, values[scale[1]], values[shift[1]], eps=0.0)
        return scaled.view(shape)

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

    def _spread(self, rows: dict[int, _Rows], place: _Place, x: Tensor) -> Tensor:
        """Return the values of each image in a shape that broadcasts over x."""
        length, number, shape = place
        ones, values = [1] * (x.ndim - 1 - len(shape)), rows[length].values[number]
        return values.view(len(x), *shape, *ones) if self._of_channels else values.view(len(x), *ones, *shape)


def _rows(values: Tensor) -> _Rows:
    flat = values.flatten(1)
    return _Rows(flat, torch.zeros_like(flat[0]), torch.ones_like(flat[0]))


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
