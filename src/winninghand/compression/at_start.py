"""Pruning once, before a network is trained: snip, grasp, synflow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from winninghand.base.errors import LARGEST, InputError
from winninghand.compression import saliency
from winninghand.compression.budget import Budget
from winninghand.compression.masks import Batch, Masks, StartMasks
from winninghand.compression.method import Method, Start
from winninghand.compression.saliency import Scores
from winninghand.compression.schedules import Phase

Saliency = Callable[[nn.Module, Mapping[str, nn.Parameter], Sequence[Batch], int], Scores]
"""Scores the prunable weights of a network by batches of examples; what is random comes from a seed."""


class SaliencyMasks(StartMasks):
    """Masks by scores of the weights that the network begins with, measured on examples."""

    def __init__(
        self,
        network: nn.Module,
        weights: Mapping[str, nn.Parameter],
        budget: Budget,
        score: Saliency,
        per_class: int,
        seed: int,
    ) -> None:
        super().__init__(weights, budget)
        self._network = network
        self._saliency = score
        self._per_class = per_class
        self._seed = seed

    def choose(self, sparsity: float, allowed: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
        """Return masks of the highest scores; `InputError` where there are no examples to score by."""
        if self.examples is None:
            method = self._saliency.__name__
            raise InputError(f"{method} scores weights by labelled images; give examples = (images, labels)")
        scores = self._saliency(self._network, self.weights, list(self.examples(self._per_class)), self._seed)
        return self.budget.choose(saliency.ranks(self.mean(scores), self.weights), sparsity, allowed)


class SynFlowMasks(StartMasks):
    """Masks by what flows through each weight, scored again after each of many small prunings."""

    def __init__(
        self, network: nn.Module, weights: Mapping[str, nn.Parameter], budget: Budget, iterations: int
    ) -> None:
        super().__init__(weights, budget)
        self._network = network
        self._iterations = iterations

    def choose(self, sparsity: float, allowed: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
        """Return masks after all prunings: the density falls by the same factor at each."""
        shape, present = self._shape(), 1 - self.sparsity
        kept = allowed
        for number in range(1, self._iterations + 1):
            density = present * ((1 - sparsity) / present) ** (number / self._iterations)
            scores = self.mean(saliency.synflow(self._network, self.weights, shape, kept))
            now = sparsity if number == self._iterations else 1 - density
            kept = self.budget.choose(saliency.ranks(scores, self.weights), now, kept)
        assert kept is not None
        return dict(kept)

    def _shape(self) -> Sequence[int]:
        """Return the channels, height and width of an image; `InputError` where they are not known."""
        if self.examples is not None:
            images, _ = next(iter(self.examples(1)))
            return tuple(images.shape[1:])
        if self.input_size is None:
            raise InputError("synflow needs the size of the images; give input_size = (H, W)")
        return (3, *self.input_size)


class PruningAtStart(Method, ABC):
    """Prune once, before the first step, and train what is left: one phase.

    Of a network that was trained before, too, its present weights are scored; its zeros stay.
    """

    def plan(self, epochs: int, start: Start = Start()) -> tuple[Phase, ...]:
        """Return the one phase."""
        return (Phase(epochs, self.sparsity),)

    def masks(
        self, network: nn.Module, weights: dict[str, nn.Parameter], budget: Budget, start: Start, seed: int
    ) -> Masks:
        """Return masks that are chosen before the first step."""
        masks = self.start_masks(network, weights, budget, seed)
        if start.sparsity > 0:
            masks.keep_zeros()
        return masks

    @abstractmethod
    def start_masks(
        self, network: nn.Module, weights: dict[str, nn.Parameter], budget: Budget, seed: int
    ) -> StartMasks:
        """Return the masks; what is random comes from the seed."""


class PruningByExamples(PruningAtStart, ABC):
    """Prune by scores that are measured on a few training images of each class."""

    score: ClassVar[Saliency]

    examples_per_class: int = Field(
        default=10, ge=1, le=LARGEST, description="training images that weights are scored on"
    )

    def start_masks(
        self, network: nn.Module, weights: dict[str, nn.Parameter], budget: Budget, seed: int
    ) -> StartMasks:
        """Return masks by the method's score."""
        score = type(self).score
        return SaliencyMasks(network, weights, budget, score, self.examples_per_class, seed)


class Snip(PruningByExamples):
    """Keep the weights that the loss feels most.

    Single-shot network pruning, Lee, Ajanthan & Torr 2019, arXiv:1810.02340: by |w · ∂L/∂w|.
    """

    name: ClassVar[str] = "snip"
    score: ClassVar[Saliency] = staticmethod(saliency.snip)


class Grasp(PruningByExamples):
    """Keep the weights without which the gradient would flow least.

    Gradient signal preservation, Wang, Zhang & Grosse 2020, arXiv:2002.07376: by w · Hg.
    """

    name: ClassVar[str] = "grasp"
    score: ClassVar[Saliency] = staticmethod(saliency.grasp)


class SynFlow(PruningAtStart):
    """Keep the weights through which most flows, scored again after each of many small prunings.

    Iterative synaptic flow pruning, Tanaka et al. 2020, arXiv:2006.05467: no images, and no layer empties
    before all others have one weight left.
    """

    name: ClassVar[str] = "synflow"

    iterations: int = Field(default=100, ge=1, le=100_000, description="prunings before the first step")

    def start_masks(
        self, network: nn.Module, weights: dict[str, nn.Parameter], budget: Budget, seed: int
    ) -> StartMasks:
        """Return masks by synaptic flow."""
        return SynFlowMasks(network, weights, budget, self.iterations)
