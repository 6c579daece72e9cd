"""The propensity: gates, calibration, determinism, direction, and figures that can be recomputed from what is exported."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
import torch

from core.artifacts import read_arrays, read_table
from core.errors import GateError
from core.metrics import CLIP, auc, log_loss
from core.predictor import reasons
from core.predictor.calibration import Calibrator, choose_calibration, coverage, fit_calibrator, fit_ranges
from core.predictor.drift import Drift, drift_of, fit_shift, learn_drift
from core.predictor.matrix import Matrix, fit_scaling, matrix_of, stack, user_folds
from core.predictor.models import Model, fit_models
from core.predictor.network import fit_network, logit_loss
from core.predictor.options import BoostingOptions, NetworkOptions, PropensityOptions
from core.predictor.plan import make_plan
from core.predictor.propensity import fit_propensity
from core.predictor.reasons import list_reasons
from core.predictor.result import PropensityResult, save_result
from core.store import Log
from tests.worlds import at

COLUMNS = ["days_since_event", "events_all", "carts_28d", "orders_all", "constant"]
OPTIONS = PropensityOptions(
    horizon=timedelta(days=7),
    network=NetworkOptions(members=2, epochs=10, hidden=(16,), patience=3, batch_size=256),
    boosting=BoostingOptions(members=2, rounds=60, patience=15, learning_rate=0.1, leaves=8),
)


class World:
    """Shoppers whose chance rises with carts and falls with silence; nothing else matters."""

    def __init__(self, users: int = 700, days: float = 60, shuffled: bool = False, rate: float = 0.0, text: bool = False,
                 sequence: bool = False) -> None:  # fmt: skip
        self.users = [f"u{i:04d}" for i in range(users)]
        self.log = Log(path=Path("never opened"), start=at(0), until=at(days))
        self.shuffled, self.rate, self.text, self.sequence = shuffled, rate, text, sequence
        self.asked: list[datetime] = []

    def matrix_at(self, cutoff: datetime) -> Matrix:
        self.asked.append(cutoff)
        rng = np.random.default_rng((cutoff - at(0)).days + 1)
        n = len(self.users)
        silence, events = rng.exponential(10, n), rng.poisson(6, n).astype(float) + 1
        carts, orders = rng.poisson(1.0, n).astype(float), rng.poisson(2, n).astype(float)
        silence[rng.random(n) < 0.1] = np.nan
        values = np.column_stack([silence, events, carts, orders, np.ones(n)])
        text = rng.normal(size=(n, 6)).astype(np.float32) if self.text else None
        further = {}
        if self.sequence:  # tells the carts again, in one of six directions
            further["sequence"] = rng.normal(size=(n, 6)).astype(np.float32)
            further["sequence"][:, 0] += 4 * carts
        return Matrix(self.users, COLUMNS, values, text, further)

    def labels_at(self, cutoff: datetime) -> pa.Table:
        values = self.matrix_at(cutoff).values
        rng = np.random.default_rng((cutoff - at(0)).days + 1000)
        logits = self.rate + 1.2 * values[:, 2] - 0.12 * np.nan_to_num(values[:, 0], nan=30)
        chance = np.full(len(logits), 0.4) if self.shuffled else 1 / (1 + np.exp(-logits))
        return pa.table({"user_id": self.users, "label": (rng.random(len(chance)) < chance).astype(np.int8)})

    def fit(self, options: PropensityOptions = OPTIONS, seed: int = 0) -> PropensityResult:
        return fit_propensity(self.log, self.matrix_at, self.labels_at, options, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def fitted() -> PropensityResult:
    return World().fit()


def test_everyone_gets_a_propensity_inside_its_range_and_never_zero_or_one(fitted: PropensityResult) -> None:
    scores = fitted.scores.to_pydict()
    chance, low, high = (np.array(scores[name]) for name in ("propensity", "low", "high"))
    assert scores["user_id"] == World().users
    assert ((low <= chance) & (chance <= high)).all()
    assert (low > 0).all() and (high < 1).all()
    assert set(scores["band"]) <= {"cold", "warm", "hot"}


def test_the_models_find_what_matters(fitted: PropensityResult) -> None:
    for name in ("mlp", "lightgbm", "mean", "propensity"):
        assert fitted.metrics["models"][name]["auc"]["value"] > 0.72
        assert fitted.metrics["models"][name]["log_loss"]["value"] < fitted.metrics["base_log_loss"]
    strongest = fitted.reasons.filter(pa.compute.equal(fitted.reasons["place"], 1))["feature"].to_pylist()
    assert set(strongest) <= {"carts_28d", "days_since_event"} or np.mean([f in ("carts_28d", "days_since_event") for f in strongest]) > 0.9


def test_reasons_of_many_shoppers_are_written_in_parts(fitted: PropensityResult, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fitted.kept is not None
    people, model, parts = World().matrix_at(at(60)), fitted.kept.model, 0
    whole = list_reasons(model, people, 1.0, 5)

    class Counted:
        def contributions(self, matrix: Matrix) -> Any:
            nonlocal parts
            parts += 1
            return model.contributions(matrix)

    monkeypatch.setattr(reasons, "ROWS", 150)
    split = list_reasons(cast(Model, Counted()), people, 1.0, 5)
    assert parts == 4
    assert split.drop_columns(["contribution"]).equals(whole.drop_columns(["contribution"]))
    assert split["contribution"].to_numpy() == pytest.approx(whole["contribution"].to_numpy(), abs=2e-6)


def test_figures_equal_those_computed_from_the_exported_table(fitted: PropensityResult) -> None:
    table = fitted.test.to_pydict()
    for name in ("propensity", "mlp", "lightgbm", "logistic", "mean"):
        found = fitted.metrics["models"][name]
        assert found["log_loss"]["value"] == pytest.approx(log_loss(table["label"], table[name]), abs=1e-12)
        assert found["auc"]["value"] == pytest.approx(auc(table["label"], table[name]), abs=1e-12)
    assert fitted.lift["lift"].to_pylist()[-1] == pytest.approx(1.0)


def test_the_same_seed_gives_the_same_bytes(fitted: PropensityResult) -> None:
    again = World().fit()
    assert again.scores.equals(fitted.scores)
    assert again.reasons.equals(fitted.reasons)
    assert again.verdict == fitted.verdict
    assert not World().fit(seed=1).scores.equals(fitted.scores)


def test_labels_of_chance_cannot_be_predicted() -> None:
    found = World(shuffled=True).fit().metrics["models"]["propensity"]["auc"]
    assert found["low"] - 0.03 <= 0.5 <= found["high"] + 0.03


def test_a_further_cart_event_never_lowers_the_propensity_by_more_than_noise() -> None:
    world = World(users=900)
    train = stack([world.matrix_at(at(d)) for d in (20, 27, 34)])
    labels = np.concatenate([world.labels_at(at(d))["label"].to_numpy().astype(float) for d in (20, 27, 34)])
    fitted = fit_models(["mlp", "lightgbm", "logistic", "mean"], train, labels, OPTIONS, np.random.default_rng(0), lambda s, m: None)
    before = world.matrix_at(at(41))
    more = before.values.copy()
    more[:, 2] += 1
    after = Matrix(before.user_ids, before.columns, more)
    for name in ("mlp", "logistic", "mean"):
        typical = before.values[:, 2] < 3  # beyond, hardly anyone was seen
        assert (fitted[name].logits(after) - fitted[name].logits(before))[typical].min() > -0.05, name


def test_the_gradient_of_the_loss_in_a_logit_is_propensity_minus_label() -> None:
    logits = torch.linspace(-3, 3, 7, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 1, 0, 1, 1, 0, 1], dtype=torch.float64)
    (logit_loss(logits, labels) * 7).backward()
    step = 1e-6
    numeric = [
        float((logit_loss(logits.detach() + step * unit, labels) - logit_loss(logits.detach() - step * unit, labels)) * 7 / (2 * step))
        for unit in torch.eye(7, dtype=torch.float64)
    ]
    assert np.allclose(logits.grad.numpy(), numeric, atol=1e-5)
    assert np.allclose(logits.grad.numpy(), (torch.sigmoid(logits.detach()) - labels).numpy(), atol=1e-12)


@pytest.mark.parametrize(
    ("world", "message"),
    [
        (World(users=150, rate=-8), "1 user with and 149 without a purchase in 7 days; 100 of each"),
        (World(users=150, rate=30), "Nothing to tell apart"),
        (World(days=10), "horizon of at most 5 days"),
    ],
)
def test_below_the_gate_both_numbers_and_a_way_out_are_named(world: World, message: str) -> None:
    with pytest.raises(GateError, match=message):
        world.fit()


@pytest.mark.parametrize(("days", "kind"), [(60, "full"), (24, "short"), (16, "single")])
def test_shorter_logs_get_a_smaller_plan_and_say_so(fitted: PropensityResult, days: float, kind: str) -> None:
    result = fitted if kind == "full" else World(days=days).fit()
    assert result.windows["plan"] == kind
    assert result.scores.num_rows == 700
    assert bool(result.warnings) == (kind != "full")
    assert result.metrics["models"]["propensity"]["auc"]["value"] > 0.7


def test_no_window_of_a_role_reaches_into_a_later_role() -> None:
    world = World()
    plan = make_plan(world.log.start, world.log.until, world.labels_at, OPTIONS)
    assert plan.calibrate is not None and plan.test is not None
    assert max(plan.train) + OPTIONS.horizon <= plan.calibrate
    assert plan.calibrate + OPTIONS.horizon <= plan.test
    assert plan.test + OPTIONS.horizon == plan.use


def test_test_labels_change_neither_calibration_nor_winner(fitted: PropensityResult) -> None:
    class Turned(World):
        def labels_at(self, cutoff: datetime) -> pa.Table:
            table = super().labels_at(cutoff)
            return table if cutoff != at(53) else table.set_column(1, "label", pa.array(1 - table["label"].to_numpy()))

    turned = Turned().fit()
    assert turned.windows["test"] == at(53)
    assert turned.test.drop_columns("label").equals(fitted.test.drop_columns("label"))
    assert turned.verdict["winner"] == fitted.verdict["winner"]
    assert turned.metrics["calibration"] == fitted.metrics["calibration"]
    assert any("drifts" in warning for warning in turned.warnings)


def test_scaling_is_fitted_on_training_rows_and_fills_empty_values() -> None:
    matrix = World().matrix_at(at(20))
    scaling = fit_scaling(matrix, 0)
    inputs = scaling.apply(matrix)
    assert "constant" not in scaling.names()
    assert scaling.names().count("days_since_event") == 2  # the value, and whether it is there
    assert np.isfinite(inputs).all()
    assert abs(inputs[:, 1].mean()) < 1e-3 and inputs[:, 1].std() == pytest.approx(1, abs=1e-2)
    assert {entry["feature"] for entry in scaling.card()} == {"days_since_event", "events_all", "carts_28d", "orders_all"}


def test_the_network_explains_its_whole_logit() -> None:
    world = World(text=True)
    matrix = world.matrix_at(at(20))
    labels = world.labels_at(at(20))["label"].to_numpy().astype(float)
    network = fit_network(matrix, labels, OPTIONS.network, np.random.default_rng(0))
    names, shares = network.contributions(matrix)
    origin = network.module(torch.zeros(2, 1, len(network.scaling.names()))).mean().item()
    assert "text profile" in names
    assert np.abs(shares.sum(axis=1) + origin - network.logits(matrix)).max() < 0.05


def test_with_texts_the_verdict_says_whether_they_help() -> None:
    result = World(text=True).fit()
    assert any("The profile text does not help" in sentence or "hurts" in sentence for sentence in result.verdict["sentences"])
    assert "mlp_counts" in result.metrics["models"]


def test_the_order_of_acts_is_one_more_contender_and_the_verdict_says_what_it_earned() -> None:
    result = World(sequence=True).fit()
    models = set(result.metrics["models"])
    assert {"mlp_sequence", "lightgbm_sequence", "mean_sequence"} <= models and "mlp_counts" not in models
    found = result.verdict["sequence"]
    assert found["without"] == {"mlp_sequence": "mlp", "lightgbm_sequence": "lightgbm", "mean_sequence": "mean"}[found["model"]]
    earned = result.verdict["winner"] == found["model"]
    assert any(("earned their place" if earned else "earned no place") in sentence for sentence in result.verdict["sentences"])
    test = result.test.to_pydict()
    losses = [log_loss(test["label"], np.array(test[name])) for name in (found["model"], found["without"])]
    assert found["value"] == pytest.approx(losses[0] - losses[1], abs=1e-9)


def test_the_order_of_acts_wins_when_it_alone_tells() -> None:
    world = World(sequence=True)
    seen = world.matrix_at

    def hidden(cutoff: datetime) -> Matrix:
        matrix = seen(cutoff)
        values = matrix.values.copy()
        values[:, 2] = 1
        return replace(matrix, values=values)

    result = fit_propensity(world.log, hidden, world.labels_at, OPTIONS, np.random.default_rng(0))
    assert result.verdict["winner"].endswith("_sequence") and result.verdict["sequence"]["high"] < 0
    assert any("The further blocks earned their place" in sentence for sentence in result.verdict["sentences"])
    assert "sequence profile" in result.reasons["feature"].to_pylist()


def test_models_without_the_sequence_give_the_same_with_and_without_it() -> None:
    with_it = World(sequence=True)
    train, labels = with_it.matrix_at(at(20)), with_it.labels_at(at(20))["label"].to_numpy().astype(float)
    names, quiet = ["mlp", "lightgbm", "logistic"], lambda share, message: None
    one = fit_models(names, train, labels, OPTIONS, np.random.default_rng(0), quiet)
    other = fit_models(names, train.without_further(), labels, OPTIONS, np.random.default_rng(0), quiet)
    for name in names:
        assert np.array_equal(one[name].logits(with_it.matrix_at(at(27))), other[name].logits(with_it.matrix_at(at(27)).without_further()))


def test_folds_never_split_a_user() -> None:
    users = ["a", "b", "c", "d"] * 3
    folds = user_folds(users, 2, np.random.default_rng(0))
    assert len({(u, f) for u, f in zip(users, folds.tolist(), strict=True)}) == 4
    assert set(folds.tolist()) == {0, 1}


def test_calibration_is_kept_when_it_is_right_and_mended_when_it_is_not() -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 1.5, 4000)
    labels = (rng.random(4000) < 1 / (1 + np.exp(-logits))).astype(float)
    folds = np.arange(4000) % 5
    assert choose_calibration(logits, labels, folds).calibrator.method == "none"
    chosen = choose_calibration(2 * logits + 1, labels, folds)
    assert chosen.calibrator.method in ("sigmoid", "isotonic")
    assert chosen.losses[chosen.calibrator.method] < chosen.losses["none"] - 0.05
    sigmoid = fit_calibrator("sigmoid", 2 * logits + 1, labels)
    assert (sigmoid.slope, sigmoid.intercept) == (pytest.approx(0.5, abs=0.05), pytest.approx(-0.5, abs=0.1))


def test_a_correction_is_carried_on_where_drift_lasts_and_not_where_it_was_weather() -> None:
    rng = np.random.default_rng(4)

    def drift(*levels: float) -> Drift:
        windows = []
        for level in levels:
            values = rng.normal(0, 1.5, (2000, 1))
            labels = (rng.random(2000) < 1 / (1 + np.exp(-values[:, 0] - level))).astype(float)
            windows.append((Matrix([""] * 2000, ["orders_all"], values), labels))
        return learn_drift(windows, rng)

    lasting, weather, steady = drift(0, 0.4, 0.8, 1.2, 1.6), drift(0, 0.6, 0, 0.6, 0), drift(0, 0, 0, 0, 0)
    assert lasting.carried >= 0.75 and weather.carried <= 0.3 and len(lasting.shifts) == 3
    assert steady.between < 0.13 < 0.17 < weather.between
    assert drift(0, 1) == Drift()  # two windows tell nothing


def test_ranges_of_a_level_that_jumps_hold_it_as_often_as_they_state() -> None:
    rng = np.random.default_rng(0)
    for jump in (0.1, 0.3):
        held = []
        for _ in range(400):
            before = rng.normal(0, 0.2, 5)
            after = 0.6 * before + rng.normal(0, jump, 5)
            found = drift_of(list(zip(before[:4], after[:4], strict=True)))
            held.append(abs(after[4] - found.carried * before[4]) <= found.half(0.9))
        assert 0.84 <= np.mean(held) <= 0.98  # a steadier log than was thought beforehand is held more often, a wilder one less


def test_a_shift_makes_as_many_act_as_were_foretold() -> None:
    logits, labels = np.array([-1.0, 0.0, 1.0, 2.0] * 50), np.array([0.0, 0.0, 0.0, 1.0] * 50)
    shift = fit_shift(logits, labels)
    assert shift < -1 and (1 / (1 + np.exp(-logits - shift))).sum() == pytest.approx(50, abs=0.5)


@pytest.mark.parametrize("method", ["none", "shift", "sigmoid", "isotonic"])
def test_calibration_keeps_order_and_stays_inside_the_open_interval(method: str) -> None:
    rng = np.random.default_rng(0)
    logits = np.sort(rng.normal(0, 9, 500))
    chance = fit_calibrator(method, logits, (rng.random(500) < 0.5).astype(float)).apply(logits)
    assert (np.diff(chance) >= 0).all()
    assert chance.min() >= CLIP and chance.max() <= 1 - CLIP


def test_ranges_cover_what_they_state_when_nothing_drifts() -> None:
    rng = np.random.default_rng(1)
    held = []
    for _ in range(20):
        chance = rng.beta(1, 3, 6000)
        labels = (rng.random(6000) < chance).astype(float)
        table = fit_ranges(labels[:3000], chance[:3000])
        low, high = table.around(chance[3000:], np.zeros(3000))
        held.append(coverage(labels[3000:], chance[3000:], low, high)["measured"])
    assert 0.87 <= np.mean(held) <= 0.93


def test_a_calibrator_of_extreme_logits_is_never_certain() -> None:
    assert Calibrator("none").apply(np.array([-900.0, 900.0])).tolist() == [CLIP, 1 - CLIP]


def test_what_is_saved_can_be_read_and_holds_no_pickle(fitted: PropensityResult, tmp_path: Path) -> None:
    record = save_result(fitted, tmp_path)
    assert read_table(tmp_path / "scores.parquet").equals(fitted.scores)
    assert {p.suffix for p in tmp_path.iterdir()} <= {".parquet", ".safetensors", ".txt", ".json"}
    assert json.loads((tmp_path / "card.json").read_text())["winner"] == fitted.verdict["winner"]
    assert set(record) == {"metrics", "verdict", "windows", "warnings"}
    if (tmp_path / "model.safetensors").exists():
        assert read_arrays(tmp_path / "model.safetensors")


def test_large_logs_are_learned_from_a_sample_of_users() -> None:
    options = replace(OPTIONS, max_train_rows=1200)
    result = World().fit(options)
    assert result.scores.num_rows == 700
    assert result.metrics["models"]["propensity"]["auc"]["value"] > 0.7


def test_a_matrix_keeps_empty_values_and_aligns_text_by_user() -> None:
    counts = pa.table({"user_id": ["a", "b"], "x": pa.array([1, None], pa.float64()), "n": [3, 4]})
    matrix = matrix_of(counts, (["b"], np.ones((1, 2), dtype=np.float32)))
    assert matrix.columns == ["x", "n"]
    assert np.isnan(matrix.values[1, 0]) and matrix.values[1, 1] == 4
    assert matrix.text is not None and matrix.text.tolist() == [[0, 0], [1, 1]]


def test_cancelling_through_progress_stops_the_fit() -> None:
    def cancel(share: float, message: str) -> None:
        if share > 0.1:
            raise KeyboardInterrupt

    world = World()
    fit: Callable[..., PropensityResult] = fit_propensity
    with pytest.raises(KeyboardInterrupt):
        fit(world.log, world.matrix_at, world.labels_at, OPTIONS, np.random.default_rng(0), cancel)
