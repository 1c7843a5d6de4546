import json
import os
import tracemalloc

import numpy as np
import pytest
from corruption_statistics import load_test_images

from winninghand.base.errors import InputError
from winninghand.corruptions import archive as archive_file
from winninghand.corruptions import corrupt, open_archive, write_archive

NAMES = ("gaussian_noise", "brightness")


@pytest.fixture
def labels():
    return np.arange(7) % 3


def test_every_cell_is_read_back_as_it_was_made(tmp_path, noise_images, labels):
    done = []
    write_archive(noise_images, labels, tmp_path, NAMES, seed=5, progress=lambda *cell: done.append(cell))
    archive = open_archive(tmp_path)
    assert archive.names == NAMES and len(archive) == 7
    assert np.array_equal(archive.labels, labels) and archive.labels.dtype == np.int64
    assert done == [(name, severity) for name in NAMES for severity in range(1, 6)]
    for name, severity in done:
        assert np.array_equal(archive.cell(name, severity), corrupt(noise_images, name, severity, seed=5))


def test_the_layout_is_the_official_one(tmp_path, noise_images, labels):
    write_archive(noise_images, labels, tmp_path, NAMES)
    images, marks = np.load(tmp_path / "gaussian_noise.npy"), np.load(tmp_path / "labels.npy")
    assert images.shape == (35, 32, 32, 3) and images.dtype == np.uint8
    assert np.array_equal(images[14:21], corrupt(noise_images, "gaussian_noise", 3))
    assert np.array_equal(marks, np.tile(labels, 5)) and marks.dtype == np.uint8
    (tmp_path / "archive.json").unlink()
    official = open_archive(tmp_path)
    assert official.description is None
    assert np.array_equal(official.cell("gaussian_noise", 3), images[14:21])


def test_some_severities_of_some_images_keep_their_indices(tmp_path, noise_images, labels):
    indices = np.array([40, 2, 9, 11, 300, 5, 1])
    written = write_archive(noise_images, labels, tmp_path, "fog", (4, 2), indices=indices)
    archive = open_archive(tmp_path)
    assert archive.severities == (2, 4) and np.array_equal(archive.indices, indices)
    assert archive.description == written.description
    assert np.array_equal(archive.cell("fog", 4), corrupt(noise_images, "fog", 4, indices=indices))
    with pytest.raises(InputError, match=r"has the severities \[2, 4\], not 3"):
        archive.cell("fog", 3)


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path, noise_images, labels, monkeypatch):
    def stop(name, severity):
        if (name, severity) == ("brightness", 3):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_archive(noise_images, labels, tmp_path, NAMES, progress=stop)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"archive.json", "labels.npy", "gaussian_noise.npy"}
    made = []
    monkeypatch.setattr(
        archive_file,
        "corrupt",
        lambda images, name, *rest, **more: made.append(name) or corrupt(images, name, *rest, **more),
    )
    archive = write_archive(noise_images, labels, tmp_path, NAMES)
    assert set(made) == {"brightness"}
    assert archive.names == NAMES


@pytest.mark.parametrize("change", ["images", "labels", "seed", "severities", "indices"])
def test_a_folder_of_another_archive_is_left_alone(tmp_path, noise_images, labels, change):
    asked = {"images": noise_images, "labels": labels, "seed": 0, "severities": (1, 2), "indices": None}
    write_archive(folder=tmp_path, names=NAMES, **asked)
    before = (tmp_path / "gaussian_noise.npy").read_bytes()
    other = {
        "images": 255 - noise_images,
        "labels": labels[::-1],
        "seed": 1,
        "severities": (1,),
        "indices": np.arange(1, 8),
    }
    with pytest.raises(InputError, match="choose another folder"):
        write_archive(folder=tmp_path, names=NAMES, **asked | {change: other[change]})
    assert (tmp_path / "gaussian_noise.npy").read_bytes() == before


def test_an_official_archive_is_not_written_into(tmp_path, noise_images, labels):
    np.save(tmp_path / "fog.npy", noise_images)
    with pytest.raises(InputError, match="not written here"):
        write_archive(noise_images, labels, tmp_path, "snow")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": "fogg"}, "did you mean 'fog'"),
        ({"severities": (1, 6)}, "in 1..5"),
        ({"severities": ()}, "in 1..5"),
        ({"severities": 3}, "in 1..5"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"seed": 2**63}, "seed must be a whole number"),
        ({"indices": [0, 1, 2, 3, 4, 5, 5]}, "one is repeated"),
        ({"indices": [0, 1, 2, 3, 4, 5, -1]}, "indices must be whole numbers"),
        ({"indices": [0, 1]}, "indices must be 7 whole numbers"),
        ({"indices": np.arange(7) / 2}, "indices must be 7 whole numbers"),
        ({"labels": [0.5] * 7}, "labels must be 7 whole numbers"),
        ({"labels": np.zeros(3, np.int64)}, "labels must be 7 whole numbers"),
        ({"images": np.zeros((7, 32, 32, 3))}, "must be uint8"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(tmp_path, noise_images, labels, change, message):
    asked = {"images": noise_images, "labels": labels, "names": "fog", "folder": tmp_path / "out"}
    with pytest.raises(InputError, match=message):
        write_archive(**asked | change)
    assert not (tmp_path / "out").exists()


NO_SEVERITIES = ([], [1, 1], [0], [6], [10**9], [1.0], ["1"], "12345", 3, None, {})
NO_INDICES = (
    *([], [0] * 7, [-1, 1, 2, 3, 4, 5, 6], [0.0] * 7, [2**63], ["a"], 7, "ab"),
    *(list(range(8)), list(range(6)), [10**40], [[0]], [None]),
)


@pytest.mark.parametrize(
    "change",
    [
        *({"severities": some} for some in NO_SEVERITIES),
        *({"indices": some} for some in NO_INDICES),
        *({"seed": some} for some in (-1, 2**63, 1.5, "0", None, [], True)),
    ],
)
def test_a_description_of_what_cannot_be_is_refused(tmp_path, noise_images, labels, change):
    write_archive(noise_images, labels, tmp_path, "contrast", [1, 3], indices=np.arange(7))
    path = tmp_path / "archive.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=r"archive\.json (is damaged|names)"):
        open_archive(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "[" * 10**5, "\xff", '{"seed": 1}', "1" * 5000, '{"a": NaN}']
)
def test_a_description_that_is_none_is_refused(tmp_path, noise_images, labels, text):
    write_archive(noise_images, labels, tmp_path, "contrast", [1])
    (tmp_path / "archive.json").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=r"archive\.json is damaged"):
        open_archive(tmp_path)


@pytest.mark.parametrize("name", ["labels", "contrast"])
@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        *(((2**62,), "|u1"), ((2**31 - 1, 0), "|u1"), ((-1,), "|u1"), ((0,), "|u1"), ((), "|u1")),
        *(((2**63,), "|u1"), ((35, 2**31, 2**31, 3), "|u1"), ((2**62, 0, 32, 3), "|u1"), ((2**62, 4), "<i8")),
        *(((-35, 32, 32, 3), "|u1"), ((35, -32, -32, 3), "|u1"), ((35.0,), "|u1"), ((10**30,), "|u1")),
        *(((1,), [("a", "|u1", (2**31, 2**31))]), ((1,), [("a", "|O")]), ((5,), "<m8[s]")),
        *(((35,), "|O"), ((7, 0, 32, 3), "|u1")),
    ],
)
def test_headers_that_lie_are_refused(tmp_path, noise_images, labels, name, shape, kind):
    write_archive(noise_images, labels, tmp_path, "contrast")
    with (tmp_path / f"{name}.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})
        file.write(bytes(40))
    tracemalloc.start()
    with pytest.raises(InputError, match=rf"{name}\.npy"):
        open_archive(tmp_path).cell("contrast", 1)
    assert tracemalloc.get_traced_memory()[1] < 2**22  # NumPy's arrays included
    tracemalloc.stop()


@pytest.mark.parametrize("name", ["labels", "contrast"])
def test_pipes_devices_and_files_that_pretend_to_be_large_are_refused(tmp_path, noise_images, labels, name):
    write_archive(noise_images, labels, tmp_path, "contrast")
    path = tmp_path / f"{name}.npy"
    path.unlink()
    path.symlink_to("/dev/zero")
    if name == "labels":
        with pytest.raises(InputError, match="is no file but a pipe or a device"):
            open_archive(tmp_path)
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(InputError, match="is no file but a pipe or a device"):
            open_archive(tmp_path)
        path.unlink()
    else:
        assert open_archive(tmp_path) is None
        return
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (2**35,)}
        )
        file.truncate(2**35 + file.tell())  # of which the disk holds nothing
    with pytest.raises(InputError, match="must hold whole numbers"):
        open_archive(tmp_path)


def test_grey_images_of_any_number_are_written_in_colour(tmp_path, noise_images):
    for count in (2, 5):
        grey = noise_images[:count, :, :, 0]
        archive = write_archive(grey, np.arange(count), tmp_path / str(count), "fog", [2])
        assert np.array_equal(archive.cell("fog", 2), corrupt(grey[..., None], "fog", 2))


def test_no_archive_is_no_fault(tmp_path):
    assert open_archive(tmp_path) is None
    assert open_archive(tmp_path / "absent") is None


def damaged(tmp_path, noise_images, labels, file, damage):
    write_archive(noise_images, labels, tmp_path, "contrast")
    path = tmp_path / file
    path.write_bytes(damage(path.read_bytes()))
    return lambda: open_archive(tmp_path).cell("contrast", 1)


@pytest.mark.parametrize("file", ["contrast.npy", "labels.npy"])
@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-5], lambda data: data[:50], lambda data: b"", lambda data: b"x" * len(data)],
    ids=["truncated", "truncated in its header", "empty", "of another kind"],
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, noise_images, labels, file, damage):
    read = damaged(tmp_path, noise_images, labels, file, damage)
    with pytest.raises(InputError, match=file) as refusal:
        read()
    assert "\n" not in str(refusal.value)


def test_arrays_of_another_shape_or_with_objects_are_refused(tmp_path, noise_images, labels):
    write_archive(noise_images, labels, tmp_path, "contrast")
    for wrong in (
        np.zeros((34, 32, 32, 3), np.uint8),
        np.zeros((35, 32, 32, 3)),
        np.zeros((35, 32, 32), np.uint8),
    ):
        np.save(tmp_path / "contrast.npy", wrong)
        with pytest.raises(InputError, match=r"must hold uint8 of shape \(35, H, W, 3\)"):
            open_archive(tmp_path).cell("contrast", 1)
    np.save(tmp_path / "contrast.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(InputError, match=r"no whole \.npy file"):
        open_archive(tmp_path).cell("contrast", 1)
    np.save(tmp_path / "labels.npy", np.arange(35))
    with pytest.raises(InputError, match="differ from one severity to the next"):
        open_archive(tmp_path)


def test_a_missing_corruption_or_label_file_is_said(tmp_path, noise_images, labels):
    write_archive(noise_images, labels, tmp_path, "contrast")
    with pytest.raises(InputError, match=r"fog\.npy is missing"):
        open_archive(tmp_path).cell("fog", 1)
    (tmp_path / "labels.npy").unlink()
    with pytest.raises(InputError, match=r"labels\.npy is missing"):
        open_archive(tmp_path)


def test_a_damaged_description_is_refused(tmp_path, noise_images, labels):
    write_archive(noise_images, labels, tmp_path, "contrast")
    for text in ("{", "[]", json.dumps({"seed": 0})):
        (tmp_path / "archive.json").write_text(text)
        with pytest.raises(InputError, match=r"archive\.json is damaged"):
            open_archive(tmp_path)


def test_robustbench_reads_what_was_written(tmp_path, photographs):
    data = pytest.importorskip(
        "robustbench.data", exc_type=ImportError, reason="robustbench is not installed"
    )
    images = load_test_images(10_000)
    labels = np.arange(10_000) % 10
    write_archive(images, labels, tmp_path / "CIFAR-10-C", "contrast")
    found, marks = data.load_cifar10c(500, severity=4, data_dir=str(tmp_path), corruptions=["contrast"])
    expected = corrupt(images[:500], "contrast", 4).transpose(0, 3, 1, 2) / np.float32(255)
    assert np.array_equal(found.numpy(), expected)
    assert np.array_equal(marks.numpy(), labels[:500])
