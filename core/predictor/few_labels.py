"""Whether labels that nobody gave, or that are asked for cleverly, make up for few labels; each gain with its interval.

L labelled rows, N training rows (one a user), M test rows, D features.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.linear_model import LogisticRegression

from core.errors import GateError
from core.messages import say
from core.metrics import auc, log_loss
from core.predictor.matrix import Floats, Indices, Matrix, Singles, fit_scaling
from core.schema import Progress, silent

LABELLED = (50, 100, 200, 500)
"""Sizes of the labelled set."""
DRAWS = 8
RESAMPLES = 200
BLOCK_DIM = 32
STRENGTH = 0.03
"""C of the ridge: what small sets choose most often on Complete Journey."""
CONFIDENT = 0.2
"""Share of the unlabelled rows that get a pseudo-label: the surest at either end, in the shares of the labelled set."""
PSEUDO_WEIGHT = 0.3
"""What a pseudo-label counts beside a real one."""
GUARD_FOLDS = 5
CLUSTERS = 10
"""Groups of candidates that a batch is spread over."""
SEEDED = 20
"""Labels at random before the first clever question."""
BATCH = 50
"""Questions of one round."""
MOST_UNSURE = 5000
"""Shoppers looked at for a first round, when nobody is known to be surer than another."""
RARE = 0.2
"""Share of the rarer answer, as foretold, below which those least sure are unlike all others: asking them alone cost .02 to .12 of AUC
where 2 % act (docs/decisions/0026)."""
POOL = 5
"""Candidates of a round for each question, the least sure first."""

Ints = npt.NDArray[np.int64]
SCHEMA = pa.schema(
    [
        ("way", pa.string()), ("labelled", pa.int64()), ("auc", pa.float64()), ("plain", pa.float64()), ("gain", pa.float64()),
        ("gain_low", pa.float64()), ("gain_high", pa.float64()), ("accepted", pa.float64()), ("draws", pa.int64()),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Rows:
    """Scaled inputs of training and test."""

    learn: Singles
    """(N, D)."""
    labels: Floats
    """(N,)."""
    judge: Singles
    """(M, D)."""
    truth: Floats
    """(M,)."""


def few_labels(
    train: Matrix, labels: Floats, test: Matrix, test_labels: Floats, rng: np.random.Generator, *, labelled: tuple[int, ...] = LABELLED,
    draws: int = DRAWS, progress: Progress = silent,
) -> pa.Table:  # fmt: skip
    """Compare, at equal numbers of labels: labels alone, with pseudo-labels of the others, and labels asked for by `choose_questions`.

    Args:
        train: One row a user, of one cutoff (N, F).
        labels: 0/1 (N,); all but the labelled ones stay unseen.
        test: As of a later cutoff (M, F).
        test_labels: 0/1 (M,).
        rng: Source of chance.
        labelled: Sizes of the labelled set; those above N are left out.
        draws: Sets for each size.
        progress: Told after each draw.

    Returns:
        One row for each way (pseudo, active) and size: way, labelled, auc (mean over draws), plain (the same without the way: labels
        drawn at random), gain with its 95 % interval over draws and test users, accepted (pseudo: share of draws whose guard let the
        pseudo-labels in; NULL for active), draws.

    Raises:
        GateError: Fewer than ten shoppers of either kind.
    """
    if min(labels.sum(), (1 - labels).sum(), test_labels.sum(), (1 - test_labels).sum()) < 10:
        raise GateError(
            "Few labels need ten shoppers of either kind: {acted} of {n} act in training, {test_acted} of {test_n} in the test.",
            acted=int(labels.sum()),
            n=len(labels),
            test_acted=int(test_labels.sum()),
            test_n=len(test_labels),
        )
    scaling = fit_scaling(train, BLOCK_DIM)
    rows = Rows(scaling.apply(train), labels, scaling.apply(test), test_labels)
    sizes = [size for size in labelled if size <= len(labels)]
    scores: dict[tuple[str, int], list[Floats]] = {(way, size): [] for way in ("plain", "pseudo", "active") for size in sizes}
    accepted: dict[int, list[bool]] = {size: [] for size in sizes}
    for draw in range(draws):
        order = _startable(rng.permutation(len(labels)), labels)
        for size, chosen in _asked(rows, order, sizes, rng):
            scores["active", size].append(_logits(rows.learn[chosen], labels[chosen], rows.judge))
        for size in sizes:
            chosen = order[:size]
            scores["plain", size].append(_logits(rows.learn[chosen], labels[chosen], rows.judge))
            found, let_in = _pseudo(rows, chosen, order[size:], rng)
            scores["pseudo", size].append(found if let_in else scores["plain", size][-1])
            accepted[size].append(let_in)
        progress((draw + 1) / draws, say("learning from few labels, draw {draw} of {draws}", draw=draw + 1, draws=draws))
    table = [
        _row(way, size, scores[way, size], scores["plain", size], accepted[size] if way == "pseudo" else None, test_labels, rng)
        for way in ("pseudo", "active")
        for size in sizes
    ]
    return pa.Table.from_pylist(table, schema=SCHEMA)


def choose_questions(inputs: Singles, chances: Floats | None, count: int, rng: np.random.Generator) -> Ints:
    """Choose whom to ask about: the least sure, spread over different shoppers; everyone alike in chance where one answer is rare.

    Where the rarer answer is foretold for less than RARE, shoppers stand in order of their chance and each of `count` equal parts gives
    one at random: every height of the chance is asked about, and the answers stay a sample of all. Else, of the POOL × count rows whose
    chance lies nearest to one half, k-means makes groups, and each group gives its least sure in turn. Before there is a chance, groups
    of everyone give those nearest to their centres.

    Args:
        inputs: Scaled (N, D).
        chances: 0-1 (N,), or None.
        count: Questions.
        rng: Source of chance.

    Returns:
        Places (at most count), in the order to ask.
    """
    from sklearn.cluster import KMeans

    if chances is None:
        pool = np.sort(rng.permutation(len(inputs))[:MOST_UNSURE])
    elif min(float(chances.mean()), 1 - float(chances.mean())) < RARE:
        parts = np.array_split(np.argsort(-chances, kind="stable"), min(count, len(chances)))
        return np.array([rng.choice(part) for part in parts], dtype=np.int64)
    else:
        pool = np.argsort(np.abs(chances - 0.5), kind="stable")[: POOL * count]
    if len(pool) <= count:
        return np.asarray(pool, dtype=np.int64)
    kinds = KMeans(min(CLUSTERS, count), n_init=1, max_iter=50, random_state=int(rng.integers(2**31))).fit(inputs[pool])
    groups = kinds.labels_
    if chances is None:
        near = np.linalg.norm(inputs[pool] - kinds.cluster_centers_[groups], axis=1)
        order = np.argsort(near, kind="stable")
        pool, groups = pool[order], groups[order]
    place_in_group = np.empty(len(pool), dtype=np.int64)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)  # the first ones first
        place_in_group[members] = np.arange(len(members))
    return np.asarray(pool[np.lexsort((np.arange(len(pool)), place_in_group))][:count], dtype=np.int64)


def fit_few(inputs: Singles, labels: Floats, weights: Floats | None = None) -> Callable[[Singles], Floats]:
    """Fit the ridge that small sets are learned with; gives logits of further rows."""
    model = LogisticRegression(C=STRENGTH, max_iter=300).fit(inputs, labels, sample_weight=weights)
    return lambda rows: np.asarray(model.decision_function(rows), dtype=np.float64)


def _logits(inputs: Singles, labels: Floats, judged: Singles) -> Floats:
    return fit_few(inputs, labels)(judged)


def _startable(order: Ints, labels: Floats) -> Ints:
    """The same order, but for a few rows: its first rows hold both kinds, or nothing could be learned from them."""
    for kind in (0, 1):
        places = np.flatnonzero(labels[order] == kind)[:3]
        order = np.concatenate([order[places], np.delete(order, places)])
    return order


def _pseudo(rows: Rows, chosen: Ints, others: Ints, rng: np.random.Generator) -> tuple[Floats, bool]:
    """Logits with pseudo-labels, and whether the guard lets them in: on folds of the real labels both AUC and log loss must get better."""
    known = rows.labels[chosen]
    if not len(others):
        return np.zeros(len(rows.truth)), False

    def learn(real: Ints) -> Callable[[Singles], Floats]:
        plain = fit_few(rows.learn[real], rows.labels[real])
        guessed = plain(rows.learn[others])
        count = int(CONFIDENT * len(others))
        positives = max(1, round(count * float(rows.labels[real].mean())))
        ranked = np.argsort(-guessed, kind="stable")
        surest = np.concatenate([ranked[:positives], ranked[len(ranked) - (count - positives) :]])
        pseudo = np.concatenate([np.ones(positives), np.zeros(count - positives)])
        weights = np.concatenate([np.ones(len(real)), np.full(count, PSEUDO_WEIGHT * len(real) / max(count, 1))])
        inputs = np.concatenate([rows.learn[real], rows.learn[others[surest]]])
        return fit_few(inputs, np.concatenate([rows.labels[real], pseudo]), weights)

    folds = _folds(known, rng)
    with_them, without = np.zeros(len(chosen)), np.zeros(len(chosen))
    for fold in range(GUARD_FOLDS):
        real, held = chosen[folds != fold], folds == fold
        if len(set(rows.labels[real].tolist())) < 2:
            return np.zeros(len(rows.truth)), False
        with_them[held] = learn(real)(rows.learn[chosen[held]])
        without[held] = _logits(rows.learn[real], rows.labels[real], rows.learn[chosen[held]])
    let_in = auc(known, with_them) > auc(known, without) and log_loss(known, _chance(with_them)) < log_loss(known, _chance(without))
    return (learn(chosen)(rows.judge), True) if let_in else (np.zeros(len(rows.truth)), False)


def _folds(labels: Floats, rng: np.random.Generator) -> Indices:
    """Folds with like shares of both kinds."""
    folds = np.empty(len(labels), dtype=np.int64)
    for kind in (0, 1):
        places = np.flatnonzero(labels == kind)
        folds[places] = rng.permutation(len(places)) % GUARD_FOLDS
    return folds


def _asked(rows: Rows, order: Ints, sizes: list[int], rng: np.random.Generator) -> Iterator[tuple[int, Ints]]:
    """Labelled sets grown by asking, from the same first rows as the random ones."""
    chosen = order[:SEEDED]
    for size in sizes:
        while len(chosen) < size:
            rest = np.setdiff1d(order, chosen)
            chances = _chance(_logits(rows.learn[chosen], rows.labels[chosen], rows.learn[rest]))
            picked = choose_questions(rows.learn[rest], chances, min(BATCH, size - len(chosen)), rng)
            chosen = np.concatenate([chosen, rest[picked]])
        yield size, chosen


def _row(
    way: str, size: int, ours: list[Floats], plain: list[Floats], accepted: list[bool] | None, truth: Floats, rng: np.random.Generator
) -> dict[str, object]:
    areas, others = np.array([auc(truth, one) for one in ours]), np.array([auc(truth, one) for one in plain])
    drawn = []
    for _ in range(RESAMPLES):  # draws and test users are drawn again together
        users, draws = rng.integers(0, len(truth), len(truth)), rng.integers(0, len(ours), len(ours))
        drawn.append(np.mean([auc(truth[users], ours[d][users]) - auc(truth[users], plain[d][users]) for d in draws.tolist()]))
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return {
        "way": way, "labelled": size, "auc": float(areas.mean()), "plain": float(others.mean()), "gain": float((areas - others).mean()),
        "gain_low": float(low), "gain_high": float(high), "accepted": float(np.mean(accepted)) if accepted is not None else None,
        "draws": len(ours),
    }  # fmt: skip


def _chance(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))))
