"""Sums over the processes of one machine are those of gloo, and a process that ends is noticed."""

import os
import subprocess
import sys

import pytest

from winninghand.base.threads import usable_cores

WORK = """
import sys
import torch
from torch import distributed
from winninghand.training.neighbours import summing

rank, place, ends = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "ends"
torch.set_num_threads(1)
distributed.init_process_group("gloo", init_method=f"file://{place}", rank=rank, world_size=3)
total = summing(rank, 3)
torch.manual_seed(rank)
for shape in ((1,), (2, 65), (9, 1000)):  # the last is too large for a socket
    values = torch.randn(shape, dtype=torch.float64)
    asked = values.clone()
    distributed.all_reduce(asked)
    total(values)
    assert torch.allclose(values, asked), (values, asked)
    everywhere = [None] * 3
    distributed.all_gather_object(everywhere, values.numpy().tobytes())
    assert len(set(everywhere)) == 1
if ends and rank == 2:
    sys.exit()
if ends:
    try:
        total(torch.zeros(4))
    except RuntimeError as error:
        print(str(error)[:25])
else:
    print("same")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32" or usable_cores() < 2, reason="it wants sockets and two cores")
@pytest.mark.parametrize(
    ("ends", "said", "name"),
    [("stays", "same", "s"), ("ends", "Connection closed by peer", "s"), ("stays", "same", "s" * 120)],
)
def test_three_processes_add_up(tmp_path, ends, said, name):
    (tmp_path / name).mkdir()  # no socket has so long a path as the last
    command = [sys.executable, "-c", WORK]
    begun = [
        subprocess.Popen(
            [*command, str(rank), str(tmp_path / "meet"), ends],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(tmp_path / name)},
        )
        for rank in range(3)
    ]
    ended = [one.communicate(timeout=120) for one in begun]
    lasting = 2 if ends == "ends" else 3
    assert [out.decode().strip() for out, _ in ended[:lasting]] == [said] * lasting, ended
