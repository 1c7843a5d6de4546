"""A folder that a hub runs as a Space: the same page, of one model, for everybody."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from winninghand.app.samples import samples_for
from winninghand.base.errors import InputError, counted
from winninghand.base.files import atomic_write, write_text
from winninghand.base.version import __version__
from winninghand.cards.player import Player
from winninghand.decks import load, model_path
from winninghand.hub.folder import checked_folder
from winninghand.hub.page import checked_licence

# What a Space shows, and where: its proxy asks this port.
_PORT = 7860
_SAMPLES = "samples.npz"
_APP = '''"""The page of a model; all that it does is the library's."""

from pathlib import Path

from winninghand.app import serve

here = Path(__file__).parent
serve(here / {model!r}, host="0.0.0.0", port={port}, name={title!r}, samples=here / {samples!r})
'''
_READ_ME = """---
title: {quoted}
emoji: 🃏
colorFrom: blue
colorTo: gray
sdk: gradio
{gradio}app_file: app.py
pinned: false
{licence}tags:
- winninghand
- image-classification
- robustness
---

# {title}

{what}. Choose a picture, corrupt it, and see what each card says.

On a machine of your own `winninghand app` shows the same page:

```sh
pip install '{needs}'
winninghand app {model}
```
"""


def write_space(
    model: Path | str,
    folder: Path | str,
    title: str | None = None,
    licence: str | None = None,
    data: str | None = None,
    root: Path | None = None,
    trust: bool = False,
) -> tuple[Path, ...]:
    """Write the folder of a Space, and return its files: model, samples, program, requirements and page.

    `model` is a file or a name, as for `wh.load`, and `trust` as there. `folder` is new or empty. `title` is
    what the Space is called, the file's name where None; `licence` is one as the hub names it. `data` and
    `root` say whose test images are the samples, as in `serve`; they become part of the Space. The library is
    pinned to the version that runs, and Gradio to the one that is installed, where one is.

    Raises `InputError` for a model or images that cannot be opened, a folder that holds anything, a full
    disk, and what cannot be a title or a licence.
    """
    checked_licence(licence)
    folder, file = checked_folder(Path(folder)), model_path(model)
    player = load(file, trust=trust)
    called = file.stem if title is None else title
    if not called.strip() or not called.isprintable():
        raise InputError("the title of a Space must be one line of text; give another one")
    name, needs = f"model.{player.kind}", f"winninghand[app]=={__version__}"
    samples = samples_for(player, called, data, root)
    texts = {
        "app.py": _APP.format(model=name, port=_PORT, title=called, samples=_SAMPLES),
        "requirements.txt": f"{needs}\n",
        "README.md": _READ_ME.format(
            title=called,
            quoted=json.dumps(called),
            gradio=_gradio(),
            licence="" if licence is None else f"license: {licence}\n",
            what=_what(player),
            needs=needs,
            model=name,
        ),
    }
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / name) as tmp:
        shutil.copyfile(file, tmp)
    samples.save(folder / _SAMPLES)
    for text in texts:
        write_text(texts[text], folder / text)
    return (folder / name, folder / _SAMPLES, *(folder / text for text in texts))


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
