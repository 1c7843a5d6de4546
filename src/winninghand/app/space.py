"""A folder that a hub runs as a Space: the same page, of one model, for everybody."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from winninghand.base.errors import InputError, counted
from winninghand.base.files import atomic_write, checked_output
from winninghand.base.version import __version__
from winninghand.cards.player import Player
from winninghand.decks import load, model_path

# What a Space shows, and where: its proxy asks this port.
_PORT = 7860
_APP = '''"""The page of {name}; everything in it is winninghand's."""

from pathlib import Path

from winninghand.app import serve

serve(Path(__file__).with_name({name!r}), host="0.0.0.0", port={port})
'''
_READ_ME = """---
title: {quoted}
emoji: 🃏
colorFrom: blue
colorTo: gray
sdk: gradio
{gradio}app_file: app.py
pinned: false
tags:
- winninghand
- image-classification
- robustness
---

# {title}

{what}. Choose a picture, corrupt it, and see what each card says.

It is a page of `winninghand`. On a machine of your own the same page is shown by:

```sh
winninghand app {name}
```
"""


def write_space(
    model: Path | str, folder: Path | str, title: str | None = None, trust: bool = False
) -> tuple[Path, ...]:
    """Write the folder of a Space: `app.py`, `requirements.txt`, `README.md` and the model's file.

    `model` is a file or a name, as for `wh.load`, and `trust` as there; `title` is what the Space is called,
    the file's name where None. `folder` is made where it is missing; files of these names in it are replaced.
    The library is pinned to the version that runs, and Gradio to the one that is installed, where one is.

    Returns the four files. Raises `InputError` for a model that cannot be opened or needs a network that is
    not the library's, and for a folder that cannot be written.
    """
    player = load(model, trust=trust)
    source = model_path(model)
    folder = checked_output(folder, folder=True)
    called = source.stem if title is None else title
    if not called.strip() or not called.isprintable():
        raise InputError("the title of a Space must be one line of text; give another one")
    if source.name in ("app.py", "requirements.txt", "README.md"):
        raise InputError(f"a model cannot be called {source.name} in a Space; rename its file")
    texts = {
        "app.py": _APP.format(name=source.name, port=_PORT),
        "requirements.txt": f"winninghand[app]=={__version__}\n",
        "README.md": _READ_ME.format(
            title=called, quoted=json.dumps(called), name=source.name, what=_what(player), gradio=_gradio()
        ),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        with atomic_write(folder / name) as tmp:
            tmp.write_text(text, encoding="utf-8")
    with atomic_write(folder / source.name) as tmp:
        shutil.copyfile(source, tmp)
    return (*(folder / name for name in texts), folder / source.name)


def _what(player: Player) -> str:
    """Return one line on a model."""
    networks = ", ".join(dict.fromkeys(card.network_name for card in player.cards))
    height, width = player.input_size
    cards = "A card" if player.gate is None else f"A deck of {counted(len(player.cards), 'card')}"
    gate = "" if player.gate is None else f", played by the gate `{player.gate}`"
    return f"{cards} ({networks}){gate}: {len(player.classes)} classes, pictures of {width} × {height} pixels"


def _gradio() -> str:
    """Return the line that pins Gradio, empty where there is none here."""
    try:
        return f"sdk_version: {version('gradio')}\n"
    except PackageNotFoundError:
        return ""
