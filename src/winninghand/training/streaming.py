"""A split whose images stay in their files, read by threads while the network trains."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

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


class StreamedSplit(Batches):
    """A split that is decoded batch by batch, by so many `workers`: threads, for 0 one for each core.

    In an epoch a random part of each image is seen. Which one depends on the epoch's seed parts and the
    image's place in the split alone, so that order and pixels are those of any number of workers.
    No more than five batches are in memory, however many images there are.
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
            begun: deque[tuple[Tensor, list[Future[UInt8Array]]]] = deque()
            for start in starts:
                indices = order[start : start + self.batch_size]
                begun.append((indices, self._begin(pool, name, indices[part])))
                if len(begun) > AHEAD:
                    yield self._end(*begun.popleft(), part)
            while begun:
                yield self._end(*begun.popleft(), part)
        finally:
            pool.shutdown(cancel_futures=True)

    def at(self, places: Tensor | slice) -> Tensor:
        """Return the images at some places, uint8 (N, H, W, 3), prepared as those of a test are."""
        chosen: Int64Array | slice = places if isinstance(places, slice) else places.cpu().numpy()
        return torch.from_numpy(self._images[chosen]).to(self.device)

    def _begin(self, pool: ThreadPoolExecutor, name: str, indices: Tensor) -> list[Future[UInt8Array]]:
        draws = CounterRNG(name, indices).uniform(*DRAWS).numpy()
        return [
            pool.submit(self._images.random_crop, place, own)
            for place, own in zip(indices.tolist(), draws, strict=True)
        ]

    def _end(self, indices: Tensor, decoded: list[Future[UInt8Array]], part: slice) -> tuple[Tensor, Tensor]:
        images = np.zeros((len(indices), *self._images.shape[1:]), np.uint8)
        for image, one in zip(images[part], decoded, strict=True):
            image[:] = one.result()
        return torch.from_numpy(images).to(self.device), self.labels[indices.to(self.device)]
