"""`winninghand app`."""

from __future__ import annotations

from typing import Annotated

import typer

from winninghand.cli.options import Device, Model, Root, Threads, Trust


def app(
    model: Model,
    data: Annotated[
        str | None,
        typer.Option(
            help="Whose test images are the samples: a name, a folder, a .npz file; without it, digits.",
            metavar="NAME|PATH",
        ),
    ] = None,
    root: Root = None,
    host: Annotated[
        str, typer.Option(help="Where it listens; 0.0.0.0 lets other machines in.", metavar="ADDRESS")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.")] = 7860,
    device: Device = None,
    threads: Threads = None,
    trust: Trust = False,
) -> None:
    """Show a page to play with: a picture, corrupted at will, and what the model makes of it.

    It stays on this machine: nothing is uploaded or fetched. Ctrl-C ends it.
    """
    from winninghand.app import serve
    from winninghand.base.threads import use_threads
    from winninghand.cli.measuring import portable

    use_threads(threads)
    serve(model, data, root, host, port, device, trust, portable(model), told=_told)


def _told(address: str) -> None:
    typer.echo(f"open {address} in a browser; Ctrl-C ends it")
