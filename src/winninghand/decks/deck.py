"""A deck: several cards and a gate that chooses among them; long, since its whole face is one class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, cast

import torch
from torch import Tensor, nn

from winninghand.base.device import device_of, on_device
from winninghand.base.errors import InputError, shown
from winninghand.cards import Answer, Card, check_batch, check_pixels, pushing
from winninghand.cards.container import write_streams
from winninghand.cards.opening import CardLike, opened
from winninghand.cards.prediction import OneOrMore, Prediction, predict
from winninghand.decks.bodies import bodies_of, check_one_body, tie_again, ties_of
from winninghand.decks.file import KIND, MOST_CARDS, DeckParts, pack_deck, shared_streams
from winninghand.decks.gate import FITTED_VALUES, GATES, FittedScores, Gate, GateSettings, gate_settings
from winninghand.networks.entering import check_outputs, check_values, copied

if TYPE_CHECKING:
    import altair

    from winninghand.decks.shared_body import SharedBody
    from winninghand.images import Split

# Whether its cards are played together is found out when they are played first.
_UNKNOWN: Final = "unknown"


class Deck(nn.Module):
    """Cards of one task, and the gate that plays them.

    `cards` may also be paths of their files, or `zoo:NAME`. Called with float images (N, 3, H, W) in [0, 1]
    it gives log-probabilities (N, classes): the logarithm of the weighted mean of the softmaxes of the cards
    played. The gate's settings are given by name, as in `Deck(cards, "weighted", max_active=2)`, or as one
    object, `settings`. `temperatures` > 0 divide each card's logits before its softmax (1 where None).

    The state dict holds the cards', the temperatures and what was fitted of the gate: `slopes`
    (cards, numbers that the gate sees) and `offsets` (cards,). Raises `InputError` where the cards
    disagree on classes or input size, lack the profiles that the gate needs, and for settings that the
    gate does not have.
    """

    kind: ClassVar[Literal["deck"]] = "deck"
    temperatures: Tensor
    slopes: Tensor | None
    offsets: Tensor | None

    def __init__(
        self,
        cards: Sequence[CardLike],
        gate: str = "spectral",
        settings: GateSettings | None = None,
        temperatures: Sequence[float] | None = None,
        **values: object,
    ) -> None:
        super().__init__()
        if settings is not None and values:
            raise InputError("give the gate's settings by name or as one object, not both")
        checked = gate_settings(gate, values) if settings is None else settings
        cards = opened(cards)
        check_cards(cards)
        refusal = refusal_of(cards, gate, checked)
        if refusal is not None:
            raise InputError(refusal)
        self._set_up(cards, gate, checked, temperatures)

    @classmethod
    def provisional(
        cls,
        cards: Sequence[Card],
        gate: str,
        settings: GateSettings,
        temperatures: Sequence[float] | None = None,
    ) -> Deck:
        """Return a deck whose cards may have profiles by an old rule, of a file or still to be fitted.

        Where the gate cannot go by these, the deck raises `InputError` when it is to choose, and not before:
        it can still be fitted, or be given another gate or new profiles.
        """
        deck = cls.__new__(cls)
        nn.Module.__init__(deck)
        check_cards(cards)
        deck._set_up(cards, gate, settings, temperatures)
        return deck

    def _set_up(
        self, cards: Sequence[Card], gate: str, settings: GateSettings, temperatures: Sequence[float] | None
    ) -> None:
        if GATES[gate].needs_profiles:
            _check_profiles(cards, gate)
        divisors = _checked_temperatures(temperatures, len(cards))
        self._refusal = refusal_of(cards, gate, settings)
        self._cards = nn.ModuleList(cards)
        # A tuple, because a walk through modules for every batch would cost as much as an operation.
        self._played = tuple(cards)
        self._body: SharedBody | Literal["unknown"] | None = _UNKNOWN
        self._input_size = cards[0].input_size
        self.register_buffer("temperatures", torch.tensor(divisors, dtype=torch.float32))
        self._gate = make_gate(gate, cards, settings)
        for name in FITTED_VALUES:
            fitted = None if self.settings.scores is None else getattr(self.settings.scores, name)
            self.register_buffer(name, None if fitted is None else torch.tensor(fitted, dtype=torch.float32))
        self.register_load_state_dict_post_hook(_follow_state)  # type: ignore[no-untyped-call]
        self.to(device_of(cards[0]))
        self.eval()

    @property
    def cards(self) -> tuple[Card, ...]:
        """The cards, in the order of the gate's weights."""
        return self._played

    @property
    def gate(self) -> str:
        """Name of the gate."""
        return self._gate.name

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width, in pixels, of the images that it takes."""
        return self._input_size

    @property
    def device(self) -> torch.device:
        """Where its images must be."""
        return self.temperatures.device

    @property
    def settings(self) -> GateSettings:
        """Settings of the gate, with what was fitted."""
        return self._gate.settings

    @property
    def parts(self) -> DeckParts:
        """What the deck is made of."""
        cards = tuple(card.parts for card in self.cards)
        return DeckParts(cards, self.gate, self.settings, tuple(self.temperatures.tolist()))

    @property
    def batch_matters(self) -> bool:
        """Whether an image's weights depend on which batch it is in."""
        return self._gate.batch_matters

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the log-probabilities."""
        return self.cards[0].classes

    def with_gate(self, gate: str, **settings: object) -> Deck:
        """Return a deck of the same cards under another gate, with these settings.

        What was fitted stays unless `scores` says otherwise; all other settings are the gate's defaults.
        """
        checked = gate_settings(gate, {"scores": self.settings.scores, **settings})
        return Deck(self.cards, gate, checked, self.temperatures.tolist())

    def choose(self, images: Tensor) -> Tensor:
        """Return the weight of each card for each image, float (N, cards), rows summing to 1.

        A card of weight 0 is not played; no gradient flows through the choice. Raises `InputError`
        for images of another type or shape, an empty batch, and pixels that are not numbers.
        """
        self._check_playable()
        check_batch(images, self._input_size)
        check_pixels(images)
        # A gate has no parameters, so detaching is enough; it takes an eighth of the time of no_grad.
        weights: Tensor = self._gate(images.detach())
        if images.dtype is torch.float64:
            return weights.double()
        return weights

    @torch.no_grad()
    def weigh(self, seen: Tensor) -> Tensor:
        """Return the weights (N, cards) for what the gate sees of one batch, without its images.

        That is log-amplitude spectra, or for the gate `features` statistics of the first convolution.
        """
        self._check_playable()
        weights: Tensor = self._gate.weigh(seen.to(self.temperatures.device))
        return weights

    def _check_playable(self) -> None:
        if self._refusal is not None:
            raise InputError(self._refusal)

    def mixed(self, logits: Tensor, weights: Tensor) -> Tensor:
        """Return log-probabilities (N, classes) of logits (cards, N, classes) under weights (N, cards)."""
        logits = logits.to(self.temperatures.device)
        shares = (logits / self.temperatures[:, None, None]).softmax(dim=-1)
        return _logarithm(torch.einsum("knc,nk->nc", shares, weights))

    def reset(self) -> None:
        """Begin a new stream of images: forget what the gate remembers of earlier ones."""
        self._gate.reset()

    def plot_choices(
        self,
        split: Split,
        corruptions: str | Sequence[str] = "common",
        severities: Iterable[int] = (1, 2, 3, 4, 5),
        limit: int | None = 200,
        seed: int = 0,
        batch_size: int = 256,
        data: str = "",
        title: str = "",
    ) -> altair.Chart:
        """Return an Altair chart of who plays when: the mean weight of each card by corruption and severity.

        The gate looks at a seeded, class-balanced sample of `limit` images of a split (None: all), clean and
        corrupted as in `wh.evaluate`, in batches of one corruption at one severity; no card is run. Notebooks
        show the chart; `wh.save_picture` writes it as SVG or PNG. Its caption names the number of images and
        the seed, and the `data` where it is given. Raises `InputError` where altair, of the extra `report`,
        is not installed, for a corruption that is not known or not to be had, and for what is out of range.
        """
        # Only who draws needs what draws.
        from winninghand.base.charts import drawing
        from winninghand.decks.choices import choices_of, plot_of

        drawing()
        choices = choices_of(self, split, corruptions, severities, limit, seed, batch_size)
        return plot_of(choices, data, title)

    def play(self, images: Tensor, weights: Tensor) -> Tensor:
        """Return log-probabilities (N, classes) under given weights (N, cards).

        Each card runs once, on the images that it has a weight for. Cards of one body run together where no
        gradient is wanted.
        """
        body = self._shared_body()
        if body is not None:
            check_batch(images, self._input_size)
            found = body.play(images, weights, self.temperatures)
            if found is not None:
                return _logarithm(found)
            self._body = None
        probabilities = weights.new_zeros(len(images), len(self.classes))
        for number in range(len(self.cards)):
            chosen = weights[:, number].nonzero().squeeze(1)
            if len(chosen) == len(images):
                shares = self._shares(number, images).to(weights.dtype)
                probabilities = probabilities + weights[:, number, None] * shares
            elif len(chosen):
                shares = self._shares(number, images[chosen]).to(weights.dtype)
                probabilities = probabilities.index_add(0, chosen, weights[chosen, number, None] * shares)
        return _logarithm(probabilities)

    def _shared_body(self) -> SharedBody | None:
        """Return what plays cards of one body together; None where that is not possible, or not meant."""
        # Another thread may set it in between.
        body = self._body
        if body is None or torch.is_grad_enabled() or torch.compiler.is_compiling():
            return None
        if torch.is_autocast_enabled(self.device.type) or any(card.network.training for card in self.cards):
            return None
        if body == _UNKNOWN or not body.is_current:
            body = None
            if len(self.cards) > 1 and len(bodies_of(self.cards)) == 1:
                # Only who has such a deck needs what takes networks apart.
                from winninghand.decks.shared_body import SharedBody, can_be_played_together

                body = SharedBody(self.cards) if can_be_played_together(self.cards) else None
            self._body = body
        return body

    def _shares(self, number: int, images: Tensor) -> Tensor:
        """Return the softmax (N, classes) of one card, at least in single precision."""
        logits = self.cards[number](images, checked=True)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        shares: Tensor = (logits / self.temperatures[number]).softmax(dim=1)
        return shares

    def answer(self, images: Tensor) -> Answer:
        """Return log-probabilities (N, classes), and the weights (N, cards) that the gate chose."""
        weights = self.choose(images)
        return Answer(self.play(images, weights), weights)

    def predict(
        self,
        images: OneOrMore | Sequence[OneOrMore],
        top: int = 1,
        device: torch.device | str | None = None,
        batch_size: int = 64,
    ) -> list[Prediction]:
        """Return what it says of images of any size, one prediction for each: see `Card.predict`.

        A gate looks at `batch_size` images together, and remembers what it saw before (see `reset`).
        """
        self.eval()
        with on_device(self, device):
            return predict(self, images, top, batch_size)

    def forward(self, images: Tensor) -> Tensor:
        """Return log-probabilities (N, classes), the cards chosen by the gate."""
        return self.play(images, self.choose(images))

    def save(self, path: Path | str) -> None:
        """Write the deck to one file, whole or not at all."""
        header, streams = pack_deck(self.parts)
        for card in self.cards:
            check_outputs(card.network, card.input_size, len(card.classes))
        write_streams(path, {"kind": KIND, **header}, streams, once=shared_streams(streams))

    def data_sheet(self) -> dict[str, str]:
        """Return what it is as lines of a name and a text, for people; its cards have sheets of their own."""
        from winninghand.decks.data_sheet import deck_sheet  # no deck that is played needs it

        return deck_sheet(self.cards, self.gate, self.settings)

    push_to_hub = pushing.push_to_hub

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or a pickle holds: all but the copies that it plays by."""
        return {**vars(self), "_body": _UNKNOWN}

    def __repr__(self) -> str:
        height, width = self.input_size
        networks = ", ".join(dict.fromkeys(card.network_name for card in self.cards))
        words = [
            f"{len(self.cards)} × {networks}",
            f"gate {self.gate}",
            f"{len(self.classes)} classes",
            f"{height}×{width}",
        ]
        return shown(f"Deck({', '.join(words)})")

    def _repr_html_(self) -> str:
        """Return its data sheet and its cards as HTML, which notebooks show."""
        # No deck that is played needs it.
        from winninghand.base.html import html_sheet, html_table
        from winninghand.decks.data_sheet import CARD_COLUMNS, card_rows

        sheet = html_sheet(self.data_sheet(), repr(self))
        return sheet + html_table(CARD_COLUMNS, card_rows(self.cards, self.temperatures.tolist()))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Deck:
        """Move or convert the deck; cards of another precision are copies, since the caller has these."""
        if fn(self.temperatures).dtype != self.temperatures.dtype:
            # All together, so that what they have in common stays one.
            self._cards = cast("nn.ModuleList", copied(self._cards))
            self._played = cast("tuple[Card, ...]", tuple(self._cards))
        ties = ties_of(self._played)
        self._body = _UNKNOWN
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        tie_again(self._played, ties)
        return self

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
        """Take what is there of temperatures and fitted values; a state dict of version 0.1 has none."""
        check_values({key: tensor for key, tensor in state_dict.items() if key.startswith(prefix)})
        check_one_body(state_dict, f"{prefix}_cards.", ties_of(self._played))
        for name in FITTED_VALUES:
            if prefix + name in state_dict:
                self.register_buffer(name, torch.empty_like(state_dict[prefix + name], device=self.device))
        for name, tensor in self.named_buffers(recurse=False):
            state_dict.setdefault(prefix + name, tensor)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


def make_gate(gate: str, cards: Sequence[Card], settings: GateSettings) -> Gate:
    """Return a gate for these cards; `InputError` for settings of another gate."""
    kind = GATES[gate]
    if not isinstance(settings, kind.settings_type):
        raise InputError(f"these settings are not those of the gate {gate!r}")
    return kind.of_cards(cards, settings)


def _follow_state(deck: Deck, _: object) -> None:
    """Make the gate anew of the profiles and the fitted values that a state dict brought."""
    _checked_temperatures(deck.temperatures.tolist(), len(deck.cards))
    settings, scores = deck.settings, deck.settings.scores
    if deck.slopes is not None and deck.offsets is not None:
        values = {name: getattr(deck, name).tolist() for name in FITTED_VALUES}
        loaded = FittedScores.model_validate({**values, "inputs": deck._gate.inputs or "rings"})
        if scores is None or not _alike(scores, loaded):
            settings = settings.model_copy(update={"scores": loaded})
    deck._gate = make_gate(deck.gate, deck.cards, settings).to(deck.device)
    deck._refusal = refusal_of(deck.cards, deck.gate, settings)


# What is fitted lies in 0.05 .. 20. Beyond these, single precision ends.
_TEMPERATURES = (1e-6, 1e6)


def _checked_temperatures(values: Sequence[float] | None, cards: int) -> list[float]:
    low, high = _TEMPERATURES
    found = [1.0] * cards if values is None else values
    if not (
        isinstance(found, Sequence)
        and len(found) == cards
        and all(isinstance(one, Real) and not isinstance(one, bool) and low <= one <= high for one in found)
    ):
        raise InputError(
            f"a deck of {cards} cards needs a list of as many temperatures in {low:g} .. {high:g}, "
            f"not {shown(repr(found))}"
        )
    return [float(one) for one in found]


def _alike(one: FittedScores, other: FittedScores) -> bool:
    """Tell whether two fits are the same in single precision."""
    pairs = ((one.slopes, other.slopes), (one.offsets, other.offsets))
    return all(torch.equal(torch.tensor(left), torch.tensor(right)) for left, right in pairs)


def _logarithm(probabilities: Tensor) -> Tensor:
    """Return the logarithm, finite also where a probability is too small for its type."""
    return probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()


def check_cards(cards: Sequence[Card]) -> None:
    """Raise `InputError` unless the cards know the same classes, in one order, and take one input size."""
    given: Sequence[object] = cards if isinstance(cards, Sequence) else [cards]
    wrong = next((type(one).__name__ for one in given if not isinstance(one, Card)), None)
    if wrong is not None or given is not cards:
        raise InputError(
            f"a deck is made of a list of cards, not of {wrong or 'one card'}; give them, or "
            "their files, as a list, and the cards of another deck as deck.cards"
        )
    if not 1 <= len(cards) <= MOST_CARDS:
        raise InputError(f"a deck has 1 to {MOST_CARDS} cards, not {len(cards)}")
    first = cards[0].metadata
    for number, card in enumerate(cards[1:], start=2):
        if card.metadata.classes != first.classes:
            raise InputError(f"card {number} has other classes, or another order of them, than card 1")
        if card.metadata.input_size != first.input_size:
            raise InputError(
                f"card {number} takes images of {card.metadata.input_size} pixels, not {first.input_size}"
            )


def refusal_of(cards: Sequence[Card], gate: str, settings: GateSettings) -> str | None:
    """Return why a gate cannot choose by the profiles of these cards; None where it can.

    An unfitted gate compares images with profiles, and a profile by the old rule has a margin that no image
    has. A fitted one goes by the shift from the clean profile, which has none; but whether cards are of one
    domain is told by their profiles, so that all of these must be made alike.
    """
    if not GATES[gate].needs_profiles:
        return None
    rules = [None if card.profile is None else card.profile.rule for card in cards]
    if "padded" not in rules or (settings.scores is not None and "plain" not in rules):
        return None
    return (
        f"the profile of card {rules.index('padded') + 1} was made by the old rule, of images with a black "
        f"margin, by which the gate {gate!r} cannot choose; make it anew, of the training images, by "
        "winninghand profile CARD --data …"
    )


def _check_profiles(cards: Sequence[Card], gate: str) -> None:
    for number, card in enumerate(cards, start=1):
        if card.profile is None:
            raise InputError(
                f"card {number} has no spectral profile, which the gate {gate!r} needs; "
                "use the gate 'average' or make the card with a profile"
            )
