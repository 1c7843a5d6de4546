import pytest
import torch

from winninghand.spectra import LogSpectra, log_spectra


@pytest.mark.parametrize("size", [(32, 32), (16, 16), (17, 20), (31, 9), (64, 48), (96, 96)])
def test_matrix_products_give_the_spectra_of_the_fft(size):
    generator = torch.Generator().manual_seed(0)
    images = torch.cat([torch.rand(3, 3, *size, generator=generator), torch.zeros(1, 3, *size)])
    with torch.autocast("cpu"):  # takes the FFT at every size
        transformed = log_spectra(images)
    torch.testing.assert_close(LogSpectra(size)(images), transformed, rtol=0, atol=1e-4)
    torch.testing.assert_close(log_spectra(images), transformed, rtol=0, atol=1e-4)


def test_spectra_of_many_large_images_are_those_of_each():
    images = torch.rand(35, 3, 66, 70)
    whole = log_spectra(images)
    assert whole.shape == (35, 32, 17)
    for place in (0, 31, 32, 34):
        torch.testing.assert_close(whole[place], log_spectra(images[place : place + 1])[0])
