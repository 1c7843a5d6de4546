from hypothesis import given
from hypothesis import strategies as st

from winninghand.training.schedule import cosine_with_warmup


@given(st.integers(1, 500), st.floats(0, 0.9), st.floats(0.01, 10))
def test_the_rate_rises_to_its_peak_and_falls_towards_zero(steps, warmup, peak):
    rates = [cosine_with_warmup(step, steps, peak, warmup) for step in range(steps)]
    top = rates.index(max(rates))
    assert all(0 < rate <= peak for rate in rates)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert top <= round(steps * warmup)
