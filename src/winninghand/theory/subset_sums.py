"""Subset sums solved exactly: of all subsets of some numbers the one whose sum is nearest to a target.

Meeting in the middle (Horowitz & Sahni 1974): the sums of both halves are made in order, each number
merged in by one pass, and one walk through both lists finds the best pair. That takes 2^(n/2) steps
instead of 2^n.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from winninghand.base.compiled import compiled
from winninghand.base.errors import InputError, checked_whole
from winninghand.base.threads import usable_cores

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Wholes = npt.NDArray[np.int64]

MOST_SAMPLES = 40
"""Numbers other than zero that a problem may have: 2^20 sums in each half."""

_ANY_SIZE = -1


@dataclass(frozen=True, eq=False)
class Subsets:
    """The best subset of each problem: `kept`, bool (problems, samples), and its `sums`, float64 (problems,).

    `errors` are sums minus targets, float64 (problems,).
    """

    kept: Bools
    sums: Floats
    errors: Floats


def best_subsets(
    samples: npt.ArrayLike, targets: npt.ArrayLike, size: int | None = None, threads: int | None = None
) -> Subsets:
    """Return for each target the subset of its samples whose sum is nearest to it, exactly.

    `samples` are numbers (problems, n), or (n,) for all targets, of which at most 40 in a row are not
    zero: a zero stands for a sample that is not there, and is never kept. `targets` are (problems,).
    With `size`, subsets of that many samples alone count. `threads` is by default the number of cores.

    Raises `InputError` for other shapes, for numbers that are not finite, for more samples, and for a
    size that a row does not have.
    """
    try:
        goals = np.ascontiguousarray(targets, dtype=np.float64)
        rows = np.ascontiguousarray(samples, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("samples and targets must be arrays of numbers, with rows of one length") from None
    if goals.ndim != 1 or rows.ndim not in (1, 2) or (rows.ndim == 2 and len(rows) != len(goals)):
        raise InputError(
            "samples must be (n,) or (problems, n) and targets (problems,), not "
            f"{rows.shape} and {goals.shape}"
        )
    if not (np.isfinite(rows).all() and np.isfinite(goals).all()):
        raise InputError("samples and targets must be finite numbers")
    shared = rows.ndim == 1
    rows = np.atleast_2d(rows)
    live = np.count_nonzero(rows, axis=1)
    if live.max(initial=0) > MOST_SAMPLES:
        raise InputError(
            f"a subset is sought among at most {MOST_SAMPLES} samples, not {live.max()}; give fewer"
        )
    if size is not None and not 0 <= checked_whole("size", size) <= live.min(initial=MOST_SAMPLES):
        raise InputError(f"there are rows of {live.min()} samples, which have no subset of {size}")
    kept = np.zeros((len(goals), rows.shape[1]), dtype=np.bool_)
    sums = np.zeros(len(goals))
    wanted = _ANY_SIZE if size is None else int(size)
    workers = math.ceil(usable_cores()) if threads is None else checked_whole("threads", threads, 1)
    bounds = np.linspace(0, len(goals), min(workers, max(1, len(goals))) + 1).astype(int)

    def solve(part: int) -> None:
        place = slice(bounds[part], bounds[part + 1])
        solve_rows(rows if shared else rows[place], goals[place], wanted, kept[place], sums[place])

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(solve, range(len(bounds) - 1)))
    return Subsets(kept, sums, sums - goals)


@compiled
def solve_rows(samples: Floats, targets: Floats, size: int, kept: Bools, sums: Floats) -> None:
    """Write for each target the best subset of its row of samples, or of the only row, and its sum.

    `size` is −1 for subsets of any size; `kept` must be false everywhere.
    """
    most = 1 << ((MOST_SAMPLES + 1) // 2)
    if samples.shape[1] < MOST_SAMPLES:
        most = 1 << ((samples.shape[1] + 1) // 2)
    left, right = np.empty(most), np.empty(most)
    left_codes, right_codes = np.empty(most, np.int64), np.empty(most, np.int64)
    places = np.empty(samples.shape[1], np.int64)
    shared = len(samples) == 1
    count = 0
    for row in range(len(targets)):
        numbers = samples[0 if shared else row]
        if row == 0 or not shared:
            count = 0
            for place in range(len(numbers)):
                if numbers[place] != 0:
                    places[count] = place
                    count += 1
            all_sums(numbers, places, 0, count // 2, size >= 0, left, left_codes)
            all_sums(numbers, places, count // 2, count, size >= 0, right, right_codes)
        first, second = nearest_pair(
            left, left_codes, right, right_codes, count // 2, count - count // 2, targets[row], size
        )
        total = 0.0
        for index in range(count):
            half = index < count // 2
            bit = index if half else index - count // 2
            if ((left_codes[first] if half else right_codes[second]) >> bit) & 1:
                kept[row, places[index]] = True
                total += numbers[places[index]]
        sums[row] = total


@compiled
def all_sums(
    numbers: Floats, places: Wholes, start: int, stop: int, by_size: bool, sums: Floats, codes: Wholes
) -> None:
    """Write the sums of all subsets of the numbers at some places in rising order, and which subsets they
    are.

    With `by_size` the empty subset comes first, then those of one number in rising order, and so on.
    """
    sums[0], codes[0] = 0.0, 0
    length = 1
    for index in range(start, stop):
        number, bit = numbers[places[index]], 1 << (index - start)
        # Backwards, so that nothing is overwritten before it is read.
        old, new = length - 1, length - 1
        for place in range(2 * length - 1, -1, -1):
            if new < 0:
                break
            raised = sums[new] + number
            if old >= 0 and sums[old] > raised:
                sums[place], codes[place] = sums[old], codes[old]
                old -= 1
            else:
                sums[place], codes[place] = raised, codes[new] | bit
                new -= 1
        length *= 2
    if by_size:
        starts = np.zeros(stop - start + 2, np.int64)
        for place in range(length):
            starts[ones(codes[place]) + 1] += 1
        starts = np.cumsum(starts)
        unsorted, uncoded = sums[:length].copy(), codes[:length].copy()
        for place in range(length):
            group = ones(uncoded[place])
            sums[starts[group]], codes[starts[group]] = unsorted[place], uncoded[place]
            starts[group] += 1


@compiled
def ones(code: int) -> int:
    """Return the number of ones in a number's binary form."""
    count = 0
    while code:
        code &= code - 1
        count += 1
    return count


@compiled
def nearest_pair(
    left: Floats,
    left_codes: Wholes,
    right: Floats,
    right_codes: Wholes,
    left_count: int,
    right_count: int,
    target: float,
    size: int,
) -> tuple[int, int]:
    """Return the places of a sum of each half that together are nearest to the target."""
    best, first, second = np.inf, 0, 0
    left_start = 0
    # Subsets of a fixed size are so many of the left half and the rest of the right one.
    for of_left in range(left_count + 1 if size >= 0 else 1):
        left_stop = 1 << left_count
        right_start, right_stop = 0, 1 << right_count
        if size >= 0:
            left_stop = left_start + choices(left_count, of_left)
            if not 0 <= size - of_left <= right_count:
                left_start = left_stop
                continue
            for smaller in range(size - of_left):
                right_start += choices(right_count, smaller)
            right_stop = right_start + choices(right_count, size - of_left)
        low, high = left_start, right_stop - 1
        while low < left_stop and high >= right_start:
            over = left[low] + right[high] - target
            if abs(over) < best:
                best, first, second = abs(over), low, high
            if over > 0:
                high -= 1
            else:
                low += 1
        left_start = left_stop
    return first, second


@compiled
def choices(count: int, chosen: int) -> int:
    """Return in how many ways so many of `count` things are chosen."""
    result = 1
    for step in range(chosen):
        result = result * (count - step) // (step + 1)
    return result
