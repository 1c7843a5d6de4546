"""The page by Gradio, which answers while a slider moves."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from PIL import Image

from winninghand.app.panels import heading
from winninghand.app.playground import FIRST_CORRUPTION, FIRST_SEVERITY, Playground
from winninghand.app.playing import MOST_SEVERE
from winninghand.app.samples import Samples
from winninghand.base.chart_style import DARK, LIGHT

FONT = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "Liberation Sans", "sans-serif"]
STYLE = Path(__file__).with_name("layout.css").read_text(encoding="utf-8")
_FOREIGN = "Handwritten digits, of which this model knows none: choose a photograph, or start with --data."
_THEME = {
    "body_background_fill": "paper",
    "body_text_color": "ink",
    "body_text_color_subdued": "muted",
    "block_background_fill": "paper",
    "block_border_color": "line",
    "block_label_text_color": "muted",
    "block_title_text_color": "ink",
    "input_background_fill": "raised",
    "slider_color": "accent",
    "border_color_accent": "accent",
}
"""Gradio's names of what is coloured, and those of the colours."""
# Files of pages that were closed are deleted after an hour; all of them when the program ends.
_CACHE_SECONDS = (600, 3600)


def blocks(gradio: ModuleType, playground: Playground) -> Any:  # noqa: ANN401 (Gradio's own)
    """Return the page; the endpoint of its API is `/answer`."""
    samples = playground.samples
    with gradio.Blocks(
        title=f"{playground.name} · Winning Hand", analytics_enabled=False, delete_cache=_CACHE_SECONDS
    ) as page:
        gradio.HTML(heading(playground.player, playground.name), apply_default_css=False)
        with gradio.Row(elem_classes="wh-page"):
            with gradio.Column(scale=4, min_width=300, elem_classes="wh-asks"):
                file = gradio.File(label="A picture of yours", height=96, elem_id="wh-file")
                gallery = gradio.Gallery(
                    _thumbnails(samples),
                    label=f"or a sample of {samples.source}",
                    columns=6,
                    height="auto",
                    allow_preview=False,
                    object_fit="contain",
                    buttons=[],
                    interactive=False,
                    format="png",
                    elem_id="wh-samples",
                )
                if samples.foreign:
                    gradio.HTML(f'<p class="wh wh-note">{_FOREIGN}</p>', apply_default_css=False)
                corruption = gradio.Dropdown(
                    playground.corruptions,
                    value=FIRST_CORRUPTION,
                    label="Corruption",
                    elem_id="wh-corruption",
                )
                severity = gradio.Slider(
                    0, MOST_SEVERE, value=FIRST_SEVERITY, step=1, label="Severity", elem_id="wh-severity"
                )
            with gradio.Column(scale=7, min_width=320):
                shown = gradio.HTML(elem_id="wh-answer", apply_default_css=False)
        sample = gradio.Number(0, precision=0, label="sample", visible=False)

        def answer(file: str | None, sample: int, corruption: str, severity: int) -> str:
            path = None if file is None else Path(file)
            return playground.answer(path, "" if path is None else path.name, sample, corruption, severity)

        def chosen(event: gradio.SelectData) -> tuple[None, int]:  # type: ignore[name-defined]
            return None, event.index

        # Gradio reads it at run time, and it is no name of this module.
        chosen.__annotations__["event"] = gradio.SelectData
        asks = [file, sample, corruption, severity]
        gradio.on(
            [page.load, file.change, sample.change, corruption.change, severity.change],
            answer,
            asks,
            shown,
            api_name="answer",
            show_progress="hidden",
            trigger_mode="always_last",
        )
        gallery.select(chosen, None, [file, sample], api_visibility="private", show_progress="hidden")
    return page


def theme(gradio: ModuleType) -> Any:  # noqa: ANN401 (Gradio's own)
    """Return the colours of charts and pages, and the fonts that the machine has."""
    # Gradio would fetch any font that is given as one of its own.
    own = gradio.themes.Base(font=FONT, font_mono=["ui-monospace", "monospace"], text_size="lg")
    light = {key: LIGHT[name] for key, name in _THEME.items()}
    dark = {f"{key}_dark": DARK[name] for key, name in _THEME.items()}
    # Gradio has no dark form of this one.
    return own.set(color_accent=LIGHT["accent"], **light, **dark)


def _thumbnails(samples: Samples) -> list[tuple[Image.Image, str]]:
    """Return each sample, large enough to be seen, with its class."""
    side = max(samples.images.shape[1:3])
    scale = max(1, 96 // side)
    return [
        (Image.fromarray(image.repeat(scale, axis=0).repeat(scale, axis=1)), label)
        for image, label in zip(samples.images, samples.labels, strict=True)
    ]
