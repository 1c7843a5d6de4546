"""What a study plans: choices, protocols, and phases that runs share."""

import time

import pytest
from pydantic import ValidationError

from winninghand.base.errors import InputError
from winninghand.studies import Study, planned
from winninghand.studies.protocol import epochs_of

RECIPE = {
    "network": {"name": "conv2", "width": 2, "input_size": 16},
    "training": {"epochs": 8, "batch_size": 32},
}


def plan_of(*sweeps, recipe=RECIPE, **keys):
    return planned(Study.model_validate({"title": "a", "recipe": recipe, "sweeps": list(sweeps), **keys}))


def told(plan):
    """Return each task as method, sparsity and what it extends, with its own epochs."""

    def short(spec):
        return f"{spec.recipe.compression.method}{round(100 * spec.recipe.compression.sparsity)}"

    return [
        ("" if task.measured else "(") + short(task.spec) + (f"<{short(task.parent)}" if task.parent else "")
        for task in plan.tasks
    ]


def test_keys_that_a_method_ignores_do_not_multiply_runs():
    plan = plan_of(
        {"compression.method": ["dense", "gmp", "lrr"], "compression.sparsity": [0.5, 0.8], "seed": [0, 1]}
    )
    assert len(plan.runs) == 2 + 4 + 4
    assert [run.choice for run in plan.runs[:2]] == [
        {"compression.method": "dense", "seed": 0},
        {"compression.method": "dense", "seed": 1},
    ]


def test_choices_are_excluded_and_keys_apply_on_conditions():
    sweep = {
        "compression.method": ["lrr", "lth"],
        "domain": ["clean", {"name": "augmix", "jsd": False}],
        "compression.rewind_epoch": [0, 1],
        "when": {"compression.rewind_epoch": {"compression.method": "lth"}},
        "exclude": [{"compression.method": "lth", "domain": "augmix", "compression.rewind_epoch": [1]}],
    }
    plan = plan_of(sweep, {"seed": 5}, exclude=[{"domain": "clean", "compression.method": "lrr"}])
    assert [tuple(run.choice.values()) for run in plan.runs] == [
        ("lrr", {"name": "augmix", "jsd": False}),
        ("lth", "clean", 0),
        ("lth", "clean", 1),
        ("lth", {"name": "augmix", "jsd": False}, 0),
        (5,),
    ]


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ({"sweeps": [{"seed": 1, "exclude": [{"sed": 1}]}]}, "exclude names 'sed'.*did you mean 'seed'"),
        ({"sweeps": [{"seed": 1, "exclude": {"seed": 1}}]}, "exclude takes tables"),
        ({"sweeps": [{"seed": 1, "exclude": [{}]}]}, "is empty"),
        ({"sweeps": [{"seed": 1, "when": {"domain": {"seed": 1}}}]}, "when names 'domain'"),
        (
            {"sweeps": [{"seed": 1, "when": {"seed": {"seed": 1}}}]},
            "the condition of 'seed' in when names that key",
        ),
        ({"exclude": [{"seed": 1}]}, "exclude names 'seed'"),
        (
            {"sweeps": [{"compression.method": ["lrr", "lth"], "exclude": [{"compression.method": "lht"}]}]},
            "exclude gives 'compression.method' the value 'lht', which it never has; did you mean 'lth'",
        ),
        (
            {
                "sweeps": [
                    {"domain": {"name": "prime"}, "seed": 1, "when": {"seed": {"domain": ["prime", "x"]}}}
                ]
            },
            "when gives 'domain' the value 'x', which it never has; known: prime",
        ),
        (
            {"sweeps": [{"seed": [1, 2]}], "decks": [{"name": "a", "cards": [{"seed": [1, 3]}]}]},
            "the deck 'a' gives 'seed' the value 3, which it never has; known: 1, 2",
        ),
        (
            {"sweeps": [{"seed": 1}, {"domain": "clean"}], "exclude": [{"seed": 1, "domain": "clean"}]},
            "exclude names 'seed' and 'domain', which no sweep has together",
        ),
        ({"protocol": "equal_epoch"}, "unknown protocol 'equal_epoch'; did you mean 'equal_epochs'"),
        ({"sweeps": [{"protocol": "equal_epochs"}]}, "beside the sweeps"),
    ],
)
def test_bad_conditions_and_protocols_are_refused(table, named):
    with pytest.raises(ValidationError, match=named):
        Study.model_validate({"title": "a", **table})


def test_one_training_passes_through_all_sparsities_and_methods_share_their_dense_phase():
    plan = plan_of(
        {
            "compression.method": ["dense", "lrr", "lth", "ft", "gmp", "ep"],
            "compression.sparsity": [0.95, 0.5, 0.8],
            "compression.milestones": [[0.5, 0.8]],
        }
    )
    assert told(plan) == [
        *("(lth0", "dense90<lth0"),  # the first training of lth keeps what it rewinds to
        *("lrr50<lth0", "lrr80<lrr50", "lrr95<lrr80"),
        *("lth50<lth0", "lth80<lth50", "lth95<lth80"),
        *("ft95<lth0", "ft50<lth0", "ft80<lth0"),
        *("gmp95", "gmp50", "gmp80", "ep95", "ep50", "ep80"),
    ]
    assert plan.epochs == 8 * (1 + 3 + 3 + 3 + 6)
    assert plan.epochs_apart == 8 * (1 + 2 * (2 + 3 + 4) + 3 * 2 + 6)


def test_rounds_that_no_run_ends_with_and_roundings_are_shared():
    sweep = {"compression.method": "lrr", "compression.sparsity": [0.6, 0.7]}
    assert told(plan_of(sweep)) == ["(lrr59", "lrr60<lrr59", "lrr70<lrr59"]
    plan = plan_of({"compression.method": "dense", "quantization.weights": ["none", "fp16", "int8"]})
    assert [task.parent and task.parent.name for task in plan.tasks] == [
        None,
        *[plan.tasks[0].name] * 2,
    ]
    assert plan.epochs == 8


def test_what_changes_the_bits_is_not_shared():
    sweep = {"compression.method": "lrr", "compression.sparsity": 0.8, "compression.fraction_per_round": 0.6}
    plan = plan_of({**sweep, "compression.scope": ["global", "layerwise"], "training.momentum": [0.9, 0.8]})
    assert told(plan).count("(lrr0") == 2  # a dense phase for each momentum
    assert sum(task.measured for task in plan.tasks) == 4


@pytest.mark.parametrize(("method", "phases"), [("lrr", [2, 2, 4]), ("lth", [2, 2, 4]), ("ft", [4, 4])])
def test_protocols_say_how_long_phases_are(method, phases):
    sweep = {"compression.method": ["dense", method], "compression.sparsity": 0.8}
    sweep["compression.milestones"] = [[0.5]]
    plan = plan_of(sweep, protocol=["equal_schedule", "equal_epochs"])
    dense, scheduled, split = plan.runs
    assert [run.protocol for run in plan.runs] == ["", "equal_schedule", "equal_epochs"]
    assert "protocol" not in dense.choice
    assert {phase.epochs for phase in scheduled.phases} == {8}
    assert [phase.epochs for phase in split.phases] == phases
    assert epochs_of(split.phases) == epochs_of(dense.phases) == 8


def test_a_training_that_two_protocols_ask_for_is_one_run_and_counts_under_both():
    sweep = {"compression.sparsity": 0.8, "compression.milestones": [[0.5]]}
    short = {**sweep, "compression.method": ["dense", "lrr", "gmp"], "training.epochs": 2}
    long = {**sweep, "compression.method": ["dense", "lrr"], "training.epochs": 6}
    both = plan_of(
        {**short, "exclude": [{"protocol": "equal_epochs"}]},
        {**long, "exclude": [{"protocol": "equal_schedule"}]},
        protocol=["equal_schedule", "equal_epochs"],
    )
    assert [(run.name.split("-")[0], run.protocol, dict(run.dense_epochs)) for run in both.runs] == [
        ("dense", "", {"equal_schedule": 2}),
        ("lrr", "", {"equal_schedule": 2, "equal_epochs": 6}),
        ("gmp", "", {"equal_schedule": 2}),
        ("dense", "", {"equal_epochs": 6}),
    ]
    assert both.runs[1].choice == {
        "compression.method": "lrr",
        "compression.sparsity": 0.8,
        "compression.milestones": [0.5],
        "training.epochs": 2,
    }


def test_a_protocol_refuses_what_it_decides_itself_and_too_few_epochs():
    sweep = {"compression.method": "lrr", "compression.sparsity": 0.8}
    with pytest.raises(InputError, match=r"9 phases of lrr at sparsity 0\.8 do not fit in 8 epochs"):
        plan_of(sweep, protocol="equal_epochs")
    with pytest.raises(InputError, match=r"compression\.last_epochs is what protocol"):
        plan_of({**sweep, "compression.last_epochs": 3}, protocol="equal_schedule")


def test_ten_thousand_runs_are_planned_and_named_in_seconds():
    sweep = {
        "seed": list(range(250)),
        "domain": ["clean", "gaussian"],
        "compression.method": ["lrr", "lth", "gmp", "ft"],
        "compression.sparsity": [0.5, 0.6, 0.8, 0.9, 0.95],
    }
    started = time.process_time()
    plan = plan_of(sweep)
    assert len({run.name for run in plan.runs}) == 10_000
    assert time.process_time() - started < 10  # 3 s by itself
