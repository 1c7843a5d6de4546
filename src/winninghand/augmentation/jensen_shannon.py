"""The Jensen–Shannon divergence among the predictions for several views of one image."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

SMALLEST_PROBABILITY = 1e-7


def jensen_shannon(logits: Tensor) -> Tensor:
    """Return the mean divergence, in nats, of the predictions of V views from their mixture.

    `logits` is (V, B, classes); the mixture is clamped at 1e-7 (Hendrycks et al. 2020, equation 1).
    """
    log_predictions = functional.log_softmax(logits.float(), dim=-1)
    mixture = log_predictions.exp().mean(0).clamp(SMALLEST_PROBABILITY, 1).log()
    divergences = functional.kl_div(
        mixture.expand_as(log_predictions), log_predictions, reduction="none", log_target=True
    )
    return divergences.sum(-1).mean()
