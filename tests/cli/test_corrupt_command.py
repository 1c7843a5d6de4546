"""`winninghand corrupt`."""

import numpy as np
import pytest
from PIL import Image

import winninghand as wh
from winninghand.corruptions import open_archive

CORRUPT = ("corrupt", "--data", "digits", "--severities", "2,4", "--limit", "20", "--seed", "3")


@pytest.fixture
def digits():
    return wh.load_images("digits").test


def test_the_archive_holds_what_corrupt_gives_for_the_whole_split(run, tmp_path, digits):
    code, out, err = run(*CORRUPT, "--corruptions", "gaussian_noise,fog", "--out", tmp_path / "C")
    assert (code, out) == (0, "")
    assert "2 corruptions at 2 severities of 20 images" in " ".join(err.split())
    archive = open_archive(tmp_path / "C")
    indices = digits.balanced_sample(20, seed=3)
    assert np.array_equal(archive.indices, indices)
    assert np.array_equal(np.load(tmp_path / "C/labels.npy"), np.tile(digits.labels[indices], 2))
    for name in ("gaussian_noise", "fog"):
        expected = [
            wh.corrupt(digits.images[indices], name, severity, seed=3, indices=indices) for severity in (2, 4)
        ]
        assert np.array_equal(np.load(tmp_path / "C" / f"{name}.npy"), np.concatenate(expected))


def test_the_contact_sheet_shows_the_archive(run, tmp_path, digits):
    run(*CORRUPT, "--corruptions", "contrast,fog", "--out", tmp_path)
    archive, image = open_archive(tmp_path), digits.balanced_sample(20, seed=3)[1]
    sheet = np.asarray(Image.open(tmp_path / "samples.png"))
    # Rows of 64 pixels and a gap of 4 below the heading, columns to the right of the names.
    row = sheet[28 + 68 : 28 + 68 + 64 : 2, 150:]
    assert np.array_equal(row[:, 0:64:2], digits.images[image])
    assert np.array_equal(row[:, 68 : 68 + 64 : 2], archive.cell("fog", 2)[1])
    assert np.array_equal(row[:, 136 : 136 + 64 : 2], archive.cell("fog", 4)[1])
    assert sheet[:, :150].min() < 100
    elsewhere = tmp_path / "a.svg"
    assert run(*CORRUPT, "--corruptions", "contrast,fog", "--out", tmp_path, "--sheet", elsewhere)[0] == 0
    assert elsewhere.read_text().count("<image ") == 2
    code, _, err = run(*CORRUPT, "--corruptions", "fog", "--out", tmp_path / "b", "--sheet", "a.jpg")
    assert (code, "written as .svg or .png" in err, (tmp_path / "b").exists()) == (2, True, False)


def test_a_second_run_keeps_what_is_there_and_adds_the_rest(run, tmp_path):
    run(*CORRUPT, "--corruptions", "fog", "--out", tmp_path)
    before = (tmp_path / "fog.npy").stat()
    assert run(*CORRUPT, "--corruptions", "fog,snow", "--out", tmp_path)[0] == 0
    after = (tmp_path / "fog.npy").stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
    assert open_archive(tmp_path).names == ("snow", "fog")


def test_missing_textures_are_told_before_anything_is_written(run, tmp_path, monkeypatch):
    monkeypatch.setattr("winninghand.corruptions.weather.find_spec", lambda name: None)
    code, out, err = run(*CORRUPT, "--corruptions", "frost", "--out", tmp_path / "C")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert not (tmp_path / "C").exists()
    code, _, err = run(*CORRUPT[:-4], "--limit", "2", "--corruptions", "common", "--out", tmp_path / "C")
    assert code == 0
    assert err.startswith("left out: frost: ")
    assert "pip install" in err.splitlines()[0]
    assert len(open_archive(tmp_path / "C").names) == 14


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--corruptions", "fogg"), "did you mean 'fog'"),
        (("--corruptions", "fog", "--severities", "6"), "1-5"),
        (("--corruptions", "fog", "--data", "nothing"), "nothing"),
        (("--corruptions", "fog", "--seed", "4"), "another folder"),
        (("--corruptions", "fog", "--out", "taken"), "taken is a file"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(run, tmp_path, monkeypatch, words, named):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").touch()
    run(*CORRUPT, "--corruptions", "snow", "--out", "C")
    before = sorted(tmp_path.rglob("*"))
    code, out, err = run(*CORRUPT, "--out", "C", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert named in err
    assert sorted(tmp_path.rglob("*")) == before


def test_folders_of_jpeg_files_hold_what_corrupt_gives(run, tmp_path, digits):
    how = ("--layout", "folders", "--parameters", "tiny-imagenet-c", "--corruptions", "contrast")
    code, _, err = run(*CORRUPT, *how, "--out", tmp_path)
    assert code == 0, err
    archive = open_archive(tmp_path)
    assert set(archive.indices) == set(digits.balanced_sample(20, seed=3))
    assert np.array_equal(archive.labels, digits.labels[archive.indices])
    chosen = {"parameters": "tiny-imagenet-c", "saved_as": "jpeg"}
    expected = wh.corrupt(digits.images[archive.indices], "contrast", 4, seed=3, **chosen)
    assert np.array_equal(archive.cell("contrast", 4)[:], expected)
    assert (tmp_path / "samples.png").is_file()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (("--layout", "tar"), "--layout must be arrays or folders"),
        (("--parameters", "x"), "unknown parameters"),
    ],
)
def test_unknown_layouts_and_parameters_are_refused(run, tmp_path, how, said):
    code, _, err = run(*CORRUPT, *how, "--out", tmp_path / "C")
    assert code == 2 and said in " ".join(err.split()) and not (tmp_path / "C").exists()
