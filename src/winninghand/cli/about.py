"""What a report of a fault needs to know: versions, build, processor, threads, device, platform."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import winninghand

_BESIDE = ("numpy", "numba", "onnxruntime")


def about() -> Iterator[str]:
    """Yield lines, the library's own first: it takes no time, PyTorch does."""
    from winninghand.base.version import __version__

    commit = _commit(Path(winninghand.__file__).resolve().parent)
    yield f"winninghand {__version__}{f', commit {commit}' if commit else ''}"
    yield f"Python {platform.python_version()} ({platform.python_implementation()})"
    yield f"platform {platform.platform()}"
    yield from _of_torch()
    beside = [f"{name} {version}" for name in _BESIDE if (version := _version(name))]
    yield f"beside it: {', '.join(beside)}"


def _of_torch() -> Iterator[str]:
    from winninghand.base.machine import processor
    from winninghand.base.threads import usable_cores

    try:
        import torch

        from winninghand.base.device import best_device
    except (ImportError, OSError, RuntimeError) as error:  # as where a library of the build is missing
        yield f"torch {_version('torch') or 'is not installed'}: cannot be imported ({error})"
        yield f"CPU {processor()}"
        return
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
    yield f"torch {torch.__version__} ({build}, commit {str(torch.version.git_version)[:7]})"
    yield f"threads {torch.get_num_threads()}, cores {usable_cores():g}"
    yield f"CPU {processor()}, {torch.backends.cpu.get_cpu_capability()}"
    device = best_device()
    named = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    yield f"device {named}"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit(package: Path) -> str | None:
    """Return the commit of the checkout that a package is run from, and whether files differ from it.

    None where it is installed otherwise, or where there is no Git.
    """
    root = package.parent.parent
    if package.parent.name != "src" or not (root / ".git").exists():
        return None
    commit = _git(root, "rev-parse", "--short", "HEAD")
    if not commit:
        return None
    return f"{commit} with changes" if _git(root, "status", "--porcelain", "--untracked-files=no") else commit


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", root, *words], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
