"""Everything that computes works away from the CPU, and gives what it gives there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("part", ["pictures", "domains", "cards", "decks"])
def test_another_device_gives_what_the_cpu_gives(part):
    # In a process of its own: the pretence changes torch.
    script = Path(__file__).parent / "train_and_play.py"
    done = subprocess.run([sys.executable, script, part], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report
    assert [name for name, alike in report.items() if not alike] == []
