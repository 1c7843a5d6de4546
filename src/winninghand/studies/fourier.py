"""Fourier heatmaps of the cards that a study's file asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from winninghand.base.device import best_device
from winninghand.base.errors import InputError
from winninghand.base.locks import folder_lock
from winninghand.base.progress import progress_bar
from winninghand.decks import load_card
from winninghand.evaluation import fourier_heatmap, heatmap_norm, heatmap_shape
from winninghand.images import ImageSet
from winninghand.results import RunResult
from winninghand.results.fourier import fourier_path, read_fourier, write_fourier
from winninghand.results.study_file import FOLDER
from winninghand.spectra import half_plane
from winninghand.studies.study import Study
from winninghand.studies.sweeps import meets
from winninghand.studies.work import card_of


def measure_fourier(
    study: Study,
    images: ImageSet,
    out: Path,
    runs: Sequence[RunResult],
    announce: Callable[[str], None] = lambda _: None,
    trust: bool = False,
) -> None:
    """Measure the maps that the `[report]` table asks for and the results below `out` lack.

    A run whose card was deleted is left out, and `announce` is told. Raises `InputError` where no run of the
    study fits what is asked for.
    """
    if study.report is None or not study.report.fourier:
        return
    for choice in study.report.fourier:
        if not any(meets(run.about.choice, choice) for run in runs):
            raise InputError(f"no finished run of the study fits {choice} of report.fourier; mend the choice")
    chosen = [run for run in runs if any(meets(run.about.choice, one) for one in study.report.fourier)]
    norm = heatmap_norm(images.test.size, study.report.fourier_norm)
    with folder_lock(out):
        known = read_fourier(out / FOLDER)
        for run in chosen:
            found = known.get(run.name)
            asked = (norm, study.evaluation.seed)
            if found is not None and (found.norm, found.seed) == asked:
                continue
            path = card_of(out, run)
            if not path.exists():
                announce(f"{path} is needed for the Fourier heatmap of {run.name}, which is left out")
                continue
            card = load_card(path, trust=trust).to(best_device())
            with progress_bar(
                run.name, len(half_plane(*heatmap_shape(images.test.size))), "frequencies"
            ) as progress:
                table = fourier_heatmap(
                    card,
                    images.test,
                    norm,
                    study.report.fourier_limit,
                    study.evaluation.seed,
                    progress=progress,
                )
            write_fourier(out / FOLDER, run.name, table)
            announce(f"measured {fourier_path(out / FOLDER, run.name)}")
