import pytest
import torch

from winninghand.compression import Compressor, Method
from winninghand.networks import network


@pytest.mark.parametrize("method", ["ep", "bp"])
def test_without_norms_activations_do_not_explode_while_the_ramp_lasts(method):
    images = torch.randn(32, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    module = network("conv4", width=8)
    settings = Method.model_validate({"method": method, "sparsity": 0.95, "scope": "layerwise"})
    compressor = Compressor(module, settings)
    masks = compressor.masks(0)
    (phase,) = compressor.phases(10)
    spreads = []
    for step in (0, 100, 500):
        masks.begin(phase, 1000, step)
        with torch.no_grad():
            spreads.append(float(module(images).std()))
    # At the density of the start, 0.5, weights drawn for 0.05 would give 3,000 times as much.
    assert max(spreads) < 100 * min(spreads)
    assert float(masks._scale) == 1
