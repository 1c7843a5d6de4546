"""Fourier profiles of images, and the Fourier basis."""

from winninghand.spectra.basis import basis_images, half_plane, on_whole_plane
from winninghand.spectra.profile import LogSpectra, SpectralProfile, log_spectra

__all__ = ["LogSpectra", "SpectralProfile", "basis_images", "half_plane", "log_spectra", "on_whole_plane"]
