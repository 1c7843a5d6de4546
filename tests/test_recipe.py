import pytest

from winninghand.base.errors import InputError
from winninghand.recipe import Recipe, load_recipe, make_recipe

BAD = [
    ({"network": "resnet19"}, "resnet18"),
    ({"network": {"name": "resnet18", "breadth": 3}}, "breadth"),
    ({"network": {}}, "network"),
    ({"domain": {"name": "gaussian", "sigma": -1}}, "sigma"),
    ({"seed": "zero"}, "seed"),
    ({"training": {"epochz": 3}}, "training.epochz"),
    ({"training": {"epochs": 1.5}}, "training.epochs"),
    ({"training": {"precision": "fp8"}}, "training.precision"),
    ({"compression": {"sparsity": 1.0}}, "compression.sparsity"),
    ({"compression": {"sparsity": -0.1}}, "compression.sparsity"),
    ({"compression": {"sparsity": "0.9"}}, "compression.sparsity"),
    ({"compression": {"method": "lr"}}, "lrr"),
    ({"compression": {"scope": "local"}}, "compression.scope"),
    ({"colour": 1}, "colour"),
]


@pytest.mark.parametrize(("table", "named"), BAD)
def test_a_bad_key_is_named_in_one_line(table, named):
    with pytest.raises(InputError) as error:
        make_recipe(table)
    assert named in str(error.value)
    assert "\n" not in str(error.value)


def test_changes_are_laid_over_the_file(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text('network = "resnet18"\n[training]\nepochs = 3\n')
    recipe = load_recipe(path, {"training.epochs": 5, "network.width": 8, "seed": 2})
    assert (recipe.training.epochs, recipe.seed) == (5, 2)
    assert recipe.network == {"name": "resnet18", "width": 8}


def test_a_recipe_survives_being_written_out():
    recipe = make_recipe({"domain": "gaussian", "compression": {"sparsity": 0.5}})
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe
