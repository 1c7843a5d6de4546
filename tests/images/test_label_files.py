"""Images to test that are in no class folders: ImageNet's and Tiny-ImageNet's as they are published."""

import numpy as np
import pytest
from PIL import Image

from winninghand.base.errors import InputError
from winninghand.images import load_images

CLASSES = ("n01443537", "n02085620", "n07920052")


def drawn(number):
    return Image.new("RGB", (30, 20), (40 + 10 * number, 0, 255 - number))


def write(folder, names):
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        drawn(number).save(folder / name, "JPEG", quality=95)


@pytest.fixture
def tiny(tmp_path):
    """Tiny-ImageNet's layout, with three classes and the images to test out of their classes' order."""
    root = tmp_path / "tiny-imagenet-200"
    for name in CLASSES:
        write(root / "train" / name / "images", [f"{name}_{number}.JPEG" for number in range(3)])
        (root / "train" / name / f"{name}_boxes.txt").write_text("")
    write(root / "val" / "images", [f"val_{number}.JPEG" for number in range(6)])
    lines = [f"val_{number}.JPEG\t{CLASSES[-number % 3]}\t0\t32\t44\t62" for number in (5, 3, 0, 1, 2, 4)]
    (root / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    write(root / "test" / "images", [f"test_{number}.JPEG" for number in range(2)])
    return root


@pytest.fixture
def imagenet(tmp_path):
    """ImageNet's layout, its images to test all in one folder."""
    root = tmp_path / "imagenet"
    for name in CLASSES:
        write(root / "train" / name, [f"{name}_{number}.JPEG" for number in range(3)])
    write(root / "val", [f"ILSVRC2012_val_{number:08}.JPEG" for number in range(1, 7)])
    return root


def check(root, stream):
    images = load_images(root, size=16, stream=stream)
    assert images.classes == CLASSES
    assert images.test.labels.tolist() == [0, 0, 1, 1, 2, 2]
    reds = images.test.images[:][:, 8, 8, 0].astype(int)
    assert np.abs(reds - 40 - 10 * np.array([0, 3, 2, 5, 1, 4])).max() <= 2
    assert len(images.train) == 9 and not images.origin.joined


@pytest.mark.parametrize("stream", [False, True])
def test_tiny_imagenet_is_read_as_it_is_published(tiny, stream, caplog):
    check(tiny, stream)
    assert f"{tiny / 'test'}: left out, as nothing names the classes of its images" in caplog.messages


KAGGLE = "ImageId,PredictionString\n" + "".join(
    f"ILSVRC2012_val_{number + 1:08},{CLASSES[-number % 3]} 85 1 499 272 \n" for number in range(6)
)
IN_ORDER = "".join(f"{CLASSES[-number % 3]}\n" for number in range(6))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("place", "content"),
    [
        ("LOC_val_solution.csv", KAGGLE),
        ("val/imagenet_2012_validation_synset_labels.txt", IN_ORDER),
        ("synset_labels.txt", IN_ORDER),
    ],
)
def test_imagenets_images_to_test_have_their_classes_from_a_file(imagenet, place, content, stream):
    (imagenet / place).write_text(content)
    check(imagenet, stream)


def test_a_changed_label_file_is_not_answered_from_the_cache(tiny):
    before = load_images(tiny, size=16).test.digest
    file = tiny / "val" / "val_annotations.txt"
    file.write_text(file.read_text().replace(CLASSES[0], "other").replace(CLASSES[1], CLASSES[0]))
    file.write_text(file.read_text().replace("other", CLASSES[1]))
    assert load_images(tiny, size=16).test.digest != before


@pytest.mark.parametrize("stream", [False, True])
def test_without_such_a_file_the_line_says_how_to_mend_it(imagenet, stream):
    (imagenet / "ILSVRC2012_validation_ground_truth.txt").write_text("490\n361\n")
    with pytest.raises(InputError) as caught:
        load_images(imagenet, size=16, stream=stream)
    assert str(caught.value) == (
        f"{imagenet / 'val'} holds 6 images and no class folders (ILSVRC2012_validation_ground_truth.txt "
        "numbers classes in an order of its own); put each into the folder of its class, or put a file "
        "val_annotations.txt of lines IMAGE CLASS, LOC_val_solution.csv or "
        "imagenet_2012_validation_synset_labels.txt beside them"
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (lambda text: text.replace(CLASSES[2], "n99"), "names class 'n99', which has no folder under train/"),
        (lambda text: text.replace("val_3", "val_9"), r"1 image that .* cannot be found: 'val_9\.JPEG'; get"),
        (lambda text: text.replace("val_3.J", "val_4.J"), r"names 'val_4\.JPEG' twice, again in line 6"),
        (lambda text: text.partition("\n")[2], r"names no class for 1 image: 'val_5\.JPEG'"),
        (lambda text: "val_0.JPEG\n" + text, r"line 1 names no image and its class: 'val_0\.JPEG'; get it"),
        (lambda text: text.replace(CLASSES[2], CLASSES[1]), "under train/ but not under val/; add or remove"),
    ],
)
def test_a_label_file_that_does_not_fit_is_refused(tiny, changed, said):
    file = tiny / "val" / "val_annotations.txt"
    file.write_text(changed(file.read_text()))
    with pytest.raises(InputError, match=said):
        load_images(tiny, size=16, stream=True)


def test_a_list_of_another_length_is_refused(imagenet):
    (imagenet / "synset_labels.txt").write_text(IN_ORDER + CLASSES[0])
    with pytest.raises(InputError, match="names the classes of 7 images, and there are 6; get the images"):
        load_images(imagenet, size=16)


def test_images_beside_class_folders_of_a_split_are_named(imagenet, caplog):
    for number, name in enumerate(CLASSES, start=1):
        (imagenet / "val" / name).mkdir()
        file = f"ILSVRC2012_val_{number:08}.JPEG"
        (imagenet / "val" / file).rename(imagenet / "val" / name / file)
    assert len(load_images(imagenet, size=16).test) == 3
    (line,) = caplog.messages
    assert line == (
        f"{imagenet}: left out, as it is in no class folder: 'ILSVRC2012_val_00000004.JPEG', "
        "'ILSVRC2012_val_00000005.JPEG', 'ILSVRC2012_val_00000006.JPEG'"
    )
