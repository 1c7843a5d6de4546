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

FONT = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "Liberation Sans", "sans-serif"]
STYLE = Path(__file__).with_name("layout.css").read_text(encoding="utf-8")
_FOREIGN = "Handwritten digits, of which this model knows none: choose a photograph, or start with --data."
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
    """Return colours as those of `page.css`, and the fonts that the machine has."""
    # Gradio would fetch any font that is given as one of its own.
    own = gradio.themes.Base(font=FONT, font_mono=["ui-monospace", "monospace"], text_size="lg")
    return own.set(
        body_background_fill="#fff",
        body_background_fill_dark="#15171a",
        body_text_color="#1c1d1f",
        body_text_color_dark="#e8e8e5",
        body_text_color_subdued="#5c6066",
        body_text_color_subdued_dark="#a3a8ae",
        block_background_fill="#fff",
        block_background_fill_dark="#15171a",
        block_border_color="#dcdcd8",
        block_border_color_dark="#34383d",
        block_label_text_color="#5c6066",
        block_label_text_color_dark="#a3a8ae",
        block_title_text_color="#1c1d1f",
        block_title_text_color_dark="#e8e8e5",
        input_background_fill="#f6f6f3",
        input_background_fill_dark="#1e2125",
        slider_color="#0a5f95",
        slider_color_dark="#7cc0f0",
        color_accent="#0a5f95",
        border_color_accent="#0a5f95",
        border_color_accent_dark="#7cc0f0",
    )


def _thumbnails(samples: Samples) -> list[tuple[Image.Image, str]]:
    """Return each sample, large enough to be seen, with its class."""
    side = max(samples.images.shape[1:3])
    scale = max(1, 96 // side)
    return [
        (Image.fromarray(image.repeat(scale, axis=0).repeat(scale, axis=1)), label)
        for image, label in zip(samples.images, samples.labels, strict=True)
    ]
