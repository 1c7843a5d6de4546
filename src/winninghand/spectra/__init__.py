"""Fourier profiles of images."""

from winninghand.spectra.profile import SpectralProfile, log_spectra

__all__ = ["SpectralProfile", "log_spectra"]
