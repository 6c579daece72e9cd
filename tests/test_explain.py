"""Shapley values against enumeration, players of a history, changes, and pasted histories."""

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.__main__ import main
from core.errors import CoreError, RuleError
from core.explain.acts import explain_acts, find_players
from core.explain.changes import Act, Change, change_of, changed, possible_changes
from core.explain.named import Rows, explain_features, join_names, name_groups
from core.explain.pairs import PairRows, explain_pair
from core.explain.pasted import read_pasted
from core.explain.shapley import Bools, Floats, Indices, by_enumeration, shapley_values
from core.explain.waterfall import lay_out
from core.store import Home, fetch
from core.store.small import EVENT_FIELDS
from tests.worlds import at

CUTOFF = at(30)


def game(masks: Bools, _drawn: Indices) -> Floats:
    """Six players; 0 and 1 are worth something only together, 2 takes away, 5 does nothing."""
    m = masks.astype(float)
    return 1 + 2 * m[:, 0] * m[:, 1] - m[:, 2] + 0.5 * m[:, 3] * m[:, 4] * m[:, 0]


def act(days: float, kind: str = "view", item: str | None = "a", **more: Any) -> dict[str, Any]:
    return {"user_id": "ann", "item_id": item, "event_type": kind, "event_time": at(days), "source_file": 0, **more}


def history(*acts: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist([{"source_row": n, **a} for n, a in enumerate(acts, start=1)], schema=EVENT_FIELDS)


def test_exact_values_are_those_of_shapleys_formula_and_leave_nothing_over() -> None:
    found = shapley_values(game, 6, np.random.default_rng(0))
    assert found.method == "exact" and found.errors.tolist() == [0] * 6
    assert found.values == pytest.approx(by_enumeration(game, 6), abs=1e-12)
    assert found.values[5] == 0 and found.values[0] > found.values[3]
    assert abs(found.residual) < 1e-12 and found.base == 1


def test_sampled_values_lie_within_their_errors_of_the_exact_ones_and_sum_to_the_output() -> None:
    def more(masks: Bools, drawn: Indices) -> Floats:
        return game(masks[:, :6], drawn) + masks[:, 6:].sum(axis=1)

    found = shapley_values(more, 12, np.random.default_rng(1), pairs=200)
    truth = np.append(by_enumeration(game, 6), np.ones(6))
    assert found.method == "sampled" and abs(found.residual) < 1e-9
    assert (np.abs(found.values - truth) <= 4 * found.errors + 1e-9).all()
    assert found.errors[0] > 0 and found.errors[5] == 0


def test_nobody_shares_nothing() -> None:
    found = shapley_values(lambda masks, drawn: np.full(len(masks), 3.0), 0, np.random.default_rng(0))
    assert (found.base, found.output, found.values.tolist()) == (3.0, 3.0, [])


def test_windows_of_one_count_are_one_name() -> None:
    assert name_groups(["carts_7d", "carts_all", "tenure_days", "units_all"]) == {"carts": [0, 1], "tenure_days": [2], "units_all": [3]}
    names, shares = join_names(["carts_7d", "text profile", "carts_all"], np.array([1.0, 5.0, 2.0]))
    assert dict(zip(names, shares.tolist(), strict=True)) == {"carts": 3.0, "text profile": 5.0}


def test_a_linear_model_gives_each_feature_its_weight_times_the_distance_to_the_background() -> None:
    columns = ["carts_7d", "carts_28d", "price_mean", "tenure_days"]
    weights = np.array([1.0, 0.5, -2.0, 3.0])
    rng = np.random.default_rng(0)
    background = Rows(rng.normal(size=(8, 4)), {"text profile": rng.normal(size=(8, 2)).astype(np.float32)})
    background.values[:, 3] = 7
    shopper = Rows(np.array([[2.0, 1.0, 0.5, 7.0]]), {"text profile": np.ones((1, 2), np.float32)})

    def score(rows: Rows) -> Floats:
        return rows.values @ weights + rows.blocks["text profile"].sum(axis=1)

    names, found = explain_features(score, columns, shopper, background, rng, pairs=8)
    value = dict(zip(names, found.values.tolist(), strict=True))
    gap = (shopper.values - background.values).mean(axis=0) * weights
    assert value["carts"] == pytest.approx(gap[0] + gap[1]) and value["price_mean"] == pytest.approx(gap[2])
    assert value["tenure_days"] == 0  # the same for everybody
    assert value["text profile"] == pytest.approx(float((1 - background.blocks["text profile"]).mean(axis=0).sum()), abs=1e-6)
    assert found.base + found.values.sum() == pytest.approx(found.output)


def test_short_histories_have_one_player_an_act_and_long_ones_join_baskets_and_what_lies_back() -> None:
    short = find_players(history(act(1), act(2, "cart"), act(3)))
    assert [(p.kind, p.rows) for p in short] == [("act", (2,)), ("act", (1,)), ("act", (0,))]
    baskets = history(*(act(day, "purchase", item, order_id=f"o{day}") for day in range(6) for item in ("a", "b", "c")))
    found = find_players(baskets, most=4)
    assert [(p.kind, p.events) for p in found] == [("basket", 3), ("basket", 3), ("basket", 3), ("earlier", 9)]
    assert found[-1].last == at(2)
    days = find_players(history(*(act(day + hour / 24) for day in range(5) for hour in range(5))), most=4)
    assert [p.kind for p in days] == ["day", "day", "day", "earlier"]
    assert sorted(row for p in days for row in p.rows) == list(range(25))


def test_acts_get_exactly_what_enumeration_says_and_what_is_not_counted_gets_nothing() -> None:
    events = history(act(1), act(2, "cart"), act(3, "purchase"), act(4, "other"))
    players = find_players(events)

    def score(tagged: pa.Table, chosen: pa.Table, names: list[str], shown: Bools) -> Floats:
        kind_of = dict(zip(tagged["player"].to_pylist(), tagged["event_type"].to_pylist(), strict=True))
        held: dict[str, set[str]] = {}
        for row in chosen.to_pylist():
            held.setdefault(row["user_id"], set()).add(kind_of[row["player"]])
        kinds = [held.get(name, set()) for name in names]
        return np.array([2.0 * ("cart" in some) + ("view" in some and "purchase" in some) for some in kinds]) + shown[:, 0] * 3.0

    found = explain_acts(score, events, players, np.random.default_rng(0), held=1)
    by_kind = {player.event_type: float(found.values[player.number]) for player in players}
    assert by_kind == pytest.approx({"cart": 2.0, "view": 0.5, "purchase": 0.5, "other": 0.0})
    assert found.values[len(players)] == pytest.approx(3.0)  # what is no act and plays beside them
    assert found.base == 0.0 and abs(found.residual) < 1e-12


def test_a_waterfall_ends_where_the_chance_is() -> None:
    parts = [{"name": f"f{n}", "log_odds": value} for n, value in enumerate([0.5, -1.0, *[0.1] * 10])]
    found = lay_out(parts, -1.0, -0.5)
    assert [step["name"] for step in found["steps"][:2]] == ["f1", "f0"]
    assert found["steps"][-1]["name"] == "rest" and found["steps"][-1]["parts"] == 4
    assert all(a["to"] == pytest.approx(b["from"]) for a, b in zip(found["steps"], found["steps"][1:], strict=False))
    assert found["steps"][-1]["to"] == pytest.approx(found["propensity"]) and abs(found["residual"]) < 1e-12


def test_a_waterfall_names_more_parts_while_the_others_together_would_be_the_largest_step() -> None:
    parts = [{"name": f"f{n:02d}", "log_odds": value} for n, value in enumerate([-0.5, *[-0.2] * 14, *[-0.001] * 55])]
    found = lay_out(parts, 1.0, -2.355)
    assert found["steps"][-1]["name"] == "rest" and abs(found["steps"][-1]["log_odds"]) <= 0.5 and len(found["steps"]) == 14
    assert len(lay_out([{"name": str(n), "log_odds": -0.1} for n in range(90)], 0.0, -9.0)["steps"]) == 21, "there is a last one"
    assert lay_out([], -1.0, -1.0)["steps"] == []


def test_changes_drop_shift_reprice_and_add_and_nothing_passes_the_cutoff() -> None:
    events = history(act(1), act(28, "purchase", revenue=Decimal("4"), price=Decimal("2"), session_id="s"))
    after = changed(events, Change(drop=(0,), closer_days=5, price_factor=0.5, add=(Act("cart", "b", days_ago=0, times=2),)), CUTOFF)
    rows = after.to_pylist()
    assert [row["event_type"] for row in rows].count("cart") == 2 and len(rows) == 3
    assert all(row["event_time"] < CUTOFF for row in rows)
    bought = next(row for row in rows if row["event_type"] == "purchase")
    assert bought["revenue"] == Decimal("2") and bought["price"] == Decimal("1")
    assert bought["event_time"] == CUTOFF - timedelta(microseconds=1)
    assert changed(events, Change(), CUTOFF).equals(events)
    dear = changed(events, Change(add=(Act("purchase", "b", days_ago=1),)), CUTOFF).to_pylist()[-1]
    assert dear["revenue"] == Decimal("4")  # the mean value of the lines that are there
    assert dear["session_id"] is not None and dear["order_id"] is not None


@pytest.mark.parametrize(
    "record",
    [
        {"drop": [9]}, {"add": [{"event_type": "steal"}]}, {"closer_days": float("nan")}, {"price_factor": 0}, {"wipe": True},
        {"add": [{"event_type": "cart", "times": 10**6}]}, {"add": [{"event_type": "cart", "days_ago": -1}]}, {"add": "x"}, {"drop": ["x"]},
        {"add": [{"event_type": "purchase", "price": float("inf")}]}, {"drop": "0"}, {"drop": [0.5]}, {"drop": [True]}, {"drop": 0},
    ],
)  # fmt: skip
def test_changes_out_of_bounds_are_refused(record: dict[str, Any]) -> None:
    with pytest.raises(RuleError):
        changed(history(act(1)), change_of(record), CUTOFF)


def test_only_acts_that_the_log_knows_are_tried() -> None:
    tried = possible_changes(["view", "search"], ["a"], has_prices=False)
    assert {change.add[0].event_type for change in tried if change.add} == {"view"}
    assert all(change.price_factor == 1 for change in tried)


def test_a_history_is_read_from_csv_and_from_json_alike() -> None:
    csv = "event_type;days_ago;item_id;price\nview;3;a;\npurchase;1;b;2.5\n"
    rows = [
        {"event_type": "purchase", "event_time": "2024-03-30", "item_id": "b", "price": 2.5},
        {"event_type": "view", "days_ago": 3, "item_id": "a"},
    ]
    one, other = read_pasted(csv, CUTOFF), read_pasted(json.dumps(rows), CUTOFF)
    assert one.drop(["source_row"]).equals(other.drop(["source_row"]))
    assert one["event_type"].to_pylist() == ["view", "purchase"] and one["price"].to_pylist() == [None, Decimal("2.5")]


def test_prices_amounts_refunds_and_sessions_of_a_pasted_history_are_those_of_ingest(tmp_path: Path) -> None:
    text = (
        "user_id,event_type,event_time,item_id,quantity,revenue,order_id\n"
        "a,purchase,2024-03-01T10:00:00,i1,3,10,o1\na,view,2024-03-01T10:20:00,i2,,,\na,purchase,2024-03-01T11:00:00,i1,2,5,o2\n"
        "a,purchase,2024-03-05T09:00:00,i3,-1,-4.5,o3\na,cart,2024-03-05T09:30:00,i3,1,4.5,\na,purchase,2024-03-02T08:00:00,i4,0,7,o4\n"
    )
    log = tmp_path / "log.csv"
    log.write_text(text, encoding="utf-8")
    for dataset, gap in (("usual", 30), ("long", 60)):
        ingested = ["ingest", "--events", str(log), "--dataset", dataset, "--session-gap", str(gap), "--home", str(tmp_path / "home")]
        assert main(ingested) == 0
        found = Home(tmp_path / "home").dataset(dataset)
        with found.log().history() as connection:
            kept = fetch(connection, "SELECT * FROM history ORDER BY event_time").to_pylist()
        typed = "\n".join(line.partition(",")[2] for line in text.strip().split("\n"))
        pasted = read_pasted(typed, CUTOFF, found.manifest()["session_gap_minutes"]).to_pylist()
        for name in ("event_type", "quantity", "price", "revenue"):
            assert [row[name] for row in pasted] == [row[name] for row in kept], name
        pairs = {(row["session_id"], other["session_id"]) for row, other in zip(pasted, kept, strict=True)}
        assert len(pairs) == len({row["session_id"] for row in kept}) == len({row["session_id"] for row in pasted})
    prices = read_pasted("event_type,days_ago,price,quantity\npurchase,3,2.5,4\nview,2,,\n", CUTOFF).to_pylist()
    assert [row["revenue"] for row in prices] == [Decimal("10"), None] and prices[0]["session_id"] is None
    (seen, bought) = read_pasted("event_type,days_ago,revenue\nview,3,4\npurchase,2,9\n", CUTOFF).to_pylist()
    assert (seen["price"], seen["revenue"], bought["price"], bought["revenue"]) == (Decimal(4), None, None, Decimal(9))


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "[1]", "{", "event_type,event_time\nview,2024-05-01\n", "event_type,event_time\nview,soon\n", "event_type\nview\n",
        "event_type,days_ago\nsteal,1\n", "event_type,days_ago,label\nview,1,1\n", "event_type,days_ago,price\npurchase,1,much\n",
        "event_type,days_ago\nview,-3\n", "event_type,days_ago\nview,nan\n",
    ],
)  # fmt: skip
def test_histories_that_cannot_be_read_are_refused_in_words(text: str) -> None:
    with pytest.raises(CoreError):
        read_pasted(text, CUTOFF)


def test_parts_of_a_pair_add_up_and_blocks_are_parts_of_their_own() -> None:
    columns, rng = ["purchases", "days_since_purchase", "shopper_orders_all"], np.random.default_rng(0)

    def rows(n: int) -> PairRows:
        values, baskets = rng.normal(size=(n, 3)).astype(np.float32), rng.normal(size=(n, 4)).astype(np.float32)
        return PairRows(values, baskets, rng.normal(size=(n, 2)), {"text profile": rng.normal(size=(n, 2)).astype(np.float32)})

    shopper, others, weights = rows(1), rows(8), np.array([1.0, -2.0, 3.0])

    def score(some: PairRows) -> Floats:
        return some.values @ weights + some.baskets.sum(axis=1) + some.people.sum(axis=1) + some.blocks["text profile"].sum(axis=1)

    names, found = explain_pair(score, columns, columns[:2], 0, shopper, others)
    value, gap = dict(zip(names, found.values.tolist(), strict=True)), shopper.values[0] - others.values.mean(axis=0)
    moved = (shopper.baskets[0] - others.baskets.mean(axis=0)).tolist()
    assert names == ["own counts", "own recency", "other categories", "shopper at large", "text profile"]
    assert value["own recency"] == pytest.approx(-2 * gap[1], abs=1e-5)
    assert value["own counts"] == pytest.approx(gap[0] + moved[0] + moved[2], abs=1e-5)
    assert value["other categories"] == pytest.approx(moved[1] + moved[3], abs=1e-5)
    assert found.method == "exact" and abs(found.residual) < 1e-6


def test_a_change_that_cannot_be_read_is_answered_with_the_form_that_can() -> None:
    with pytest.raises(RuleError, match=r"'newest' is no list.*give JSON such as") as told:
        change_of({"drop": "newest"})
    assert change_of(json.loads(str(told.value).split("such as ")[1].rstrip("."))).drop == (0,)
