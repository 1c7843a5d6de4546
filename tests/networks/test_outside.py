"""Networks of libraries and import paths, with small libraries that the tests bring themselves."""

from __future__ import annotations

import sys
import types
from importlib.machinery import ModuleSpec

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import winninghand as wh
from winninghand.base.files import read_sealed
from winninghand.networks import Preprocessing, architecture_of
from winninghand.recipe import make_recipe

CODE = """
from torch import nn

def small(width=4, classes=10):
    head = nn.Linear(width, classes)
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)

def two():
    return small(classes=2)

def odd(classes=10):
    raise RuntimeError("no room")

nothing = 3
"""


class Positions(nn.Module):
    """A network with a table that no file holds, as transformers have."""

    def __init__(self, num_classes, width=4, img_size=16):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.register_buffer("table", torch.linspace(0, 1, img_size), persistent=False)
        self.head = nn.Linear(width, num_classes)
        self.num_classes = num_classes
        self.pretrained_cfg = {
            "architecture": "positions",
            "mean": (0.1, 0.2, 0.3),
            "std": (0.5, 0.5, 0.25),
            "input_size": (3, img_size, img_size),
        }

    def forward(self, x):
        return self.head((self.conv(x) + self.table).relu().mean((2, 3)))


@pytest.fixture
def timm(monkeypatch):
    """A timm with one network, version 9.8."""
    library, models = types.ModuleType("timm"), types.ModuleType("timm.models")
    # Other libraries look for it by its spec.
    library.__spec__, models.__spec__ = ModuleSpec("timm", None), ModuleSpec("timm.models", None)

    def create_model(name, pretrained=False, num_classes=1000, **rest):
        module = Positions(num_classes, **rest)
        if pretrained:
            nn.init.constant_(module.conv.weight, 0.25)
        return module

    library.__version__ = "9.8"
    library.create_model, library.models = create_model, models
    library.list_models = lambda: ["positions"]
    library.is_model = lambda name: name.split(".")[0] == "positions"
    models.get_pretrained_cfg = lambda name: types.SimpleNamespace(num_classes=7, fixed_input_size=True)
    monkeypatch.setattr(Positions, "__module__", "timm.models.positions")
    monkeypatch.setitem(sys.modules, "timm", library)
    monkeypatch.setitem(sys.modules, "timm.models", models)
    return library


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of one's own, where it can be imported."""
    (tmp_path / "my_networks.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    yield "my_networks:small"
    sys.modules.pop("my_networks", None)


def test_a_network_of_a_library_remembers_what_rebuilds_it(timm):
    module = wh.network("timm:positions", classes=3, width=5)
    assert module.architecture.settings == {"classes": 3, "width": 5}
    assert (module.architecture.name, module.architecture.version) == ("timm:positions", "9.8")
    assert module.preprocessing == Preprocessing((0.1, 0.2, 0.3), (0.5, 0.5, 0.25), (16, 16))
    assert wh.network("timm:positions").architecture.settings == {"classes": 7}
    pretrained = wh.network("timm:positions", classes=3, pretrained=True)
    assert bool((pretrained.conv.weight == 0.25).all())
    assert pretrained.architecture.settings == {"classes": 3}


def test_a_card_and_a_deck_of_it_open_again_and_play_the_same(timm, tmp_path):
    module = wh.network("timm:positions", classes=2, width=5)
    card = wh.Card.from_module(module, ["a", "b"], (16, 16))
    assert card.metadata.architecture == {
        "name": "timm:positions",
        "version": "9.8",
        "classes": 2,
        "width": 5,
    }
    assert (card.metadata.mean, card.metadata.std) == ((0.1, 0.2, 0.3), (0.5, 0.5, 0.25))
    card.save(tmp_path / "a.card")
    wh.Deck([card, card], "average").save(tmp_path / "a.deck")
    images, state = torch.rand(3, 3, 16, 16), torch.get_rng_state()
    assert torch.equal(wh.load(tmp_path / "a.card")(images), card(images))
    assert wh.load(tmp_path / "a.deck")(images).isfinite().all()
    assert torch.equal(torch.get_rng_state(), state)
    assert architecture_of(wh.load(tmp_path / "a.card").network) is not None


def test_a_module_that_the_library_made_for_the_caller_is_recognised(timm):
    card = wh.Card.from_module(timm.create_model("positions", num_classes=2), ["a", "b"], (16, 16))
    assert card.metadata.architecture["name"] == "timm:positions"
    other = wh.Card.from_module(timm.create_model("positions", num_classes=2, width=6), ["a", "b"], (16, 16))
    assert other.metadata.architecture is None


def test_a_network_that_no_longer_fits_names_both_versions(timm, tmp_path, monkeypatch):
    card = wh.Card.from_module(wh.network("timm:positions", classes=2), ["a", "b"], (16, 16))
    card.save(tmp_path / "a.card")
    monkeypatch.setattr(timm, "__version__", "10.0")
    make = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, **rest: make(name, **{"width": 9, **rest}))
    from winninghand.cards import file

    file._without_values.cache_clear()
    with pytest.raises(wh.InputError, match=r"made with version 9\.8 of its library, and here is 10\.0"):
        wh.load(tmp_path / "a.card")
    file._without_values.cache_clear()


def test_a_card_whose_library_is_missing_names_the_line_that_installs_it_and_no_more(
    timm, tmp_path, monkeypatch
):
    from winninghand.cards import file

    wh.Card.from_module(wh.network("timm:positions", classes=2), ["a", "b"], (16, 16)).save(
        tmp_path / "a.card"
    )
    monkeypatch.setitem(sys.modules, "timm", None)
    file._without_values.cache_clear()
    with pytest.raises(wh.InputError, match=r"pip install 'winninghand\[timm\]'$"):
        wh.load(tmp_path / "a.card")


def test_it_is_trained_from_a_recipe_with_the_library_s_normalisation(timm, tiny_images, tmp_path):
    recipe = {
        "network": {"name": "timm:positions", "pretrained": True},
        "compression": {"method": "ft", "sparsity": 0.5},
        "training": {"epochs": 1, "batch_size": 32},
    }
    card = wh.train(recipe, tiny_images, tmp_path)
    assert read_sealed(tmp_path / "run.json")["ran_on"][0]["versions"]["timm"] == "9.8"
    assert card.metadata.mean == (0.1, 0.2, 0.3)
    assert card.metadata.architecture["classes"] == 2
    assert card.metadata.recipe["network"]["pretrained"] is True


def test_a_network_of_one_size_is_built_for_that_of_the_images(timm):
    recipe = make_recipe({"network": "timm:positions", "images": {"size": 24}})
    assert recipe.network == {"name": "timm:positions", "img_size": 24}
    assert make_recipe({"network": "resnet18", "images": {"size": 24}}).network == {"name": "resnet18"}


def test_photographs_of_many_sizes_are_brought_to_the_library_s(timm, tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in ("a", "b"):
            (tmp_path / "photos" / part / name).mkdir(parents=True)
            for number in range(6):
                pixels = generator.integers(0, 255, (20 + number, 30, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "photos" / part / name / f"{number}.png")
    from winninghand.cli.loading import images_of

    recipe, images = images_of(
        make_recipe({"network": "timm:positions"}), str(tmp_path / "photos"), None, trust=False
    )
    assert recipe.images.size == images.train.size == (16, 16)
    module = wh.network("timm:positions", classes=2)
    card = wh.compress(module, tmp_path / "photos", "dense", 0.0, epochs=1)
    assert card.input_size == (16, 16) and card.metadata.mean == (0.1, 0.2, 0.3)
    with pytest.raises(wh.InputError, match="give one size for all"):
        images_of(make_recipe({"network": "resnet18"}), str(tmp_path / "photos"), None, trust=False)


@pytest.mark.parametrize(
    ("name", "settings", "named"),
    [
        ("timm:position", {}, "unknown network 'timm:position'; did you mean 'timm:positions'"),
        ("timm:hf-hub:a/b", {}, "unknown network"),
        ("timm:positions", {"wdth": 3}, "wdth = 3 cannot be built: TypeError"),
        ("timm:positions", {"checkpoint_path": "/etc/passwd"}, "'checkpoint_path' cannot be given"),
        ("timm:positions", {"classes": 1}, "classes must be a whole number from 2 to 65536, not 1"),
        ("timm:positions", {"pretrained": "yes"}, "pretrained must be true or false, not 'yes'"),
        ("timm:positions", {"width": 10**9}, "width must be a number up to 1,048,576"),
        ("timm:positions", {"width": object}, "width must be a number"),
        ("hf:a/b/c", {}, "named hf:OWNER/NAME"),
        ("tim:resnet18", {}, "is code, which is run to build it"),
        ("TIMM:resnet18", {}, "did you mean 'timm:resnet18'"),
        ("transformers:a/b", {}, "did you mean 'hf:a/b'"),
        ("a b:c", {}, "networks from elsewhere are named timm:NAME"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(timm, name, settings, named):
    with pytest.raises(wh.InputError, match=named) as told:
        wh.network(name, **settings)
    assert len(str(told.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("timm:resnet18", "timm"),
        ("torchvision:resnet18", "torchvision"),
        ("hf:owner/name", "transformers"),
    ],
)
def test_a_library_that_is_missing_is_named_with_the_line_that_installs_it(monkeypatch, name, library):
    for module in [*sys.modules]:
        if module.partition(".")[0] == library:
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)
    line = rf"{library} is needed for the network '{name}' .* pip install 'winninghand\[{library}\]'"
    with pytest.raises(wh.InputError, match=line):
        wh.network(name)


def test_a_size_that_a_network_cannot_take_is_refused_with_its_own(timm, tiny_images):
    with pytest.raises(wh.InputError, match=r"cannot take images of .*; its own size is 18 × 18"):
        wh.train({"network": {"name": "timm:positions", "img_size": 18}}, tiny_images)


def test_a_network_without_end_is_given_up(timm, monkeypatch):
    def endless(name, **rest):
        return nn.Sequential(*(nn.Linear(1, 1) for _ in range(60_000)))

    monkeypatch.setattr(timm, "create_model", endless)
    with pytest.raises(wh.InputError, match="has more than 50,000 layers"):
        wh.network("timm:positions")


def test_code_of_one_s_own_is_run_only_where_it_is_trusted(own, tmp_path):
    with pytest.raises(wh.InputError, match="is code, which is run to build it"):
        wh.network(own, classes=2)
    assert "my_networks" not in sys.modules
    module = wh.network(own, classes=2, width=3, trust=True)
    card = wh.Card.from_module(module, ["a", "b"], (16, 16))
    assert card.metadata.architecture == {"name": own, "classes": 2, "width": 3}
    card.save(tmp_path / "a.card")
    wh.Deck([card, card], "average").save(tmp_path / "a.deck")
    sys.modules.pop("my_networks")
    images = torch.rand(2, 3, 16, 16)
    for path in (tmp_path / "a.card", tmp_path / "a.deck"):
        with pytest.raises(wh.InputError, match="is code, which is run to build it"):
            wh.load(path)
        assert "my_networks" not in sys.modules
        opened = wh.load(path, network=wh.network(own, classes=2, width=3, trust=True))
        trusted = wh.load(path, trust=True)
        assert torch.equal(opened(images), trusted(images))
        sys.modules.pop("my_networks")


def test_a_recipe_with_code_of_one_s_own(own, tiny_images):
    recipe = {
        "network": own,
        "compression": {"method": "dense"},
        "training": {"epochs": 1, "batch_size": 32},
    }
    with pytest.raises(wh.InputError, match="trust"):
        wh.train(recipe, tiny_images)
    assert "my_networks" not in sys.modules
    card = wh.train({**recipe, "network": "my_networks:two"}, tiny_images, trust=True)
    assert card.metadata.architecture == {"name": "my_networks:two"}
    with pytest.raises(wh.InputError, match="a recipe cannot say that its code is trusted"):
        make_recipe({"network": {"name": own, "trust": True}})


@pytest.mark.parametrize(
    ("name", "settings", "named"),
    [
        ("my_networks:none", {}, "cannot be imported"),
        ("not_there_at_all:none", {}, "cannot be imported"),
        ("my_networks:nothing", {}, "must be a function"),
        ("my_networks:small", {"depth": 3}, "has no setting 'depth'; it has width, classes"),
        ("my_networks:odd", {}, "failed: RuntimeError, no room"),
        ("builtins:dict", {}, r"must return a torch\.nn\.Module, not dict"),
        ("__main__:small", {}, "cannot be found again"),
    ],
)
def test_code_that_builds_no_network_is_told_in_one_line(own, name, settings, named):
    with pytest.raises(wh.InputError, match=named) as told:
        wh.network(name, trust=True, **settings)
    assert len(str(told.value).splitlines()) == 1


def test_a_deck_of_networks_without_a_name_opens_with_the_module(tmp_path):
    def make():
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))

    first, second = (wh.Card.from_module(make(), ["a", "b"], (16, 16)) for _ in range(2))
    known = wh.Card.from_module(wh.network("resnet18", width=2, classes=2), ["a", "b"], (16, 16))
    deck = wh.Deck([first, known, second], "average")
    deck.save(tmp_path / "a.deck")
    with pytest.raises(wh.InputError, match=r"card 0 of .*pass it: wh\.load\(path, network=module\)"):
        wh.load(tmp_path / "a.deck")
    images = torch.rand(2, 3, 16, 16)
    assert torch.equal(wh.load(tmp_path / "a.deck", network=make())(images), deck(images))


def test_a_card_whose_network_was_changed_is_not_written(tmp_path):
    card = wh.Card.from_module(wh.network("resnet18", width=2, classes=2), ["a", "b"], (16, 16))
    card.network.conv1 = nn.Conv2d(3, 2, 5, padding=2, bias=False)
    with pytest.raises(wh.InputError, match=r"no longer the resnet18 .* 'conv1\.weight' is \(2, 3, 5, 5\)"):
        wh.Deck([card], "average").save(tmp_path / "a.deck")
    assert not list(tmp_path.iterdir())
