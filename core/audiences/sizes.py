"""How large an audience is, how many of it will buy, and what contacting it is worth."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from math import ceil, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.audiences.chances import base_of
from core.audiences.counted import People
from core.audiences.leaves import Scope
from core.audiences.rules import TABLE_COLUMNS, Rule, Tables, compile_rule, listed_users, scope_of
from core.errors import RuleError
from core.messages import Message, say
from core.store import Connection, fetch, identifier, scalar

LEAST_PLATFORM = 100
"""Ad platforms refuse smaller lists."""
GOOD_PLATFORM = 1_000
"""Below, platforms deliver seldom: many ids find no account."""
CONSENT_COLUMNS = (
    "consent",
    "marketing_consent",
    "email_consent",
    "ad_consent",
    "opt_in",
    "email_opt_in",
    "marketing_opt_in",
    "gdpr_consent",
    "u540c_u610f",
)
"""Attribute columns that tell whether a person may be contacted, as slugs (the last one is 同意); the first one present counts."""
CONSENT_WORDS = (
    "1",
    "true",
    "t",
    "yes",
    "y",
    "granted",
    "given",
    "opt_in",
    "opt-in",
    "opted_in",
    "opted-in",
    "allowed",
    "是",
    "同意",
    "已同意",
)

MEMBERS_SQL = """
SELECT m.user_id, s.propensity, g.segment_id,
       sha256($salt || m.user_id) < $threshold AS holdout,
       {consent} AS consents
FROM ({rule}) AS m
LEFT JOIN {scores} AS s USING (user_id)
LEFT JOIN {segments} AS g USING (user_id)
LEFT JOIN users AS u USING (user_id)
"""


@dataclass(frozen=True)
class Value:
    """What people pay and earn for each shopper contacted."""

    cost: float = 0.0
    """Of contacting one shopper."""
    margin: float = 0.0
    """Earned from one buyer."""


@dataclass(frozen=True)
class Part:
    """Figures of a set of shoppers, said as if they were not contacted: a purchase chance is no effect of an advertisement."""

    users: int
    scored: int
    """Users who have a purchase chance; the others add nothing to expected_buyers."""
    expected_buyers: float
    """Sum of purchase chances."""
    sd: float
    """Spread by chance alone, √Σp(1−p)."""
    calibration_buyers: float
    """How far Σp may be off because the chances themselves are: scored users × calibration error."""
    low: float
    """expected_buyers − 1.96 sd − calibration_buyers, at least 0."""
    high: float
    """expected_buyers + 1.96 sd + calibration_buyers, at most `scored`."""
    expected_value: float
    """expected_buyers × margin − users × cost."""
    cost: float


@dataclass(frozen=True)
class AudienceSize:
    """An audience: everyone in it, and the part that is exported (without holdout and without those who did not consent)."""

    everyone: Part
    exported: Part
    holdout_users: int
    """Users kept back, of those who consent; everyone = exported + holdout + without consent."""
    without_consent: int | None
    """Users left out because the consent column does not say yes; None without such a column."""
    consent_column: str | None
    break_even: float | None
    """Smallest purchase chance at which a contact pays, cost / margin."""
    worth_contacting: int | None
    """Exported users at or above it."""
    detectable_lift: float | None
    """Relative difference between exported and holdout that a test would find (80 % power, two-sided 5 %); None without holdout."""
    warnings: tuple[str, ...]
    unknown_ids: int = 0
    """Ids that the rule lists by name and the log does not know."""


def members(
    connection: Connection,
    tables: Tables,
    rule: Rule,
    *,
    cutoff: datetime,
    holdout_share: float = 0.1,
    holdout_salt: str = "holdout",
    in_order: bool = True,
) -> pa.Table:
    """List an audience: user_id (sorted, unless nobody asks for order), propensity, segment_id, holdout, consents.

    The holdout is drawn by the SHA-256 of salt and user_id: a user stays in or out of it in every export with that salt.

    Raises:
        RuleError: The rule is malformed, or the holdout is no share.
    """
    _check_share(holdout_share)
    registered = _register(connection, tables)
    try:
        scope = scope_of(connection, tables, cutoff)
        compiled = compile_rule(rule, scope, in_order=False)
        column = consent_column(scope.attributes)
        consent = f"coalesce(list_contains($consent_words, lower(trim(u.{identifier(column)}::VARCHAR))), false)" if column else "true"
        parameters = compiled.parameters | {"salt": holdout_salt, "threshold": _threshold(holdout_share)}
        if column:
            parameters["consent_words"] = list(CONSENT_WORDS)
        sql = MEMBERS_SQL.format(
            rule=compiled.sql,
            consent=consent,
            scores="scores" if "scores" in tables else "(SELECT NULL::VARCHAR AS user_id, NULL::DOUBLE AS propensity WHERE false)",
            segments="segments" if "segments" in tables else "(SELECT NULL::VARCHAR AS user_id, NULL::INTEGER AS segment_id WHERE false)",
        )
        return fetch(connection, f"{sql} ORDER BY m.user_id" if in_order else sql, parameters)
    finally:
        for name in registered:
            connection.unregister(name)


def size_audience(
    connection: Connection,
    tables: Tables,
    rule: Rule,
    *,
    cutoff: datetime,
    holdout_share: float = 0.1,
    holdout_salt: str = "holdout",
    value: Value | None = None,
    calibration_error: float = 0.0,
) -> AudienceSize:
    """Size an audience and the part of it that an export with the same arguments holds.

    Args:
        connection: The log as of the cutoff.
        tables: See `rules.Tables`; `scores` gives the purchase chances.
        rule: See `rules`.
        cutoff: End of the history.
        holdout_share: Share of users kept back to measure the effect, 0 to below 1.
        holdout_salt: Name of the test; another salt draws another holdout.
        value: Cost of a contact and margin of a buyer.
        calibration_error: Expected calibration error of the purchase chances, as measured on the test window.

    Raises:
        RuleError: The rule is malformed.
    """
    listed = members(connection, tables, rule, cutoff=cutoff, holdout_share=holdout_share, holdout_salt=holdout_salt, in_order=False)
    columns = fetch(
        connection, "SELECT column_name FROM duckdb_columns() WHERE table_name = 'users' AND database_name = current_database()"
    )
    size = summarise(
        listed, consent_column(frozenset(columns["column_name"].to_pylist())), value or Value(), calibration_error, holdout_share
    )
    known = "SELECT count(DISTINCT user_id) FROM history WHERE list_contains($ids, user_id)"
    return _with_unknown(size, rule, lambda ids: int(scalar(connection, known, {"ids": ids})))


def size_among(
    connection: Connection,
    people: People,
    rule: Rule,
    scope: Scope,
    *,
    holdout_share: float = 0.1,
    holdout_salt: str = "holdout",
    value: Value | None = None,
    calibration_error: float = 0.0,
) -> AudienceSize:
    """Size an audience as `size_audience` does, on arrays that are kept between two rules.

    Args:
        connection: The log as of the cutoff of the people.
        people: Among whom the rule chooses.
        rule: See `rules`.
        scope: What the rule may name; its tables are those of the people.
        holdout_share: Share of users kept back to measure the effect, 0 to below 1.
        holdout_salt: Name of the test.
        value: Cost of a contact and margin of a buyer.
        calibration_error: Expected calibration error of the purchase chances.

    Raises:
        RuleError: The rule is malformed, or the holdout is no share.
    """
    _check_share(holdout_share)
    inside = people.choose(connection, compile_rule(rule, scope))
    consent = consent_column(scope.attributes)
    consents = people.consents(connection, consent, CONSENT_WORDS)[inside] if consent else np.ones(int(inside.sum()), dtype=bool)
    holdout = people.draws(connection, holdout_salt)[inside] < _draws_below(holdout_share)
    size = _summarise(people.chances()[inside], holdout, consents, consent, value or Value(), calibration_error, holdout_share)
    return _with_unknown(size, rule, people.known)


def _with_unknown(size: AudienceSize, rule: Rule, known: Callable[[list[str]], int]) -> AudienceSize:
    """Add how many of the ids that a rule lists the log does not know."""
    asked = listed_users(rule)
    if not asked or not (missing := len(asked) - known(sorted(asked))):
        return size
    told = say("{missing:,} of the {listed:,} ids listed in the rule are not in the log.", missing=missing, listed=len(asked))
    return replace(size, unknown_ids=missing, warnings=(*size.warnings, told))


def summarise(listed: pa.Table, consent: str | None, value: Value, calibration_error: float, holdout_share: float) -> AudienceSize:
    """Figures of listed members; see `size_audience`."""
    chances, holdout, consents = (listed[name].to_numpy() for name in ("propensity", "holdout", "consents"))
    return _summarise(chances, holdout, consents, consent, value, calibration_error, holdout_share)


def _summarise(
    chances: npt.NDArray[np.float64],
    holdout: npt.NDArray[np.bool_],
    consents: npt.NDArray[np.bool_],
    consent: str | None,
    value: Value,
    calibration_error: float,
    holdout_share: float,
) -> AudienceSize:
    exported = chances[~holdout & consents]
    everyone, sent = _part(chances, value, calibration_error), _part(exported, value, calibration_error)
    held = int((holdout & consents).sum())
    break_even = value.cost / value.margin if value.margin > 0 else None
    return AudienceSize(
        everyone=everyone,
        exported=sent,
        holdout_users=held,
        without_consent=int((~consents).sum()) if consent else None,
        consent_column=consent,
        break_even=break_even,
        worth_contacting=None if break_even is None else int((exported >= break_even).sum()),
        detectable_lift=_detectable(sent, held),
        warnings=tuple(_warnings(everyone, sent, held, holdout_share, break_even)),
    )


def consent_column(attributes: frozenset[str]) -> str | None:
    """Name the attribute that says whether a person may be contacted, or None."""
    return next((column for column in CONSENT_COLUMNS if column in attributes), None)


def as_record(size: AudienceSize) -> dict[str, Any]:
    """The figures as a record for JSON."""
    plain: dict[str, Any] = {name: value for name, value in vars(size).items() if name not in ("everyone", "exported")}
    return plain | {"everyone": vars(size.everyone), "exported": vars(size.exported), "warnings": list(size.warnings)}


def _register(connection: Connection, tables: Tables) -> list[str]:
    unknown = sorted(name for name in tables if base_of(name) not in TABLE_COLUMNS)
    if unknown:
        raise RuleError("Rules know the tables {tables}; not {unknown}.", tables=", ".join(TABLE_COLUMNS), unknown=", ".join(unknown))
    for name, table in tables.items():
        connection.register(name, table)
    return list(tables)


def _check_share(holdout: float) -> None:
    if not 0 <= holdout < 1:
        raise RuleError("The holdout is a share from 0 to below 1; got {share}.", share=str(holdout))


def _draws_below(share: float) -> int:
    """First 52 bits below which a SHA-256 lies with chance `share`."""
    return int(share * 2**52)


def _threshold(share: float) -> str:
    """The same as hex digits."""
    return f"{_draws_below(share):013x}" if share > 0 else ""


def _part(chances: npt.NDArray[np.float64], value: Value, calibration_error: float) -> Part:
    known = chances[~np.isnan(chances)]
    expected = _total(known)
    sd = sqrt(_total(known * (1 - known)))
    off = len(known) * calibration_error
    cost = len(chances) * value.cost
    return Part(
        users=len(chances), scored=len(known), expected_buyers=expected, sd=sd, calibration_buyers=off,
        low=max(0.0, expected - 1.96 * sd - off), high=min(float(len(known)), expected + 1.96 * sd + off),
        expected_value=expected * value.margin - cost, cost=cost,
    )  # fmt: skip


def _total(values: npt.NDArray[np.float64]) -> float:
    """Sum of values from 0 to 1, each to 2⁻⁶¹, that no order of rows changes by a digit: whole numbers are added, in two halves."""
    scaled = values * 2.0**30
    high = np.floor(scaled)
    low = np.rint((scaled - high) * 2.0**30)
    return (int(high.astype(np.int64).sum()) * 2**30 + int(low.astype(np.int64).sum())) / 2**60


def _detectable(sent: Part, held: int) -> float | None:
    rate = sent.expected_buyers / sent.scored if sent.scored else 0.0
    if not held or not 0 < rate < 1:
        return None
    return (1.959964 + 0.841621) * sqrt(rate * (1 - rate) * (1 / sent.users + 1 / held)) / rate


def list_warnings(users: int, least: int = LEAST_PLATFORM) -> list[Message]:
    """Say when a list is too short for ad platforms: refused below `least`, delivered poorly below GOOD_PLATFORM."""
    if users < least and users == 1:
        return [say("1 user in the file: ad platforms refuse lists below {least}. Widen the rule.", least=least)]
    if users < least:
        return [say("{users} users in the file: ad platforms refuse lists below {least}. Widen the rule.", users=users, least=least)]
    if users < GOOD_PLATFORM:
        return [
            say(
                "{users} users in the file: platforms deliver poorly below {good:,}, because not every id finds an account.",
                users=users,
                good=GOOD_PLATFORM,
            )
        ]
    return []


def _warnings(everyone: Part, sent: Part, held: int, holdout_share: float, break_even: float | None) -> list[Message]:
    said: list[Message] = []
    if not everyone.users:
        said.append(say("Nobody fits this rule."))
    else:
        said += list_warnings(sent.users)
    if everyone.users and not everyone.scored:
        said.append(say("No user has a purchase chance, so buyers cannot be expected; run `predict` first."))
    elif everyone.scored < everyone.users:
        unscored = everyone.users - everyone.scored
        said.append(
            say("1 user has no purchase chance (not seen lately) and counts as 0 buyers.")
            if unscored == 1
            else say("{n:,} users have no purchase chance (not seen lately); they count as 0 buyers.", n=unscored)
        )
    if everyone.users and holdout_share and held < 30:
        enough = ceil(30 / holdout_share)
        said.append(
            say("The holdout is 1 user: too few to measure an effect. {enough:,} users in the audience would give 30.", enough=enough)
            if held == 1
            else say(
                "The holdout is {held} users: too few to measure an effect. {enough:,} users in the audience would give 30.",
                held=held,
                enough=enough,
            )
        )
    if break_even is not None and break_even >= 1:
        said.append(say("A contact costs as much as a buyer earns: nobody is worth contacting."))
    return said
