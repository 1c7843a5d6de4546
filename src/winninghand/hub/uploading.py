"""Uploading a folder to the hub: one commit, so that a repository has all of it or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from winninghand.base.errors import InputError
from winninghand.hub.address import PREFIX, checked_repository, checked_revision, is_commit
from winninghand.hub.errors import LOG_IN, told

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Kind = Literal["model", "space"]


class Published(NamedTuple):
    """What an upload made: its commit, 40 hexadecimal digits, and the page of it.

    `address` is `hf:OWNER/NAME@COMMIT`, which `winninghand.load` takes, and which never changes.
    """

    address: str
    commit: str
    url: str


def upload(
    folder: Path,
    repository: str,
    kind: Kind = "model",
    revision: str | None = None,
    private: bool = False,
    token: str | None = None,
    replaces: frozenset[str] = frozenset(),
) -> Published:
    """Upload all files of a folder to `OWNER/NAME`, which is made where it is not there, as one commit.

    `revision` is a branch, made where it is not there; `main` where None. A new repository is `private`
    or as its owner's are by default. `token` is by default that of `hf auth login`, or of `HF_TOKEN`. Files
    named in `replaces` that are there and not in the folder are deleted by the same commit; all others
    stay. A Space is one of Gradio.

    Raises `InputError` for another name, without a token, where the hub cannot be reached, refuses the
    token or what is uploaded, and for `private` where the repository is there and public.
    """
    checked_repository(repository)
    checked_branch(revision)
    token = checked_token(token)
    # Imported here, as who gives a wrong name need not wait for it.
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    api = HfApi(token=token)
    with told(f"{PREFIX}{repository}", revision):
        _prepare(api, repository, kind, revision, private)
        there = set(api.list_repo_files(repository, revision=revision, repo_type=kind))
        added = [CommitOperationAdd(name, str(path)) for name, path in sorted(files.items())]
        deleted = [CommitOperationDelete(name) for name in sorted(there & replaces - files.keys())]
        done = api.create_commit(
            repository,
            [*added, *deleted],
            commit_message="Upload with winninghand",
            revision=revision,
            repo_type=kind,
        )
    return Published(f"{PREFIX}{repository}@{done.oid}", done.oid, done.commit_url)


def checked_branch(revision: str | None) -> str | None:
    """Return the name of a branch, or raise `InputError` for what cannot be one, as a commit cannot."""
    if revision is not None and is_commit(checked_revision(revision)):
        raise InputError(f"{revision} is a commit, which never changes; give the name of a branch")
    return revision


def checked_token(token: str | None) -> str:
    """Return a token, by default that of this machine; `InputError` where there is none."""
    from huggingface_hub import get_token

    found = token or get_token()
    if not found:
        raise InputError(f"uploading needs a token of the hub, and there is none; {LOG_IN}")
    return found


def _prepare(api: HfApi, repository: str, kind: Kind, revision: str | None, private: bool) -> None:
    """Make the repository and the branch where they are not there."""
    api.create_repo(
        repository,
        private=True if private else None,
        exist_ok=True,
        repo_type=kind,
        space_sdk="gradio" if kind == "space" else None,
    )
    if private and not api.repo_info(repository, repo_type=kind).private:
        raise InputError(
            f"{PREFIX}{repository}: it is there already and public; make it private on its page, or "
            "leave out that it be private"
        )
    if revision is not None:
        api.create_branch(repository, branch=revision, repo_type=kind, exist_ok=True)
