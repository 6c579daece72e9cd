"""How well the match of an advertisement finds those who answer it, over many advertisements.

    python -m benchmarks.bench_ads --home HOME --dataset grocery

Needs profiles and purchase chances. One advertisement for each of the categories with most purchases: the title of one of its items, drawn
with a fixed seed. Lists are made as of the test window of the purchase chances, which were not trained on it, and judged by who acted on a
near item or in a category of theirs within the horizon: lift of the best tenth against all, mean over advertisements with 95 % intervals
over them, for the match and for orders that it was chosen from.
"""

import argparse
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.audiences import ads
from core.metrics import mean_estimate
from core.pipeline import screens, shoppers
from core.pipeline.searching import item_vectors, query_vector, reading
from core.store import Home, fetch

TITLES_SQL = """
WITH sold AS (
    SELECT c.category, count(*) AS n FROM history AS h JOIN catalogue AS c USING (item_id)
    WHERE h.event_type = 'purchase' AND c.category IS NOT NULL GROUP BY c.category ORDER BY n DESC, c.category LIMIT $most
)
SELECT category, list(title ORDER BY item_id) AS titles FROM catalogue JOIN sold USING (category) WHERE title IS NOT NULL
GROUP BY category ORDER BY category
"""


def orders(frame: pd.DataFrame) -> dict[str, Any]:
    """The orders compared, by name."""
    chance, close, lean = (frame[name].to_numpy(np.float64) for name in ("propensity", "closeness", "leaning"))
    place = ads.places_of
    return {
        "purchase chance alone": chance,
        "closeness alone": close,
        "leaning alone": lean,
        "leaning x chance": lean * chance,
        "place(closeness) x place(leaning x chance)": place(close) * place(lean * chance),
        "place(closeness) x place(leaning) x place(chance)": place(close) * place(lean) * place(chance),
        "place(leaning) x place(chance), the match": ads.match_score(lean, chance),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--most", type=int, default=40)
    arguments = parser.parse_args()
    screen = screens.open_screen(Home(Path(arguments.home)), arguments.dataset)
    here, manifest = reading(screen), screens.run_manifest(screen, "propensity") or {}
    cutoff, days = datetime.fromisoformat(str(manifest["windows"]["test"])), screens.horizon_days(manifest)
    test = screens.run_table(screen, "propensity", "test", ["user_id", "propensity"]).to_pandas()
    known, index, vectors = item_vectors(here)
    own = np.flatnonzero(index >= 0)
    items = [known[i] for i in own]
    with screen.log.history(cutoff) as connection:
        titles = fetch(connection, TITLES_SQL, {"most": arguments.most}).to_pylist()
    rng = np.random.default_rng(0)
    found: list[tuple[str, str, float]] = []
    for one in titles:
        cosines = (vectors @ query_vector(here, str(rng.choice(one["titles"]))))[index[own]]
        order = np.lexsort((np.array(items), -np.round(cosines, 6)))[: ads.near_count(len(items))]
        near = shoppers.titled(screen, pd.DataFrame({"item_id": [items[i] for i in order]}))
        categories = ads.near_categories([c if isinstance(c, str) else None for c in near["category"]])
        main_ones = [name for name, weight in categories.items() if weight >= ads.LEAST_WEIGHT]
        with screen.log.label_window(cutoff, timedelta(days=days)) as connection:
            frame = ads.lean_towards(connection, items, cosines, categories, cutoff).to_pandas().merge(test, on="user_id")
            answers = fetch(connection, ads.ANSWERS_SQL, {"items": list(near["item_id"]), "categories": main_ones}).to_pandas()
        frame = frame.merge(answers, "left", "user_id")
        for act in ("acts", "purchases"):
            labels = frame[act].fillna(0).to_numpy() > 0
            if labels.sum() >= 10:
                found += [(act, name, labels[ads.best_tenth(scores)].mean() / labels.mean()) for name, scores in orders(frame).items()]
    table = pd.DataFrame(found, columns=["act", "order", "lift"])
    for act, part in table.groupby("act"):
        wide = {name: rows["lift"].to_numpy() for name, rows in part.groupby("order")}
        print(f"{act}: {len(next(iter(wide.values())))} advertisements, lists as of {cutoff:%Y-%m-%d}, {days:g} days")
        for name, lifts in wide.items():
            mean, gain = mean_estimate(lifts), mean_estimate(lifts - wide["purchase chance alone"])
            shown = f"against the chance alone {gain.value:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]"
            print(f"  {name}: {mean.value:.2f} [{mean.low:.2f}, {mean.high:.2f}], {shown}")


if __name__ == "__main__":
    main()
