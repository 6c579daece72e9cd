"""A small home for page tests: a tiny log, and runs of every kind in the form that the stages publish."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from core.artifacts import write_arrays, write_table
from core.store import Home
from tests.worlds import at, publish_world

NASTY = "=HYPERLINK(1) ![x](http://evil.example/x.png) <script>alert(1)</script> :red[hi]"
"""A title that tries markdown, HTML and spreadsheet formulas at once."""


def tiny_home(home: Path, users: int = 12, *, runs: bool = True) -> Path:
    """Publish a dataset `tiny` of a few users; with `runs`, also profiles, map, chances and recommendations."""
    events, items = [], [{"item_id": f"i{n}", "title": f"Thing {n}", "category": f"C{n % 3}", "price": 5 + n} for n in range(6)]
    items[0]["title"] = NASTY
    for user in range(users):
        for step in range(4):
            kind = ("view", "view", "cart", "purchase")[step] if user % 2 else "view"
            row = {
                "user_id": f"u{user:03d}",
                "item_id": f"i{(user + step) % 6}",
                "event_type": kind,
                "event_time": at(user % 20 + step / 24),
            }
            events.append(row | ({"revenue": 10, "price": 10, "quantity": 1} if kind == "purchase" else {}))
    publish_world(home, events, items, {f"u{user:03d}": {"region": "north" if user % 2 else "south"} for user in range(users)})
    if runs:
        publish_runs(home, [f"u{user:03d}" for user in range(users)])
    return home


def publish_runs(home: Path, user_ids: list[str], dataset: str = "tiny") -> None:
    """Publish one run of each kind with made-up but consistent figures."""
    target, n = Home(home).dataset(dataset), len(user_ids)
    rng = np.random.default_rng(0)
    inputs = {"version": target.current()["version"]}
    segment, chance = np.arange(n) % 2, np.linspace(0.02, 0.9, n)
    with target.new_run("profiles", inputs=inputs, config={}, cutoff=None) as draft:
        write_table(
            draft.path / "counts.parquet", pa.table({"user_id": user_ids, "events_all": np.full(n, 4), "recency_days": rng.random(n)})
        )
        write_arrays(draft.path / "text.safetensors", {"text": rng.standard_normal((n, 8)).astype(np.float32)})
        card = {"acts": 960, "left_out": 3, "parameters": 1234, "values": 128, "cpu_seconds": 2.5, "epochs": 3, "users_without_acts": 1}
        draft.record |= {"card": {"name": "test-model"}, "sequence": card | {"losses": [{"next_item": 6.5}, {"next_item": 5.25}]}}
    with target.new_run("blocks", inputs=inputs, config={"horizon_hours": 168.0}, cutoff=None) as draft:
        names, auc = ["counts", "untaught", "counts + text + sequence"], np.array([0.7, 0.6, 0.75])
        bounds = {"low": auc - 0.01, "high": auc + 0.01, "gain": auc - 0.7, "gain_low": auc - 0.71, "gain_high": auc - 0.69}
        write_table(draft.path / "blocks.parquet", pa.table({"blocks": names, "auc": auc, **bounds}))
        draft.record |= {"of": "categories", "targets": 4, "users": n, "judged_at": "2024-03-13T00:00:00"}
    with target.new_run("atlas", inputs=inputs, config={}, cutoff=None) as draft:
        users = {
            "user_id": user_ids,
            "x": rng.random(n),
            "y": rng.random(n),
            "segment_id": segment.astype(np.int32),
            "certainty": np.full(n, 0.9),
            "subsegment_id": (1 + np.arange(n) % 4).astype(np.int32),
        }
        write_table(draft.path / "users.parquet", pa.table(users))
        rows = [_segment(s, int((segment == s).sum()), n) for s in (0, 1)]
        write_table(draft.path / "segments.parquet", pa.Table.from_pylist(rows))
        trait = {
            "place": 1,
            "kind": "category",
            "code": "C1",
            "trait": "C1",
            "lift": 2.0,
            "low": 1.5,
            "high": 2.6,
            "n": 3,
            "share_in": 0.5,
            "share_all": 0.25,
        }
        write_table(draft.path / "traits.parquet", pa.Table.from_pylist([{"segment_id": s, **trait} for s in (0, 1)]))
        parts = [_part(part, int((np.arange(n) % 4 == part - 1).sum()), n) for part in (1, 3, 2, 4)]
        write_table(draft.path / "subsegments.parquet", pa.Table.from_pylist(parts))
        write_table(draft.path / "subsegment_traits.parquet", pa.Table.from_pylist([{"subsegment_id": p, **trait} for p in (1, 2, 3, 4)]))
        leaning = {"user": np.flatnonzero(segment == 0).astype(np.int32), "trait": np.zeros(int((segment == 0).sum()), np.int32)}
        write_table(draft.path / "leanings.parquet", pa.table(leaning))
        write_table(draft.path / "leaning_traits.parquet", pa.table({"kind": ["category"], "code": ["C1"], "words": ["C1"]}))
        figures = {name: rng.random(n) for name in ("events", "recency_days", "revenue", "price")}
        write_table(draft.path / "habits.parquet", pa.table({"user_id": user_ids, "orders": segment.astype(np.int64), **figures}))
        draft.record |= {"metrics": {"stability": 0.95, "silhouette": 0.2, "warnings": []}}
    label = (chance > 0.5).astype(int)
    with target.new_run("propensity", inputs=inputs, config={"act": "purchase", "horizon_hours": 168.0}, cutoff=None) as draft:
        scores = {
            "user_id": user_ids,
            "propensity": chance,
            "low": chance * 0.8,
            "high": np.minimum(chance * 1.2, 0.99),
            "band": ["warm"] * n,
        }
        write_table(draft.path / "scores.parquet", pa.table(scores))
        write_table(draft.path / "test.parquet", pa.table({"user_id": user_ids, "label": label, "propensity": chance}))
        bins = [
            {
                "model": "propensity",
                "bin": 1,
                "n": n,
                "mean_propensity": 0.4,
                "rate": 0.5,
                "low": 0.3,
                "high": 0.7,
                "smallest": 0.0,
                "largest": 0.9,
            }
        ]
        write_table(draft.path / "reliability.parquet", pa.Table.from_pylist(bins))
        curve = [
            {"depth": d / 10, "users": d, "buyers": 1.0, "gain": min(1.0, d / 5), "rate": 0.5, "low": 0.2, "high": 0.8, "lift": 1.5}
            for d in range(1, 11)
        ]
        write_table(draft.path / "lift.parquet", pa.Table.from_pylist(curve))
        reason = {"place": 1, "feature": "events_all", "contribution": 0.4, "value": 4.0}
        write_table(draft.path / "reasons.parquet", pa.Table.from_pylist([{"user_id": user, **reason} for user in user_ids]))
        figures = {"value": 0.8, "low": 0.7, "high": 0.9, "n": n}
        model = {
            "auc": figures,
            "log_loss": figures,
            "brier": 0.2,
            "calibration_error": 0.03,
            "calibration_floor": 0.02,
            "expected": 5.0,
            "happened": 5,
        }
        metrics = {"users": n, "positives": 5, "base_rate": 0.4, "base_log_loss": 0.67, "models": {"propensity": model, "logistic": model}}
        draft.record |= {
            "metrics": metrics,
            "verdict": {"sentences": ["Counting wins here."]},
            "windows": {"test": at(10).isoformat()},
            "warnings": [],
        }
    with target.new_run("recommendations", inputs=inputs, config={}, cutoff=None) as draft:
        lists = [
            {
                "user_id": user,
                "rank": rank,
                "item_id": f"i{rank - 1}",
                "score": 1.0 / rank,
                "reason": "Popular.",
                "is_new": True,
                "source_popularity": 1.0 / rank,
            }
            for user in user_ids
            for rank in (1, 2, 3)
        ]
        write_table(draft.path / "recommendations.parquet", pa.Table.from_pylist(lists))
        judged = [
            {"source": source, "ground": ground, "band": "all", "measure": "ndcg@10", "value": 0.2, "low": 0.1, "high": 0.3, "n": n}
            for source in ("blend", "popularity")
            for ground in ("all", "new")
        ]
        write_table(draft.path / "metrics.parquet", pa.Table.from_pylist(judged))
        draft.record |= {"windows": {"test": at(10).isoformat()}, "warnings": []}


def _segment(segment: int, size: int, users: int) -> dict[str, Any]:
    return {
        "segment_id": segment, "colour": segment, "name": ("Evening [bold] buyers", "Lookers")[segment],
        "description": "Half of all.", "name_parts": "[]",
        "size": size, "share": size / users, "certainty_mean": 0.9, "buyers": size, "buyer_rate": 0.5, "buyer_low": 0.3, "buyer_high": 0.7,
        "orders": 3, "revenue": 30.0, "orders_per_user": 0.5, "revenue_per_user": 5.0, "events_per_user": 4.0, "recency_days": 3.0,
    }  # fmt: skip


def _part(part: int, size: int, users: int) -> dict[str, Any]:
    segment = (part - 1) % 2
    return {
        "subsegment_id": part, "segment_id": segment, "name": f"Lookers › Part {part}", "own_name": f"Part {part}", "name_parts": "[]",
        "shade": part // 3, "size": size, "share": size / users, "share_of_segment": 0.5, "split_stability": 0.9, "buyers": size,
        "buyer_rate": 0.5, "buyer_low": 0.3, "buyer_high": 0.7, "orders": 3, "revenue": 30.0, "orders_per_user": 0.5,
        "revenue_per_user": 5.0, "events_per_user": 4.0, "recency_days": 3.0,
    }  # fmt: skip


WEEK = timedelta(days=7)
