from hypothesis import given
from hypothesis import strategies as st

from winninghand.compression.methods import LearningRateRewinding
from winninghand.recipe import Training
from winninghand.training.schedule import Schedule, cosine_with_warmup


@given(st.integers(1, 500), st.floats(0, 0.9), st.floats(0.01, 10))
def test_the_rate_rises_to_its_peak_and_falls_towards_zero(steps, warmup, peak):
    rates = [cosine_with_warmup(step, steps, peak, warmup) for step in range(steps)]
    top = rates.index(max(rates))
    assert all(0 < rate <= peak for rate in rates)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert top <= round(steps * warmup)


def test_rounds_go_back_to_a_fraction_of_the_learning_rate():
    phases = LearningRateRewinding(sparsity=0.9, fraction_per_round=0.7, rewind_lr_factor=0.25).plan(4)
    tops = [
        max(map(Schedule(phase, 10, Training(learning_rate=0.8)).learning_rate, range(40)))
        for phase in phases
    ]
    assert tops == [0.8, 0.2, 0.2]
