"""Shoppers held out: nobody is judged by a probe that saw a label of hers, and each band says how many it rests on."""

import numpy as np
import pytest

from core.pipeline.unseen import judge_unseen

N = 400


def world(rng: np.random.Generator) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Shoppers, a feature that tells who acts, and who acts."""
    told = rng.normal(size=(N, 1))
    return [f"u{n}" for n in range(N)], told, told + rng.normal(size=(N, 1)) > 0


def test_a_block_that_knows_shoppers_by_heart_tells_nothing_of_those_held_out() -> None:
    rng = np.random.default_rng(0)
    users, _told, acts = world(rng)
    by_heart = {"counts": np.eye(N), "text": rng.normal(size=(N, 2))}
    [row, *_bands] = judge_unseen((by_heart, by_heart), (users, users), (acts, acts), np.full(N, 9.0), {"text": 1.0}, 0)
    assert row["counts"] == pytest.approx(0.5, abs=0.08) and row["blocks"] == pytest.approx(0.5, abs=0.08)


def test_what_tells_of_others_tells_of_those_held_out_by_band() -> None:
    rng = np.random.default_rng(1)
    users, told, acts = world(rng)
    known = {"counts": rng.normal(size=(N, 1)), "text": told}
    events = np.repeat([1.0, 2.0, 4.0, 5.0], N // 4)
    rows = judge_unseen((known, known), (users, users), (acts, acts), events, {"counts": 1.0, "text": 1.0}, 0)
    assert [(row["band"], row["users"]) for row in rows] == [("all", 400), ("cold", 100), ("warm", 200), ("hot", 100)]
    assert rows[0]["positives"] == acts.sum() == sum(row["positives"] for row in rows[1:])
    assert all(row["blocks_low"] <= row["blocks"] <= row["blocks_high"] and row["blocks"] > 0.7 > row["counts"] for row in rows)
    assert rows == judge_unseen((known, known), (users, users), (acts, acts), events, {"counts": 1.0, "text": 1.0}, 0)


def test_a_band_where_nobody_acts_has_no_area() -> None:
    rng = np.random.default_rng(2)
    users, told, acts = world(rng)
    acts[:50] = False
    events = np.where(np.arange(N) < 50, 1.0, 9.0)
    rows = judge_unseen(({"counts": told}, {"counts": told}), (users, users), (acts, acts), events, {"counts": 1.0}, 0)
    cold = next(row for row in rows if row["band"] == "cold")
    assert (cold["users"], cold["positives"], cold["counts"], cold["blocks_low"]) == (50, 0, None, None)
