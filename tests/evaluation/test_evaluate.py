"""Generated and archived cells, and archives that do not fit."""

import numpy as np
import pytest

from winninghand.base.errors import InputError
from winninghand.corruptions import corrupt, write_archive, write_folders
from winninghand.evaluation import (
    Measurement,
    available,
    balanced_sample,
    evaluate,
    find_archive,
    find_archives,
)
from winninghand.images import Split
from winninghand.images.image_set import balanced_sample as balanced_sample_of
from winninghand.report.terminal import print_robustness


def test_cells_come_from_the_archive_where_it_has_them(threshold, tiny_images, official):
    table = evaluate(threshold, tiny_images.test, ["fog", "brightness"], [2, 5], archive=official)
    assert [(cell.corruption, cell.source) for cell in table.cells] == [
        ("fog", "archive"),
        ("fog", "archive"),
        ("brightness", "generated"),
        ("brightness", "generated"),
    ]
    assert [cell.accuracy for cell in table.cells[:2]] == [0, 0]
    assert table.clean_accuracy == table.cells[2].accuracy == 1


def test_an_archive_written_here_gives_the_generated_figures(threshold, tiny_images, tmp_path):
    split = tiny_images.test
    indices = balanced_sample(split, 10, seed=3)
    part = split.take(indices)
    write_archive(part.images, part.labels, tmp_path, "fog,gaussian_noise", [4, 5], 3, indices)
    settings = {"corruptions": "fog,gaussian_noise", "severities": [4, 5], "seed": 3, "limit": 6}
    generated = evaluate(threshold, split, **settings, batch_size=4)
    archived = evaluate(threshold, split, **settings, batch_size=4, archive=tmp_path)
    assert {cell.source for cell in archived.cells} == {"archive"}
    for one, other in zip(generated.cells, archived.cells, strict=True):
        assert np.array_equal(one.outcome.confidence, other.outcome.confidence)
    with pytest.raises(InputError, match=r"lacks 22 of the 32 images.*--limit 10"):
        evaluate(threshold, split, "fog", [4], archive=tmp_path)


def test_a_corruption_that_cannot_be_made_is_taken_from_the_archive(
    threshold, tiny_images, official, monkeypatch
):
    monkeypatch.setattr("winninghand.corruptions.weather.find_spec", lambda name: None)
    (official / "frost.npy").write_bytes((official / "contrast.npy").read_bytes())
    with pytest.raises(InputError, match="frost cannot be had"):
        evaluate(threshold, tiny_images.test, "frost", [1])
    assert evaluate(threshold, tiny_images.test, "frost", [1], archive=official).cells[0].source == "archive"
    left_out = evaluate(threshold, tiny_images.test, "common", [1], limit=2)
    assert list(left_out.missing) == ["frost"]
    assert "frost" not in left_out.corruptions
    assert list(available("common, bar")[1]) == ["frost"]
    with pytest.raises(InputError, match="frost cannot be had"):
        available("bar, frost")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda split: Split(split.images[:30], split.labels[:30]), "another split's archive"),
        (lambda split: Split(split.images, 1 - split.labels), "other labels than the split"),
        (lambda split: Split(split.images[:, :12], split.labels), "16×16 pixels and the split's 12×16"),
    ],
)
def test_an_archive_of_other_images_is_refused(threshold, tiny_images, official, change, message):
    with pytest.raises(InputError, match=message) as refusal:
        evaluate(threshold, change(tiny_images.test), "fog", archive=official)
    assert "\n" not in str(refusal.value)


def test_a_truncated_archive_is_refused_before_the_first_cell(threshold, tiny_images, official):
    (official / "contrast.npy").write_bytes((official / "contrast.npy").read_bytes()[:-1000])
    done = []
    with pytest.raises(InputError, match=r"contrast\.npy is no whole \.npy file"):
        evaluate(threshold, tiny_images.test, "fog,contrast", archive=official, progress=done.append)
    assert done == []


def test_archives_are_found_by_the_name_of_the_images(official, tmp_path):
    assert find_archive("tiny", tmp_path).folder == official
    assert find_archive("cifar10", tmp_path) is None
    assert find_archive("tiny", None) is None
    official.rename(tmp_path / "CIFAR-10-C")
    assert find_archive("cifar10", tmp_path).names == ("fog", "contrast")


def test_an_archive_of_bar_lies_in_a_folder_of_its_own(threshold, tiny_images, official, tmp_path):
    folder, split = tmp_path / f"{official.name}-Bar", tiny_images.test
    rows = np.arange(len(split))[::-1].copy()
    write_archive(split.images[rows], split.labels[rows], folder, "ripple,lines", indices=rows)
    found = {
        asked: [one.folder for one in find_archives("tiny", tmp_path, asked)]
        for asked in ("bar", "common", "common,bar", "lines, fog", "frost")
    }
    both = [official, folder]
    assert list(found.values()) == [[folder], [official], both, both, []]
    table = evaluate(threshold, split, "bar", [1], archive=folder)
    assert [cell.corruption for cell in table.cells if cell.source == "archive"] == ["ripple", "lines"]
    assert list(table.groups) == ["bar"] and len(table.cells) == 10
    assert find_archives("tiny", None) == ()

    # Each cell comes from the archive that has it, by the rows that its images have there.
    together = Measurement(
        "fog,lines,bar,contrast", (1,), limit=10, archive=find_archives("tiny", tmp_path, "fog,lines")
    )
    assert together.to_json()["archive"] == "tiny-C, tiny-C-Bar"
    cells = {cell.corruption: cell for cell in together.cells(threshold, split)}
    sources = {name: cell.source for name, cell in cells.items() if cell.source == "archive"}
    assert list(sources) == ["fog", "lines", "ripple", "contrast"] and len(cells) == 13
    alone = evaluate(threshold, split, "lines", [1], limit=10)
    assert np.array_equal(cells["lines"].outcome.confidence, alone.cells[0].outcome.confidence)
    assert cells["fog"].accuracy == 0


def test_an_archive_of_other_parameters_is_refused_unless_the_figures_name_them(
    threshold, tiny_images, tmp_path
):
    split = tiny_images.test
    write_archive(split.images, split.labels, tmp_path, "fog", [1], parameters="imagenet-c")
    with pytest.raises(InputError, match="parameters of imagenet-c, and the figures would name cifar10-c"):
        evaluate(threshold, split, "fog", [1], archive=tmp_path)
    table = evaluate(threshold, split, "fog", [1], archive=tmp_path, parameters="imagenet-c")
    assert table.parameters == "imagenet-c" and table.cells[0].source == "archive"


def test_a_folder_without_an_archive_is_refused(threshold, tiny_images, tmp_path):
    with pytest.raises(InputError, match="holds no archive"):
        evaluate(threshold, tiny_images.test, "fog", archive=tmp_path)


def test_batch_size_and_limit_do_not_change_an_image_s_corruption(threshold, tiny_images):
    whole = evaluate(threshold, tiny_images.test, "gaussian_noise", [5])
    some = evaluate(threshold, tiny_images.test, "gaussian_noise", [5], limit=6, batch_size=4)
    places = balanced_sample(tiny_images.test, 6, seed=0)
    assert np.allclose(some.cells[0].outcome.confidence, whole.cells[0].outcome.confidence[places], atol=1e-6)


def test_what_is_named_twice_counts_once(threshold, tiny_images):
    table = evaluate(threshold, tiny_images.test, "fog,contrast,fog", [1, 5, 5])
    assert [(cell.corruption, cell.severity) for cell in table.cells] == [
        ("fog", 1),
        ("fog", 5),
        ("contrast", 1),
        ("contrast", 5),
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"severities": 3}, r"severities must be whole numbers in 1\.\.5, such as \[1, 3, 5\], not 3"),
        ({"severities": []}, r"not \(\)|not \[\]"),
        ({"severities": [True]}, "True"),
        ({"severities": [0]}, "0"),
        ({"limit": 2.5}, "limit must be a whole number of at least 1"),
        ({"limit": 0}, "not 0"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"batch_size": 0}, "batch size must be a whole number of at least 1"),
        ({"corruptions": "fogg"}, "did you mean 'fog'"),
        ({"device": "nowhere"}, "nowhere"),
    ],
)
def test_settings_out_of_range_are_refused(threshold, tiny_images, settings, message):
    with pytest.raises(InputError, match=message):
        evaluate(threshold, tiny_images.test, **settings)


def test_what_is_no_model_or_no_split_is_refused(threshold, tiny_images):
    with pytest.raises(InputError, match=r"a module or a path, not a dict"):
        evaluate({}, tiny_images.test)
    with pytest.raises(InputError, match=r"cannot load a\.card: there is no such file"):
        evaluate("a.card", tiny_images.test)
    with pytest.raises(InputError, match=r"such as images\.test"):
        evaluate(threshold, tiny_images)


def test_cells_come_one_by_one_the_clean_images_first(threshold, tiny_images):
    measurement = Measurement(["contrast"], severities=(2, 4), limit=10)
    cells = measurement.cells(threshold, tiny_images.test)
    first = next(cells)
    assert (first.corruption, first.severity, first.source, len(first.correct)) == ("clean", 0, "split", 10)
    rest = list(cells)
    assert len(measurement) == 1 + len(rest) == 3
    table = measurement.table(threshold, [first, *rest], tiny_images.test.size)
    assert table.to_json() == evaluate(threshold, tiny_images.test, ["contrast"], (2, 4), limit=10).to_json()
    assert Measurement.from_table(measurement.to_json()) == measurement
    with pytest.raises(InputError, match="did you mean 'limit'"):
        Measurement.from_table({"limits": 3})


def test_the_old_name_of_progress_still_works(threshold, tiny_images):
    done = []
    with pytest.warns(DeprecationWarning, match="advance is now called progress"):
        evaluate(threshold, tiny_images.test, "contrast", severities=[1], advance=done.append)
    assert done == [32, 32]


def test_parameters_and_the_way_to_save_change_cells_and_are_named(threshold, tiny_images, capsys):
    how = {"parameters": "imagenet-c", "saved_as": "jpeg"}
    measurement = Measurement("gaussian_noise", severities=(5,), **how)
    sample = measurement.sample(tiny_images.test)
    (batch,) = sample.batches("gaussian_noise", 5, 10_000)
    assert np.array_equal(batch.images, corrupt(tiny_images.test.images, "gaussian_noise", 5, **how))
    assert Measurement.from_table(measurement.to_json()) == measurement
    assert not {"parameters", "saved_as"} & Measurement().to_json().keys()
    table = evaluate(threshold, tiny_images.test, "gaussian_noise", (5,), **how)
    assert table.to_json().items() >= how.items()
    print_robustness(table)
    assert "by the parameters of imagenet-c, saved as JPEG of quality 85" in capsys.readouterr().err
    with pytest.raises(InputError, match="did you mean 'tiny-imagenet-c'"):
        Measurement(parameters="tiny-imagenet")
    with pytest.raises(InputError, match="saved_as must be one of pixels, jpeg"):
        Measurement(saved_as="png")


def test_an_archive_in_folders_gives_the_cells_that_are_saved_as_jpeg(threshold, tiny_images, tmp_path):
    test = tiny_images.test
    write_folders(test.images, test.labels, ("dark", "light"), tmp_path / "tiny-C", "contrast", (3,))
    archives = find_archives("tiny", tmp_path, "contrast")
    order = archives[0].indices
    table = evaluate(threshold, test, "contrast", (3,), archive=archives)
    made = evaluate(threshold, test, "contrast", (3,), saved_as="jpeg")
    assert [cell.source for cell in table.cells] == ["archive"]
    assert (table.to_json()["saved_as"], table.parameters) == ("jpeg", made.parameters)
    mixed = evaluate(threshold, test, "contrast,fog", (3,), archive=archives)
    assert {cell.source for cell in mixed.cells} == {"archive", "generated"} and mixed.saved_as == "pixels"
    assert np.array_equal(table.cells[0].correct, made.cells[0].correct)
    assert len(order) == len(test)


def test_a_sample_is_balanced_over_a_thousand_classes():
    labels = np.repeat(np.arange(1000), 50)
    for limit, counts in ((5000, {5}), (1500, {1, 2}), (300, {0, 1})):
        found = np.bincount(labels[balanced_sample_of(labels, limit, 0)], minlength=1000)
        assert set(found) == counts and found.sum() == limit
