"""Every Python block of docs/your-own-loop.md runs after its first; the distributed one in two processes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "your-own-loop.md"
SECTIONS = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
BEGINNING, *BLOCKS = ["".join(re.findall(r"```python\n(.*?)```", part, re.DOTALL)) for part in SECTIONS]
TITLES = [section.partition("\n")[0] for section in SECTIONS[1:]]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "block", [pytest.param(block, id=title) for title, block in zip(TITLES, BLOCKS, strict=True)]
)
def test_a_loop_of_the_page_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "init_process_group" in block:
        run_in_two_processes(block, tmp_path)
    else:
        exec(compile(BEGINNING + block, str(PAGE), "exec"), {"__name__": "page"})


def test_the_page_has_all_loops():
    assert len(TITLES) == 8


WRAPPED_FIRST = """
wrapped = DistributedDataParallel(module)
pruner = wh.Pruner({what}, method="{method}", sparsity=0.9, steps=20{more})
before = [module[1].weight.clone(), module[0].bias.clone()]
"""
RESTS = "assert torch.equal(module[1].weight, before[0]) and torch.equal(module[0].bias, before[1])\n"


def test_a_module_may_be_wrapped_before_the_pruner_is_made(tmp_path):
    block = next(block for block in BLOCKS if "init_process_group" in block)
    lines = [line for line in block.splitlines(True) if not line.startswith(("pruner =", "wrapped ="))]
    begin, make, end = (
        next(number for number, line in enumerate(lines) if line.startswith(start))
        for start in ("torch.manual_seed(0)", "optimizer =", BARRIER)
    )
    script = lines[:begin]
    for method, what, more in (
        ("bp", "module", ', exclude=["4"]'),
        ("ep", "wrapped", ""),
        ("lrr", "module", ""),
    ):
        first = WRAPPED_FIRST.format(what=what, method=method, more=more)
        script += [*lines[begin:make], first, *lines[make:end], "" if method == "lrr" else RESTS]
    run_in_two_processes("".join(script + lines[end:]), tmp_path)


UNLIKE = """
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

import winninghand as wh

distributed.init_process_group("gloo")
rank, refused = distributed.get_rank(), []
CASES = [
    ("bp", {}), ("lth", {}), ("lrr", {"trained": True}), ("gmp", {}), ("gmp", {"update_every": 1 + rank})
]
for method, more in CASES:
    torch.manual_seed(rank)
    module = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 4))
    pruner = wh.Pruner(module, method=method, sparsity=0.9, steps=20, **more)
    wrapped = DistributedDataParallel(module)
    wrapped(torch.randn(4, 8)).sum().backward()
    try:
        pruner.step()
        refused.append(False)
    except wh.InputError as error:
        refused.append("use one seed in all processes" in str(error))
assert refused == [True, True, True, False, True], refused
distributed.barrier()
"""


def test_processes_that_would_not_prune_the_same_are_refused(tmp_path):
    run_in_two_processes(UNLIKE, tmp_path)


BARRIER = "distributed.barrier()"


def run_in_two_processes(script, folder):
    # The exit status says nothing: torch itself aborts now and then when the processes end.
    done = "open(f'done{distributed.get_rank()}', 'w').close()\n"
    (folder / "distributed.py").write_text(script.replace(BARRIER, done + BARRIER))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    result = subprocess.run(
        [*command, "distributed.py"], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert sorted(path.name for path in folder.glob("done*")) == ["done0", "done1"], result.stderr
