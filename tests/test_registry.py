import importlib.metadata
import sys

import pytest

import winninghand as wh
from winninghand.base import catalog
from winninghand.base.errors import InputError
from winninghand.base.registry import PartError, Registry, blamed


def test_names_are_kept_in_order_and_only_once():
    registry = Registry("fruit", "fruit")
    registry.register("pear")(1)
    registry.register("apple")(2)
    assert list(registry) == ["pear", "apple"]
    with pytest.raises(ValueError, match="already"):
        registry.register("pear")(3)


def test_an_unknown_name_gets_the_nearest_known_one():
    registry = Registry("fruit", "fruit")
    registry.register("pear")(1)
    with pytest.raises(InputError, match="did you mean 'pear'"):
        registry["paer"]


@pytest.mark.parametrize("name", [["pear"], {}, None, 1.5])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(InputError, match="unknown fruit"):
        Registry("fruit", "fruit")[name]


def forget(registry):
    """Let a registry look again for what other packages add."""
    if isinstance(registry, Registry):
        vars(registry).pop("_foreign", None)
        registry._entries.pop("part", None)
        registry._checked.discard("part")


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """Install a package with the entry points of one group, beside what is installed."""

    def install(group, points, source):
        (tmp_path / "stranger.py").write_text(source)
        (tmp_path / "stranger-1.0.dist-info").mkdir()
        (tmp_path / "stranger-1.0.dist-info/METADATA").write_text("Name: stranger\nVersion: 1.0\n")
        lines = [f"[winninghand.{group}]", *(f"{name} = stranger:{value}" for name, value in points.items())]
        (tmp_path / "stranger-1.0.dist-info/entry_points.txt").write_text("\n".join(lines))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "stranger", raising=False)
        for one in vars(catalog).values():
            forget(one)
        assert importlib.metadata.version("stranger") == "1.0"

    yield install
    for one in vars(catalog).values():
        forget(one)


def test_another_package_adds_a_name_and_takes_none_away(stranger, caplog):
    stranger("fruit", {"fig": "fig", "pear": "fig"}, "fig = 7")
    registry = Registry("fruit", "fruit", {"pear": "math:pi"})
    assert list(registry) == ["pear", "fig"]
    said = "the package stranger names a fruit 'pear', as the library does: the library's own stays"
    assert [record.getMessage() for record in caplog.records] == [said]
    assert registry["fig"] == 7
    assert registry["pear"] > 3


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("import nothing_of_the_kind", "the fruit 'fig' of the package stranger cannot be imported"),
        ("", "AttributeError"),
        ("import sys\nsys.exit(3)", r"cannot be imported \(SystemExit: 3, in stranger.py, line 2\)"),
        (
            "fig = 7",
            "of the package stranger cannot be used: it is no subclass of winninghand.augmentation.dom",
        ),
        ("from winninghand.augmentation import Domain\nclass fig(Domain):\n    name = 'fig'", "define views"),
        ("from winninghand.augmentation import DOMAINS\nfig = DOMAINS['clean']", "has the name 'clean'"),
    ],
)
def test_an_entry_that_cannot_be_used_names_its_package_in_one_line(stranger, source, line):
    stranger("fruit", {"fig": "fig"}, source)
    registry = Registry("fruit", "fruit", subclass_of="winninghand.augmentation.domain:Domain")
    assert "fig" in registry
    with pytest.raises(InputError, match=line) as caught:
        registry["fig"]
    assert "\n" not in str(caught.value)
    assert "the package stranger" in str(caught.value)


def test_what_cannot_be_used_is_left_out_of_what_can(stranger):
    stranger("fruit", {"fig": "fig", "plum": "none"}, "fig = 7")
    registry = Registry("fruit", "fruit", {"pear": "math:pi"})
    assert list(registry) == ["pear", "fig", "plum"]
    assert list(registry.usable()) == ["pear", "fig"]


def test_what_ends_the_program_by_will_is_no_fault_of_a_package(stranger):
    stranger("fruit", {"fig": "fig"}, "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        Registry("fruit", "fruit")["fig"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "def part(*given, **named): return 1 / 0",
            "ZeroDivisionError: division by zero, in stranger.py, li",
        ),
        ("def part(root): return 5", "TypeError: it must return a Source of paths, not an int"),
        ("import sys\ndef part(root): sys.exit()", "SystemExit"),
        (
            "from winninghand.images import Source\ndef part(root): return Source('x', (), lambda size: 5)",
            "TypeError: it must decode to an ImageSet, not an int",
        ),
    ],
)
def test_a_source_that_fails_names_its_package(stranger, source, said):
    stranger("image_sets", {"part": "part"}, source)
    with pytest.raises(PartError, match="the image set 'part' of the package stranger failed") as caught:
        wh.load_images("part")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def part(*given, **named): pass", "its parameter 'given' needs a name, a type and a default"),
        ("def part(classes: int = 2): pass", "it must return a torch.nn.Module, not a NoneType"),
        ("def part(classes: int = 2): return {}[0]", "KeyError: 0, in stranger.py, line 1"),
        (
            "from torch import nn\ndef part(width: int = 0): return nn.Linear(width, 2)",
            "network 'part' with width = 0 has no weights in 'weight'; make it wider",
        ),
    ],
)
def test_a_network_that_fails_is_told_in_one_line(stranger, recwarn, source, said):
    stranger("networks", {"part": "part"}, source)
    with pytest.raises(InputError) as caught:
        wh.network("part")
    assert said in str(caught.value)
    assert not recwarn


def test_a_layout_that_fails_does_not_stand_in_the_way_of_others(stranger, tmp_path, caplog):
    stranger("layouts", {"part": "part"}, "def part(path): return 1 / 0")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").touch()
    with pytest.raises(InputError, match="holds no images in a known layout"):
        wh.load_images(tmp_path / "folder")
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("left out: the layout 'part' of the package stranger failed (ZeroDivisionError")


def test_the_package_behind_an_error_is_found(stranger):
    stranger("gates", {"part": "part"}, "def part(scores): return scores / 0")
    import stranger as package

    for call, found in ((lambda: package.part(1), True), (lambda: 1 / 0, False)):
        try:
            call()
        except ZeroDivisionError as error:
            wrapped = RuntimeError("1 of 2 runs failed")
            wrapped.__cause__ = error
            for one in (error, wrapped):
                said = blamed(one)
                assert (said is not None) == found
                if found:
                    assert said.startswith("the package stranger failed (ZeroDivisionError: division by zero")


def test_every_entry_of_the_library_is_what_its_registry_says():
    registries = [registry for registry in vars(catalog).values() if isinstance(registry, Registry)]
    assert len(registries) >= 8
    for registry in registries:
        for name in registry:
            assert registry._fault(name, registry[name]) is None
