import importlib.metadata
import sys

import pytest

from winninghand.base import catalog
from winninghand.base.errors import InputError
from winninghand.base.registry import Registry


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
        assert importlib.metadata.version("stranger") == "1.0"

    return install


def test_another_package_adds_a_name_and_takes_none_away(stranger):
    stranger("fruit", {"fig": "fig", "pear": "fig"}, "fig = 7")
    registry = Registry("fruit", "fruit", {"pear": "math:pi"})
    with pytest.warns(UserWarning, match="the package stranger names a fruit 'pear' again"):
        assert list(registry) == ["pear", "fig"]
    assert registry["fig"] == 7
    assert registry["pear"] > 3


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("import nothing_of_the_kind", "the fruit 'fig' of the package stranger cannot be imported"),
        ("", "AttributeError"),
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


def test_every_entry_of_the_library_is_what_its_registry_says():
    registries = [registry for registry in vars(catalog).values() if isinstance(registry, Registry)]
    assert len(registries) >= 8
    for registry in registries:
        for name in registry:
            assert registry._fault(name, registry[name]) is None
