"""Claims on made-up runs whose verdict is known, and the statistics that they rest on."""

import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from winninghand.results import About, CellResult, RunResult
from winninghand.results.claims import CLAIMS, Claim, Missing, compared, robust
from winninghand.results.claims.groups import Groups
from winninghand.results.claims.judging import judged
from winninghand.results.claims.statistics import Effect, holm, t_quantile, t_tail

IMAGES = 500
EVALUATION = {"corruptions": "fog", "severities": [3], "limit": IMAGES, "seed": 0, "batch_size": 256}
HARDNESS = np.random.default_rng(0).permutation((np.arange(IMAGES) + 0.5) / IMAGES)


@dataclass(frozen=True)
class Card:
    """What a made-up run is, and how robust."""

    method: str
    sparsity: float
    rate: float
    domain: str = "clean"
    scope: str = "global"
    width: int = 16
    bytes: int = 1000
    nonzero: int = 100
    error: float = 0.1
    protocol: str | None = None
    epochs: int = 4
    dense_epochs: dict[str, int] | None = None
    validated: float | None = None
    weights: str = "none"
    held: dict[str, str] = field(default_factory=dict)

    def run(self, seed):
        """Return the run of a seed, whose accuracy differs a little from the next one's."""
        rate = self.rate + 0.002 * math.sin(seed + len(self.method) + self.sparsity)
        recipe = {
            "network": {"name": "conv4", "width": self.width},
            "domain": {"name": self.domain},
            "seed": seed,
            "compression": {
                "method": self.method,
                "sparsity": self.sparsity,
                "scope": self.scope,
                **self.held,
            },
            "training": {"epochs": self.epochs},
            "quantization": {"weights": self.weights},
        }
        place = (
            self.domain,
            self.scope,
            self.width,
            self.weights,
            self.epochs,
            self.protocol,
            *self.held.values(),
            seed,
        )
        name = f"{self.method}{self.sparsity}-{'-'.join(map(str, place))}"
        known = {"bytes": self.bytes, "nonzero": self.nonzero, "parameters": 2500, "protocol": self.protocol}
        known |= {"dense_epochs": self.dense_epochs, "validation_accuracy": self.validated}
        about = About(name, "card", "study", "tiny", EVALUATION, recipe=recipe, **known)
        return measured(about, rate, self.error + 0.0005 * math.sin(seed))


def measured(about, rate, error=0.1, passes=1.0):
    """Return a run that answers the easiest images rightly, `rate` of them when they are corrupted."""

    def cell(corruption, severity, share):
        correct = share > HARDNESS
        accuracy = float(correct.mean())
        figures = (accuracy, accuracy, accuracy, error, error, passes)
        return CellResult(corruption, severity, "generated", *figures, correct)

    return RunResult.of(about, [cell("clean", 0, 0.9), cell("fog", 3, rate)])


def deck(name, rate, members, gate, passes, **settings):
    known = {"members": members, "bytes": 2000, "gate": gate, "choice": {"gate": gate, **settings}}
    about = About(name, "deck", "study", "tiny", EVALUATION, **known)
    return measured(about, rate, passes=passes)


DENSE = Card("dense", 0.0, 0.60)
KEPT = [Card(method, at, 0.62) for method in ("lrr", "lth", "ep", "bp") for at in (0.8, 0.9, 0.95)]
LOST = [Card(method, at, 0.50) for method in ("ft", "gmp") for at in (0.8, 0.9, 0.95)]


def verdicts(cards, seeds=3, more=()):
    """Return the rows of claims by protocol and name."""
    runs = [card.run(seed) for card in cards for seed in range(seeds)]
    return {(row["protocol"], row["name"]): row for row in judged([*runs, *more])}


def verdict(name, cards, seeds=3, more=()):
    row = verdicts(cards, seeds, more)["unstated", name]
    return row["verdict"], row


def test_a_claim_holds_where_all_its_comparisons_do():
    said, row = verdict("C1", [DENSE, *KEPT, *LOST])
    assert (said, row["missing"], len(row["evidence"])) == ("holds", [], 18)
    assert row["p"] <= 0.05
    assert row["low"] < row["effect"] < row["high"]
    first = row["evidence"][0]
    assert first["runs"] == [Card("lrr", 0.8, 0).run(seed).name for seed in range(3)]
    assert first["against"] == [DENSE.run(seed).name for seed in range(3)]
    assert first["effect"] == pytest.approx(0.02, abs=0.005)


def test_a_claim_fails_where_one_comparison_surely_does_whatever_is_missing():
    said, row = verdict("C1", [DENSE, Card("lrr", 0.95, 0.5), *LOST])
    assert said == "fails"
    assert "ep at 80%" in row["missing"]


@pytest.mark.parametrize(
    ("cards", "seeds", "missing"),
    [
        ([DENSE, *KEPT[1:], *LOST], 3, "lrr at 80%"),
        ([DENSE, *KEPT, *LOST], 1, "a second seed of lrr at 80%, conv4 of width 16, clean"),
        ([*KEPT, *LOST], 3, "a dense network to compare with lrr at 80%, conv4 of width 16, clean"),
        ([DENSE, *KEPT, *LOST[:-1], Card("gmp", 0.95, 0.59)], 3, None),
    ],
)
def test_a_claim_is_undecided_where_runs_or_certainty_are_missing(cards, seeds, missing):
    said, row = verdict("C1", cards, seeds)
    assert said == "undecided"
    assert row["missing"] == [] if missing is None else missing in row["missing"]


def test_a_planned_run_without_figures_keeps_its_claims_from_holding():
    cards, names = [DENSE, KEPT[-1]], {"compression.method": "bp"}
    runs = [card.run(seed) for card in cards for seed in range(3)]
    planned = [{"run": run.name, "choice": {**names, "seed": run.about.seed}} for run in runs[3:]]
    planned.append({"run": "bp-3", "choice": {**names, "seed": 3}})

    def row(ended):
        return next(row for row in judged(runs, planned, ended) if row["name"] == "C6")

    assert (row({})["verdict"], row({})["missing"]) == ("undecided", ["bp-3, which is not finished"])
    assert row({"bp-3": "whose training diverged"})["missing"] == ["bp-3, whose training diverged"]
    planned[-1]["choice"]["domain"] = "augmix"  # it is of another recipe
    assert row({})["verdict"] == "holds"


LAYERWISE = Card("lrr", 0.95, 0.50, scope="layerwise")
AUGMIX = [Card("dense", 0.0, 0.70, "augmix"), Card("lrr", 0.95, 0.62), Card("lrr", 0.95, 0.74, "augmix")]
WIDE = Card("lrr", 0.9, 0.66, width=64, bytes=900, nonzero=105)


@pytest.mark.parametrize(
    ("name", "cards", "said"),
    [
        ("C2", [Card("lrr", 0.95, 0.55), LAYERWISE], "holds"),
        ("C2", [Card("lrr", 0.95, 0.45), LAYERWISE], "fails"),
        ("C2", [Card("lrr", 0.9, 0.45), LAYERWISE], "undecided"),
        ("C3", [DENSE, *AUGMIX], "holds"),
        ("C3", [DENSE, *AUGMIX[:2], Card("lrr", 0.95, 0.64, "augmix")], "fails"),
        ("C3", [DENSE, *AUGMIX[1:]], "undecided"),
        ("C5", [Card("lrr", 0.95, 0.5, bytes=1001)], "fails"),
        ("C5", [Card("lrr", 0.95, 0.5, bytes=999)], "undecided"),
        ("C6", [DENSE, KEPT[-1]], "holds"),
        ("C6", [DENSE, Card("bp", 0.9, 0.5), KEPT[-1]], "fails"),
        ("C7", [DENSE, WIDE], "holds"),
        ("C7", [DENSE, Card("lrr", 0.9, 0.5, width=64, bytes=900)], "fails"),
        ("C7", [DENSE, Card("lrr", 0.9, 0.66, width=64, bytes=500)], "undecided"),
        ("C8", [DENSE, Card("lrr", 0.5, 0.63, width=32), WIDE], "holds"),
        ("C8", [DENSE, Card("lrr", 0.5, 0.57, width=32), Card("lrr", 0.9, 0.5, width=64)], "fails"),
        ("C8", [DENSE, Card("lrr", 0.9, 0.66, width=64, nonzero=150)], "undecided"),
        ("C9", [DENSE, Card("lrr", 0.95, 0.6, error=0.2)], "holds"),
        ("C9", [DENSE, Card("lrr", 0.95, 0.6)], "fails"),
        ("C9", [DENSE], "undecided"),
    ],
)
def test_verdicts_that_are_known(name, cards, said):
    assert verdict(name, cards)[0] == said


def test_a_rise_over_equal_capacity_is_that_of_the_line():
    row = verdict("C8", [DENSE, Card("lrr", 0.5, 0.63, width=32), WIDE])[1]
    x, y = np.array([0.0, 0.5, 0.9]), np.array([0.60, 0.63, 0.66])
    assert row["effect"] == pytest.approx(0.9 * np.polyfit(x, y, 1)[0], abs=0.004)


def test_a_rise_over_equal_capacity_is_of_one_way_of_compressing():
    others = [
        Card("lrr", 0.9, 0.4, width=64, scope="layerwise"),
        Card("lrr", 0.9, 0.4, width=64, epochs=12),
        Card("dense", 0.0, 0.9, epochs=12),
    ]
    both = {"equal_schedule": 4, "equal_epochs": 12}
    chain = [Card("lrr", 0.5, 0.63, width=32, dense_epochs=both), WIDE]
    row = verdicts([DENSE, *chain, *others])["equal_schedule", "C8"]
    (found,) = (one for one in row["evidence"] if "width 64" in one["comparison"] and one["effect"] > 0)
    assert {*found["runs"], *found["against"]} == {
        card.run(seed).name for card in (DENSE, *chain) for seed in range(3)
    }


def test_decks_of_one_body_are_held_against_their_card_alone_those_of_each_table_apart():
    card = Card("lrr", 0.95, 0.60)

    def decks(name, rate, **settings):
        for seed in range(3):
            members = (card.run(seed).name,)
            yield deck(f"{name}{seed}", rate + 0.002 * math.sin(seed), members, "weighted", 3.0, **settings)

    said, row = verdict("C4", [card], more=[*decks("all", 0.70), *decks("one", 0.65, max_active=1)])
    # The claim speaks of gated decks of several cards, too.
    assert (said, row["missing"]) == (
        "undecided",
        ["a gated deck of several cards, and the average of the same"],
    )
    found = [(one["runs"][0], one["seeds"], one["verdict"]) for one in row["evidence"]]
    assert found == [("all0", 3, "holds"), ("one0", 3, "holds")]
    mixed = [*decks("all", 0.70)][:2] + [*decks("one", 0.65, max_active=1)][2:]
    assert [one["seeds"] for one in verdict("C4", [card], more=mixed)[1]["evidence"]] == [2, 1]


def test_what_is_counted_speaks_least_by_its_share_of_the_limit():
    cards = [Card("lrr", 0.95, 0.6, bytes=300), Card("gmp", 0.95, 0.6, bytes=400)]
    assert verdict("C5", cards)[1]["effect"] == pytest.approx(0.04)


def test_decks_are_held_against_each_card_and_the_average():
    cards = [Card("lrr", 0.95, 0.60), Card("lrr", 0.95, 0.64, "augmix")]

    def decks(rate, passes):
        for seed in range(3):
            members = tuple(card.run(seed).name for card in cards)
            yield deck(f"gated{seed}", rate + 0.002 * math.sin(seed), members, "weighted", passes)
            yield deck(f"average{seed}", 0.66 + 0.002 * math.cos(seed), members, "average", 2.0)

    said, row = verdict("C4", cards, more=list(decks(0.70, 1.0)))
    assert (said, row["missing"]) == ("holds", [])
    assert len(row["evidence"]) == 6  # each deck over both cards, over the average, and its passes
    assert verdict("C4", cards, more=list(decks(0.70, 2.0)))[0] == "fails"  # no fewer passes
    assert verdict("C4", cards, more=list(decks(0.50, 1.0)))[0] == "fails"
    said, row = verdict("C4", cards, more=list(decks(0.70, 1.0))[:2])
    assert said == "undecided"
    assert "a second deck like gated0, of cards of other seeds" in row["missing"]


def test_a_planned_deck_without_figures_keeps_c4_from_holding():
    cards = [Card("lrr", 0.95, 0.60), Card("lrr", 0.95, 0.64, "augmix")]
    runs = [card.run(seed) for seed in range(4) for card in cards]
    planned = [{"run": run.name, "choice": {"domain": run.about.domain}} for run in runs]
    made, decks = [], []
    for seed in range(4):
        members = [run.name for run in runs if run.about.seed == seed]
        decks.append({"run": f"gated{seed}", "choice": {"gate": "weighted"}, "cards": members})
        made.append(deck(f"gated{seed}", 0.70 + 0.002 * math.sin(seed), members, "weighted", 1.0))
        made.append(deck(f"average{seed}", 0.66 + 0.002 * math.cos(seed), members, "average", 2.0))

    def row(decks):
        found = judged([*runs, *made[:6]], [*planned, *decks], {"gated3": "which could not be made"})
        return next(row for row in found if row["name"] == "C4")

    assert row(decks[:3])["verdict"] == "holds"
    assert (row(decks)["verdict"], row(decks)["missing"]) == (
        "undecided",
        ["gated3, which could not be made"],
    )
    decks[-1]["cards"] = decks[-1]["cards"][:1]  # it is of other cards
    assert row(decks)["verdict"] == "holds"


def test_each_protocol_is_judged_with_what_is_the_same_under_both():
    rates = {"equal_schedule": 0.62, "equal_epochs": 0.5}
    binary = [Card("bp", 0.95, rate, scope=name, protocol=name) for name, rate in rates.items()]
    rows = verdicts([DENSE, *binary])
    assert len(rows) == 2 * len(CLAIMS)
    assert rows["equal_schedule", "C6"]["verdict"] == "holds"
    assert rows["equal_epochs", "C6"]["verdict"] == "fails"


def test_a_card_is_compared_with_the_dense_network_that_is_as_long_as_the_protocol_says():
    long = Card("dense", 0.0, 0.66, epochs=12)
    both = Card("bp", 0.95, 0.62, dense_epochs={"equal_schedule": 4, "equal_epochs": 12})
    alone = Card("bp", 0.8, 0.62, protocol="equal_epochs", epochs=2, dense_epochs={"equal_epochs": 6})
    for dense in ([DENSE, long], [long, DENSE]):
        rows = verdicts([*dense, both, alone])
        for protocol, effect in (("equal_schedule", 0.02), ("equal_epochs", -0.04)):
            (evidence,) = rows[protocol, "C6"]["evidence"]
            assert evidence["effect"] == pytest.approx(effect, abs=0.005)
        assert rows["equal_epochs", "C6"]["missing"] == [
            "a dense network of 6 epochs to compare with bp at 80%, conv4 of width 16, clean"
        ]


def test_of_dense_networks_of_equal_bytes_the_best_on_validation_images_is_the_rival():
    card = Card("lrr", 0.95, 0.62, width=32)
    short = Card("dense", 0.0, 0.58, bytes=1000, validated=0.7)
    long = Card("dense", 0.0, 0.61, bytes=1200, epochs=12, validated=0.8)
    wide = Card("dense", 0.0, 0.70, bytes=2000, width=24, validated=0.9)
    (evidence,) = verdict("C7", [card, short, long, wide])[1]["evidence"]
    assert evidence["against"] == [long.run(seed).name for seed in range(3)]
    small = Card("dense", 0.0, 0.62, bytes=500, width=20, epochs=12, validated=0.85, weights="int8")
    (evidence,) = verdict("C7", [card, short, long, wide, small])[1]["evidence"]
    assert evidence["against"] == [small.run(seed).name for seed in range(3)]
    assert evidence["comparison"].endswith("over width 20, weights int8")
    assert verdict("C7", [card, wide, small])[1]["missing"]  # with a card's bytes it might have done better


def test_a_claim_of_one_s_own_is_judged_and_corrected_with_the_others(monkeypatch):
    monkeypatch.setattr(CLAIMS, "_entries", {**CLAIMS._entries})

    @CLAIMS.register("C10")
    class Wider(Claim):
        name = "C10"
        sentence = "A wider dense network is more robust"
        statistic = "robust accuracy of width 64 less that of width 16"

        def comparisons(self, groups):
            by_width = {card.width: card for card in groups.cards if card.method == "dense"}
            if by_width.keys() >= {16, 64}:
                yield compared("64 over 16", [(1, by_width[64]), (-1, by_width[16])], robust)
            else:
                yield Missing("dense networks of widths 16 and 64")

    alone = verdict("C10", [DENSE, Card("dense", 0.0, 0.63, width=64)])[1]
    assert alone["verdict"] == "holds"
    beside = verdict("C10", [DENSE, KEPT[-1], Card("dense", 0.0, 0.63, width=64)])[1]
    assert beside["p"] == pytest.approx(3 * alone["p"])  # C9 is surer; C1 and C6 are less sure
    assert verdict("C10", [DENSE])[0] == "undecided"


def test_quantiles_and_corrections_are_those_of_the_tables():
    assert [t_quantile(0.05, freedom) for freedom in (1, 2, 4, 9, 999)] == pytest.approx(
        [12.7062, 4.3027, 2.7764, 2.2622, 1.9623], abs=5e-5
    )
    assert t_tail(12.7062, 1) == pytest.approx(0.05, abs=1e-6)
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_of_seeds_alone_or_images_alone_it_is_the_t_test():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    for seeds in (2, 3, 5):
        values = rng.normal(0.5, 1, (seeds, 1))
        assert Effect.of(values).p_value() == pytest.approx(stats.ttest_1samp(values[:, 0], 0).pvalue)
    images = rng.normal(0.1, 1, 300)
    same = Effect.of(np.stack([images] * 3))
    assert same.p_value() == pytest.approx(stats.ttest_1samp(images, 0).pvalue)
    assert same.interval() == pytest.approx(stats.ttest_1samp(images, 0).confidence_interval(0.95))


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("spread", [(0.0, 1.0), (0.05, 1.0), (1.0, 0.01)])
def test_null_effects_are_seldom_found_and_large_ones_are(seeds, spread):
    over_seeds, over_images = spread
    rng, found, rounds = np.random.default_rng(seeds), 0, 400
    for _ in range(rounds):
        noise = rng.normal(0, over_seeds, (seeds, 1)) + rng.normal(0, over_images, (1, 200))
        low, high = Effect.of(noise + rng.normal(0, over_images, (seeds, 200))).interval()
        found += not low <= 0 <= high
    assert found / rounds <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / rounds)
    effect = Effect.of(noise + 40 * (over_seeds + over_images / 10))
    assert effect.p_value() < 0.05


def test_a_single_seed_has_an_interval_over_images_and_no_p_value():
    effect = Effect.of(np.random.default_rng(0).normal(0.5, 1, (1, 100)))
    assert effect.p_value() is None
    assert 0 < effect.half_width() < 0.3
    row = verdict("C9", [DENSE, Card("lrr", 0.95, 0.6, error=0.2)], seeds=1)[1]
    assert (row["effect"], row["low"], row["p"]) == (pytest.approx(0.1), None, None)


def test_of_single_seeds_that_speaks_least_whose_effect_is_least():
    cards = [Card(method, 0.95, 0.6, error=0.1 + off) for method, off in (("lrr", 0.2), ("gmp", 0.05))]
    row = verdict("C9", [DENSE, *cards], seeds=1)[1]
    assert (row["effect"], row["low"]) == (pytest.approx(0.05), None)


def test_cards_of_one_label_are_named_with_what_they_differ_in():
    cards = [Card("gmp", 0.95, 0.5, epochs=epochs) for epochs in (24, 72)]
    groups = Groups.of([card.run(seed) for card in (DENSE, *cards) for seed in (0, 1)], "equal_epochs")
    assert [group.label for group in groups.chosen()] == [
        f"gmp at 95%, conv4 of width 16, clean, training.epochs {epochs}" for epochs in (24, 72)
    ]


def test_cards_that_hold_their_sparsity_in_different_ways_have_different_names():
    plain = Card("lrr", 0.95, 0.5)
    held = [replace(LAYERWISE, held={"distribution": "erk"}), replace(plain, held={"budget": "macs"})]
    cards = [plain, LAYERWISE, *held]
    groups = Groups.of([card.run(0) for card in (DENSE, *cards)], "equal_schedule")
    named = {group.label.partition(",")[0] for group in groups.cards}
    assert named == {
        "dense",
        "lrr at 95%",
        "lrr at 95% layerwise",
        "lrr at 95% layerwise erk",
        "lrr at 95% macs",
    }
