"""What holds for every training domain, whichever it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from winninghand import InputError
from winninghand.augmentation import DOMAINS, Domain, make_domain

NAMES = ["afa", "augmix", "clean", "gaussian", "hybridaugment", "pixmix", "prime", "trivialaugment"]
HYBRID_ALONE = {"name": "hybridaugment", "paired": False}
ALONE = [HYBRID_ALONE if name == "hybridaugment" else name for name in NAMES]


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def views(domain: Domain, images: Tensor, seed: int = 0) -> Tensor:
    return domain.views(images, torch.Generator().manual_seed(seed))


def test_the_registered_names():
    assert sorted(DOMAINS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_views_are_unit_range_images_in_the_contract_s_layout(name: str, photographs: Tensor):
    before = photographs.clone()
    found = views(make_domain(name), photographs[:, :, :25])
    assert found.shape[1:] == (len(photographs), 3, 32, 25)
    assert found.dtype == torch.float32
    assert found.min() >= 0
    assert found.max() <= 1
    assert torch.equal(photographs, before)


@pytest.mark.parametrize("name", NAMES)
def test_the_generator_alone_decides(name: str, photographs: Tensor, two_threads: None):
    domain = make_domain(name)
    first = views(domain, photographs[:, :, :27], seed=1)
    assert not torch.equal(first, views(domain, photographs[:, :, :27], seed=2))
    torch.manual_seed(5)
    torch.set_num_threads(1)
    assert torch.equal(first, views(domain, photographs[:, :, :27], seed=1))


@pytest.mark.parametrize("spec", ALONE, ids=str)
def test_an_image_is_not_touched_by_its_neighbours(spec: str | dict[str, object], photographs: Tensor):
    domain = make_domain(spec)
    assert domain.mixes == (spec == HYBRID_ALONE)
    others = photographs.flip(0)
    others[7] = photographs[7]
    assert torch.equal(views(domain, photographs)[:, 7], views(domain, others)[:, 7])


@pytest.mark.parametrize("name", NAMES)
def test_any_number_of_images_is_a_batch(name: str, photographs: Tensor):
    for count, seed in [(0, 0), *((1, seed) for seed in range(8)), (3, 0)]:
        assert views(make_domain(name), photographs[:count], seed).shape[1] == count


def test_clean_shows_shifted_and_flipped_images(photographs: Tensor):
    found = views(make_domain("clean"), photographs)[0]
    padded = functional.pad(photographs.permute(0, 3, 1, 2).float() / 255, (4, 4, 4, 4))
    windows = padded.unfold(2, 32, 1).unfold(3, 32, 1)
    both = torch.stack([windows, windows.flip(-1)], dim=1)
    hits = (both == found[:, None, :, None, None]).all(-1).all(-1).all(2).flatten(1)
    assert hits.any(1).all()
    assert (hits.sum(0) > 0).sum() > 60, "about 85 of 162 placements among 120 images"
    flipped = hits.unflatten(1, (2, 81)).any(2)[:, 1].float().mean()
    assert 0.3 < flipped < 0.7


def test_nothing_happens_without_padding_and_flip(photographs: Tensor):
    found = views(make_domain({"name": "clean", "padding": 0, "flip": False}), photographs)
    assert torch.equal(found[0].mul(255).round().byte().permute(0, 2, 3, 1), photographs)


def test_gaussian_noise_has_its_sigma_and_its_probability():
    grey = torch.full((400, 16, 16, 3), 128, dtype=torch.uint8)
    settings = {"name": "gaussian", "sigma": 0.05, "probability": 0.3, "padding": 0}
    std = views(make_domain(settings), grey)[0].flatten(1).std(1)
    noisy = std > 0
    assert std[noisy].mean() == pytest.approx(0.05, rel=0.01)
    assert noisy.float().mean() == pytest.approx(0.3, abs=0.08)


def test_gaussian_noise_may_come_in_two_views_that_must_agree_with_the_clean_one(photographs: Tensor):
    domain = make_domain({"name": "gaussian", "jsd": True, "sigma": 0.05})
    clean, first, second = views(domain, photographs)
    assert torch.equal(clean, views(make_domain("clean"), photographs)[0])
    inner = (clean > 0.3) & (clean < 0.7)
    noise = torch.stack([first - clean, second - clean])[:, inner]
    assert noise.std(1).tolist() == pytest.approx([0.05, 0.05], rel=0.02)
    assert abs(torch.corrcoef(noise)[0, 1]) < 0.01
    logits, labels = torch.randn(3, 5, 4), torch.tensor([0, 1, 2, 3, 0])
    assert torch.equal(domain.loss(logits, labels, 0.1), make_domain("augmix").loss(logits, labels, 0.1))


def test_one_view_is_as_noisy_as_before_there_could_be_three(photographs: Tensor):
    domain = make_domain({"name": "gaussian", "probability": 0.5})
    generator = torch.Generator().manual_seed(3)
    clean = make_domain("clean").views(photographs, generator)
    noise = 0.1 * torch.randn(clean.shape, generator=generator)
    noise *= (torch.rand(len(photographs), generator=generator) < 0.5)[:, None, None, None]
    assert torch.equal(views(domain, photographs, seed=3), (clean + noise).clamp(0, 1))
    logits, labels = torch.randn(1, 5, 4), torch.tensor([0, 1, 2, 3, 0])
    torch.testing.assert_close(domain.loss(logits, labels), functional.cross_entropy(logits[0], labels))


def test_the_usual_loss_is_the_mean_cross_entropy_of_all_views():
    logits, labels = torch.randn(2, 5, 4), torch.tensor([0, 1, 2, 3, 0])
    parts = [functional.cross_entropy(view, labels, label_smoothing=0.1) for view in logits]
    torch.testing.assert_close(make_domain("clean").loss(logits, labels, 0.1), sum(parts) / 2)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("augmx", "unknown domain 'augmx'; did you mean 'augmix'?"),
        ({"name": "augmix", "severty": 3}, "has no parameter 'severty'; did you mean 'severity'?"),
        ({"name": "augmix", "severity": "3"}, "severity: input should be a valid number, not '3'"),
        ({"name": "augmix", "severity": 11}, "severity: input should be less than or equal to 10, not 11"),
        ({"name": "augmix", "depth": 0}, "depth: "),
        ({"name": "gaussian", "sigma": float("nan")}, "sigma: "),
        ({"name": "prime", "depth": 0}, "depth: "),
        ({"name": "prime", "waves": 2}, "waves: input should be greater than or equal to 3, not 2"),
        ({"name": "prime", "color": -0.1}, "color: input should be greater than or equal to 0, not -0.1"),
        ({"name": "afa", "strength": "5"}, "strength: input should be a valid number, not '5'"),
        ({"name": "hybridaugment", "probability": 1.5}, "probability: "),
        ({"name": "gaussian", "jsd": 1}, "jsd: "),
        ({"severity": 3}, "domain must be a name or a table with a name"),
        (7, "domain must be a name or a table with a name"),
    ],
)
def test_bad_specifications_are_refused_in_one_line(spec: object, message: str):
    with pytest.raises(InputError) as refusal:
        make_domain(spec)  # type: ignore[arg-type]
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)
