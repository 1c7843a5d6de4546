"""`winninghand show-augmentation`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from winninghand.cli.options import Data, Root, Seed


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("show-augmentation")(show_augmentation)


def show_augmentation(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.toml")],
    out: Annotated[Path, typer.Option(help="The picture, a .png file.")] = Path("augmentation.png"),
    data: Data = "digits",
    root: Root = None,
    seed: Seed = 0,
) -> None:
    """Draw samples and mean spectra of all training domains, the recipe's with its own parameters."""
    from winninghand.augmentation import DOMAINS, make_domain
    from winninghand.base.errors import InputError
    from winninghand.base.files import atomic_write
    from winninghand.images import load_images
    from winninghand.recipe import load_recipe
    from winninghand.report.domains import domains_sheet
    from winninghand.report.terminal import say

    if out.suffix.lower() != ".png":
        raise InputError(f"the picture is a .png file, not {str(out)!r}; rename it")
    own = make_domain(load_recipe(recipe).domain)
    domains = {name: own if name == own.name else make_domain(name) for name in DOMAINS}
    sheet = domains_sheet(domains, load_images(data, root=root).train, seed)
    with atomic_write(out) as tmp:
        sheet.save(tmp, "PNG")
    say(f"{out}: eight views a domain, their mean log spectrum, and its change from the images as they are")
