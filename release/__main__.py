"""Make a release: check, build, try, tag, and write notes. Nothing is published."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from release.agreement import RECIPE, faults, make_tag, tag_of, version_of
from release.artifacts import build, check, pythons, sha256, try_out
from release.notes import notes

ROOT = Path(__file__).parent.parent


def main() -> int:
    """Return 0 where all is well, and 1 where something stands against a release."""
    parser = argparse.ArgumentParser(prog="python -m release", description=__doc__)
    parser.add_argument(
        "--dry-run", action="store_true", help="go on in spite of what stands against it; no tag"
    )
    parser.add_argument("--python", nargs="*", default=[], metavar="PATH", help="interpreters to try it on")
    given = parser.parse_args()
    version, told = version_of(ROOT), faults(ROOT)
    for fault in told:
        print(f"against a release: {fault}", flush=True)
    if told and not given.dry_run:
        return 1
    try:
        made(version, given.python, given.dry_run)
    except subprocess.CalledProcessError as error:
        print(f"against a release: {' '.join(map(str, error.cmd))} failed with exit code {error.returncode}")
        return 1
    return 0


def made(version: str, given: list[str], dry_run: bool) -> None:
    """Build and try the files of a version, and leave them in dist/ once all is well; tag it at the end."""
    with tempfile.TemporaryDirectory() as folder:
        wheel, source = build(ROOT, Path(folder))
        if wrong := check(ROOT, wheel, source):
            sys.exit("\n".join(f"against a release: {one}" for one in wrong))
        subprocess.run([Path(sys.executable).with_name("cffconvert"), "--validate"], check=True, cwd=ROOT)
        interpreters = pythons(given)
        if not interpreters:
            sys.exit("against a release: there is no Python to try it on; name one by --python")
        for python, path in interpreters.items():
            for file in (wheel, source):
                print(f"Python {python}: {file.name}", flush=True)
                try_out(path, ROOT, file)
        dist = ROOT / "dist"
        dist.mkdir(exist_ok=True)
        for file in (wheel, source):
            shutil.copy(file, dist)
    recipe = (ROOT / RECIPE).read_text(encoding="utf-8")
    path = "../../dist/winninghand-${{ version }}.tar.gz"
    here = f"{Path(path).name}\n  sha256: {sha256(dist / source.name)}"
    (dist / "recipe.yaml").write_text(recipe.replace(path, here), encoding="utf-8")
    (dist / f"notes-{version}.md").write_text(notes(ROOT, version), encoding="utf-8")
    if dry_run:
        print(f"dist/ has all files of {version}; nothing is tagged")
        return
    make_tag(ROOT, version)
    print(f"dist/ has all files of {version}, tagged {tag_of(version)}; nothing is published")


if __name__ == "__main__":
    sys.exit(main())
