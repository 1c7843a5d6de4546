"""Faults on purpose: killed processes, full disks, races, strangers' files: `python -m benchmarks.faults`."""
