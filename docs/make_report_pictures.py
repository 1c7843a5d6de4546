"""Make the documents' pictures of a report: `python docs/make_report_pictures.py DIR|PAGE docs/NAME`.

DIR is the folder of a study, or of its results. `NAME.png` shows what the study found, in light, and
`NAME-charts.png` accuracy against sparsity and what robust accuracy costs, in dark. PAGE is a page, as that
of `winninghand evaluate --html`: `NAME.png` shows it in light, and `NAME-phone.png` on a phone in dark, each
from the top down to `--height`. It needs Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image, ImageChops

from winninghand.report.study_page import Report, write_page
from winninghand.results import Results

WIDTH, PHONE, MOST = 1280, 390, 6000
COLOURS = 256
CHARTS = ("accuracy", "size")
ONLY_FINDINGS = "#filters, main, footer { display: none !important }"
ONLY_CHARTS = "header, #filters, footer, details.table, section:not({}) {{ display: none !important }}"
# Chromium's own windows are never as narrow as a phone; a frame in one is.
FRAME = '<body style="margin: 0"><iframe src="shown.html" style="border: 0; width: {}px; height: {}px">'


def main() -> None:
    """Write both pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("results", type=Path, metavar="DIR|PAGE")
    parser.add_argument("name", type=Path, metavar="NAME", help="where they go, without .png")
    parser.add_argument("--charts", nargs="+", default=CHARTS, help="the figures of the second picture")
    parser.add_argument("--height", type=int, default=MOST, help="of a page's pictures, in pixels")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.results.suffix == ".html":
            text = given.results.read_text(encoding="utf-8")
            phone = given.name.with_name(f"{given.name.name}-phone.png")
            save(picture(text, "", Path(folder), height=given.height), given.name.with_suffix(".png"))
            save(picture(text, "", Path(folder), dark=True, width=PHONE, height=given.height), phone)
            return
        report = Report.of(Results(given.results))
        only = ONLY_CHARTS.format(", ".join(f"#{name}" for name in given.charts))
        page = Path(folder) / "report.html"
        write_page(report, page)
        text = page.read_text(encoding="utf-8")
        save(picture(text, ONLY_FINDINGS, Path(folder)), given.name.with_suffix(".png"))
        name = given.name.with_name(f"{given.name.name}-charts.png")
        save(picture(text, only, Path(folder), dark=True), name)


def picture(
    text: str, style: str, folder: Path, dark: bool = False, width: int = WIDTH, height: int = MOST
) -> Image.Image:
    """Return what a browser shows of a page with more style, without what is empty below."""
    page, frame, shot = folder / "shown.html", folder / "frame.html", folder / "shown.png"
    frame.write_text(FRAME.format(width, MOST), encoding="utf-8")
    page.write_text(text.replace("</style>", f"{style}</style>", 1), encoding="utf-8")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("Chromium is needed to make pictures; install chromium")
    words = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    words += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=20000"]
    words += [f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
    words += [f"--window-size={WIDTH},{MOST}", f"--screenshot={shot}", frame.as_uri()]
    subprocess.run(words, check=True, capture_output=True, timeout=300)
    with Image.open(shot) as image:
        return without_margin(image.convert("RGB").crop((0, 0, width, height)))


def without_margin(image: Image.Image) -> Image.Image:
    """Return a picture without what is empty below."""
    background = Image.new("RGB", image.size, image.getpixel((0, image.height - 1)))
    box = ImageChops.difference(image, background).getbbox()
    return image if box is None else image.crop((0, 0, image.width, min(image.height, box[3] + 24)))


def save(image: Image.Image, path: Path) -> None:
    """Write a picture in few colours, those of small marks among them, which keeps it small."""
    image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=2).save(path, optimize=True)
    print(f"written: {path}")  # noqa: T201


if __name__ == "__main__":
    main()
