"""WebDataset shards and brace patterns: what is read of strangers' archives, and what is refused."""

import bz2
import gzip
import io
import json
import lzma
import tarfile

import numpy as np
import pytest
from PIL import Image

from benchmarks.shards import add
from winninghand.base.errors import InputError
from winninghand.images import load_images
from winninghand.images.shards.braces import expanded_braces


def picture(shade, form="JPEG"):
    file = io.BytesIO()
    Image.fromarray(np.full((20, 24, 3), shade, np.uint8)).save(file, form)
    return file.getvalue()


def write(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            add(archive, name, content if isinstance(content, bytes) else str(content).encode())
    return path


def pairs(labels, start=0):
    return [
        member
        for number, label in enumerate(labels, start)
        for member in ((f"a/{number:03}.jpg", picture(9 * number)), (f"a/{number:03}.cls", label))
    ]


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "set" / "train-000000.tar", pairs([0, 1]))
    write(tmp_path / "set" / "train-000001.tar", pairs([1, 0], 2))
    write(tmp_path / "set" / "val-000000.tar", pairs([1], 4))
    return tmp_path / "set"


def test_shards_are_read_by_folder_and_by_pattern_and_nothing_is_unpacked(folder):
    before = sorted(folder.parent.rglob("*.jpg"))
    held = load_images(folder)
    assert held.classes == ("0", "1") and held.train.labels.tolist() == [0, 1, 1, 0]
    assert held.train.images[:, 0, 0, 0].tolist() == [0, 9, 18, 27] and len(held.test) == 1
    text = f"{folder}/{{train-{{000000..000001}},val-000000}}.tar"
    named = load_images(text, size=(20, 24), stream=True)
    np.testing.assert_array_equal(named.train.images[:], held.train.images)
    assert sorted(folder.parent.rglob("*.jpg")) == before == []
    (folder / "classnames.txt").write_text("cat\ndog\n")
    assert load_images(folder, size=8, stream=True).classes == ("cat", "dog")


def test_labels_in_json_are_numbers_or_names_and_other_members_are_passed_over(folder):
    members = [
        ("./x.y/1.JPG", picture(10)),
        ("./x.y/1.txt", b"a caption"),
        ("./x.y/1.json", json.dumps({"label": "newt", "width": 24})),
        ("./x.y/._1.jpg", b"what a file manager adds"),
        ("README", b"no member of a sample"),
        ("../../2.png", picture(20, "PNG")),
        ("../../2.json", json.dumps({"label": "eft"})),
    ]
    for name in ("train-000000", "train-000001", "val-000000"):
        write(folder / f"{name}.tar", members)
    images = load_images(folder, size=8, stream=True)
    assert images.classes == ("eft", "newt") and images.train.labels.tolist() == [1, 0, 1, 0]
    write(folder / "val-000000.tar", pairs([1]))
    with pytest.raises(InputError, match="some labels are numbers and some names"):
        load_images(folder, size=8, stream=True)


def test_patterns_stand_for_names_as_in_a_shell():
    assert [*expanded_braces("a{8..10}.tar")] == ["a8.tar", "a9.tar", "a10.tar"]
    assert [*expanded_braces("{t-{00..01},v-{a,b}}{,x}")] == [
        *("t-00", "t-00x", "t-01", "t-01x", "v-a", "v-ax", "v-b", "v-bx"),
    ]


@pytest.mark.parametrize("text", ["{0..1", "a{b}", "a{2..1}", "{}", "{a..b}", "{0..99999999}"])
def test_patterns_that_are_none_are_refused(tmp_path, text):
    with pytest.raises(InputError, match="is no pattern of shards; write one such as train-"):
        load_images(f"{tmp_path}/{text}.tar")


def test_missing_shards_are_named(folder):
    with pytest.raises(
        InputError, match=r"of its 5 shards train-000002\.tar, train-000003\.tar are not there; fetch"
    ):
        load_images(f"{folder}/{{train-{{000000..000003}},val-000000}}.tar")
    with pytest.raises(InputError, match=r"no tar file of the test split"):
        load_images(f"{folder}/train-{{000000..000001}}.tar")
    (folder / "train-000001.tar").rename(folder / "train-000003.tar")
    with pytest.raises(
        InputError,
        match=r"holds 2 of the 4 tar files of the train split; fetch train-000001\.tar, train-000002",
    ):
        load_images(folder)
    for number in (0, 3):
        (folder / f"train-00000{number}.tar").rename(folder / f"train-{number:05}-of-00004.tar")
    with pytest.raises(InputError, match=r"fetch train-00001-of-00004\.tar, train-00002-of-00004\.tar$"):
        load_images(folder)


def cut(path, length):
    path.write_bytes(path.read_bytes()[:length])


def test_truncated_and_damaged_archives_are_named(folder):
    path = folder / "train-000001.tar"
    whole = path.read_bytes()
    with tarfile.open(path) as archive:
        second = archive.getmembers()[2]
    for length, said in (
        (second.offset_data + 100, "is cut off within a/003.jpg"),
        (second.offset_data + second.size + 1, "is cut off within a/003.jpg"),
        (second.offset + 100, "is cut off after a/002.cls"),
        (second.offset, "is cut off after a/002.cls"),
    ):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=rf"train-000001\.tar {said}; fetch it again"):
            load_images(folder, size=8, stream=True)
    path.write_bytes(whole[: second.offset] + b"x" * 512 + whole[second.offset + 512 :])
    with pytest.raises(InputError, match=r"train-000001\.tar is damaged after a/002.cls"):
        load_images(folder, size=8, stream=True)
    path.write_bytes(b"\x1f\x8b" + whole[2:])
    with pytest.raises(InputError, match=r"train-000001\.tar is not a readable tar file .*; fetch it again"):
        load_images(folder, size=8, stream=True)
    path.write_bytes(whole)
    images = load_images(folder, size=8, stream=True)
    cut(path, second.offset_data + 100)
    with pytest.raises(InputError, match=r"train-000001\.tar member a/003\.jpg is cut off"):
        images.train.images[3]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([("7.jpg", picture(1))], r"member 7\.jpg has no label; add 7\.cls"),
        ([("7.jpg", picture(1)), ("7.json", "{}")], r"member 7\.jpg has no label; add 7\.cls"),
        ([("7.jpg", picture(1)), ("7.cls", "cat")], r"member 7\.cls holds 'cat' and no class's number"),
        ([("7.jpg", picture(1)), ("7.json", "{")], r"member 7\.json is no readable JSON"),
        ([("7.jpg", picture(1)), ("7.json", "[" * 10**5)], r"member 7\.json is no readable JSON"),
        ([("7.jpg", picture(1)), ("7.json", '{"label": 1.5}')], r"has a label that is no class's number"),
        ([("7.jpg", picture(1)), ("7.jpg", picture(2))], r"member 7\.jpg is the second of its kind"),
        ([("7.cls", "1")], "holds no pictures with labels"),
        ([("7.jpg", picture(1)), ("7.cls", "9")], r"class '9' has test images but no training images"),
    ],
)
def test_members_that_cannot_be_used_are_named(folder, members, said):
    write(folder / "val-000000.tar", members)
    with pytest.raises(InputError, match=said):
        load_images(folder, size=8, stream=True)


@pytest.mark.parametrize("label", ["2", "-1"])
def test_labels_outside_of_the_classes_are_named(folder, label):
    (folder / "classnames.txt").write_text("cat\ndog\n")
    write(folder / "train-000001.tar", [("7.jpg", picture(1)), ("7.cls", label)])
    said = rf"train-000001\.tar member 7\.jpg has the label {label}, and labels must lie in 0\.\.1; mend it"
    with pytest.raises(InputError, match=said):
        load_images(folder, size=8, stream=True)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_an_archive_are_refused(folder, kind):
    with tarfile.open(folder / "val-000000.tar", "w") as archive:
        member = tarfile.TarInfo("7.jpg")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(InputError, match=r"member 7\.jpg is a link, a device or in pieces"):
        load_images(folder, size=8, stream=True)


def test_compressed_shards_are_refused(folder):
    path = folder / "val-000000.tar"
    whole = path.read_bytes()
    for module, ending, tool in ((gzip, "gz", "gunzip"), (bz2, "bz2", "bunzip2"), (lzma, "xz", "unxz")):
        path.write_bytes(module.compress(whole))
        said = rf"\.tar is compressed, .* rename it to val-000000\.tar\.{ending}, and unpack it by {tool}$"
        with pytest.raises(InputError, match=said):
            load_images(folder, size=8, stream=True)
    path.rename(folder / "val-000000.tar.gz")
    with pytest.raises(InputError, match=r"holds val-000000\.tar\.gz, .*; unpack it to \.tar, such"):
        load_images(folder)


def test_archives_beside_what_was_unpacked_are_no_shards(folder):
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (folder / split / name).mkdir(parents=True)
            (folder / split / name / "1.jpg").write_bytes(picture(30))
    images = load_images(folder, size=8, stream=True)
    assert images.classes == ("cat", "dog") and len(images.train) == 2
