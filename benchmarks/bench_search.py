"""What a shopper's own order does for search: the item opened after a query, and where plain and personal orders put it.

    python -m benchmarks.bench_search --home HOME --dataset clickstream --cutoff 2025-05-08

Needs profiles as of the cutoff (`python -m core profile --cutoff T`). Each search event after the cutoff is asked again as of it, and the
first item of the same session that the shopper opens within ten minutes is looked for among the first 50 matches. Mean reciprocal rank
with 95 % intervals over searches; the difference to the plain order is paired.
"""

import argparse
import time
from datetime import timedelta
from pathlib import Path

import numpy as np

from core.metrics import bootstrap
from core.pipeline import screens, searching
from core.search.personal import SIGNALS, reorder
from core.store import Home, fetch
from core.windows import parse_time

SEARCHES_SQL = """
WITH asked AS (
    SELECT user_id, session_id, event_time, lower(trim(query)) AS query FROM main.events
    WHERE event_type = 'search' AND query IS NOT NULL AND event_time >= $cutoff AND event_time < $end
)
SELECT a.user_id, a.query, arg_min(e.item_id, e.event_time) AS item_id
FROM asked AS a JOIN main.events AS e ON e.user_id = a.user_id AND e.session_id IS NOT DISTINCT FROM a.session_id
     AND e.event_time > a.event_time AND e.event_time <= a.event_time + INTERVAL 10 MINUTE AND e.event_type IN ('view', 'click')
WHERE a.user_id IN (SELECT user_id FROM main.events WHERE event_time < $cutoff)
GROUP BY a.user_id, a.query, a.event_time ORDER BY a.user_id, a.event_time
"""
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--cutoff", required=True)
    parser.add_argument("--days", type=float, default=21)
    parser.add_argument("--most", type=int, default=600)
    arguments = parser.parse_args()
    cutoff = parse_time(arguments.cutoff)
    screen = screens.open_screen(Home(Path(arguments.home)), arguments.dataset)
    with screen.log.history() as connection:
        asked = fetch(connection, SEARCHES_SQL, {"cutoff": cutoff, "end": cutoff + timedelta(days=arguments.days)}).to_pylist()
    rng = np.random.default_rng(0)
    chosen = [asked[int(row)] for row in sorted(rng.permutation(len(asked))[: arguments.most])]
    ranks = np.zeros((len(chosen), len(STRENGTHS)))
    began = time.process_time()
    for row, one in enumerate(chosen):
        rows = searching.search(screen, one["query"], one["user_id"], 1.0, 50, cutoff).plain
        if not len(rows):
            continue
        signals = {name: rows[name].to_numpy(np.float64) for name in SIGNALS}
        for column, strength in enumerate(STRENGTHS):
            items = rows["item_id"].to_numpy()[reorder(signals, strength)[0]]
            at = np.flatnonzero(items == one["item_id"])
            ranks[row, column] = 1 / (1 + at[0]) if len(at) else 0.0
    spent = (time.process_time() - began) / max(len(chosen), 1)
    print(f"{len(asked):,} searches after {cutoff:%Y-%m-%d} with an item opened; {len(chosen)} asked again, {spent:.3f} CPU s each")
    print(f"found among the first 50: {(ranks[:, 0] > 0).mean():.1%}")
    for column, strength in enumerate(STRENGTHS):
        mean = bootstrap(lambda rows, c=column: float(ranks[rows, c].mean()), len(chosen), rng)
        gain = bootstrap(lambda rows, c=column: float((ranks[rows, c] - ranks[rows, 0]).mean()), len(chosen), rng)
        shown = f"against plain {gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
        print(f"strength {strength:.2f}: MRR {mean.value:.3f} [{mean.low:.3f}, {mean.high:.3f}], {shown}")


if __name__ == "__main__":
    main()
