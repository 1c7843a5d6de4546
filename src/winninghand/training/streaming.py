"""A split whose images stay in their files, read by threads while the network trains."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from winninghand.base.randomness import CounterRNG
from winninghand.base.threads import usable_cores
from winninghand.images import Split
from winninghand.images.checks import Int64Array, StreamedImages, UInt8Array
from winninghand.images.random_boxes import DRAWS
from winninghand.training.data import WHOLE, Batches, generator_of

AHEAD = 2
"""So many batches are decoded before they are asked for."""
# Images that a thread decodes one after the other: few, so that all threads end a batch together, and yet not
# one alone, as whoever waits for the batch is woken by each job, and takes time from those that decode.
_LARGEST_JOB, _JOBS_OF_WORKER = 16, 4


class _Begun(NamedTuple):
    """A batch that threads decode into `images`, uint8 (B, H, W, 3): its places, and what they work at."""

    indices: Tensor
    images: UInt8Array
    jobs: list[Future[None]]


class StreamedSplit(Batches):
    """A split that is decoded batch by batch, by so many `workers`: threads, for 0 one for each core.

    In an epoch a random part of each image is seen. Which one depends on the epoch's seed parts and the
    image's place in the split alone, so that order and pixels are those of any number of workers.
    No more than four batches are in memory, however many images there are.
    """

    def __init__(
        self, split: Split, images: StreamedImages, batch_size: int, device: torch.device, workers: int = 0
    ) -> None:
        super().__init__(split, batch_size, device)
        self._images = images
        self._workers = workers or math.ceil(usable_cores())

    def epoch(
        self, *seed_parts: int | str, first: int = 0, part: slice = WHOLE
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images uint8 (B, H, W, 3) and labels int64 (B,), from the batch `first` on.

        Nothing of the batches before is read, nor outside of a `part` of each batch: there it is black.
        Raises `InputError` that names a file that cannot be read.
        """
        generator = generator_of(torch.device("cpu"), *seed_parts, "order")
        order = self._images.order(generator)
        name = repr((*seed_parts, "crop"))
        starts = range(first * self.batch_size, len(self) * self.batch_size, self.batch_size)
        pool = ThreadPoolExecutor(self._workers, "loader")
        try:
            begun: deque[_Begun] = deque()
            for start in starts:
                begun.append(self._begin(pool, name, order[start : start + self.batch_size], part))
                if len(begun) > AHEAD:
                    yield self._end(begun.popleft())
            while begun:
                yield self._end(begun.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def at(self, places: Tensor | slice) -> Tensor:
        """Return the images at some places, uint8 (N, H, W, 3), prepared as those of a test are."""
        chosen: Int64Array | slice = places if isinstance(places, slice) else places.cpu().numpy()
        return torch.from_numpy(self._images[chosen]).to(self.device)

    def _begin(self, pool: ThreadPoolExecutor, name: str, indices: Tensor, part: slice) -> _Begun:
        images = np.zeros((len(indices), *self._images.shape[1:]), np.uint8)
        own, places = images[part], indices[part]
        draws = CounterRNG(name, places).uniform(*DRAWS).numpy()
        share = max(1, min(_LARGEST_JOB, len(places) // (_JOBS_OF_WORKER * self._workers)))

        def decode(start: int) -> None:
            end = start + share
            for image, place, drawn in zip(
                own[start:end], places[start:end].tolist(), draws[start:end], strict=True
            ):
                image[:] = self._images.random_crop(place, drawn)

        return _Begun(indices, images, [pool.submit(decode, start) for start in range(0, len(places), share)])

    def _end(self, batch: _Begun) -> tuple[Tensor, Tensor]:
        for job in batch.jobs:
            job.result()
        return torch.from_numpy(batch.images).to(self.device), self.labels[batch.indices.to(self.device)]
