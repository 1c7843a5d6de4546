"""Pages as Chromium has them, for tests."""

import html
import json
import re
import shutil
import subprocess

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def in_browser(page, tmp_path, address="", script="", dark=False):
    """Return the page as a browser has it after a while, and what stands on its console."""
    copy = tmp_path / "seen.html"
    body, end, rest = page.rpartition("</body>")
    copy.write_text(f"{body}<script>{script}</script>{end}{rest}", encoding="utf-8")
    words = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    words += [
        f"--user-data-dir={tmp_path / 'profile'}",
        "--virtual-time-budget=20000",
        "--window-size=1400,800",
        "--hide-scrollbars",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
    ]
    done = subprocess.run(
        [*words, "--dump-dom", f"file://{copy}{address}"], capture_output=True, text=True, timeout=120
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def told_by(page, tmp_path, script, width, dark=False):
    """Return what a script puts into a page's title, as JSON, and what stands on the console.

    The page stands in a frame of the width: a browser's own window is never as narrow as a telephone.
    """
    body, end, rest = page.rpartition("</body>")
    framed = html.escape(f"{body}<script>{script}</script>{end}{rest}", quote=True)
    frame = f'<iframe srcdoc="{framed}" style="border: 0; width: {width}px; height: 800px"></iframe>'
    follow = """
    const frame = document.querySelector("iframe");
    setInterval(() => { document.title = frame.contentDocument.title; }, 100);
    """
    head = '<head><meta charset="utf-8"><meta name="color-scheme" content="light dark"><title></title></head>'
    seen, console = in_browser(f"<html>{head}<body>{frame}</body></html>", tmp_path, "", follow, dark)
    return json.loads(html.unescape(re.search("<title>(.*?)</title>", seen, re.DOTALL)[1])), console
