import pytest
import torch

from winninghand.spectra import SpectralProfile, log_spectra
from winninghand.spectra.profile import RINGS, ring_averages


@pytest.mark.parametrize(("rows", "columns"), [(32, 17), (16, 9), (28, 15)])
def test_rings_average_and_share_no_cell(rows, columns):
    averages = ring_averages(rows, columns)
    assert averages.shape == (rows * columns, RINGS)
    assert torch.allclose(averages.sum(dim=0), torch.ones(RINGS))
    assert ((averages > 0).sum(dim=1) == 1).all()


def test_the_first_ring_is_the_mean_level_and_the_last_the_finest_detail():
    level = torch.full((1, 3, 32, 32), 0.5)
    checks = level + 0.4 * (-1) ** (torch.arange(32)[:, None] + torch.arange(32))
    shift = (log_spectra(checks) - log_spectra(level)).flatten(1) @ ring_averages(32, 17)
    assert shift.argmax() == RINGS - 1
    shift = (log_spectra(1.5 * level) - log_spectra(level)).flatten(1) @ ring_averages(32, 17)
    assert shift.argmax() == 0


def test_a_profile_is_mean_and_spread_with_the_clean_one_beside_it():
    images = torch.rand(20, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    profile = SpectralProfile.of(images / 2, clean=images)
    assert torch.allclose(profile.mean, log_spectra(images / 2).mean(dim=0))
    assert torch.allclose(profile.spread, log_spectra(images / 2).std(dim=0))
    assert torch.allclose(profile.clean.mean, log_spectra(images).mean(dim=0))
    assert profile.clean.clean is None
