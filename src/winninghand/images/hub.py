"""`hf:OWNER/NAME`: image sets fetched from the Hugging Face hub, through the hub's own library and cache."""

from __future__ import annotations

from pathlib import Path

from winninghand.base.errors import InputError
from winninghand.hub.address import PREFIX
from winninghand.images.shards.layouts import source_in
from winninghand.images.shards.splits import shards_by_split
from winninghand.images.source import Source


def from_hub(source: str) -> Source:
    """Return the image set `hf:OWNER/NAME`, or `hf:OWNER/NAME/FOLDER` where a repository holds several.

    Its train and test parquet files are fetched into the hub's cache; without a network they are
    taken from there. Raises `InputError` where they are in neither place.
    """
    owner, _, rest = source.removeprefix(PREFIX).partition("/")
    name, _, folder = rest.partition("/")
    if not owner or not name:
        raise InputError(f"{source!r} is no address on the hub; write hf:OWNER/NAME")
    place = Path(_fetched(source, f"{owner}/{name}", folder)) / folder
    return source_in(source, place, place.rglob("*.parquet"))


def _fetched(source: str, repository: str, folder: str) -> str:
    """Return the folder in the hub's cache that holds the files wanted of a repository."""
    # Imported here, as it takes a third of a second and most image sets come from elsewhere.
    from huggingface_hub import snapshot_download

    from winninghand.hub.errors import told

    with told(source):
        wanted = _wanted(source, repository, folder)
        return snapshot_download(repository, repo_type="dataset", allow_patterns=wanted)


def _wanted(source: str, repository: str, folder: str) -> list[str]:
    """Return which files to fetch: those the repository lists, or patterns where it cannot be reached."""
    from huggingface_hub import HfApi

    prefix = f"{folder}/" if folder else ""
    try:
        names = [entry.rfilename for entry in HfApi().dataset_info(repository).siblings or ()]
    # Whatever keeps the repository from being listed, its files may be in the hub's cache.
    except Exception:
        return [f"{prefix}*{split}*.parquet" for split in ("train", "test")]
    inside = [Path(name.removeprefix(prefix)) for name in names if name.startswith(prefix)]
    found = shards_by_split(source, [path for path in inside if path.suffix == ".parquet"])
    return [prefix + path.as_posix() for split in ("train", "test") for path in found[split]]
