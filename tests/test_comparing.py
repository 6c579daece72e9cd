"""Two sets of shoppers beside each other: figures and traits against counts by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from core.atlas.comparing import compare_figures, compare_traits
from core.atlas.leanings import Leanings
from core.metrics import wilson

N = 60
LEFT, RIGHT = np.arange(N) < 20, (np.arange(N) >= 20) & (np.arange(N) < 50)


def habits(**columns: list[float] | np.ndarray) -> pd.DataFrame:
    empty = {name: np.full(N, np.nan) for name in ("events", "orders", "revenue", "recency_days", "price")}
    return pd.DataFrame(empty | {"events": np.ones(N)} | columns)


def row(frame: pd.DataFrame, measure: str) -> dict[str, float]:
    return frame.set_index("measure").loc[measure].to_dict()


def leanings(*carriers: np.ndarray) -> Leanings:
    return Leanings(
        np.concatenate(carriers).astype(np.int32),
        np.concatenate([np.full(len(users), trait) for trait, users in enumerate(carriers)]).astype(np.int32),
        ["category"] * len(carriers),
        [f"c{trait}" for trait in range(len(carriers))],
    )


def test_conversion_has_wilson_intervals_and_newcombes_difference() -> None:
    orders = np.zeros(N)
    orders[:15], orders[20:29] = 2, 1  # 15 of 20 against 9 of 30
    found = row(compare_figures(habits(orders=orders), np.full(N, np.nan), LEFT, RIGHT), "buyer_rate")
    assert (found["left"], found["right"], found["left_n"], found["right_n"]) == (0.75, 0.3, 20, 30)
    assert (found["left_low"], found["left_high"]) == pytest.approx(wilson(15, 20))
    assert found["difference"] == pytest.approx(0.45)
    # Newcombe (1998), method 10, worked by hand from the Wilson bounds (.5313, .8881) and (.1666, .4788)
    assert found["difference_low"] == pytest.approx(0.45 - np.hypot(0.75 - 0.5313, 0.4788 - 0.3), abs=2e-4)
    assert found["difference_high"] == pytest.approx(0.45 + np.hypot(0.8881 - 0.75, 0.3 - 0.1666), abs=2e-4)


def test_a_mean_counts_only_those_who_have_the_figure_and_spending_counts_everyone() -> None:
    revenue = np.full(N, np.nan)
    revenue[:10] = 8.0
    recency = np.where(np.arange(N) % 2, np.nan, 4.0)
    found = compare_figures(habits(revenue=revenue, recency_days=recency), np.full(N, np.nan), LEFT, RIGHT)
    assert row(found, "revenue")["left"] == 4.0 and row(found, "revenue")["right"] == 0.0
    assert row(found, "recency_days")["left_n"] == 10 and row(found, "recency_days")["left"] == 4.0


def test_what_the_log_does_not_know_has_no_row() -> None:
    found = compare_figures(habits(), np.full(N, np.nan), LEFT, RIGHT)
    assert found["measure"].tolist() == ["events"]
    with_chance = compare_figures(habits(), np.linspace(0, 1, N), LEFT, RIGHT)
    assert with_chance["measure"].tolist() == ["propensity", "events"]
    assert row(with_chance, "propensity")["difference_high"] < 0


def test_traits_of_the_left_come_first_and_those_of_the_right_last_with_counts_by_hand() -> None:
    both = np.concatenate([np.arange(18), np.arange(20, 23)])  # 18 of 20 against 3 of 30
    right = np.concatenate([np.arange(2), np.arange(20, 49)])
    same = np.concatenate([np.arange(10), np.arange(20, 35)])
    found = compare_traits(leanings(both, right, same), LEFT, RIGHT, least=10)
    assert found["code"].tolist() == ["c0", "c1"], "what both sides have equally often tells nothing"
    assert (found["left_n"][0], found["right_n"][0]) == (18, 3)
    assert found["ratio"][0] == pytest.approx(0.9 / 0.1) and found["low"][0] > 1
    assert found["strength"][0] > 0 > found["strength"][1] and found["high"][1] < 1


def test_a_trait_of_few_shoppers_and_shoppers_of_neither_side_do_not_count() -> None:
    few, outside = np.arange(9), np.arange(50, 60)
    found = compare_traits(leanings(few, outside), LEFT, RIGHT, least=10)
    assert not len(found)
    assert compare_traits(leanings(few), LEFT, RIGHT, least=5)["code"].tolist() == ["c0"], "nobody on the right has it"


def test_a_side_has_one_end_of_a_level() -> None:
    """18 and 16 of 20 on the left, one and two of 30 on the right: spending much is the clearer of both."""
    much, little = np.concatenate([np.arange(18), [20]]), np.concatenate([np.arange(4, 20), [21, 22]])
    ends = replace(leanings(much, little), kinds=["spend", "spend"], codes=["high", "low"])
    assert compare_traits(ends, LEFT, RIGHT, least=5)["code"].tolist() == ["high"]
    assert compare_traits(ends, RIGHT, LEFT, least=5)["code"].tolist() == ["high"]
    assert len(compare_traits(leanings(much, little), LEFT, RIGHT, least=5)) == 2, "two categories are two traits"


def test_swapping_the_sides_turns_every_figure_around() -> None:
    carriers = np.concatenate([np.arange(15), np.arange(20, 24)])
    one, two = (compare_traits(leanings(carriers), *sides, least=5).iloc[0] for sides in ((LEFT, RIGHT), (RIGHT, LEFT)))
    assert one["ratio"] * two["ratio"] == pytest.approx(1) and one["strength"] == pytest.approx(-two["strength"])
    assert (one["low"], one["high"]) == pytest.approx((1 / two["high"], 1 / two["low"]))


def test_an_empty_side_has_no_traits() -> None:
    assert not len(compare_traits(leanings(np.arange(30)), LEFT, np.zeros(N, dtype=bool), least=1))


def test_a_demographic_is_compared_among_those_of_whom_it_is_known() -> None:
    known, yes = np.r_[0:20, 20:26], np.r_[0:12, 20:23]  # all 20 of the left are known, 6 of the 30 of the right
    lean = replace(leanings(known, yes), kinds=["known", "demographic"], codes=["marital", "marital=yes"])
    assert compare_traits(lean, LEFT, RIGHT, 3).empty, "12 of 20 against 3 of 6, not of 30"
    other = replace(leanings(np.arange(N), np.r_[0:18, 20:23]), kinds=["known", "demographic"], codes=["marital", "marital=yes"])
    (told,) = compare_traits(other, LEFT, RIGHT, 3).to_dict("records")
    assert (told["left_share"], told["right_share"], told["trait"]) == (0.9, 0.1, 1)
