"""What Ray costs a study, and what a second worker brings: four equal runs on the digits, on one thread each.

    python -m benchmarks.study_workers [--runs N] [--epochs N]

The share is what a run takes longer by a worker of Ray than in this process, start aside. It wants two
idle cores, and takes about four minutes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch

from winninghand.images import load_images
from winninghand.studies import Executor, Study, run_study
from winninghand.studies.executors import Serial
from winninghand.studies.ray_executor import RayExecutor


def seconds(study: Study, executor: Executor) -> list[float]:
    """Return when each run was done, in seconds from the start."""
    with tempfile.TemporaryDirectory() as place:
        started = time.perf_counter()
        runs = run_study(study, load_images("digits"), Path(place), executor=executor)
        return [time.perf_counter() - started for _ in runs]


def main() -> None:
    """Print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    torch.set_num_threads(1)
    study = Study.model_validate(
        {
            "title": "equal runs",
            "recipe": {
                "network": {"name": "resnet18", "width": 16},
                "compression": {"method": "dense"},
                "training": {"epochs": options.epochs, "batch_size": 64, "precision": "32-true"},
            },
            "sweeps": [{"seed": list(range(options.runs))}],
            "evaluation": {"corruptions": "contrast", "severities": [5]},
        }
    )
    here = seconds(study, Serial())
    one = seconds(study, RayExecutor(workers=1))
    two = seconds(study, RayExecutor(workers=2))
    alone = (here[-1] - here[0]) / (options.runs - 1)
    by_ray = (one[-1] - one[0]) / (options.runs - 1)
    print(
        json.dumps(
            {
                "seconds_per_run": round(alone, 2),
                "seconds_per_run_by_ray": round(by_ray, 2),
                "share_of_ray": round(1 - alone / by_ray, 4),
                "seconds_to_start_ray": round(one[0] - by_ray, 1),
                "total_of_one": round(here[-1], 1),
                "total_of_two": round(two[-1], 1),
                "two_against_one": round(here[-1] / two[-1], 2),
                "two_against_one_without_start": round(here[-1] / (two[-1] - one[0] + by_ray), 2),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
