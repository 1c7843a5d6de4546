"""`winninghand publish`: a model on the Hugging Face hub."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winninghand.base.errors import InputError
from winninghand.cli.options import Model, Root, Trust

if TYPE_CHECKING:
    from winninghand.hub.evaluation import Evaluation
    from winninghand.hub.uploading import Kind


def publish(
    model: Model,
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="A repository of the hub.")],
    revision: Annotated[
        str | None, typer.Option(metavar="BRANCH", help="Branch to upload to; main, without.")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Let nobody else see a new repository.")] = False,
    licence: Annotated[
        str | None, typer.Option(metavar="NAME", help="As the hub names it, such as mit or cc-by-4.0.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="NAME", help="What to call the images that it was trained on.")
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Figures for the page: what evaluate --json wrote of this model."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write the repository here, and upload nothing.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the page, and upload nothing.")] = False,
    space: Annotated[bool, typer.Option("--space", help="Publish the model's app, as a Space.")] = False,
    samples: Annotated[
        str | None,
        typer.Option(metavar="NAME|PATH", help="Whose test images are a Space's samples; digits, without."),
    ] = None,
    root: Root = None,
    trust: Trust = False,
) -> None:
    """Upload a card or a deck to the Hugging Face hub, with a page made of its own facts.

    Its token is that of 'hf auth login', or of HF_TOKEN.
    """
    from winninghand.hub.address import FILES, checked_repository
    from winninghand.hub.folder import PAGE, checked_folder
    from winninghand.hub.page import checked_licence
    from winninghand.hub.uploading import checked_branch, checked_token, upload
    from winninghand.report.terminal import say

    checked_repository(repository), checked_branch(revision), checked_licence(licence)
    if space and (data is not None or results is not None):
        raise InputError("--data and --results are of a model's page; leave them out beside --space")
    if samples is not None and not space:
        raise InputError("--samples are those of a Space; give --space, too, or leave them out")
    if root is not None and samples is None:
        raise InputError("--root is where --samples are looked for; give --samples, too, or leave it out")

    def write(folder: Path) -> tuple[Path, ...]:
        if space:
            from winninghand.app.space import write_space

            title = repository.partition("/")[2]
            return write_space(model, folder, title, licence, samples, root, trust)
        return write_model(model, folder, repository, revision, licence, data, results, trust)

    if out is not None:
        if dry_run:
            raise InputError("--dry-run writes nothing, and --out does; leave one of them out")
        checked_folder(out)
        for path in write(out):
            say(f"{path}: {path.stat().st_size:,} bytes")
        return
    with tempfile.TemporaryDirectory(prefix="winninghand-") as place:
        folder = Path(place) / "repository"
        files = write(folder)
        sizes = ", ".join(f"{path.name} ({path.stat().st_size:,} bytes)" for path in files)
        if dry_run:
            typer.echo((folder / PAGE).read_text(encoding="utf-8"), nl=False)
            say(f"would upload {sizes} to {repository}")
            return
        token = checked_token(None)  # after the model: what is none needs no token
        kind: Kind = "space" if space else "model"
        done = upload(folder, repository, kind, revision, private, token, FILES)
    say(f"{done.url}: {sizes}")
    if not space:
        say(f"{done.address} is this version")


def write_model(
    model: Path,
    folder: Path,
    repository: str,
    revision: str | None = None,
    licence: str | None = None,
    data: str | None = None,
    results: Path | None = None,
    trust: bool = False,
) -> tuple[Path, ...]:
    """Write the repository of a model into a new folder: its file as it is, and its page. Return the files.

    `model` is a file; of one of the zoo the page has its figures where `results` gives no others.
    """
    from winninghand.cards.container import model_digest
    from winninghand.cards.publishing import facts_of
    from winninghand.decks import load
    from winninghand.hub.evaluation import evaluation_of
    from winninghand.hub.folder import write_folder
    from winninghand.hub.page import About

    player = load(model, trust=trust)
    found = _of_zoo(model) if results is None else evaluation_of(results, data, model_digest(model))
    if data is None and found is not None and results is None:
        data = found.data
    return write_folder(folder, model, facts_of(player), About(repository, revision, licence, data, found))


def _of_zoo(model: Path) -> Evaluation | None:
    """Return the figures over all test images of a model of the zoo; None for any other."""
    from winninghand.hub.evaluation import evaluation_of
    from winninghand.results import zoo_records
    from winninghand.zoo import name_of

    name = name_of(model)
    record = next((one for one in zoo_records() if one.name == name), None)
    return None if record is None else evaluation_of(record.full.model_dump(), record.data, None)
