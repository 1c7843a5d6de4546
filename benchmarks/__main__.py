"""All measurements of speed and size, one after the other: `make bench`."""

import runpy
import sys

SPEED_AND_SIZE = ("training_loop", "step_time", "corruptions", "augmentation", "gate_time", "card_size")

for name in SPEED_AND_SIZE:
    print(f"\nbenchmarks.{name}", flush=True)
    sys.argv = [name]
    runpy.run_module(f"benchmarks.{name}", run_name="__main__")
