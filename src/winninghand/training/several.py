"""One of several processes that train one network together: DistributedDataParallel, by Fabric."""

from __future__ import annotations

import inspect
import logging
import os
import socket
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, distributed
from torch.distributed import ReduceOp
from torch.nn.parallel import DistributedDataParallel

from winninghand.base.device import Precision, best_device, resolve_device, resolve_precision
from winninghand.base.errors import InputError
from winninghand.cards import Card
from winninghand.compression.agreement import agree
from winninghand.images import ImageSet
from winninghand.training.identity import disagreement
from winninghand.training.neighbours import Sum, summing
from winninghand.training.processes import Alone
from winninghand.training.run_folder import EpochMetrics, RunFolder
from winninghand.training.synchronised_norms import SynchronisedNorms

T = TypeVar("T")

# Whoever waits does so for a process that works: the end of one that dies is noticed at once.
_LONGEST_WAIT = timedelta(days=1)
# What torch says where another process is gone; it has no exception of its own for that.
_LOST = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "NCCL", "Socket Timeout")


class Several(Alone):
    """One of several processes, each of which has its part of every batch.

    What all have to agree upon is the first one's, or reduced over all. All processes call all methods, in
    the same order.
    """

    def __init__(self, fabric: Fabric) -> None:
        self.fabric: Fabric = fabric
        self.rank, self.size = fabric.global_rank, fabric.world_size
        can_neighbour = fabric.device.type == "cpu" and hasattr(socket, "AF_UNIX")
        self._sum: Sum = summing(self.rank, self.size) if can_neighbour else distributed.all_reduce

    def folder(self, path: Path | str, kept: bool) -> RunFolder:
        """Return the folder of a run: the first process reads and writes for all."""
        return SharedFolder(self, path, kept)

    def synchronised_norms(self) -> AbstractContextManager[object]:
        """Have batch-norms see the images of all processes while a block runs."""
        return SynchronisedNorms(self._sum)

    def total(self, value: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes."""
        return self._reduced(value, ReduceOp.SUM)

    def least(self, value: Tensor) -> Tensor:
        """Return the smallest values of a tensor over all processes."""
        return self._reduced(value, ReduceOp.MIN)

    def mean(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the means of tensors over all processes."""
        return {name: self.total(tensor) / self.size for name, tensor in tensors.items()}

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their means over all processes, in place."""
        for tensor in tensors:
            tensor.copy_(self.total(tensor) / self.size)

    def check_same(self, what: str, tensors: Mapping[str, Tensor]) -> None:
        """Raise `InputError`, in all processes, where tensors are not the same in all of them."""
        if not agree(what, tensors, self.fabric.device):
            raise InputError(
                f"{what} differ between the {self.size} processes; train on devices of one kind, with one "
                "version of torch, or in one process"
            )

    def check_identity(self, identity: Mapping[str, Any], out: Path | str | None) -> None:
        """Raise `InputError`, in all processes, that says which of them has another run, and in what."""
        found: list[Any] = [None] * self.size
        # Two names of one folder are refused, too: other machines may not have the link.
        folder = None if out is None else str(Path(out).absolute())
        distributed.all_gather_object(found, {**identity, "out": folder})
        for rank, other in enumerate(found[1:], 1):
            apart = disagreement(other, found[0])
            if apart is not None:
                raise InputError(
                    f"process {rank} of {self.size} has another run than process 0: {apart}; give "
                    "all of them the same recipe, images and folder"
                )

    def first(self, action: Callable[[], T]) -> T:
        """Return what an action of the first process returns, in all; what it refuses is refused in all."""
        result: Any = None
        refusal: InputError | None = None
        if self.rank == 0:
            try:
                result = action()
            except InputError as error:
                refusal = error
        sent = [result, None if refusal is None else str(refusal)]
        distributed.broadcast_object_list(sent, src=0)
        if refusal is not None:
            raise refusal
        if sent[1] is not None:
            raise InputError(sent[1])
        return cast(T, sent[0])

    def _reduced(self, value: Tensor, how: ReduceOp.RedOpType) -> Tensor:
        there = value.detach().to(self.fabric.device, copy=True)
        distributed.all_reduce(there, how)
        return there.to(value.device)


class SharedFolder(RunFolder):
    """A run's folder as several processes see it: the first one reads and writes, the others are told.

    So the others see the disk only to open a card that is finished already.
    """

    def __init__(self, processes: Several, path: Path | str, kept: bool) -> None:
        super().__init__(path, kept)
        self._processes = processes

    @contextmanager
    def lock(self, wait: bool = True) -> Iterator[None]:
        """Have the first process lock the folder while the block runs."""
        if self._processes.rank > 0:
            self._processes.first(lambda: None)
            yield
            return
        held = super().lock(wait)
        self._processes.first(held.__enter__)
        try:
            yield
        finally:
            held.__exit__(None, None, None)

    def check(self, identity: Mapping[str, Any], images: ImageSet) -> None:
        """Raise `InputError`, in all processes, where the folder holds another run."""
        self._processes.first(lambda: RunFolder.check(self, identity, images))

    def begin(self, identity: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
        """Have the first process write down which run this is, and on how many processes it runs."""
        told = {**environment, "processes": self._processes.size}
        self._processes.first(lambda: RunFolder.begin(self, identity, told))

    def check_room(self, bytes_of_checkpoint: int) -> None:
        """Raise `InputError`, in all processes, where the disk has no room for checkpoints."""
        self._processes.first(lambda: RunFolder.check_room(self, bytes_of_checkpoint))

    def finished(self) -> Path | None:
        """Return the file of the card, None where there is none yet."""
        found = self._processes.first(lambda: RunFolder.finished(self))
        if found is not None and not found.exists():
            raise InputError(
                f"process {self._processes.rank} does not see {found}; give a folder that all see"
            )
        return found

    def load_costs(self) -> dict[str, int] | None:
        """Return what weights cost when the run began."""
        return self._processes.first(lambda: RunFolder.load_costs(self))

    def save_costs(self, costs: Mapping[str, int]) -> None:
        """Have the first process write down what weights cost."""
        self._processes.first(lambda: RunFolder.save_costs(self, costs))

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Have the first process replace the checkpoint."""
        self._processes.first(lambda: RunFolder.save_checkpoint(self, state))

    def load_checkpoint(self, device: torch.device) -> dict[str, Any] | None:
        """Return the first process's checkpoint, on the CPU: whoever takes it brings it to a device."""
        return self._processes.first(lambda: RunFolder.load_checkpoint(self, torch.device("cpu")))

    def save_rewind(self, state: Mapping[str, Any]) -> None:
        """Have the first process keep the weights that later phases go back to."""
        self._processes.first(lambda: RunFolder.save_rewind(self, state))

    def load_rewind(self, device: torch.device) -> dict[str, Any]:
        """Return the weights that the first process kept, on the CPU."""
        return self._processes.first(lambda: RunFolder.load_rewind(self, torch.device("cpu")))

    def write_metrics(self, rows: Sequence[EpochMetrics]) -> None:
        """Have the first process write `metrics.csv`."""
        self._processes.first(lambda: RunFolder.write_metrics(self, rows))

    def save_card(self, card: Card) -> None:
        """Have the first process leave the finished card."""
        self._processes.first(lambda: RunFolder.save_card(self, card))


def join(precision: Precision, device: torch.device | str | None) -> Several:
    """Join the processes that `torchrun` or `--devices` began; one device each, by the local rank.

    Gloo connects CPUs, and NCCL the GPUs of CUDA. Raises `InputError` for other devices, and for one that is
    named by its number.
    """
    there = _kind(device)
    local = int(os.environ.get("LOCAL_WORLD_SIZE", os.environ["WORLD_SIZE"]))
    found = torch.cuda.device_count()
    if there.type == "cuda" and local > found:
        raise InputError(f"{local} processes need {local} GPUs, and there are {found}; begin {found} of them")
    for name in ("lightning_fabric.utilities.rank_zero", "lightning_fabric.utilities.distributed"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # The gradients of 1×1 convolutions have two names for one layout; copying them costs next to nothing.
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    sending_no_buffers: dict[str, Any] = {_buffers_are_sent(): False}
    fabric = Fabric(
        accelerator=there.type,
        devices=local,
        num_nodes=int(os.environ["WORLD_SIZE"]) // local,
        # Batch-norms are synchronised, or averaged after each epoch: no step has to send them.
        strategy=DDPStrategy(timeout=_LONGEST_WAIT, **sending_no_buffers),
        precision=resolve_precision(precision, there),
    )
    fabric.launch()
    if fabric.global_rank > 0:
        logging.getLogger("winninghand").setLevel(logging.ERROR)
    return Several(fabric)


def _buffers_are_sent() -> str:
    """Return the argument of DistributedDataParallel that says so, by its name in this version of torch."""
    known = inspect.signature(DistributedDataParallel.__init__).parameters
    return "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"


@contextmanager
def losing_none() -> Iterator[None]:
    """Say in one line that another process has ended, where that ends this one's work."""
    try:
        yield
    except RuntimeError as error:
        if any(word in str(error) for word in _LOST):
            raise InputError(
                "another process of this training has ended, and this one with it; start all of them again "
                "to go on from the last checkpoint"
            ) from error
        raise


def _kind(device: torch.device | str | None) -> torch.device:
    """Return the kind of device that several processes train on."""
    there = best_device() if device is None else resolve_device(device)
    if device is not None and there.index is not None:
        raise InputError(f"{there} is one device, and there are several processes; give {there.type}")
    if there.type not in ("cpu", "cuda"):
        raise InputError(f"several processes train on cpu or cuda, not on {there.type}; train in one process")
    return torch.device(there.type)
