"""Pages as Chromium has them, for tests."""

import shutil
import subprocess

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def in_browser(page, tmp_path, address="", script="", width=390, dark=False):
    """Return the page as a browser has it after a while, and what stands on its console."""
    copy = tmp_path / "seen.html"
    body, end, rest = page.rpartition("</body>")
    copy.write_text(f"{body}<script>{script}</script>{end}{rest}", encoding="utf-8")
    words = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    words += [
        f"--user-data-dir={tmp_path / 'profile'}",
        "--virtual-time-budget=20000",
        f"--window-size={width},800",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
    ]
    done = subprocess.run(
        [*words, "--dump-dom", f"file://{copy}{address}"], capture_output=True, text=True, timeout=120
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]
