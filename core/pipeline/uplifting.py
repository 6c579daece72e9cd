"""What a campaign changed: treated shoppers of a file, features of before its start, what happened after it: a run of its own."""

import hashlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from core.artifacts import sha256_of, write_table
from core.errors import CutoffError
from core.features import act_labels, revenue_labels
from core.messages import Message, say
from core.pipeline.options import ProfileOptions
from core.pipeline.seeing import seen_at
from core.pipeline.shoppers import feature_words
from core.pipeline.telling import Result, about, fitting_horizon
from core.schema import Progress, part_of, silent
from core.store import Began, Dataset, Home, Log

if TYPE_CHECKING:
    from core.uplift.measure import Past, Uplift
    from core.uplift.treatments import Treatment

MOST_SHOPPERS = 60_000
"""Shoppers that are looked at; more are drawn."""


def measure_uplift(
    home: Home,
    dataset: Dataset,
    *,
    treatment: Path,
    campaigns: Path | None = None,
    campaign: str | None = None,
    start: datetime | None = None,
    cutoff: datetime | None = None,
    act: str = "purchase",
    horizon: timedelta | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Result:
    """Measure what a treatment changed within a horizon from its start, and publish it as a run.

    Features are those of before the start; shoppers without a history before it are left out.

    Args:
        home: Whose cache is used.
        dataset: The log.
        treatment: A row for each treated shopper (see `read_treatment`).
        campaigns: When each campaign began.
        campaign: Which one.
        start: When it began; None takes it from the files.
        cutoff: Behave as if the log ended then.
        act: One of treatments.OUTCOMES.
        horizon: How long the outcome is looked at; None fits it to the log.
        seed: Of all chance.
        progress: Told along the way.

    Raises:
        FileError: The files say too little.
        NotFoundError: There is no such campaign.
        CutoffError: The horizon reaches past the end of the log, or nothing lies before the start.
        GateError: A group is too small.
    """
    from core.predictor.threads import one_thread
    from core.uplift.measure import measure, sentences
    from core.uplift.treatments import read_treatment

    began, log = Began.now(), dataset.log(cutoff)
    horizon = horizon or fitting_horizon(log)
    given = read_treatment(treatment, campaigns, campaign, start, horizon / timedelta(days=1))
    _check_start(log, given.start, horizon)
    inputs = {"version": dataset.version_path().name, "treatment": _fingerprint(treatment, campaigns)}
    config = {
        "treatment": treatment.name,
        "campaigns": campaigns.name if campaigns else None,
        "campaign": given.campaign,
        "start": given.start.isoformat(),
        "act": act,
        "horizon_hours": horizon / timedelta(hours=1),
        "seed": seed,
    }
    if found := dataset.find_run("uplift", inputs=inputs, config=config, cutoff=cutoff):
        if cutoff is None:
            dataset.point_to("uplift", found)
        return about(dataset, "uplift", found, reused=True)
    rng, matrix_at = np.random.default_rng(seed), seen_at(home, log, ProfileOptions(("counts",)))
    progress(0.02, say("reading features of before the start"))
    matrix, outcome = matrix_at(given.start), _outcome(log, given.start, horizon, act)
    rows, treated = _compared(matrix.user_ids, given, rng)
    earlier = given.start - horizon
    past = None if earlier <= log.start else _past(log, earlier, horizon, act, {matrix.user_ids[row] for row in rows.tolist()}, given)
    with one_thread():
        measured = measure(matrix.columns, matrix.values[rows], treated, outcome[rows], past, rng, progress=part_of(progress, 0.1, 1.0))
    users = [matrix.user_ids[row] for row in rows.tolist()]
    with dataset.new_run("uplift", inputs=inputs, config=config, cutoff=cutoff, make_current=cutoff is None, began=began) as draft:
        for name in ("balance", "overlap", "curve", "tenths"):
            write_table(draft.path / f"{name}.parquet", getattr(measured, name))
        write_table(draft.path / "shuffled.parquet", pa.table({"qini": measured.shuffled}))
        write_table(draft.path / "shoppers.parquet", _shoppers(users, treated, outcome[rows], measured))
        draft.record |= _record(measured, given, users, treated)
        draft.record |= {
            "act": act,
            "sentences": sentences(measured, _in_words(measured)),
            "warnings": _warnings(given, set(matrix.user_ids), earlier <= log.start),
        }
    return about(dataset, "uplift", draft.run_id)


def _check_start(log: Log, start: datetime, horizon: timedelta) -> None:
    if start <= log.start:
        raise CutoffError(
            "No event lies before the start of the treatment, {start}; the log starts {first}. Give a later start.",
            start=start,
            first=log.start,
        )
    if start + horizon > log.until:
        raise CutoffError(
            "The outcome is looked at until {end}, but the log ends {until}. Give a start on or before {latest}, or a shorter horizon.",
            end=f"{start + horizon:%Y-%m-%d %H:%M}",
            until=f"{log.until:%Y-%m-%d %H:%M}",
            latest=f"{log.until - horizon:%Y-%m-%d %H:%M}",
        )


def _in_words(measured: "Uplift") -> str | None:
    """The counted feature that is furthest apart before the start, in words."""
    if not measured.balance.num_rows:
        return None
    name = str(measured.balance["feature"][0].as_py())
    return Message(feature_words().get(name, name), {})


def _outcome(log: Log, start: datetime, horizon: timedelta, act: str) -> "np.ndarray":
    table = revenue_labels(log, start, horizon) if act == "revenue" else act_labels(log, start, horizon, act)
    return np.asarray(table["revenue" if act == "revenue" else "label"].to_numpy(), dtype=np.float64)


def _compared(users: list[str], given: "Treatment", rng: np.random.Generator) -> "tuple[np.ndarray, np.ndarray]":
    """Rows that are compared, and which of them were treated."""
    treated = np.array([user in given.treated for user in users], dtype=bool)
    known = treated | (np.array([user in given.held_out for user in users], dtype=bool) if given.held_out is not None else True)
    rows = np.flatnonzero(known)
    rows = np.sort(rng.permutation(rows)[:MOST_SHOPPERS])
    return rows, treated[rows]


def _past(log: Log, earlier: datetime, horizon: timedelta, act: str, users: set[str], given: "Treatment") -> "Past":
    from core.features import compute_features
    from core.predictor.matrix import matrix_of
    from core.uplift.measure import Past

    with log.history(earlier) as connection:
        matrix = matrix_of(compute_features(connection, earlier))
    rows = np.array([row for row, user in enumerate(matrix.user_ids) if user in users], dtype=np.int64)
    treated = np.array([matrix.user_ids[row] in given.treated for row in rows.tolist()], dtype=bool)
    return Past(matrix.values[rows], treated, _outcome(log, earlier, horizon, act)[rows])


def _shoppers(users: list[str], treated: "np.ndarray", outcome: "np.ndarray", measured: "Uplift") -> pa.Table:
    fitted = measured.fitted
    return pa.table(
        {
            "user_id": users,
            "treated": treated,
            "outcome": outcome,
            "uplift": fitted.uplift_x,
            "uplift_t": fitted.uplift_t,
            "effect": fitted.effect,
            "chance_of_treatment": fitted.propensity,
        }
    )


def _record(measured: "Uplift", given: "Treatment", users: list[str], treated: "np.ndarray") -> Result:
    figures = {name: found.as_dict() for name, found in measured.figures.items()}
    told = {"effect": measured.effect, "plain": measured.plain, "told_apart": measured.told_apart, "past": measured.past}
    elsewhere = np.array([user in given.elsewhere for user in users], dtype=bool)
    return {
        "users": measured.users,
        "treated": measured.treated,
        "outcome_treated": measured.outcome_treated,
        "outcome_others": measured.outcome_others,
        "balanced": measured.is_balanced,
        "to_be_believed": measured.is_to_be_believed,
        "outside": measured.outside,
        "as_large": measured.as_large,
        "shuffles": len(measured.shuffled),
        "elsewhere": {"treated": float(elsewhere[treated].mean()), "others": float(elsewhere[~treated].mean())},
        "metrics": figures | {name: found.as_dict() for name, found in told.items() if found is not None},
    }


def _warnings(given: "Treatment", known: set[str], is_first: bool) -> list[Message]:
    told = []
    if given.held_out is None:
        told.append(
            say("The file names only treated shoppers; all others of the log with a history before the start are compared with them.")
        )
    if strangers := len(given.treated - known):
        told.append(say("{n} treated shoppers have no act before the start and are left out.", n=strangers))
    if given.elsewhere:
        told.append(say("Other campaigns of the file began within one horizon of the start, so that neither group was left alone."))
    if is_first:
        told.append(say("The log begins too late for the same comparison before the start, which would show whether the groups are alike."))
    return told


def _fingerprint(*files: Path | None) -> str:
    return hashlib.sha256("".join(sha256_of(file) for file in files if file is not None and file.is_file()).encode()).hexdigest()[:32]
