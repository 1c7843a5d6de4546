"""The loss of domains whose views of an image should get the same predictions."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

SMALLEST_PROBABILITY = 1e-7


def consistency_loss(logits: Tensor, labels: Tensor, label_smoothing: float, weight: float) -> Tensor:
    """Return the first view's cross-entropy plus `weight` times the divergence among all views.

    `logits` is (V, B, classes) and the first view the clean one (Hendrycks et al. 2020, section 3).
    A single view has no divergence: its loss is the cross-entropy alone.
    """
    if len(logits) == 1:
        return functional.cross_entropy(logits[0], labels, label_smoothing=label_smoothing)
    cross_entropy = functional.cross_entropy(logits[0].float(), labels, label_smoothing=label_smoothing)
    return cross_entropy + weight * jensen_shannon(logits)


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
