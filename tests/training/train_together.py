"""One of several processes: compress a small smooth network by each of the methods that a JSON file lists.

The environment says which process it is. A third word RANK:EPOCH has that one kill itself in the epoch.
"""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

import winninghand as wh


def images():
    generator = np.random.default_rng(0)
    labels = np.arange(160) % 2
    noise = generator.integers(0, 128, (160, 16, 16, 3))
    pixels = (noise + 40 * labels[:, None, None, None]).astype(np.uint8)
    return wh.ImageSet.from_arrays((pixels[:128], labels[:128]), (pixels[128:], labels[128:]), ["a", "b"])


class Smooth(nn.Module):
    """Without kinks: at one of a ReLU the last bit of a sum decides about whole gradients."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm = nn.Conv2d(3, 8, 3, 2, bias=False), nn.BatchNorm2d(8)
        self.second, self.again = nn.Conv2d(8, 16, 3, 2, bias=False), nn.BatchNorm2d(16)
        self.head = nn.Linear(16, 2)

    def forward(self, images):
        wide = self.norm(self.first(images)).tanh()
        return self.head(self.again(self.second(wide)).tanh().mean((2, 3)))


class Killed(wh.Callback):
    """Kills the process in the middle of an epoch, counted over all phases."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_step_end(self, trainer, loss, logits, labels):
        if len(trainer.metrics) == self.epoch:
            os.kill(os.getpid(), signal.SIGKILL)


def main():
    work, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    rank = os.environ.get("RANK", "0")
    callbacks = [Killed(int(word.split(":")[1])) for word in sys.argv[3:] if word.split(":")[0] == rank]
    refused = []
    for name, settings in work.items():
        changed = settings.pop("changed", {}).get(rank, {})
        settings |= changed
        place = settings.pop("streamed", None)
        held = images() if place is None else wh.load_images(place, size=16, stream=True)
        out = folder / settings.pop("out", name)
        try:
            wh.compress(Smooth(), held, out=out, device="cpu", callbacks=callbacks, **settings)
        except wh.InputError as error:
            refused.append(str(error))
    if refused:
        sys.exit("\n".join(refused))


if __name__ == "__main__":
    main()
