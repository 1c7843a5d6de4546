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
    ({"compression": {"method": ["lrr"]}}, "unknown method"),
    ({"compression": {"method": {}}}, "unknown method"),
    ({"compression": {"distribution": []}}, "distribution"),
    ({"network": {"name": ["conv2"]}}, "network"),
    ({"domain": {"name": {"a": 1}}}, "domain"),
    ({"colour": 1}, "colour"),
    ({"epochs": 3}, "unknown key 'epochs'; remove it or mend its name; did you mean 'training.epochs'?"),
    ({"method": "lrr"}, "did you mean 'compression.method'?"),
    (
        {"training": {"epoch": 3}},
        "unknown key 'training.epoch'; remove it or mend its name; did you mean 'training.epochs'?",
    ),
]


@pytest.mark.parametrize(("table", "named"), BAD)
def test_a_bad_key_is_named_in_one_line(table, named):
    with pytest.raises(InputError) as error:
        make_recipe(table)
    assert named in str(error.value)
    assert "\n" not in str(error.value)


HUGE = 10**5_000


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ({"compression": {"fraction_per_round": 1e-7}}, "at most 1000"),
        ({"compression": {"fraction_per_round": 1e-17}}, "at most 1000"),
        ({"compression": {"method": "lth", "fraction_per_round": 1e-3, "sparsity": 0.99}}, "rounds"),
        ({"compression": {"milestones": [k / 2_000 for k in range(1, 1_999)]}}, "milestones"),
        ({"compression": {"last_epochs": HUGE}}, "last_epochs"),
        ({"compression": {"method": "gmp", "update_every": HUGE}}, "update_every"),
        ({"compression": {"method": "ft", "fine_tune_epochs": HUGE}}, "fine_tune_epochs"),
        ({"seed": HUGE}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"seed": -1}, "seed"),
        ({"training": {"epochs": 10**9}}, "epochs"),
        ({"training": {"batch_size": HUGE}}, "batch_size"),
        ({"training": {"learning_rate": float("inf")}}, "learning_rate"),
        ({"quantization": {"images": HUGE}}, "images"),
        ({"network": {"name": "resnet18", "width": HUGE}}, "width"),
        ({"domain": {"name": "gaussian", "sigma": HUGE}}, "sigma"),
    ],
)
def test_values_beyond_declared_limits_are_refused_at_once(table, named):
    with pytest.raises(InputError, match=named) as error:
        make_recipe(table)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    "text",
    [
        "seed = " + "1" * 5_000,
        "seed = " + "[" * 5_000 + "]" * 5_000,
        "compression = " + "{a=" * 5_000 + "1" + "}" * 5_000,
        "network." + "a." * 5_000 + "b = 1",
        "compression." + "a." * 5_000 + "b = 1",
        "[" + "a." * 5_000 + "b]",
        'network = "\\u0000"',
    ],
)
def test_a_file_of_no_sense_is_one_line(text, tmp_path):
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(InputError) as error:
        load_recipe(tmp_path / "recipe.toml")
    assert "\n" not in str(error.value) and len(str(error.value)) < 1_000


def test_changes_are_laid_over_the_file(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text('network = "resnet18"\n[training]\nepochs = 3\n')
    recipe = load_recipe(path, {"training.epochs": 5, "network.width": 8, "seed": 2})
    assert (recipe.training.epochs, recipe.seed) == (5, 2)
    assert recipe.network == {"name": "resnet18", "width": 8}


def test_a_recipe_survives_being_written_out():
    recipe = make_recipe({"domain": "gaussian", "compression": {"sparsity": 0.5}})
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe
