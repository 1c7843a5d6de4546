"""What a model says, as HTML for either page; no text in it can be markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from winninghand.app.drawing import Curve, chart, legend
from winninghand.app.playing import Likeliest, Played, Says
from winninghand.app.spectra import DomainProfile, along_frequency, domain_of, on_plane, profiles_of
from winninghand.base.chart_style import COLOURS, coloured
from winninghand.base.errors import counted, spaced
from winninghand.base.html import Markup, html_text
from winninghand.cards.player import Player
from winninghand.report.samples import data_uri

STYLE = coloured(Path(__file__).with_name("page.css").read_text(encoding="utf-8"), "wh-")
"""The style of both pages."""

_CLEAN = "as it is"


def heading(player: Player, name: str) -> Markup:
    """Return the title of a page, and one line on what the model is."""
    height, width = player.input_size
    networks = ", ".join(dict.fromkeys(card.network_name for card in player.cards))
    kind = f"a {player.kind}" if player.gate is None else f"a deck of {counted(len(player.cards), 'card')}"
    words = [f"{kind} ({networks})", f"{len(player.classes)} classes", f"{width} × {height} pixels"]
    if player.gate is not None:
        words.insert(1, f"gate {player.gate}")
    return Markup(
        f'<header class="wh wh-head"><h1>{html_text(name)}</h1><p>{html_text(", ".join(words))}</p></header>'
    )


def panel(player: Player, played: Played, truth: str | None = None) -> Markup:
    """Return all that is shown of an answer; `truth` is the picture's class, None where it is not known."""
    return _section(
        f'<p class="wh-said" role="status">{_sentence(played)}</p>',
        _sides(played, truth),
        _cards(player, played),
        _spectra(player, played),
    )


def complaint(message: str) -> Markup:
    """Return an error as HTML that is read out at once."""
    return _section(f'<p class="wh-wrong" role="alert">{html_text(message)}</p>')


def _section(*parts: str) -> Markup:
    return Markup(f'<div class="wh">{"".join(parts)}</div>')


def _sentence(played: Played) -> Markup:
    (before, surely), (after, less) = played.clean.likeliest[0], played.corrupted.likeliest[0]
    if not played.severity:
        return html_text(f"The picture as it is: {before} ({_percent(surely)}).")
    how = f"Under {spaced(played.corruption)}, severity {played.severity}"
    if before == after:
        return html_text(
            f"{how}, the answer stays {before}: {_percent(surely)} before, {_percent(less)} now."
        )
    return html_text(f"{how}, {before} ({_percent(surely)}) becomes {after} ({_percent(less)}).")


def _under(played: Played) -> str:
    return f"{spaced(played.corruption)}, severity {played.severity}" if played.severity else "severity 0"


def _sides(played: Played, truth: str | None) -> Markup:
    sides = ((_CLEAN, played.clean), (_under(played), played.corrupted))
    return Markup(
        f'<div class="wh-sides">{"".join(_side(title, says, truth) for title, says in sides)}</div>'
    )


def _side(title: str, says: Says, truth: str | None) -> str:
    label = says.likeliest[0][0]
    height, width, _ = says.picture.shape
    mark = ""
    if truth is not None:
        right = label == truth
        text = "\u2713 right" if right else f"\u2717 it is {truth}"
        mark = f'<span class="wh-{"right" if right else "mistaken"}">{html_text(text)}</span>'
    return (
        f"<figure><figcaption>{html_text(title)}</figcaption>"
        f"{_image(Image.fromarray(says.picture), f'the picture, {title}, {width} × {height} pixels')}"
        f'<p class="wh-answer"><strong>{html_text(label)}</strong>{mark}</p>{_bars(says.likeliest)}</figure>'
    )


def _bars(likeliest: Likeliest) -> str:
    lines = (
        f"<li><span>{html_text(label)}</span>{_bar(share)}<b>{_percent(share)}</b></li>"
        for label, share in likeliest
    )
    return f'<ol class="wh-bars">{"".join(lines)}</ol>'


def _bar(share: float) -> str:
    return f'<i class="wh-bar" aria-hidden="true"><i style="width:{100 * share:.1f}%"></i></i>'


def _cards(player: Player, played: Played) -> str:
    if player.gate is None:
        return ""
    lines = []
    for number, card in enumerate(player.cards):
        sides = "".join(_card(says, number) for says in (played.clean, played.corrupted))
        name = f"card {number + 1}<small>{html_text(domain_of(card))}</small>"
        lines.append(f'<tr><th scope="row">{name}</th>{sides}</tr>')
    return (
        "<section><h2>What each card says</h2>"
        "<p>The bar is the weight that the gate gives a card; the word is what the card says by itself.</p>"
        '<table class="wh-cards"><thead><tr><th scope="col">card, domain</th>'
        f'<th scope="col">{_CLEAN}</th><th scope="col">{html_text(_under(played))}</th></tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></section>"
    )


def _card(says: Says, number: int) -> str:
    card = says.cards[number]
    label, share = card.likeliest[0]
    weight = _percent(card.weight) if card.weight else "not played"
    idle = "" if card.weight else ' class="wh-idle"'
    return (
        f'<td{idle}><span class="wh-weight">{_bar(card.weight)}<b>{weight}</b></span>'
        f"{html_text(label)} <small>{_percent(share)}</small></td>"
    )


def _spectra(player: Player, played: Played) -> str:
    profiles = profiles_of(player.cards)
    own = [(_CLEAN, "wh-clean", played.clean.spectrum)]
    if played.severity:
        own.append((_under(played), "wh-corrupted", played.corrupted.spectrum))
    learned = [
        (_domain(profile, player), f"wh-c{place % COLOURS}", profile.mean)
        for place, profile in enumerate(profiles)
    ]
    curves = [Curve(name, style, along_frequency(spectrum)) for name, style, spectrum in [*learned, *own]]
    every = [spectrum for _, _, spectrum in [*own, *learned]]
    low, high = min(float(one.min()) for one in every), max(float(one.max()) for one in every)
    planes = "".join(
        f"<figure>{_image(on_plane(spectrum, low, high), f'spectrum: {name}')}"
        f"<figcaption>{html_text(name)}</figcaption></figure>"
        for name, _, spectrum in [*own, *learned]
    )
    who = "card" if player.gate is None else "cards"
    beside = f", beside the mean of the images that the {who} learned from" if learned else ""
    return (
        f"<section><h2>Spectrum</h2><p>How much the picture holds of each frequency{beside}: logarithms of "
        "amplitudes. In the squares coarse stripes are in the middle, fine ones at the edge.</p>"
        f'<div class="wh-planes">{planes}</div>{legend(curves)}'
        f"{chart(curves, _told(curves))}</section>"
    )


def _domain(profile: DomainProfile, player: Player) -> str:
    if player.gate is None:
        return f"domain {profile.domain}"
    return f"domain {profile.domain} ({'card' if len(profile.cards) == 1 else 'cards'} {_numbers(profile)})"


def _numbers(profile: DomainProfile) -> str:
    return ", ".join(map(str, profile.cards))


def _told(curves: Sequence[Curve]) -> str:
    ends = (f"{curve.name} from {curve.values[0]:.1f} to {curve.values[-1]:.1f}" for curve in curves)
    return f"log amplitude from the coarsest to the finest frequency: {'; '.join(ends)}"


def _image(image: Image.Image, text: str) -> str:
    return f'<img src="{data_uri(image)}" alt="{html_text(text)}">'


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def options(choices: Iterable[tuple[str, str]], chosen: str) -> Markup:
    """Return the options of a choice, (text, value), as HTML."""
    lines = (
        f'<option value="{html_text(value)}"{" selected" * (value == chosen)}>{html_text(text)}</option>'
        for text, value in choices
    )
    return Markup("".join(lines))
