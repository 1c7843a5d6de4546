"""The pruning callback beside Lightning's callbacks that average weights, before and after it."""

import pytest
import torch
from random_networks import network_of
from torch import nn

import winninghand as wh
from winninghand.compression.lightning import PruningCallback

lightning = pytest.importorskip("pytorch_lightning")
averages = lightning.callbacks
pytestmark = pytest.mark.filterwarnings("ignore")


class Classifier(lightning.LightningModule):
    def __init__(self, norm):
        super().__init__()
        self.network = network_of([4, 6], 0, norm)

    def training_step(self, batch, _):
        self.seen = {name: weight.detach() != 0 for name, weight in self.named_parameters()}
        return nn.functional.cross_entropy(self.network(batch[0]), batch[1])

    def validation_step(self, batch, _):
        self.validated = self.network[-1].weight != 0

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


def ema():
    if not hasattr(averages, "EMAWeightAveraging"):
        pytest.skip("this Lightning has none")
    return averages.EMAWeightAveraging(decay=0.9)


def swa():
    return averages.StochasticWeightAveraging(swa_lrs=0.01, swa_epoch_start=2)


def fit(method, averaging, pruning_first, folder, norm=True, validate=False):
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.randn(16, 3, 6, 6, generator=generator), torch.arange(16) % 5
    data = torch.utils.data.TensorDataset(images, labels)
    loader = torch.utils.data.DataLoader(data, batch_size=4)
    callback = PruningCallback(method, 0.8, fraction_per_round=0.5, update_every=3)
    trainer = lightning.Trainer(
        max_epochs=4,
        callbacks=[callback, averaging] if pruning_first else [averaging, callback],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    model = Classifier(norm)
    trainer.fit(model, loader, loader if validate else None)
    trainer.save_checkpoint(folder / "last.ckpt")
    return model, callback.pruner, torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]


@pytest.mark.parametrize("average", [ema, swa])
@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize(
    ("method", "pruning_first"),
    [("gmp", True), ("gmp", False), ("lth", True), ("lrr", False), ("ep", True), ("bp", True)],
)
def test_an_average_ends_sparse(method, pruning_first, norm, average, tmp_path):
    model, pruner, saved = fit(method, average(), pruning_first, tmp_path, norm)
    assert pruner.finished
    assert pruner.sparsity == pytest.approx(0.8, abs=1e-2)
    for name, mask in pruner.masks.items():
        assert torch.equal(model.get_parameter(name) != 0, mask), name
        assert torch.equal(saved[name] != 0, mask), name
        if norm and average is swa:  # its last epoch measures norms, here of the sparse average
            assert torch.equal(model.seen[name], mask), name


def test_the_last_validation_sees_sparse_averages(tmp_path):
    for pruning_first in (True, False):
        model, pruner, *_ = fit("gmp", ema(), pruning_first, tmp_path, validate=True)
        assert torch.equal(model.validated, pruner.masks["network.8.weight"])


@pytest.mark.parametrize("average", [ema, swa])
@pytest.mark.parametrize("method", ["ep", "bp"])
def test_an_average_made_before_the_scores_is_refused(method, average, tmp_path):
    with pytest.raises(wh.InputError, match="must come after the pruning callback") as error:
        fit(method, average(), False, tmp_path)
    assert "\n" not in str(error.value)
