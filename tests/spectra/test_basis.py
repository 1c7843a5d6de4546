import pytest
import torch

from winninghand.spectra import basis_images, half_plane, on_whole_plane

SIZES = [(32, 32), (9, 9), (8, 7), (7, 10)]


@pytest.mark.parametrize("size", SIZES)
def test_one_frequency_of_every_pair(size):
    height, width = size
    kept = {tuple(frequency) for frequency in half_plane(*size).tolist()}
    mirrored = {
        ((height // 2 - row) % height - height // 2, (width // 2 - column) % width - width // 2)
        for row, column in kept
    }
    everything = {
        (row - height // 2, column - width // 2) for row in range(height) for column in range(width)
    }
    assert kept | mirrored == everything
    own_mirrors = (2 - height % 2) * (2 - width % 2)
    assert len(kept & mirrored) == own_mirrors
    assert len(kept) == (height * width + own_mirrors) / 2


@pytest.mark.parametrize("size", SIZES)
def test_basis_images_are_orthonormal_and_hold_one_frequency(size):
    frequencies = half_plane(*size)
    images = basis_images(frequencies, *size)
    flat = images.flatten(1)
    assert torch.allclose(flat @ flat.T, torch.eye(len(flat)), atol=1e-4)
    spectra = torch.fft.fftshift(torch.fft.fft2(images.double()).abs(), dim=(1, 2))
    for spectrum, (vertical, horizontal) in zip(spectra, frequencies.tolist(), strict=True):
        places = [
            ((sign * vertical + size[0] // 2) % size[0], (sign * horizontal + size[1] // 2) % size[1])
            for sign in (1, -1)
        ]
        energy = sum(spectrum[place] ** 2 for place in set(places))
        assert energy == pytest.approx(size[0] * size[1], rel=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_values_stand_at_their_frequency_and_at_its_mirror(size):
    frequencies = half_plane(*size)
    plane = on_whole_plane(torch.arange(len(frequencies)), *size)
    for value, (vertical, horizontal) in enumerate(frequencies.tolist()):
        for sign in (1, -1):
            row, column = sign * vertical + size[0] // 2, sign * horizontal + size[1] // 2
            assert plane[row % size[0], column % size[1]] == value
