"""How much of this machine's cores other processes take: what a timing must know of."""

from __future__ import annotations

import os
import time
from pathlib import Path

# user, nice, system, (idle, iowait,) irq, softirq, steal: see proc_stat(5).
_BUSY = (0, 1, 2, 5, 6, 7)
_STAT = Path("/proc/stat")


class OtherLoad:
    """Counts the processor time of everybody else from one call of `share` to the next.

    Linux counts in hundredths of a second, so that a stretch should take a quarter of a second or more.
    """

    def __init__(self) -> None:
        self._before = self._now()

    def share(self) -> float | None:
        """Return the fraction of all cores that others took since the last call; None where nobody counts."""
        before, self._before = self._before, self._now()
        if before is None or self._before is None:
            return None
        wall, busy, own = (now - then for now, then in zip(self._before, before, strict=True))
        return max(0.0, busy - own) / max(wall * (os.cpu_count() or 1), 1e-9)

    @staticmethod
    def _now() -> tuple[float, float, float] | None:
        """Return wall time, busy time of all cores, and this process's own, in seconds."""
        try:
            numbers = _STAT.read_text(encoding="ascii").partition("\n")[0].split()[1:]
            busy = sum(int(numbers[place]) for place in _BUSY) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, IndexError, AttributeError):
            return None
        return time.perf_counter(), busy, time.process_time()
