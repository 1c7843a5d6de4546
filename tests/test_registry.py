import pytest

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
