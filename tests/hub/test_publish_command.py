"""`winninghand publish`, and models of the hub on the command line."""

import json

import pytest

import winninghand as wh
from winninghand.cards.container import model_digest


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = wh.network("conv2", width=2, input_size=16, classes=2)
    wh.Card.from_module(module, ["dark", "bright"], (16, 16)).save("a.card")
    return tmp_path / "a.card"


def test_publish_uploads_the_file_as_it_is(hub, run, file):
    results = {"model_digest": model_digest(file), "data": "tiny", "images": 4, "clean_accuracy": 0.25}
    (file.parent / "a.json").write_text(json.dumps(results))
    code, out, err = run("publish", file, "us/small", "--results", "a.json", "--licence", "mit", "--private")
    repository = hub.repositories["us/small"]
    files = repository.content("main")
    assert (code, out, repository.private) == (0, "", True)
    assert f"hf:us/small@{repository.branches['main']} is this version" in err
    assert files["model.card"] == file.read_bytes()
    assert b"| clean | 25.0 |" in files["README.md"]
    code, out, err = run("inspect", "hf:us/small@main", "--json", "-")
    assert (code, json.loads(out)["bytes"]) == (0, file.stat().st_size)


def test_the_app_of_a_model_is_published_as_a_space(hub, run, file):
    code, _, err = run("publish", file, "us/play", "--space", "--licence", "mit")
    files = hub.repositories["us/play"].content("main")
    assert code == 0
    assert files.keys() == {"README.md", "app.py", "model.card", "requirements.txt", "samples.npz"}
    assert files["model.card"] == file.read_bytes()
    assert b'title: "play"\n' in files["README.md"]
    assert "is this version" not in err
    assert any("/api/spaces/us/play/" in asked for asked in map(str, hub.asked))
    code, _, err = run("publish", file, "us/play", "--space", "--data", "tiny")
    assert (code, err.count("\n")) == (2, 1)
    assert "leave them out beside --space" in err
    code, _, err = run("publish", file, "us/play", "--samples", "digits")
    assert (code, err.count("\n")) == (2, 1)
    assert "give --space, too" in err


def test_the_samples_of_a_space_are_looked_for_where_root_says(hub, run, file):
    code, _, err = run("publish", file, "us/play", "--space", "--samples", "cifar10", "--root", "nowhere")
    assert (code, "root 'nowhere' is not a folder" in err) == (2, True)
    code, _, err = run("publish", file, "us/play", "--root", "nowhere")
    assert (code, err.count("\n"), "give --samples, too" in err) == (2, 1, True)
    assert hub.repositories == {}


def test_the_repository_can_be_looked_at_before(hub, run, file):
    code, page, err = run("publish", file, "us/small", "--dry-run")
    assert (code, page.startswith("---\nlibrary_name: winninghand\n")) == (0, True)
    assert "would upload model.card (" in err
    code, _, _ = run("publish", file, "us/small", "--out", "folder")
    assert code == 0
    assert sorted(path.name for path in (file.parent / "folder").iterdir()) == ["README.md", "model.card"]
    assert (file.parent / "folder/README.md").read_text() == page
    assert hub.asked == []


def test_a_model_of_the_zoo_has_its_figures_on_its_page(run, tmp_path):
    code, page, _ = run("publish", "zoo:cifar10-bp95-clean", "us/bp", "--dry-run")
    assert code == 0
    assert "on CIFAR-10 (JPEG copy): 10,000 test images, seed 0" in page
    assert "| robust: mean over 15 corruptions at severities 1-5 |" in page
    assert "name: CIFAR-10 (JPEG copy)\n" in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["publish", "a.card", "small"], "'small' is no name of a repository on the hub"),
        (["publish", "a.card", "us/small", "--licence", "©"], "is no licence as the hub names them"),
        (["publish", "a.card", "us/small", "--out", "full"], "full holds something"),
        (["publish", "a.card", "us/small", "--out", "new", "--dry-run"], "--dry-run writes nothing"),
        (["publish", "a.card", "us/small", "--out", "new", "--results", "no.json"], "cannot read no.json"),
        (["publish", "a.card", "us/small", "--out", "new", "--results", "a.card"], "it is no JSON"),
        (["publish", "missing.card", "us/small", "--out", "new"], "cannot load missing.card"),
        (["publish", "a.card", "us/small"], "there is none; log in by 'hf auth login', or set HF_TOKEN"),
        (["publish", "missing.card", "us/small"], "cannot load missing.card"),
        (["inspect", "hf:us/missing"], "hf:us/missing: there is no such repository"),
        (["profile", "hf:us/small", "--data", "digits"], "say by --out where its copy is to be written"),
    ],
)
def test_bad_input_is_told_in_one_line(hub, run, file, words, said, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    (file.parent / "full").mkdir()
    (file.parent / "full/a.txt").write_text("a")
    code, out, err = run(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert not (file.parent / "new").exists()
    assert hub.repositories == {}


@pytest.mark.parametrize("words", [["inspect", "hf:us/small@main"], ["publish", "a.card", "us/small"]])
def test_without_a_network_it_is_one_line(hub, run, file, words):
    hub.stop()
    code, out, err = run(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "hf:us/small: the hub cannot be reached (" in err
