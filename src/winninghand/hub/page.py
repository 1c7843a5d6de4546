"""The page of a model on the hub, `README.md`: metadata for machines, and for people its own facts."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from winninghand.base.errors import InputError, shown
from winninghand.base.version import __version__
from winninghand.hub.address import PREFIX, Address
from winninghand.hub.evaluation import Evaluation, eval_results, own_results

_LICENCE = re.compile(r"[a-z0-9][a-z0-9.-]{0,60}")
_MARKDOWN = re.compile(r"([\\`*_\[\]|~#])")
_USE = """\
## Use

```python
import winninghand as wh

model = wh.load("{address}")
for prediction in model.predict("photograph.jpg"):
    print(prediction.label, f"{{prediction.probability:.1%}}")
```

```sh
pip install winninghand
winninghand predict {address} photograph.jpg
```

`revision=` keeps to one version: a commit of this repository. The file is data; nothing in it is executed.
"""


class Facts(NamedTuple):
    """What a model's own file says of it.

    `sheet` are lines of a name and a text; `cards` are those of each card of a deck. `accuracies` are a
    card's own, fractions by split. `tags` are words to find it by.
    """

    kind: str
    sheet: Mapping[str, str]
    cards: Sequence[Mapping[str, str]] = ()
    accuracies: Mapping[str, float] = {}
    tags: Sequence[str] = ()


class About(NamedTuple):
    """What only its owner can say of a model, and how it fared.

    `licence` is an identifier of the hub, such as `mit`. `data` names the images that it was trained on.
    """

    repository: str
    revision: str | None = None
    licence: str | None = None
    data: str | None = None
    evaluation: Evaluation | None = None

    @property
    def address(self) -> Address:
        """Where the model will lie."""
        return Address(self.repository, None, self.revision)


def checked_licence(licence: str | None) -> str | None:
    """Return the identifier of a licence, or raise `InputError` unless it can be one."""
    if licence is not None and not _LICENCE.fullmatch(licence):
        raise InputError(
            f"{shown(repr(licence))} is no licence as the hub names them; give one such as mit, apache-2.0 "
            "or cc-by-4.0"
        )
    return licence


def page(facts: Facts, about: About, size: int, sha256: str) -> str:
    """Return the page of a model whose file has `size` bytes and that SHA-256."""
    file = {"bytes": f"{size:,}", "SHA-256": sha256, "published with": f"winninghand {__version__}"}
    data = {"training images": about.data} if about.data else {}
    parts = [
        f"---\n{_metadata(facts, about)}\n---\n\n# {_text(about.repository.partition('/')[2])}\n",
        f"{_sentence(facts)}\n",
        _USE.format(address=about.address),
        f"## What it is\n\n{_table(('', ''), ({**facts.sheet, **data, **file}).items())}",
    ]
    if facts.cards:
        columns = list(dict.fromkeys(key for card in facts.cards for key in card))
        rows = [
            (str(number), *(card.get(key, "") for key in columns))
            for number, card in enumerate(facts.cards, 1)
        ]
        parts.append(f"## Its cards\n\n{_table(('card', *columns), rows)}")
    if about.evaluation is not None:
        parts.append(_results(about.evaluation))
    licence = f"`{about.licence}`" if about.licence else "None is given; ask the owner before you use it."
    parts.append(f"## Licence\n\n{licence}\n")
    return "\n".join(parts)


def _metadata(facts: Facts, about: About) -> str:
    """Return the hub's metadata as YAML."""
    from huggingface_hub import ModelCardData

    results = []
    if about.evaluation is not None:
        results = eval_results(about.evaluation)
    elif about.data is not None:
        results = own_results(facts.accuracies, about.data)
    named = about.evaluation.data if about.evaluation is not None else about.data
    data = ModelCardData(
        model_name=about.repository.partition("/")[2],
        library_name="winninghand",
        pipeline_tag="image-classification",
        license=about.licence,
        tags=["winninghand", facts.kind, *facts.tags],
        datasets=[named.removeprefix(PREFIX)] if named and named.startswith(PREFIX) else None,
        metrics=["accuracy"] if results else None,
        eval_results=results or None,
    )
    text: str = data.to_yaml()
    return text


def _sentence(facts: Facts) -> str:
    if facts.kind == "deck":
        return (
            "A deck: several compact image classifiers, and a gate that looks at the spectrum of each image "
            "and plays the ones that fit. Winning Hand made it."
        )
    return (
        "A card: one compact image classifier in one file, with its classes, its normalisation and the "
        "spectral profile of its training images. Winning Hand made it."
    )


def _results(found: Evaluation) -> str:
    rows = [("clean", _percent(found.clean_accuracy))]
    if found.robust_accuracy is not None:
        rows.append((f"robust: mean over {found.robust_means}", _percent(found.robust_accuracy)))
    rows += [(name, _percent(value)) for name, value in found.corruptions.items()]
    said = f"Accuracies in percent on {_text(found.data)}: {_text(found.conditions)}. "
    said += "A corruption's is its mean over severities."
    if found.missing:
        said += f" Not measured: {_text(', '.join(found.missing))}."
    if found.mean_passes != 1:
        said += f" It plays {found.mean_passes:.2f} cards per image, on average."
    return f"## Results\n\n{said}\n\n{_table(('images', 'accuracy'), rows)}"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}"


def _table(columns: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    heads = [_text(column) for column in columns]
    lines = [heads, ["---"] * len(heads), *([_text(text) for text in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _text(text: str) -> str:
    """Return text as Markdown that shows it, whatever it holds: it may come from a stranger's file."""
    return _MARKDOWN.sub(r"\\\1", html.escape(shown(text, 1000), quote=False))
