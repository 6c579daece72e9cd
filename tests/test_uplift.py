"""What a treatment changed, in worlds whose truth is known: an effect that is found, none, one that is only seeming, and no look ahead."""

from pathlib import Path

import numpy as np
import pytest

from core.errors import FileError, GateError, NotFoundError
from core.metrics import auc
from core.uplift import curves
from core.uplift.balance import mean_differences, overlap
from core.uplift.learners import Floats, fit_uplift
from core.uplift.measure import Past, Uplift, covers_zero, measure, sentences
from core.uplift.treatments import read_treatment
from tests.worlds import at

COLUMNS = ["keen", "noise", "other"]


def world(
    n: int = 1500, effect: float = 0.0, pull: float = 0.0, seed: int = 0, hidden: float = 0.0
) -> tuple[Floats, Floats, Floats, Past, Floats]:
    """Features, treated, outcome, the time before, and the true uplift: `effect` for those above zero of the second feature.

    `pull` draws keen shoppers, who act more, into the treated; `hidden` does so by something that no feature holds.
    """
    rng = np.random.default_rng(seed)
    values, unseen = rng.normal(size=(n, 3)), rng.normal(size=n)
    treated = rng.random(n) < 1 / (1 + np.exp(-pull * values[:, 0] - hidden * unseen))
    base = 1 / (1 + np.exp(-(0.8 * values[:, 0] + (1.5 * unseen if hidden else 0))))
    truth = np.where(values[:, 1] > 0, effect, 0.0)
    outcome = (rng.random(n) < np.clip(base + truth * treated, 0, 1)).astype(float)
    before = (rng.random(n) < base).astype(float)
    return values, treated, outcome, Past(values, treated, before), truth


def measured(shuffles: int = 0, **asked: float) -> Uplift:
    values, treated, outcome, past, _truth = world(**asked)  # type: ignore[arg-type]
    return measure(COLUMNS, values, treated, outcome, past, np.random.default_rng(1), shuffles=shuffles)


def test_a_drawn_treatment_that_helps_some_is_found_and_so_are_they() -> None:
    found = measured(5, effect=0.4)
    values, treated, outcome, _past, truth = world(effect=0.4)
    assert found.is_balanced and found.told_apart.low <= 0.5 and found.is_to_be_believed
    assert found.effect.low > 0.05 and found.effect.low < truth.mean() < found.effect.high
    assert found.figures["x qini"].low > 0 and found.figures["t qini"].low > 0 and found.as_large == 0
    assert auc(truth > 0, found.fitted.uplift_x) > 0.85
    tenths = found.tenths.to_pylist()
    assert len(tenths) == 5 and sum(row["users"] for row in tenths) == len(outcome) and tenths[0]["effect"] > tenths[-1]["effect"] + 0.2
    assert sum(row["treated"] for row in tenths) == treated.sum() and values.shape[0] == found.users
    told = " ".join(map(str, sentences(found)))
    assert "as after a draw by lot" in told and "beats choosing by lot" in told and "not an experiment" not in told


def test_a_treatment_without_effect_shows_none() -> None:
    found = measured(5, effect=0.0, seed=3)
    assert covers_zero(found.effect) and found.figures["x qini"].low <= 0 and found.past is not None and covers_zero(found.past)
    assert found.as_large > 0
    told = " ".join(map(str, sentences(found)))
    assert "No effect is seen" in told and "Whom it helps most cannot be told" in told


def test_a_treatment_of_the_keen_is_no_experiment_and_its_seeming_effect_is_taken_off() -> None:
    found = measured(pull=1.2, n=2000)
    assert found.plain.low > 0.05 and not found.is_balanced and found.told_apart.low > 0.6 and not found.is_to_be_believed
    assert abs(found.effect.value) < found.plain.value / 2
    row = found.balance.to_pylist()[0]
    assert row["feature"] == "keen" and row["difference"] > 0.5 and abs(row["weighed"]) < row["difference"] / 2
    assert "This is not an experiment" in str(sentences(found)[0]) and "keen" in str(sentences(found)[0])


def test_what_no_feature_holds_is_given_away_by_the_time_before_the_start() -> None:
    found = measured(hidden=1.5, n=2000)
    assert found.past is not None and found.past.low > 0 and not found.is_to_be_believed
    assert any("for the time before the start" in str(sentence) for sentence in sentences(found))


def test_the_same_seed_gives_the_same_figures() -> None:
    values, treated, outcome, _past, _truth = world(600, effect=0.3)
    one, other = (fit_uplift(values, treated, outcome, None, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(one.uplift_x, other.uplift_x) and np.array_equal(one.effect, other.effect)


def test_nobodys_estimate_has_seen_her_own_outcome() -> None:
    values, treated, outcome, _past, _truth = world(400, effect=0.3)
    usual = fit_uplift(values, treated, outcome, None, np.random.default_rng(7))
    changed = outcome.copy()
    changed[17] = 1 - changed[17]
    other = fit_uplift(values, treated, changed, None, np.random.default_rng(7))
    assert usual.uplift_x[17] == other.uplift_x[17] and usual.uplift_t[17] == other.uplift_t[17]
    assert not np.array_equal(usual.uplift_t, other.uplift_t)


def test_the_areas_are_those_worked_out_by_hand() -> None:
    gain, auuc, qini = curves.areas(np.array([0.0, 4.0]), curves.by_uplift(np.array([1.0, 2.0])))
    assert gain[0] == 0 and gain[-1] == 2 and gain[10] == pytest.approx(2)
    assert auuc == pytest.approx(0.5 * (0 + 2) / 2 + 0.5 * 2) and qini == pytest.approx(auuc - 1)
    assert curves.areas(np.ones(8), np.arange(8))[2] == pytest.approx(0), "an order tells nothing where everybody gains the same"


def test_alike_groups_differ_by_nothing_and_all_are_counted_by_chance() -> None:
    values = np.array([[1.0], [2.0], [1.0], [2.0]])
    treated, chance = np.array([True, True, False, False]), np.array([0.5, 0.5, 0.5, 1.0])
    assert mean_differences(["a"], values, treated, np.full(4, 0.5)).to_pylist()[0]["difference"] == 0
    table = overlap(treated, chance)
    assert sum(table["treated"].to_pylist()) == 2 and sum(table["others"].to_pylist()) == 2 and table["others"].to_pylist()[-1] == 1


def test_small_groups_and_rare_outcomes_are_refused_with_both_numbers() -> None:
    values, treated, outcome, _past, _truth = world(180)
    with pytest.raises(GateError, match="needs 100 of each"):
        measure(COLUMNS, values, treated, outcome, None, np.random.default_rng(0))
    values, treated, outcome, _past, _truth = world(600)
    with pytest.raises(GateError, match=r"^0 of"):
        measure(COLUMNS, values, treated, np.zeros(600), None, np.random.default_rng(0))


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_file_of_treated_shoppers_is_read_with_and_without_those_held_out(tmp_path: Path) -> None:
    plain = read_treatment(written(tmp_path, "a.csv", "household_id\n1\n2\n2\n"), None, None, at(3))
    assert plain.treated == {"1", "2"} and plain.held_out is None and plain.start == at(3)
    drawn = read_treatment(written(tmp_path, "b.csv", "user_id,treated,start\na,1,2024-03-04\nb,holdout,2024-03-04\n"), None, None, None)
    assert drawn.treated == {"a"} and drawn.held_out == {"b"} and drawn.start == at(3)


def test_one_of_several_campaigns_is_named_and_its_start_looked_up(tmp_path: Path) -> None:
    people = written(tmp_path, "p.csv", "campaign_id,household_id\n1,a\n1,b\n2,c\n3,d\n")
    dates = written(tmp_path, "d.csv", "campaign_id,start_date\n1,2024-03-02\n2,2024-03-05\n3,2024-06-01\n")
    found = read_treatment(people, dates, "1", None, 7)
    assert found.treated == {"a", "b"} and found.start == at(1) and found.elsewhere == {"c"}
    with pytest.raises(NotFoundError, match="holds 3 campaigns"):
        read_treatment(people, dates, None, None)
    with pytest.raises(NotFoundError, match="no campaign '9'"):
        read_treatment(people, dates, "9", None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name\na\n", "lacks a column of shoppers"),
        ("user_id,treated\na,perhaps\n", "Line 2"),
        ("user_id\na\n", "stands in no file"),
    ],
)
def test_a_file_that_says_too_little_is_refused(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=told):
        read_treatment(written(tmp_path, "x.csv", text), None, None, None if "stands" in told else at(1))
    (tmp_path / "y.parquet").write_bytes(b"no parquet")
    with pytest.raises(FileError, match="cannot be read"):
        read_treatment(tmp_path / "y.parquet", None, None, at(1))
