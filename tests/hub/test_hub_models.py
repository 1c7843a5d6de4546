"""Models on a hub of this machine: pushed, loaded again, pinned, refused."""

import hashlib
import re

import pytest
import torch
import yaml
from hub_server import TOKEN, Repository
from PIL import Image

import winninghand as wh
from winninghand.cli.measuring import as_given
from winninghand.hub.uploading import upload
from winninghand.zoo import ZOO

RESULTS = {
    "data": "tiny",
    "images": 20,
    "seed": 3,
    "clean_accuracy": 0.5,
    "robust_accuracy": 0.3,
    "cells": [
        {"corruption": "fog", "severity": 1, "accuracy": 0.4},
        {"corruption": "fog", "severity": 5, "accuracy": 0.2},
    ],
}


@pytest.fixture
def card():
    module = wh.network("conv2", width=2, input_size=16, classes=2)
    domain = {"name": "augmix"}
    recipe = {"compression": {"method": "lrr", "sparsity": 0.5}, "seed": 7}
    card = wh.Card.from_module(module, ["dark", "bright"], (16, 16))
    return card.with_metadata(domain=domain, recipe=recipe, accuracies={"test": 0.75})


def same(one, other):
    images = torch.rand(3, 3, 16, 16)
    return torch.equal(one(images), other(images))


def metadata_of(page):
    return yaml.safe_load(page.split("---\n")[1])


def test_a_card_is_pushed_in_one_commit_and_loaded_again(hub, card, tmp_path):
    done = card.push_to_hub("us/small", licence="mit", results=RESULTS)
    repository = hub.repositories["us/small"]
    assert len(repository.commits) == 2  # one beside the hub's own first one
    files = repository.content(done.commit)
    assert files.keys() == {"model.card", "README.md"}
    assert done.address == f"hf:us/small@{done.commit}"
    again = wh.load("hf:us/small")
    assert again.metadata == card.metadata
    assert same(again, card)
    list(card.network.parameters())[-1].data[0] += 1
    newer = card.push_to_hub("us/small", private=False)
    assert same(wh.load("hf:us/small"), card)
    assert same(wh.load("hf:us/small", revision=done.commit), again)
    assert same(wh.load(newer.address), card)
    assert {line.rpartition("/")[2] for line in hub.asked if "/resolve/" in line} == {"model.card"}


def test_the_page_says_what_the_card_does(hub, card):
    card.push_to_hub("us/small", licence="mit", data="CIFAR-10", results=RESULTS)
    files = hub.repositories["us/small"].content("main")
    page = files["README.md"].decode()
    for fact in (
        "conv2 (width 2, input\\_size 16)",
        "| domain | augmix |",
        "| method | lrr, to a sparsity of 50% |",
        "| training | seed 7 |",
        "| sparsity | 0.00% of the prunable weights |",
        "| training images | CIFAR-10 |",
        f"| bytes | {len(files['model.card']):,} |",
        f"| SHA-256 | {hashlib.sha256(files['model.card']).hexdigest()} |",
        f"winninghand {wh.__version__} |",
        "on tiny: 20 test images, seed 3.",
        "| robust: mean over 1 corruption at severities 1, 5 | 30.0 |",
    ):
        assert fact in page
    metadata = metadata_of(page)
    assert (metadata["license"], metadata["library_name"]) == ("mit", "winninghand")
    assert metadata["tags"] == ["winninghand", "card", "conv2", "lrr", "augmix"]
    clean, robust = metadata["model-index"][0]["results"]
    assert clean["dataset"] == {
        "name": "tiny",
        "type": "tiny",
        "split": "test",
        "args": {"images": 20, "seed": 3},
    }
    assert clean["metrics"] == [{"type": "accuracy", "value": 0.5, "name": "Clean accuracy"}]
    assert robust["dataset"]["name"] == "tiny, 1 corruption at severities 1, 5"
    assert robust["metrics"][0]["value"] == 0.3


def test_a_cards_own_accuracies_stand_where_their_images_are_named(hub, card):
    for data, expected in ((None, None), ("hf:us/pets", [0.75])):
        card.push_to_hub("us/small", data=data)
        metadata = metadata_of(hub.repositories["us/small"].content("main")["README.md"].decode())
        results = metadata.get("model-index", [{}])[0].get("results")
        assert (results and [one["metrics"][0]["value"] for one in results]) == expected
    assert metadata["datasets"] == ["us/pets"]


def test_the_pages_code_runs(hub, card, tmp_path, monkeypatch, capsys):
    card.push_to_hub("us/small")
    page = hub.repositories["us/small"].content("main")["README.md"].decode()
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (20, 30)).save("photograph.jpg")
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], {})
    assert re.fullmatch(r"(dark|bright) [\d.]+%\n", capsys.readouterr().out)


def test_what_a_strangers_card_says_is_no_markup(hub, card):
    card.with_metadata(domain={"name": "<b>|[x](y)"}).push_to_hub("us/small")
    page = hub.repositories["us/small"].content("main")["README.md"].decode()
    assert "| domain | &lt;b&gt;\\|\\[x\\](y) |" in page


def test_a_large_deck_on_a_branch_takes_the_cards_place_there(hub, card):
    card.push_to_hub("us/small", private=True)
    hub.lfs_above = 100
    deck = wh.Deck([card, card], "average")
    deck.push_to_hub("us/small", revision="decks/v1", private=True)
    repository = hub.repositories["us/small"]
    assert repository.private
    assert repository.content("decks/v1").keys() == {"model.deck", "README.md"}
    assert list(hub.large.values()) == [repository.content("decks/v1")["model.deck"]]
    page = repository.content("decks/v1")["README.md"].decode()
    assert "## Its cards" in page
    assert 'wh.load("hf:us/small@decks/v1")' in page
    assert wh.load("hf:us/small", revision="decks/v1").kind == "deck"
    assert wh.load("hf:us/small@main").kind == "card"
    assert repository.content("main").keys() == {"model.card", "README.md"}


def test_without_a_network_the_cache_is_taken(hub, card, monkeypatch):
    first = card.push_to_hub("us/small")
    wh.load("hf:us/small")
    hub.stop()
    for address in ("hf:us/small", "hf:us/small@main", first.address, "hf:us/small/model.card"):
        assert same(wh.load(address), card)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert same(wh.load("hf:us/small"), card)
    with pytest.raises(wh.InputError, match=r"hf:us/other: the hub cannot be reached \("):
        wh.load("hf:us/other")
    with pytest.raises(wh.InputError, match=r"hf:us/small: the hub cannot be reached \("):
        card.push_to_hub("us/small")


def test_an_upload_that_fails_leaves_what_was_there(hub, card):
    card.push_to_hub("us/small")
    hub.lfs_above, hub.fail = 100, ("/commit/main", 500)
    with pytest.raises(wh.InputError, match=r"hf:us/small: the hub is in trouble \(.*try again later"):
        wh.Deck([card], "average").push_to_hub("us/small")
    hub.fail = None
    assert wh.load("hf:us/small").kind == "card"


def test_what_cannot_be_loaded_is_told_in_one_line(hub, card, monkeypatch):
    card.push_to_hub("us/small")
    file = hub.repositories["us/small"].content("main")["model.card"]
    hub.repositories |= {"us/empty": Repository(), "us/many": Repository(), "us/bad": Repository()}
    hub.repositories |= {"us/private": Repository(private=True), "us/gated": Repository(gated=True)}
    hub.repositories["us/empty"].commit("main", {"model.pkl": b"\x80\x04.", "../../out.card": file})
    hub.repositories["us/many"].commit("main", {"a.card": file, "b.card": file})
    hub.repositories["us/bad"].commit("main", {"model.card": b"\x80\x04.", "run.py": b"boom"})
    hub.repositories["us/gated"].commit("main", {"model.card": file})
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody_else")
    cases = {
        "hf:small": "'small' is no name of a repository on the hub; give OWNER/NAME",
        "hf:us/../small": "is no name of a repository on the hub; give OWNER/NAME",
        "hf:us/small/model.pkl": "'model.pkl' is no file that models are read from",
        "hf:us/small@": "is no revision; give a branch",
        "hf:us/small@gone": "hf:us/small: it has no revision gone; give another one",
        f"hf:us/small@{'a' * 40}": "it has no revision aaaa",
        "hf:us/small/b.card": "hf:us/small: it does not hold b.card; give hf:us/small/model.card",
        "hf:us/missing": "hf:us/missing: there is no such repository, or it is private",
        "hf:us/private": "hf:us/private: there is no such repository, or it is private",
        "hf:us/gated": "hf:us/gated: it is gated; ask for access on its page",
        "hf:us/empty": "hf:us/empty: it holds no .card or .deck file",
        "hf:us/many": "it holds several models; give one of hf:us/many/a.card, hf:us/many/b.card",
        "hf:us/bad": "it is no card or deck, or one that is cut or damaged; give another file, or",
        "https://huggingface.co/us/small/tree/main": "there is no such file; give hf:us/small",
    }
    for address, said in cases.items():
        with pytest.raises(wh.InputError, match=re.escape(said)) as told:
            wh.load(address)
        assert "\n" not in str(told.value)
    with pytest.raises(
        wh.InputError, match=r"^cannot load hf:us/bad/model\.card@\w{40}, kept as .*model\.card: "
    ):
        wh.load("hf:us/bad")
    assert not any(name in line for line in hub.asked for name in ("/run.py", "/model.pkl", "/out.card"))
    hub.fail = ("/api/models/", 200)
    with pytest.raises(wh.InputError, match=r"hf:us/small: the answer is none of a hub \("):
        wh.load("hf:us/small")
    hub.fail = None
    with pytest.raises(wh.InputError, match="names a revision, and so does revision='b'"):
        wh.load("hf:us/small@a", revision="b")
    with pytest.raises(wh.InputError, match=r"a\.card is no hf:OWNER/NAME"):
        wh.load("a.card", revision="main")
    with pytest.raises(wh.InputError, match="comes from the hub, and code that it names is not run"):
        wh.load("hf:us/small", trust=True)
    assert same(wh.load("hf:us/many/a.card"), card)
    kept = next(hub.cache.rglob("snapshots/*/a.card"))
    assert as_given(kept) == f"hf:us/many/a.card@{hub.repositories['us/many'].branches['main']}"


def test_what_cannot_be_pushed_is_told_in_one_line(hub, card, monkeypatch):
    card.push_to_hub("us/small")
    commits = len(hub.repositories["us/small"].commits)
    cases = [
        (("small",), {}, "'small' is no name of a repository"),
        (
            ("us/small",),
            {"revision": "a" * 40},
            "is a commit, which never changes; give the name of a branch",
        ),
        (("us/small",), {"licence": "My own"}, "is no licence as the hub names them"),
        (("us/small",), {"private": True}, "hf:us/small: it is there already and public"),
        (("us/small",), {"token": "hf_wrong"}, "hf:us/small: the hub does not take the token"),
        (("them/small",), {}, "hf:them/small: the token does not permit this"),
        (("us/small",), {"results": {"accuracy": 1}}, "no table of accuracies"),
        (("us/small",), {"results": {**RESULTS, "data": None}}, "the images have no name"),
        (("us/small",), {"results": {**RESULTS, "images": 0}}, "the results: images: "),
        (("us/small",), {"results": {**RESULTS, "model_digest": "0" * 16}}, "figures of another model"),
        (("us/small",), {"results": "missing.json"}, "cannot read missing.json: No such file"),
    ]
    for words, options, said in cases:
        with pytest.raises(wh.InputError, match=re.escape(said)) as told:
            card.push_to_hub(*words, **options)
        assert "\n" not in str(told.value)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(wh.InputError, match="uploading needs a token of the hub, and there is none"):
        card.push_to_hub("us/small")
    assert card.push_to_hub("us/other", token=TOKEN).commit
    assert len(hub.repositories["us/small"].commits) == commits


def test_a_model_of_the_zoo_may_be_pinned(hub, card, tmp_path):
    done = card.push_to_hub("us/small")
    file = hub.repositories["us/small"].content("main")["model.card"]
    pin = tmp_path / "far.pin"

    def write(sha256):
        pin.write_text(
            f'repository = "us/small"\nrevision = "{done.commit}"\nfile = "model.card"\nsha256 = "{sha256}"\n'
        )

    ZOO.register("far")(pin)
    try:
        write(hashlib.sha256(file).hexdigest())
        assert same(wh.load("zoo:far"), card)
        hub.repositories["us/small"].commit("main", {"model.card": b"another"})
        assert same(wh.load("zoo:far"), card)
        place = next((tmp_path / "cache").rglob(f"{done.commit}/model.card"))
        assert as_given(place) == "zoo:far"
        write("0" * 64)
        with pytest.raises(wh.InputError, match=r"has the SHA-256 .* as is pinned"):
            wh.load("zoo:far")
        pin.write_text('repository = "us/small"\nrevision = "main"\nfile = "model.card"\n')
        with pytest.raises(wh.InputError, match=r"far\.pin: revision: .* not 'main'"):
            wh.load("zoo:far")
    finally:
        del ZOO._entries["far"]


def test_a_folder_may_be_a_space(hub, tmp_path):
    (tmp_path / "space/pictures").mkdir(parents=True)
    (tmp_path / "space/app.py").write_text("print()")
    (tmp_path / "space/pictures/a.png").write_bytes(b"a")
    done = upload(tmp_path / "space", "us/page", "space")
    assert hub.repositories["us/page"].content("main").keys() == {"app.py", "pictures/a.png"}
    assert "POST /api/spaces/us/page/commit/main" in hub.asked
    assert done.url.endswith(done.commit)
