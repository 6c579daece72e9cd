"""From a log to lists: plan the windows, fit the sources at each, learn and judge the blend, then list everyone's items."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from threadpoolctl import threadpool_limits

from core.errors import CutoffError, EmptyLogError, NotFoundError
from core.messages import Message, say
from core.recommender.blend import (
    Examples,
    Policy,
    Ranker,
    Values,
    blend_values,
    fit_ranker,
    fixed_values,
    join_examples,
    sample_examples,
    source_values,
)
from core.recommender.blocks import Ints
from core.recommender.candidates import Candidates, Context, iterate_candidates, make_context
from core.recommender.evaluate import Judge, empty_metrics
from core.recommender.guard import choose_policy
from core.recommender.interactions import Interactions, Labels, read_interactions, read_with_labels, strongest_act
from core.recommender.listing import block_table, two_lists
from core.recommender.options import BLEND, Foresight, ItemVectorsLike, NextItems, RecommendOptions, RecommendResult
from core.recommender.paths import Paths, catalogue_names
from core.recommender.relations import Relations, tell_unknown
from core.recommender.sources import FittedSources, fit_sources
from core.schema import Progress, silent
from core.store import Log
from core.windows import plan_windows, say_days

TRAIN_CUTOFFS = 1
"""Training cutoffs before the validation one; a second cost a third of the time and moved nDCG@10 by less than its noise."""

TRAIN_LABELS, MOST_TEACHERS = 15_000, 4
"""Purchases to learn from at each cutoff, and how many times `max_train_users` may grow for them: on IJCAI-15 (two a buyer) 6,000 buyers
instead of 1,500 gain .002 nDCG@10 of .014 (docs/decisions/0032); on Complete Journey each has dozens and the sample stays."""

KEPT_ROWS = 600_000
"""Ranked candidates kept beside the lists, all users together, so that rules and sliders need no new run; 25 CPU seconds of reasons."""
KEPT_DEPTH = 200
"""Most of one user, half of them the best of all items and half the best new ones: a rule against bought items leaves enough."""


@dataclass(frozen=True)
class Plan:
    """Cutoffs by role; any of the first three may be missing on a short log."""

    train: tuple[datetime, ...]
    validate: datetime | None
    test: datetime | None


@dataclass(frozen=True)
class _Stock:
    """What other stages learned and sources use."""

    item_vectors: ItemVectorsLike | None
    foresight: Foresight

    def sources(self, known: Interactions, options: RecommendOptions) -> FittedSources:
        return fit_sources(known, self.item_vectors, options, self.foresight(known.cutoff))


def _blind(cutoff: datetime) -> NextItems | None:
    return None


def recommend(
    log: Log,
    item_vectors: ItemVectorsLike | None = None,
    options: RecommendOptions | None = None,
    progress: Progress = silent,
    foresight: Foresight | None = None,
) -> RecommendResult:
    """List `k` items for every user with an event before the end of the log.

    Args:
        log: Read as if it ended at `log.until`.
        item_vectors: Text vectors of items, or None for a catalogue without texts.
        options: Settings.
        progress: Told the done share.
        foresight: What a transformer over single acts foresees at a cutoff, for the source `sequence`.

    Returns:
        Recommendations sorted by user_id and rank, measures, and a record for the manifest. `score` falls with rank;
        `chance` is the ranker's own probability of the target act within the horizon, NULL when nothing was learned.

    Raises:
        EmptyLogError: No event names an item.
    """
    options = options or RecommendOptions()
    with threadpool_limits(1):
        return _recommend(log, _Stock(item_vectors, foresight or _blind), options, progress)


def plan(log: Log, options: RecommendOptions) -> Plan:
    """Lay test, validation and training windows back from the end of the log, as far as the history reaches."""
    try:
        windows = plan_windows(log.start, log.until, options.horizon)
        return Plan(windows.train[-TRAIN_CUTOFFS:], windows.calibrate, windows.test)
    except CutoffError:
        test, validate = log.until - options.horizon, log.until - 2 * options.horizon
        reaches = [log.start + options.horizon <= cutoff for cutoff in (validate, test)]
        return Plan((), validate if reaches[0] else None, test if reaches[1] else None)


def judge(
    log: Log,
    item_vectors: ItemVectorsLike | None = None,
    options: RecommendOptions | None = None,
    progress: Progress = silent,
    foresight: Foresight | None = None,
) -> tuple[pa.Table, dict[str, Any]]:
    """Learn the blend and judge every source on the last window, and list nothing: the measures and record of `recommend`."""
    options = options or RecommendOptions()
    with threadpool_limits(1):
        learned = _learn(log, _Stock(item_vectors, foresight or _blind), options, progress)
    return learned.metrics, _plain(learned.record)


@dataclass(frozen=True)
class _Learned:
    """A blend ready for use at the end of the log."""

    target: str
    ranker: Ranker
    policy: Policy
    is_learned: bool
    metrics: pa.Table
    record: dict[str, Any]


def earliest_cutoff(log: Log, options: RecommendOptions) -> datetime:
    """Tell the first cutoff that `recommend` will look from: what learned nothing after it may serve at all of them."""
    windows = plan(log, options)
    return min([*windows.train, *(c for c in (windows.validate, windows.test) if c), log.until])


def _learn(log: Log, stock: _Stock, options: RecommendOptions, progress: Progress) -> _Learned:
    target = strongest_act(log)
    windows = plan(log, options)
    warnings: list[str] = []
    record: dict[str, Any] = {
        "windows": {"train": list(windows.train), "validate": windows.validate, "test": windows.test, "use": log.until},
        "warnings": warnings,
    }
    if target is None:
        target = "purchase"
        warnings.append(say("The log has no act that shows interest in an item; lists hold the catalogue in the order of item ids."))
    elif target != "purchase":
        # an act is named by a word that the pages have anyway
        warnings.append(say("The log has no purchases; recommendations are for the act {act!r} instead.", act=say(target)))
    record |= {
        "target": target,
        "bands": {"cold": f"no {target} before the cutoff", "warm": f"1 to 4 {target}s", "hot": f"5 or more {target}s"},
    }
    rng = np.random.default_rng(options.seed)
    examples: list[Examples] = []
    for place, cutoff in enumerate(windows.train):
        told = say("Learning from what shoppers did after {day}.", day=f"{cutoff:%Y-%m-%d}")
        progress(0.02 + 0.28 * place / len(windows.train), told)
        context, labels = _at(log, cutoff, target, stock, options)
        examples.append(_examples(context, labels, _teachers(labels, options, rng), options, rng))
    policy, learned = Policy(), False
    if windows.validate is not None:
        progress(0.3, say("Comparing the blend with every source."))
        context, labels = _at(log, windows.validate, target, stock, options)
        buyers = _teachers(labels, options, rng)
        if len(buyers) >= options.min_train_buyers:
            # without a training cutoff one half of the buyers teaches and the other half judges
            fitted_on, judges = (examples, buyers) if examples else ([_examples(context, labels, buyers[::2], options, rng)], buyers[1::2])
            ranker = fit_ranker(join_examples(fitted_on), options.seed)
            policy, record["validation"] = choose_policy(_frames(context, judges, options, ranker), context.known, labels)
            examples.append(_examples(context, labels, buyers, options, rng))
            learned = True
        del context, labels
    if not learned:
        examples = []
        warnings.append(
            say(
                "The log is too short or has too few buyers to learn a blend (it needs two windows of {horizon} after one of history, "
                "and {buyers} buyers); fixed weights order the lists instead.",
                horizon=say_days(options.horizon),
                buyers=options.min_train_buyers,
            )
        )
    metrics = empty_metrics()
    if windows.test is not None:
        progress(0.45, say("Judging every source on the last window."))
        ranker = fit_ranker(join_examples(examples), options.seed) if learned else Ranker(None, None)
        context, labels = _at(log, windows.test, target, stock, options)
        bench = Judge(context.known, labels)
        judged = _sampled(labels.users(), options.max_test_users, rng)
        for candidates, chance in _frames(context, judged, options, ranker if learned else None):
            values = {name: source_values(candidates, name) for name in context.fitted.sources}
            bench.add(candidates, {**values, BLEND: _blend(candidates, chance, policy, learned)})
        metrics = bench.table()
        record["candidate_recall"] = bench.candidate_recall()
        record["comparisons"] = bench.comparisons(BLEND)
        record["trial"] = bench.trial(BLEND)
        if learned and len(labels.users()):
            examples.append(_examples(context, labels, _teachers(labels, options, rng), options, rng))
        del context, labels, bench
    if not metrics.num_rows:
        warnings.append(say("No later window with buyers is left to judge the lists on; no measure is given."))
    ranker = fit_ranker(join_examples(examples[-TRAIN_CUTOFFS - 1 :]), options.seed) if learned else Ranker(None, None)
    examples.clear()
    record |= {"learned": learned, "guard": policy, "weights": ranker.weights()}
    return _Learned(target, ranker, policy, learned, metrics, record)


@dataclass(frozen=True)
class Ready:
    """A learned blend and the fitted sources at the end of the log: what one preview after another is made from."""

    context: Context
    blend: _Learned
    options: RecommendOptions


def prepare(
    log: Log,
    item_vectors: ItemVectorsLike | None = None,
    options: RecommendOptions | None = None,
    progress: Progress = silent,
    foresight: Foresight | None = None,
) -> Ready:
    """Do all of `recommend` but the lists.

    Raises:
        EmptyLogError: No event names an item.
    """
    with threadpool_limits(1):
        return _prepare(log, _Stock(item_vectors, foresight or _blind), options or RecommendOptions(), progress)


def preview(ready: Ready, user_ids: Sequence[str]) -> pa.Table:
    """List the items of a few users: the rows that `recommend` keeps for them, sorted by user_id and rank.

    Raises:
        NotFoundError: A user has no event.
    """
    known = ready.context.known
    places = []
    for user_id in sorted(set(user_ids)):
        place = bisect_left(known.user_ids, user_id)
        if known.user_ids[place : place + 1] != [user_id]:
            raise NotFoundError("There is no shopper {user!r} in this log; check the id.", user=user_id)
        places.append(place)
    with threadpool_limits(1):
        return pa.concat_tables(_lists(ready, np.array(places, np.int64), silent))


def _prepare(log: Log, stock: _Stock, options: RecommendOptions, progress: Progress) -> Ready:
    blend = _learn(log, stock, options, progress)
    progress(0.7, say("Listing items for every shopper."))
    known = read_interactions(log, log.until, blend.target)
    if not known.shape[1]:
        raise EmptyLogError("No event names an item, so there is nothing to recommend; map a column to item_id.")
    context = make_context(known, stock.sources(known, options))
    if options.source != BLEND and options.source not in context.fitted.sources:
        blend.record["warnings"].append(
            say(
                "The source {source!r} has nothing to go by in this log (no texts, categories or acts); popularity stands in.",
                source=options.source,
            )
        )
    blend.record.update(users=known.shape[0], items=known.shape[1], sources=sorted(context.fitted.sources))
    return Ready(context, blend, options)


def _recommend(log: Log, stock: _Stock, options: RecommendOptions, progress: Progress) -> RecommendResult:
    ready = _prepare(log, stock, options, progress)
    record, (users, items) = ready.blend.record, ready.context.known.shape
    blocks = list(_lists(ready, np.arange(users), progress))
    kept = pa.concat_tables(blocks)
    table = kept.filter(pc.less_equal(kept["rank"], options.k))
    record["kept"] = kept.num_rows
    if options.relations.edges:
        record["relations"], told = _tell_relations(options.relations, ready.context)
        record["warnings"] += told
    if table.num_rows < options.k * users:
        held = {"k": options.k, "items": say("1 item") if items == 1 else say("{n} items", n=items)}
        record["warnings"].append(
            say("Some lists are shorter than {k}: the catalogue holds {items}, and items that a shopper already has are left out.", **held)
            if options.new_only
            else say("Some lists are shorter than {k}: the catalogue holds {items}.", **held)
        )
    return RecommendResult(table, ready.blend.metrics, _plain(record), kept, two_lists(blocks, options.k))


def _tell_relations(declared: Relations, context: Context) -> tuple[dict[str, Any], list[Message]]:
    """How many relations were given and walk somewhere at the end of the log, which names lead nowhere, and what to know of them."""
    unknown = declared.unknown(catalogue_names(context.known))
    paths = context.fitted.sources.get("paths")
    walked = {*paths.relations} if isinstance(paths, Paths) else set()
    count = sum(edge in walked or edge.reverse() in walked for edge in declared.edges)
    timeless = say("Relations carry no time: windows of the past were judged with those of today.")
    return {"given": len(declared.edges), "walked": count, "unknown": unknown}, [timeless, *tell_unknown(unknown)]


def _at(log: Log, cutoff: datetime, target: str, stock: _Stock, options: RecommendOptions) -> tuple[Context, Labels]:
    known, labels = read_with_labels(log, cutoff, options.horizon, target)
    return make_context(known, stock.sources(known, options)), labels


def _teachers(labels: Labels, options: RecommendOptions, rng: np.random.Generator) -> Ints:
    """Buyers to learn from: more of them where each buys little."""
    users = labels.users()
    wanted = TRAIN_LABELS * len(users) // max(len(labels.user), 1)
    return _sampled(users, min(max(wanted, options.max_train_users), MOST_TEACHERS * options.max_train_users), rng)


def _sampled(users: Ints, most: int, rng: np.random.Generator) -> Ints:
    return np.sort(rng.choice(users, most, replace=False)) if len(users) > most else users


def _examples(context: Context, labels: Labels, users: Ints, options: RecommendOptions, rng: np.random.Generator) -> Examples:
    keys = Judge(context.known, labels).label_keys()
    parts = []
    for candidates in iterate_candidates(context, users, options.k):
        label = np.isin(candidates.user * context.known.shape[1] + candidates.item, keys)
        parts.append(sample_examples(candidates, label, rng, len(users)))
    return join_examples(parts)


def _frames(context: Context, users: Ints, options: RecommendOptions, ranker: Ranker | None) -> Iterator[tuple[Candidates, Values]]:
    for candidates in iterate_candidates(context, users, options.k, features=ranker is not None):
        yield candidates, ranker.chance(candidates) if ranker else np.zeros(len(candidates.user))


def _blend(candidates: Candidates, chance: Values, policy: Policy, learned: bool) -> Values:
    return blend_values(candidates, chance, policy) if learned else fixed_values(candidates)


def _lists(ready: Ready, users: Ints, progress: Progress) -> Iterator[pa.Table]:
    context, blend, options = ready.context, ready.blend, ready.options
    use_ranker = blend.ranker if blend.is_learned and options.source == BLEND else None
    depth = max(options.k, min(KEPT_DEPTH, KEPT_ROWS // max(context.known.shape[0], 1)))
    done = 0
    for candidates, chance in _frames(context, users, options, use_ranker):
        if options.source == BLEND:
            values = _blend(candidates, chance, blend.policy, blend.is_learned)
        elif options.source in context.fitted.sources:
            values = source_values(candidates, options.source)
        else:
            values = source_values(candidates, "popularity")
        yield block_table(context.known, context.fitted, options, candidates, values, chance if use_ranker else None, depth)
        done = int(candidates.user.max(initial=done))
        progress(0.7 + 0.3 * done / max(context.known.shape[0], 1), say("Listing items for every shopper."))


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    """Turn dataclasses and times into what JSON holds."""
    policy = record["guard"]
    record["guard"] = {ground: {"partner": mix.partner, "share": mix.share} for ground, mix in vars(policy).items()}
    record["windows"] = {
        role: [c.isoformat() for c in cutoff] if isinstance(cutoff, list) else cutoff.isoformat() if cutoff else None
        for role, cutoff in record["windows"].items()
    }
    return record
