"""RFM groups and stages of life against rules in words."""

import numpy as np

from core.features.stages import life_stages, rfm_groups, scores
from core.schema import RFM_GROUPS, STAGES

NAN = np.nan


def groups(recency: list[float], orders: list[float], revenue: list[float]) -> list[str]:
    return [RFM_GROUPS[i] for i in rfm_groups(np.array(recency), np.array(orders), np.array(revenue))]


def test_equal_values_share_a_score_and_unknown_ones_have_none() -> None:
    assert scores(np.array([1.0, 1, 1, 1, 1, 1])).tolist() == [1] * 6
    assert scores(np.array([1.0, 2, 3, 4, 5, NAN])).tolist() == [1, 2, 3, 4, 5, 0]


def test_who_bought_lately_often_and_much_is_a_champion_and_who_did_so_long_ago_is_at_risk() -> None:
    recency = [1.0, 100, 1, 100, 50, 50, 30, 30, 70, 70, NAN]
    orders = [10.0, 9, 1, 2, 8, 3, 4, 5, 6, 7, 0]
    found = groups(recency, orders, [value * 20 for value in orders])
    assert found[0] == "champions" and found[1] == "at_risk"
    assert found[2] == "recent" and found[3] == "asleep"
    assert found[4] == "loyal" and found[5] == "occasional"
    assert found[-1] == "never"


def test_a_log_without_revenue_is_grouped_by_orders_alone() -> None:
    recency, orders = [1.0, 2, 3, 4, 5], [5.0, 4, 3, 2, 1]
    assert groups(recency, orders, [NAN] * 5) == groups(recency, orders, [0.0] * 5) == groups(recency, orders, orders)


def test_the_stage_follows_the_shoppers_own_rhythm() -> None:
    tenure, gap = np.full(5, 200.0), np.array([10.0, 10, 10, 40, NAN])
    silent = np.array([20.0, 21, 41, 41, 41])
    assert [STAGES[i] for i in life_stages(tenure, silent, gap)] == ["active", "slipping", "away", "active", "away"]


def test_who_came_within_four_weeks_is_new_unless_long_silent() -> None:
    tenure, silent = np.array([28.0, 29, 20]), np.array([1.0, 1, 19])
    assert [STAGES[i] for i in life_stages(tenure, silent, np.array([7.0, 7, 1]))] == ["new", "active", "away"]
