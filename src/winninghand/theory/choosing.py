"""Which random weights are kept: a mask for hidden neurons, and a best subset for each weight."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from winninghand.base.compiled import compiled
from winninghand.base.threads import usable_cores
from winninghand.theory.subset_sums import Bools, Floats, Wholes, all_sums, nearest_pair

Singles = npt.NDArray[np.float32]

# A hidden neuron whose best weight is smaller waits for a better use, as long as there are others.
_GOOD = 0.5
_RESERVE = 8
# The logarithm of the probability that fewer neurons than expected are of use.
DOUBT = 14.0


@compiled
def usable(neurons: int, inputs: int) -> float:
    """Return of how many neurons, at least, some weight has the sign that its input wants.

    Each has weights of so many `inputs` that all want one sign; half of all weights have it. By Bernstein's
    inequality fewer are of use with a probability of 10⁻⁶ at most.
    """
    useless = 0.5**inputs
    spread = math.sqrt(2 * neurons * useless * (1 - useless) * DOUBT)
    return neurons * (1 - useless) - spread - DOUBT / 3 * useless


@compiled
def assign(candidates: Singles, positive: Wholes, negative: Wholes, owners: Wholes) -> None:
    """Choose for each hidden neuron the one input that it sees, or −1 for none.

    `candidates` (neurons, inputs) are its random weights; `positive` and `negative` (inputs,) say how many
    neurons of a positive and of a negative weight each input is still to get. Of the weights that are at
    least a half, a neuron takes the one whose input wants most, and of equal wants the largest. While there
    are neurons to spare, one without such a weight sees nothing; later it takes the largest weight of use.
    """
    left = positive.sum() + negative.sum()
    for row in range(len(candidates)):
        owners[row] = -1
        wanting = 0
        for column in range(candidates.shape[1]):
            wanting += positive[column] + negative[column] > 0
        spare = usable(len(candidates) - row, wanting) - left
        best, chosen, most = 0.0, -1, 0
        for column in range(candidates.shape[1]):
            value = candidates[row, column]
            wanted = positive[column] if value > 0 else negative[column]
            size = abs(value)
            if wanted == 0 or (size < _GOOD and spare > _RESERVE):
                continue
            wanted = wanted if size >= _GOOD else 0
            if chosen < 0 or wanted > most or (wanted == most and size > best):
                best, chosen, most = size, column, wanted
        if chosen < 0 or left == 0:
            continue
        owners[row] = chosen
        left -= 1
        if candidates[row, chosen] > 0:
            positive[chosen] -= 1
        else:
            negative[chosen] -= 1


def choose(
    random: Singles,
    factors: Floats,
    slots: Wholes,
    targets: Floats,
    kept: Bools,
    signs: bool,
    first_count: int,
    tolerances: Floats,
) -> None:
    """Write which random weights are kept, so that each target is the nearest sum of products.

    `random` and `kept` are (outputs, neurons, places), `targets` (outputs, inputs, places). `factors`
    (neurons,) are the hidden neurons' own weights, without sign; `slots` is −1 for a neuron that sees
    nothing, or twice the input, and 1 more for a neuron that sees its negative numbers. With `signs` all
    products are of one size, and as many of the target's sign are kept as come nearest. Otherwise the best
    subset of the first `first_count` products is taken, or of more of them, where that is not within the
    input's tolerance. The threads are as many as cores."""
    workers = max(1, min(math.ceil(usable_cores()), len(random)))
    bounds = np.linspace(0, len(random), workers + 1).astype(int)

    def part(number: int) -> None:
        rows = slice(bounds[number], bounds[number + 1])
        choose_rows(random[rows], factors, slots, targets[rows], kept[rows], signs, first_count, tolerances)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(part, range(workers)))


@compiled
def choose_rows(
    random: Singles,
    factors: Floats,
    slots: Wholes,
    targets: Floats,
    kept: Bools,
    signs: bool,
    first_count: int,
    tolerances: Floats,
) -> None:
    """Do what `choose` does, in one thread."""
    outputs, inputs, places = targets.shape
    starts = np.zeros(2 * inputs + 1, np.int64)
    for slot in slots:
        if slot >= 0:
            starts[slot + 1] += 1
    starts = np.cumsum(starts)
    members, filled = np.empty(starts[-1], np.int64), starts.copy()
    for neuron in range(len(slots)):
        if slots[neuron] >= 0:
            members[filled[slots[neuron]]] = neuron
            filled[slots[neuron]] += 1
    longest = 0
    for slot in range(2 * inputs):
        longest = max(longest, starts[slot + 1] - starts[slot])
    numbers, order = np.empty(longest), np.arange(longest)
    half = 1 if signs else 1 << ((longest + 1) // 2)
    left, right = np.empty(half), np.empty(half)
    left_codes, right_codes = np.empty(half, np.int64), np.empty(half, np.int64)
    for output in range(outputs):
        for slot in range(2 * inputs):
            start, count = starts[slot], starts[slot + 1] - starts[slot]
            for place in range(places if count else 0):
                goal = targets[output, slot // 2, place]
                if goal == 0:
                    continue
                if slot % 2:
                    goal = -goal
                for index in range(count):
                    neuron = members[start + index]
                    numbers[index] = np.float64(random[output, neuron, place]) * factors[neuron]
                if signs:
                    wanted = round(abs(goal / numbers[0]))
                    for index in range(count):
                        if wanted > 0 and (numbers[index] > 0) == (goal > 0):
                            kept[output, members[start + index], place] = True
                            wanted -= 1
                    continue
                looked = min(count, first_count)
                while True:
                    middle = looked // 2
                    all_sums(numbers, order, 0, middle, False, left, left_codes)
                    all_sums(numbers, order, middle, looked, False, right, right_codes)
                    first, second = nearest_pair(
                        left, left_codes, right, right_codes, middle, looked - middle, goal, -1
                    )
                    over = abs(left[first] + right[second] - goal)
                    if looked == count or over <= tolerances[slot // 2]:
                        break
                    looked = min(count, looked + 3)
                for index in range(looked):
                    code = left_codes[first] if index < middle else right_codes[second]
                    if (code >> (index if index < middle else index - middle)) & 1:
                        kept[output, members[start + index], place] = True
