"""Fetching a model's file into the hub's own cache; without a network it is taken from there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from winninghand.base.errors import InputError
from winninghand.hub.address import SUFFIXES, Address, is_commit
from winninghand.hub.errors import is_unreachable, told

_PATTERNS = [f"*{suffix}" for suffix in SUFFIXES]
_SECONDS = 10


def fetch(address: Address) -> Path:
    """Return the file of a model in the hub's cache, fetched where it is not there.

    Nothing but a `.card` or `.deck` file is fetched. Where the hub gives no answer the cache's newest of
    that revision is taken. Raises `InputError` where there is no such repository, revision or file,
    where it may not be read, and where it can neither be reached nor is in the cache.
    """
    from huggingface_hub import HfApi

    repository, file, revision = address
    if file is not None and is_commit(revision) and (kept := _kept(address)) is not None:
        return kept
    api = HfApi()
    with told(_named(address), revision):
        try:
            # Asked first: to download, the library tries for half a minute where no hub answers.
            found = api.model_info(repository, revision=revision, timeout=_SECONDS)
        except Exception as error:
            if is_unreachable(error) and (kept := _kept(address)) is not None:
                return kept
            raise
        listed = [one.rfilename for one in found.siblings or ()]
        names = sorted(one for one in listed if one.endswith(SUFFIXES) and ".." not in one.split("/"))
        return Path(api.hf_hub_download(repository, _chosen(address, names), revision=revision))


def _kept(address: Address) -> Path | None:
    """Return a model's file in the cache; None where it is not there."""
    from huggingface_hub import snapshot_download

    repository, file, revision = address
    wanted = [file] if file else _PATTERNS
    with suppress(Exception):  # whatever keeps it from being read there, it is the hub that was asked for it
        folder = Path(
            snapshot_download(repository, revision=revision, allow_patterns=wanted, local_files_only=True)
        )
        paths = (path for pattern in _PATTERNS for path in folder.rglob(pattern))
        names = sorted(path.relative_to(folder).as_posix() for path in paths)
        return folder / _chosen(address, names)
    return None


def _chosen(address: Address, names: Sequence[str]) -> str:
    """Return which file of a repository is meant; `InputError` where it does not hold it, or several."""
    if address.file in names:
        return str(address.file)
    if address.file is None and len(names) == 1:
        return names[0]
    if not names:
        raise InputError(
            f"{_named(address)}: it holds no .card or .deck file, and nothing else is read; give another "
            "repository"
        )
    known = ", ".join(str(address._replace(file=name)) for name in names[:5])
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    fault = f"it does not hold {address.file}" if address.file else "it holds several models"
    raise InputError(f"{_named(address)}: {fault}; give {'one of ' if len(names) > 1 else ''}{known}{more}")


def _named(address: Address) -> str:
    return str(address._replace(file=None, revision=None))
