"""Outcomes without a model."""

import numpy as np

from winninghand.evaluation import Outcome


def outcome_of(correct, confidence=0.5):
    correct = np.asarray(correct, dtype=bool)
    return Outcome(
        correct,
        np.broadcast_to(np.asarray(confidence, np.float32), correct.shape),
        np.ones(len(correct), np.float32),
    )
