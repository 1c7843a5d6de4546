"""Networks of timm, torchvision and transformers as they are installed: `make test-networks` installs them.

Weights come from caches that the tests write: those of the libraries' own, found without a network.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

import winninghand as wh
from winninghand.networks import architecture_of, check_network, preprocessing_of
from winninghand.recipe import make_recipe

LIBRARIES = ("torchvision", "timm", "transformers")
OWNER, COMMIT = "somebody/tiny-vit", "0" * 40
for library in LIBRARIES:
    # Torchvision that was built for another torch raises a RuntimeError.
    pytest.importorskip(library, exc_type=(ImportError, RuntimeError), reason=f"needs {library}")
EXAMPLES = {
    "timm:mobilenetv3_small_100": (32, {}),
    "torchvision:shufflenet_v2_x0_5": (32, {}),
    f"hf:{OWNER}": (32, {}),
    "timm:vit_tiny_patch16_224": (32, {"img_size": 32, "depth": 2}),
    "timm:swin_tiny_patch4_window7_224": (32, {"img_size": 32, "window_size": 2, "depths": [1, 1, 1, 1]}),
    "torchvision:efficientnet_b0": (32, {}),
    "torchvision:regnet_y_400mf": (32, {}),  # computes its widths by tensors
}


def snapshot(repository):
    """Return the folder of a repository in the hub's cache, made as the hub's client makes it."""
    folder = Path(os.environ["HF_HOME"], "hub", f"models--{repository.replace('/', '--')}")
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs/main").write_text(COMMIT)
    (folder / "snapshots" / COMMIT).mkdir(parents=True, exist_ok=True)
    return folder / "snapshots" / COMMIT


@pytest.fixture(scope="module")
def originals():
    """Three networks of 1,000 classes, their weights in the caches, by name."""
    import timm
    import torchvision
    import transformers
    from safetensors.torch import save_file

    torch.manual_seed(1)
    first = timm.create_model("mobilenetv3_small_100")
    tag = first.pretrained_cfg["tag"]
    save_file(first.state_dict(), snapshot(f"timm/mobilenetv3_small_100.{tag}") / "model.safetensors")
    second = torchvision.models.shufflenet_v2_x0_5()
    url = torchvision.models.get_model_weights("shufflenet_v2_x0_5").DEFAULT.url
    file = Path(os.environ["TORCH_HOME"], "hub/checkpoints", url.rpartition("/")[2])
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(second.state_dict(), file)
    config = transformers.ViTConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
        num_labels=1000,
    )
    third = transformers.ViTForImageClassification(config)
    third.save_pretrained(snapshot(OWNER))
    (snapshot(OWNER) / "preprocessor_config.json").write_text(
        '{"image_mean": [0.5, 0.4, 0.3], "image_std": [0.5, 0.5, 0.25], "size": {"height": 32, "width": 32}}'
    )
    return dict(zip(EXAMPLES, (first, second, third), strict=False))


@pytest.fixture
def images():
    generator = np.random.default_rng(0)
    labels = np.arange(48) % 3
    pixels = (generator.integers(0, 85, (48, 32, 32, 3)) + 85 * labels[:, None, None, None]).astype(np.uint8)
    return wh.ImageSet.from_arrays((pixels, labels), (pixels, labels), ["a", "b", "c"])


@pytest.mark.parametrize("name", EXAMPLES)
def test_its_card_and_deck_open_again_and_give_the_same_bits(name, originals, tmp_path):
    size, settings = EXAMPLES[name]
    check_network(name, classes=3, **settings)
    module = wh.network(name, classes=3, **settings)
    card = wh.Card.from_module(module, ["a", "b", "c"], (size, size))
    assert card.metadata.architecture["name"] == name and card.metadata.architecture["version"]
    card.save(tmp_path / "a.card")
    wh.Deck([card, card], "average").save(tmp_path / "a.deck")
    batch = torch.rand(2, 3, size, size)
    assert torch.equal(wh.load(tmp_path / "a.card")(batch), card(batch))
    deck = wh.load(tmp_path / "a.deck")
    assert torch.allclose(deck(batch), card(batch).log_softmax(1), atol=1e-5)
    assert architecture_of(deck.cards[0].network) == architecture_of(module)


@pytest.mark.parametrize("number", range(3))
def test_pretrained_weights_are_taken_and_the_head_is_new(number, originals):
    name = list(EXAMPLES)[number]
    body, module = originals[name].state_dict(), wh.network(name, pretrained=True, classes=3)
    own = module.state_dict()
    odd = [key for key in own if own[key].shape != body[key].shape or not torch.equal(own[key], body[key])]
    assert sorted({key.rpartition(".")[0] for key in odd}) == [
        {"timm": "classifier", "torchvision": "fc", "hf": "classifier"}[name.partition(":")[0]]
    ]
    whole = wh.network(name, pretrained=True)
    assert all(torch.equal(value, body[key]) for key, value in whole.state_dict().items())
    mean, std, size, transform = preprocessing_of(module)
    known = {"hf": ((0.5, 0.4, 0.3), (0.5, 0.5, 0.25), (32, 32))}
    imagenet = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), (224, 224))
    assert (mean, std, size) == known.get(name.partition(":")[0], imagenet)
    # Of weights that are measured on pictures resized bilinearly, the library's own way is known.
    assert transform == ("resize256" if name.startswith("torchvision:") else "crop")


@pytest.mark.parametrize("number", range(3))
def test_a_recipe_trains_it_and_a_module_of_the_caller_s_is_recognised(number, originals, images, tmp_path):
    name = list(EXAMPLES)[number]
    recipe = {
        "network": {"name": name, "pretrained": True},
        "compression": {"method": "ft", "sparsity": 0.5},
        "training": {"epochs": 1, "batch_size": 16, "learning_rate": 0.01},
    }
    card = wh.train(recipe, images)
    card.save(tmp_path / "a.card")
    batch = torch.rand(2, 3, 32, 32)
    assert torch.equal(wh.load(tmp_path / "a.card")(batch), card(batch))
    assert card.inspect().sparsity == pytest.approx(0.5, abs=1e-3)
    assert card.metadata.mean == preprocessing_of(wh.network(name, classes=3)).mean
    original = wh.Card.from_module(originals[name], [str(one) for one in range(1000)], (32, 32))
    assert original.metadata.architecture["name"].partition(":")[0] == name.partition(":")[0]
    original.save(tmp_path / "b.card")
    assert torch.equal(wh.load(tmp_path / "b.card")(batch), original(batch))


def test_a_card_of_the_hub_opens_without_it(originals, tmp_path, monkeypatch):
    card = wh.Card.from_module(wh.network(f"hf:{OWNER}", classes=2), ["a", "b"], (32, 32))
    card.save(tmp_path / "a.card")
    import transformers

    def never(*_, **__):
        raise AssertionError("the hub was asked")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", never)
    monkeypatch.setattr("huggingface_hub.file_download.http_get", never)
    assert torch.equal(wh.load(tmp_path / "a.card")(torch.ones(1, 3, 32, 32)), card(torch.ones(1, 3, 32, 32)))


@pytest.mark.parametrize(
    ("name", "settings", "named"),
    [
        ("timm:mobilnetv3_small_100", {}, "did you mean 'timm:"),
        ("torchvision:resnet81", {}, "did you mean 'torchvision:resnet18'"),
        ("torchvision:fasterrcnn_resnet50_fpn", {}, "unknown network"),
        ("timm:resnet18", {"pretrained": True}, "check that it is there, or set pretrained = false"),
        ("hf:somebody/nothing", {}, "cannot be built"),
        (f"hf:{OWNER}", {"image_sise": 3}, "has no setting 'image_sise'"),
        (f"hf:{OWNER}", {"patch_size": 16, "pretrained": True}, "do not fit it with these settings"),
        ("hf:a/b", {"classes": 2, "config": {"model_type": "gpt2"}}, "transformers has no image classifier"),
        ("timm:vit_tiny_patch16_224", {"depth": 100_000}, "has more than 50,000 layers"),
        ("timm:vit_tiny_patch16_224", {"embed_dim": 999_999}, "cannot be built|has more than"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(originals, name, settings, named):
    with pytest.raises(wh.InputError, match=named) as told:
        check_network(name, **settings) if not settings.get("pretrained") else wh.network(name, **settings)
    assert len(str(told.value).splitlines()) == 1


def test_an_image_of_another_size_is_refused_by_name(images):
    recipe = {"network": "timm:vit_tiny_patch16_224", "training": {"epochs": 1}}
    with pytest.raises(wh.InputError, match="the network cannot take images of 32 × 32"):
        wh.train(recipe, images)


def test_transformers_are_built_for_the_size_of_the_images(originals):
    for name, setting in (
        ("timm:vit_tiny_patch16_224", "img_size"),
        ("torchvision:vit_b_16", "image_size"),
        (f"hf:{OWNER}", "image_size"),
    ):
        recipe = make_recipe({"network": name, "images": {"size": 64}})
        assert recipe.network[setting] == 64
    assert make_recipe({"network": "timm:resnet18", "images": {"size": 64}}).network == {
        "name": "timm:resnet18"
    }


def test_weights_of_the_library_s_own_are_imported(originals, tmp_path):
    from winninghand.cards.importing import Import
    from winninghand.decks.importing import import_model

    name = "torchvision:shufflenet_v2_x0_5"
    torch.save(originals[name].state_dict(), tmp_path / "a.pt")
    card = import_model([tmp_path / "a.pt"], Import(name), "card")
    assert (len(card.classes), card.input_size) == (1000, (224, 224))
    assert card.metadata.preparation.transform == "resize256"
    made = [wh.Card.from_module(wh.network(name), card.classes, (side, side)) for side in (224, 64)]
    assert [one.metadata.preparation.transform for one in made] == ["resize256", "crop"]
    assert card.metadata.mean == (0.485, 0.456, 0.406)


def test_a_deck_of_one_body_is_made_of_a_network_of_a_library(images, tmp_path):
    module = wh.network("timm:mobilenetv3_small_100", classes=3)
    card = wh.Card.from_module(module, images.classes, (32, 32))
    deck = wh.specialize(card, images, ("clean", "gaussian"), 1)
    deck.save(tmp_path / "a.deck")
    batch = torch.rand(4, 3, 32, 32)
    assert torch.allclose(wh.load(tmp_path / "a.deck")(batch), deck(batch), atol=1e-5)
