"""A small home for page tests: a tiny log, and runs of every kind in the form that the stages publish."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from core.artifacts import write_arrays, write_table
from core.messages import say
from core.store import Dataset, Home
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


def publish_measurements(target: Dataset, inputs: dict[str, Any]) -> None:
    """Publish what was measured of the text model: tuning, smaller forms, another dataset's lessons."""
    with target.new_run(
        "tuning", inputs=inputs, config={"horizon_hours": 168.0, "tokens": 32, "epochs": 2, "labels": "contrastive"}, cutoff=None
    ) as draft:
        rows: list[dict[str, Any]] = [
            {"method": "head", "auc": 0.70, "gain": 0.0, "trainable": 0, "parameters": 1000, "cpu_seconds": 0.0},
            {"method": "lora", "auc": 0.72, "gain": 0.02, "trainable": 15, "parameters": 1000, "cpu_seconds": 42.0},
            {"method": "counts", "auc": 0.80, "gain": 0.10, "trainable": None, "parameters": None, "cpu_seconds": None},
        ]
        for row in rows:
            auc, gain = float(row["auc"] or 0), float(row["gain"] or 0)
            row |= {"low": auc - 0.01, "high": auc + 0.01, "gain_low": gain - 0.01, "gain_high": gain + 0.01}
        write_table(draft.path / "tuning.parquet", pa.Table.from_pylist(rows))
        parts, ranks = ["attention.self.query", "output.dense"] * 2, [3, 1, 4, 8]
        layers = {"method": ["adalora"] * 4, "layer": list("abcd"), "depth": pa.array([0, 0, 1, 1], pa.int32())}
        write_table(draft.path / "ranks.parquet", pa.table({**layers, "part": parts, "rank": pa.array(ranks, pa.int32())}))
        draft.record |= {
            "act": "purchase",
            "kept": "lora",
            "rank_budget": {"adalora": 16},
            "learned": 600,
            "judged": 600,
            "judged_at": "2024-03-13T00:00:00",
            "warnings": [],
        }
    with target.new_run("compression", inputs=inputs, config={}, cutoff=None) as draft:
        form = {"form": "student", "megabytes": 45.5, "tokens_per_cpu_second": 3000.0, "cosine": 0.9, "neighbours": 0.6}
        write_table(draft.path / "compression.parquet", pa.Table.from_pylist([form | {"low": 0.55, "high": 0.65, "cpu_seconds": 9.0}]))
        draft.record |= {"taught": 1000, "judged": 1000, "warnings": []}
    with target.new_run("transfer", inputs=inputs | {"source": "other"}, config={}, cutoff=None) as draft:
        rows = [
            {"blocks": "counts", "labelled": 0, "transferred": 0.6, "low": 0.58, "high": 0.62, "alone": None, "gain": None},
            {"blocks": "counts", "labelled": 50, "transferred": 0.65, "low": 0.63, "high": 0.67, "alone": 0.6, "gain": 0.05},
        ]
        for row in rows:
            row |= {"gain_low": row["gain"] and 0.04, "gain_high": row["gain"] and 0.06}
        write_table(draft.path / "transfer.parquet", pa.Table.from_pylist(rows))
        draft.record |= {"source": "other", "act": "purchase", "shoppers": [9, 8, 7], "judged_at": "2024-03-13T00:00:00", "warnings": []}


def _beyond_the_act(folder: Path, user_ids: list[str]) -> dict[str, Any]:
    """Write the tables of chances by category and of spending; returns what belongs into the record."""
    n, names = len(user_ids), ["C0", "C1"]
    pairs = {"user_id": np.repeat(user_ids, 2).tolist(), "category": names * n, "propensity": np.linspace(0.01, 0.6, 2 * n)}
    write_table(folder / "categories.parquet", pa.table(pairs | {"low": pairs["propensity"] * 0.8, "high": pairs["propensity"] * 1.2}))
    judged = {"users": [n, n], "positives": [3, 4], "expected": [3.5, 3.5], "auc": [0.8, 0.7]}
    new = {"new_users": [n - 2, n - 1], "new_positives": [1, 2], "new_expected": [1.0, 1.5], "new_auc": [0.6, None]}
    write_table(folder / "category_metrics.parquet", pa.table({"category": names, **judged, **new}))
    write_table(folder / "revenue.parquet", pa.table({"user_id": user_ids, "expected_revenue": np.linspace(1, 9, n)}))
    tenth = {"tenth": [1, 2], "users": [n // 2, n - n // 2], "expected": [1.0, 5.0], "happened": [1.5, 4.0]}
    write_table(folder / "revenue_tenths.parquet", pa.table(tenth | {"low": [0.5, 2.0], "high": [2.5, 6.0]}))
    area, amount = {"value": 0.8, "low": 0.75, "high": 0.85, "n": n}, {"value": 1.25, "low": 1.0, "high": 1.5, "n": n}
    of_pairs = dict.fromkeys(("personal count", "logistic", "pooled"), area)
    counted = {"winner": "pooled", "pairs": 2 * n, "new_pairs": 2 * n - 3, "macro_auc": of_pairs, "macro_auc_new": of_pairs}
    losses = {"log_loss": {"logistic": 0.4, "pooled": 0.39}, "log_loss_new": {"logistic": 0.2, "pooled": 0.19}}
    model = {"mae": amount, "rmse": amount, "bias": amount, "expected": 12.0}
    spent = {"winner": "tweedie", "users": n, "buyers": 5, "happened": 14.0, "models": {"mean": model, "tweedie": model}}
    sentences = {
        "sentences": [say("In categories that are new to the shopper it is {difference} against {best}.", difference="+", best="–")]
    }
    return {"category_metrics": counted | losses, "category_verdict": sentences, "revenue_metrics": spent, "revenue_verdict": sentences}


def publish_runs(home: Path, user_ids: list[str], dataset: str = "tiny") -> None:
    """Publish one run of each kind with made-up but consistent figures."""
    target, n = Home(home).dataset(dataset), len(user_ids)
    rng = np.random.default_rng(0)
    inputs = {"version": target.current()["version"]}
    segment, chance = np.arange(n) % 2, np.linspace(0.02, 0.9, n)
    with target.new_run("profiles", inputs=inputs, config={}, cutoff=None) as draft:
        write_table(
            draft.path / "counts.parquet",
            pa.table(
                {"user_id": user_ids, "events_all": np.full(n, 4), "active_days_all": 1 + np.arange(n) % 3, "recency_days": rng.random(n)}
            ),
        )
        write_arrays(draft.path / "text.safetensors", {"text": rng.standard_normal((n, 8)).astype(np.float32)})
        card = {"acts": 960, "left_out": 3, "parameters": 1234, "values": 128, "cpu_seconds": 2.5, "epochs": 3, "users_without_acts": 1}
        card |= {"reach": 192, "acts_beyond": 40, "users_beyond": 2,
                 "update": {"acts": 970, "users": n, "encoded": 2, "cpu_seconds": 0.3}}  # fmt: skip
        cosine = [0.5, 0.99, *[1.0] * (n - 2)]
        change = ["changed", "changed", *["same"] * (n - 2)]
        write_table(draft.path / "drift.parquet", pa.table({"user_id": user_ids, "change": change, "text_cosine": cosine}))
        draft.record["update"] = {
            "after": {"run": "profiles-0000", "version": "v0000"},
            "compared": ["text"],
            "users": {"same": n - 2, "changed": 2, "new": 0, "gone": 0},
            "texts": {"encoded": 1, "kept": 5},
            "sequence": {"network": "kept", "why": None, "encoded": 2, "kept": n - 2},
        }
        nodes, edges = {"item": 6, "category": 3}, {"item": 40, "category": 20}
        graph = {"users": n, "nodes": nodes, "edges": edges, "values": 4, "kept_share": 0.4, "cpu_seconds": 0.2}
        losses = [{"next_item": 6.5}, {"next_item": 5.25}]
        card["foresight"] = {
            "masked_item": {"value": 0.3, "low": 0.25, "high": 0.35, "frequent": 0.1, "n": 400, "users": 3},
            "next_kind": {"value": 0.5, "low": None, "high": None, "frequent": 0.6, "n": 5, "users": 1},
        }
        narrative = {"users": n, "tokens": 64, "cut_texts": 3, "values": 24, "cpu_seconds": 1.5}
        draft.record |= {"card": {"name": "test-model"}, "sequence": card | {"losses": losses}, "graph": graph, "narrative": narrative}
        draft.record |= {"users": n, "features": 2, "counts": {"cpu_seconds": 0.4}}
        fates = {"read": 5, "none": 1, "address": 2, "outside": 0, "missing": 0, "broken": 1, "too_large": 0}
        rivals = [{"half_life_days": days, "weights": "usual", "auc": 0.7 + place / 100, "gain": place / 100, "low": place / 100 - 0.004,
                   "high": place / 100 + 0.004} for place, days in enumerate((60.0, 15.0))]  # fmt: skip
        draft.record["pooling"] = {"half_life_days": 15.0, "weights": "usual", "why": "Chosen.", "rivals": rivals, "users": n, "targets": 5,
                                   "judged_at": "2024-03-13T00:00:00"}  # fmt: skip
        draft.record["image"] = {"model": "classic", "kind": "classic", "licence": "–", "values": 200, "why": "asked for", "items": 9,
                                 "fates": fates, "distinct": 4, "encoded": 4, "cpu_seconds": 0.1, "users_without_pictures": 2}  # fmt: skip
        told = {"known": 0.5, "covered": 0.9, "mean": None, "std": 1.0}
        columns = [{**told, "name": "a*b", "of": "items", "values": ["x", "y"]},
                   {**told, "name": "age", "of": "users", "values": [], "mean": 40.0, "std": 9.0}]  # fmt: skip
        draft.record["facts"] = {"columns": columns, "left_out": {"sku": "many"}, "values": 4, "asks_of_people": True, "cpu_seconds": 0.1}
        draft.record["ids"] = {"items": 255, "known": 1200, "other_share": 0.25, "values": 256, "cpu_seconds": 0.1}
    with target.new_run("blocks", inputs=inputs, config={"horizon_hours": 168.0}, cutoff=None) as draft:
        names, auc = ["counts", "untaught", "sequence", "counts", "counts + text"], np.array([0.7, 0.6, 0.72, 0.7, 0.75])
        kinds = ["equal", "equal", "against untaught", "without text", "chosen"]
        bounds = {"low": auc - 0.01, "high": auc + 0.01, "gain": auc - 0.7, "gain_low": auc - 0.71, "gain_high": auc - 0.69}
        behind = {"behind": 0.75 - auc, "behind_low": 0.74 - auc, "behind_high": 0.76 - auc}
        told = {"blocks": names, "weighing": kinds, "weights": ["1", "1", "1", "1", "1 · 0.5"], "auc": auc}
        write_table(draft.path / "blocks.parquet", pa.table({**told, **bounds, **behind}))
        weights = {"weights": {"counts": 1.0, "text": 0.5, "graph": 0.0}, "weights_at": "2024-03-06T00:00:00"}
        anyone = {"counts": 0.8, "auc": 0.81, "gain": 0.01, "gain_low": -0.01, "gain_high": 0.03}
        area = {"counts": 0.7, "counts_low": 0.6, "counts_high": 0.8, "blocks": None, "blocks_low": None, "blocks_high": None}
        unseen = {"act": "purchase", "rows": [{"band": band, "users": n, "positives": 9} | area for band in ("all", "cold", "hot")]}
        draft.record |= {"of": "categories", "targets": 4, "users": n, "judged_at": "2024-03-13T00:00:00", **weights, "anyone": anyone}
        draft.record["unseen"] = unseen
    publish_measurements(target, inputs)
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
            "text": "2.0× as often favour C1 (50% against 25% of all shoppers; n = 3)",
            "lift": 2.0,
            "low": 1.5,
            "high": 2.6,
            "n": 3,
            "share_in": 0.5,
            "share_all": 0.25,
        }
        write_table(draft.path / "traits.parquet", pa.Table.from_pylist([{"segment_id": s, **trait} for s in (0, 1)]))
        before = [2, *segment[1:-1].tolist(), None]  # the first came from a segment that is no more, the last is new
        move = ["moved", *["stayed"] * (n - 2), "new"]
        ids = {"from_segment": pa.array(before, pa.int32()), "to_segment": pa.array(segment.tolist(), pa.int32())}
        write_table(draft.path / "moves.parquet", pa.table({"user_id": user_ids, **ids, "move": move}))
        told = {"after": {"run": "atlas-0000", "version": "v0000"}, "stayed": n - 2, "moved": 1, "new": 1, "gone": 0}
        parts = [_part(part, int((np.arange(n) % 4 == part - 1).sum()), n) for part in (1, 3, 2, 4)]
        write_table(draft.path / "subsegments.parquet", pa.Table.from_pylist(parts))
        write_table(draft.path / "subsegment_traits.parquet", pa.Table.from_pylist([{"subsegment_id": p, **trait} for p in (1, 2, 3, 4)]))
        leaning = {"user": np.flatnonzero(segment == 0).astype(np.int32), "trait": np.zeros(int((segment == 0).sum()), np.int32)}
        write_table(draft.path / "leanings.parquet", pa.table(leaning))
        write_table(draft.path / "leaning_traits.parquet", pa.table({"kind": ["category"], "code": ["C1"], "words": ["C1"]}))
        figures = {name: rng.random(n) for name in ("events", "recency_days", "revenue", "price")}
        write_table(draft.path / "habits.parquet", pa.table({"user_id": user_ids, "orders": segment.astype(np.int64), **figures}))
        draft.record |= {"moves": told, "metrics": {"stability": 0.95, "silhouette": 0.2, "warnings": []}}
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
            **_beyond_the_act(draft.path, user_ids),
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
        beside = {"source": "blend", "other": "popularity", "measure": "ndcg@10", "n": 9}
        draft.record |= {
            "windows": {"test": at(10).isoformat()},
            "warnings": [],
            "comparisons": [
                beside | {"ground": "all", "difference": 0.05, "low": 0.01, "high": 0.09},
                beside | {"ground": "new", "difference": -0.02, "low": None, "high": None},
            ],
            "trial": [{"lift": 0.05, "rate": 0.4, "expected": 0.42, "users": 9496.0}],
        }


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
