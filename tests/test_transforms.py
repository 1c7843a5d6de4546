import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

import winninghand as wh
from winninghand.corruptions import missing_corruptions


@pytest.fixture(scope="module")
def batch():
    """Smooth random images, uint8 (6, 3, 32, 32)."""
    small = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return (torch.nn.functional.interpolate(small, scale_factor=4.0) * 255).byte()


TRANSFORMS = [
    wh.transforms.Corrupt("fog", 3),
    wh.transforms.Corrupt("shot_noise", range(1, 6)),
    wh.transforms.Domain("augmix"),
    wh.transforms.Domain({"name": "gaussian", "sigma": 0.2}, seed=4),
]


def test_an_index_gives_what_the_functions_give(batch):
    indices = [70, 71, 64, 1000, 64, 63]
    pixels = batch.permute(0, 2, 3, 1)
    foggy = wh.transforms.Corrupt("fog", 3, seed=2)
    augmented = wh.transforms.Domain("augmix", seed=2)
    views = [wh.augment(pixels[i : i + 1], "augmix", 2, start) for i, start in enumerate(indices)]
    for transform, expected in (
        (foggy, wh.corrupt(pixels, "fog", 3, seed=2, indices=indices)),
        (augmented, torch.cat(views)),
    ):
        assert torch.equal(transform(batch, index=indices).permute(0, 2, 3, 1), expected)
        assert torch.equal(transform(batch[2], index=64).permute(1, 2, 0), expected[2])


@pytest.mark.parametrize("transform", TRANSFORMS, ids=repr)
def test_the_same_kind_comes_back(transform, batch):
    class Tagged(torch.Tensor):
        pass

    expected = transform(batch[0], index=5)
    assert not torch.equal(expected, batch[0])
    picture = Image.fromarray(batch[0].permute(1, 2, 0).numpy())
    assert np.array_equal(transform(picture, index=5), expected.permute(1, 2, 0))
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        unit = transform((batch[0].double() / 255).to(dtype), index=5)
        assert unit.dtype == dtype and unit.shape == (3, 32, 32)
        if dtype != torch.bfloat16:
            assert torch.equal(unit, expected.to(dtype) / 255)
    tagged = transform(batch.as_subclass(Tagged), index=range(5, 11))
    assert type(tagged) is Tagged and torch.equal(tagged[0].as_subclass(torch.Tensor), expected)
    assert transform(batch[:, :1]).shape == batch.shape
    assert transform(batch[0], 7, "label")[1:] == (7, "label")
    copy = pickle.loads(pickle.dumps(transform))
    assert repr(copy) == repr(transform) and torch.equal(copy(batch[0], index=5), expected)


@pytest.mark.parametrize("transform", TRANSFORMS, ids=repr)
def test_without_an_index_every_call_is_another_and_follows_torchs_seed(transform, batch):
    torch.manual_seed(1)
    first, second = transform(batch), transform(batch)
    assert not torch.equal(first, second)
    torch.manual_seed(1)
    assert torch.equal(transform(batch), first)


def test_a_severity_is_drawn_for_each_image():
    image = torch.full((200, 3, 32, 32), 100, dtype=torch.uint8)
    changed = wh.transforms.Corrupt("brightness", (1, 3, 5))(image)
    singles = [wh.transforms.Corrupt("brightness", severity)(image[0]) for severity in (1, 3, 5)]
    counts = [int((changed == single).all((1, 2, 3)).sum()) for single in singles]
    assert sum(counts) == 200 and min(counts) > 40


class Digits(Dataset):
    """The first 16 test digits, transformed as they are read."""

    def __init__(self, transform, by_index):
        self.images = torch.from_numpy(wh.load_images("digits").test.images[:16]).permute(0, 3, 1, 2)
        self.transform, self.by_index = transform, by_index

    def __len__(self):
        return len(self.images)

    def __getitem__(self, place):
        # One and the same image, so that only the random numbers can make a difference.
        return self.transform(self.images[0], index=place if self.by_index else None)


@pytest.mark.parametrize("name", ["gaussian_noise", "domain"])
def test_workers_draw_numbers_of_their_own_and_the_same_ones_again(name):
    transform = (
        wh.transforms.Domain("augmix") if name == "domain" else wh.transforms.Corrupt(name, range(1, 6))
    )

    def read(seed, workers=2, by_index=False):
        generator = torch.Generator().manual_seed(seed)
        loader = DataLoader(
            Digits(transform, by_index), batch_size=4, num_workers=workers, generator=generator
        )
        return torch.cat(list(loader))

    images = read(0)
    assert len(images.flatten(1).unique(dim=0)) == 16
    assert torch.equal(images, read(0))
    assert not torch.equal(images, read(1))
    assert torch.equal(read(0, by_index=True), read(1, workers=0, by_index=True))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: wh.transforms.Corrupt("fogg", 1), "did you mean 'fog'"),
        (lambda: wh.transforms.Corrupt("fog", 6), "from 1 to 5, not 6"),
        (lambda: wh.transforms.Corrupt("fog", range(6)), "from 1 to 5, not 0"),
        (lambda: wh.transforms.Corrupt("fog", ()), "no severity is given"),
        (lambda: wh.transforms.Domain("augmixx"), "did you mean 'augmix'"),
        (lambda: wh.transforms.Domain({"name": "augmix", "wide": 3}), "no parameter 'wide'"),
        (lambda: wh.transforms.Domain("augmix", seed=-1), "of at least 0"),
    ],
)
def test_bad_settings_are_refused_when_it_is_made(make, message):
    with pytest.raises(wh.InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("image", "index", "message"),
    [
        (torch.zeros(32, 32, 3, dtype=torch.uint8), None, "channels last"),
        (torch.zeros(3, 32, 32, dtype=torch.int64), None, "uint8 or floating point"),
        (torch.full((3, 32, 32), 1.5), None, "before the normalisation"),
        (torch.full((3, 32, 32), torch.nan), None, "before the normalisation"),
        (np.zeros((3, 32, 32), np.uint8), None, "tensors or Pillow images"),
        (torch.zeros(2, 3, 32, 32), 5, "2 whole numbers"),
        (torch.zeros(2, 3, 32, 32), [1, 1, 1], "2 whole numbers"),
        (torch.zeros(3, 32, 32), 1.5, "1 whole numbers"),
    ],
)
@pytest.mark.parametrize("transform", TRANSFORMS[1:3], ids=repr)
def test_bad_images_are_refused(transform, image, index, message):
    with pytest.raises(wh.InputError, match=message):
        transform(image, index=index)


def test_what_this_machine_cannot_apply_is_refused_when_it_is_made(monkeypatch):
    monkeypatch.setattr("winninghand.corruptions.weather.find_spec", lambda name: None)
    assert missing_corruptions(["frost"])
    with pytest.raises(wh.InputError, match="pip install"):
        wh.transforms.Corrupt("frost", 1)


def test_a_corruption_takes_another_sets_parameters_and_saves_as_jpeg():
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    how = {"parameters": "imagenet-c", "saved_as": "jpeg"}
    transform = wh.transforms.Corrupt("contrast", 5, **how)
    expected = wh.corrupt(images.permute(0, 2, 3, 1), "contrast", 5, **how)
    assert torch.equal(transform(images), expected.permute(0, 3, 1, 2))
    assert list(transform.parameters()) == []
