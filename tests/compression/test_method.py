import re
from pathlib import Path

import pytest
import torch
from torch import nn

import winninghand as wh
from winninghand.compression import METHODS, Method
from winninghand.recipe import make_recipe

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"


def test_a_method_keeps_its_own_keys_and_dumps_all_of_them():
    table = {"method": "gmp", "sparsity": 0.8, "update_every": 5, "rewind_epoch": 1.0, "init": "keep"}
    method = make_recipe({"compression": table}).compression
    assert method.model_dump(mode="json") == {
        "method": "gmp",
        "sparsity": 0.8,
        "scope": "global",
        "distribution": "uniform",
        "budget": "weights",
        "costs": None,
        "pattern": "none",
        "layer_floor": 0.0,
        "prune_head": None,
        "allow_empty": False,
        "prune_from": 0.2,
        "prune_until": 0.8,
        "update_every": 5,
    }
    assert Method.model_validate(method.model_dump(mode="json")) == method
    assert make_recipe({}).model_dump()["compression"]["milestones"] == ()


@pytest.mark.parametrize("name", METHODS)
def test_a_recipe_comes_back_from_its_plain_form(name):
    recipe = make_recipe({"compression": {"method": name, "sparsity": 0.7}})
    assert make_recipe(recipe.model_dump(mode="json")) == recipe


@pytest.mark.parametrize(
    ("old", "new", "method", "value"),
    [
        ("pass_through", "milestones", "lrr", (0.5,)),
        ("round_rate", "rewind_lr_factor", "lrr", 0.5),
        ("refresh_steps", "update_every", "gmp", 3),
    ],
)
def test_old_keys_warn_and_work(old, new, method, value):
    with pytest.warns(DeprecationWarning, match=f"compression.{old} is now called compression.{new}"):
        recipe = make_recipe({"compression": {"method": method, old: value}})
    assert getattr(recipe.compression, new) == value


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ({"method": "gmp", "prune_untill": 0.9}, "unknown key 'prune_untill'; did you mean 'prune_until'"),
        ({"method": "dense", "update_evry": 3}, "unknown key 'update_evry'"),
        ({"method": "dense", "update_every": 0}, "compression.update_every"),
        ({"method": "lrr", "milestones": [0.5, 0.5]}, "milestones must rise"),
        ({"method": 3}, "method"),
    ],
)
def test_keys_and_values_at_fault_are_named(table, named):
    with pytest.raises(wh.InputError, match=re.escape(named)) as error:
        make_recipe({"compression": table})
    assert "\n" not in str(error.value)


def test_the_page_s_own_method_works():
    section = PAGE.read_text(encoding="utf-8").partition("## One more method")[2]
    exec(re.search(r"```python\n(.*?)```", section, re.DOTALL)[1], {"__name__": "page"})
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 5))
    pruner = wh.Pruner(module, "one_shot", 0.5, 10, dense_epochs=10, epochs=10)
    sparsities = []
    for _ in range(10):
        pruner.step()
        sparsities.append(pruner.sparsity)
    assert sparsities == [0.0] * 4 + [0.5] * 6
    METHODS._entries.pop("one_shot")
