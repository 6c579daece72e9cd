"""Further questions about the same window, which one network learns beside the asked one: other acts, shorter horizons, categories.

N users, T tasks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa

from core.features.categories import top_categories
from core.schema import ACTS
from core.store import Connection, Log, fetch

PARTS = (1, 2, 4)
"""Horizons of the tasks: the asked one, a half and a quarter of it."""
MOST_CATEGORIES = 20
"""Categories with a task of their own, those with most of the act in history."""


@dataclass(frozen=True)
class Task:
    """Whether somebody acts within a horizon, in a category where one is named."""

    act: str
    horizon: timedelta
    category: str | None = None

    def card(self) -> dict[str, str | float | None]:
        """For a record."""
        return {"act": self.act, "horizon_days": self.horizon / timedelta(days=1), "category": self.category}


def choose_tasks(connection: Connection, act: str, horizon: timedelta, category: str | None = None) -> list[Task]:
    """List the tasks that a log's history offers: acts × horizons, and the asked act in the most frequent categories.

    Args:
        connection: From `Log.history` of the first cutoff that is learned from.
        act: The asked one, of schema.ACTS.
        horizon: The asked one; no task looks further.
        category: The asked one, if any. The asked question itself is left out.
    """
    there = {str(row[0]) for row in connection.execute("SELECT DISTINCT event_type::VARCHAR FROM history").fetchall()}
    every = [Task(one, horizon / part) for one in ACTS if one in there for part in PARTS]
    every += [Task(act, horizon, name) for name in top_categories(connection, MOST_CATEGORIES, act)]
    return [task for task in every if task != Task(act, horizon, category)]


def task_labels(log: Log, cutoff: datetime, tasks: Sequence[Task]) -> pa.Table:
    """Label every user with an event in history for each task; a category is what the catalogue knew at the cutoff.

    Returns:
        user_id (ascending), then one column for each task in its order (int8 0/1), named t0, t1 ….

    Raises:
        CutoffError: The longest label window reaches past the end of the log, or no event lies before the cutoff.
    """
    acted: list[str] = []
    values: dict[str, object] = {}
    for place, task in enumerate(tasks):
        values |= {f"act{place}": task.act, f"end{place}": cutoff + task.horizon}
        where = f"event_type::VARCHAR = $act{place} AND event_time < $end{place}"
        if task.category is not None:
            values[f"category{place}"] = task.category
            where += f" AND category = $category{place}"
        acted.append(f"coalesce(bool_or({where}), FALSE)::TINYINT AS t{place}")
    columns = "".join(f", coalesce(t{place}, 0)::TINYINT AS t{place}" for place in range(len(tasks)))
    with log.label_window(cutoff, max(task.horizon for task in tasks)) as connection:
        return fetch(
            connection,
            f"""
            WITH acted AS (
                SELECT user_id, {", ".join(acted)} FROM future LEFT JOIN catalogue USING (item_id) GROUP BY user_id)
            SELECT user_id{columns} FROM (SELECT DISTINCT user_id FROM history) AS shoppers LEFT JOIN acted USING (user_id) ORDER BY user_id
            """,  # noqa: S608  # names are numbers of ours, values are bound
            values,
        )
