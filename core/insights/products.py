"""How categories, brands and items do: who looked, who put into the cart, who bought, and what stands out.

A shopper views a category when she views or clicks one of its items. Rates are shares of the shoppers who acted on it within the
period; what stands out is judged by those who viewed it. Parameters: `since`, `until` (UTC).
"""

from core.errors import RuleError
from core.insights import counted_products
from core.insights.chosen import chosen
from core.insights.overview import Period, finish, values_of
from core.insights.scope import EVERYTHING, Scope, answer, described
from core.insights.statement import Answer
from core.store import Log, fetch

NAMES = {"category": "category", "brand": "brand", "item": "item_id"}
LEVELS = tuple(NAMES)
_LABELS = {"category": "coalesce(c.category, '')", "brand": "coalesce(c.brand, '')", "item": "h.item_id"}

_COUNTED_SQL = """
WITH acts AS (
    SELECT {label} AS {name}, h.user_id, h.item_id, h.event_type, h.revenue
    FROM history h LEFT JOIN catalogue c ON h.item_id = c.item_id
    WHERE h.event_time >= $since AND h.event_time < $until AND h.item_id IS NOT NULL
), pairs AS (
    SELECT {name}, user_id,
           count(*) FILTER (event_type IN ('view', 'click')) AS views,
           count(*) FILTER (event_type = 'cart') AS carts,
           count(*) FILTER (event_type = 'purchase') AS purchases,
           sum(revenue) FILTER (event_type = 'purchase') AS revenue
    FROM acts GROUP BY ALL
), things AS (
    SELECT {name}, count(DISTINCT item_id) AS items FROM acts GROUP BY ALL
), counted AS (
    SELECT {name}, any_value(items) AS items, count(*) AS users,
           count(*) FILTER (views > 0) AS viewers,
           count(*) FILTER (carts > 0) AS carters,
           count(*) FILTER (purchases > 0) AS buyers,
           count(*) FILTER (views > 0 AND purchases > 0) AS viewing_buyers,
           sum(views)::BIGINT AS views, sum(carts)::BIGINT AS carts, sum(purchases)::BIGINT AS purchases,
           sum(revenue) AS revenue
    FROM pairs JOIN things USING ({name}) GROUP BY {name}
)"""
_RATES_SQL = """
SELECT {shown}, users, viewers, carters, buyers, viewing_buyers, views, carts, purchases,
       carters / users AS cart_rate, buyers / users AS buyer_rate, revenue::DOUBLE AS revenue,
       (revenue / sum(revenue) OVER ())::DOUBLE AS revenue_share
FROM counted{more} ORDER BY counted.revenue DESC NULLS LAST, purchases DESC, users DESC, {name}
"""
_SHOWN = {"category": "category, items", "brand": "brand, items", "item": "item_id, c.title, c.category"}
_MORE = {"item": " LEFT JOIN catalogue c USING (item_id)"}

_FAR_SQL = """
WITH products AS (
{products}
), viewed AS (
    SELECT {shown}, viewers, viewing_buyers, revenue, viewing_buyers / viewers AS rate
    FROM products WHERE viewers > 0 AND viewing_buyers IS NOT NULL
), whole AS (
    SELECT count(*) AS products, sum(viewing_buyers) / sum(viewers) AS overall,
           quantile_cont(viewers, 0.5) AS half, quantile_cont(viewers, 0.75) AS top_quarter
    FROM viewed
), limits AS (
    SELECT *, (rate + z * z / (2 * viewers)) / (1 + z * z / viewers) AS centre,
           z * sqrt(rate * (1 - rate) / viewers + z * z / (4 * viewers ** 2)) / (1 + z * z / viewers) AS reach,
           CASE WHEN rate > 0 THEN rate * ln(rate / overall) ELSE 0 END
           + CASE WHEN rate < 1 THEN (1 - rate) * ln((1 - rate) / (1 - overall)) ELSE 0 END AS divergence
    FROM viewed CROSS JOIN whole CROSS JOIN (SELECT 1.959963984540054::DOUBLE AS z)
    WHERE overall > 0 AND overall < 1
), judged AS (
    SELECT *, greatest(0, centre - reach) AS low, least(1, centre + reach) AS high,
           viewers * divergence >= ln(greatest(40, products / 2)) AS is_apart
    FROM limits
), placed AS (
    SELECT CASE WHEN is_apart AND viewers >= top_quarter AND rate < overall THEN 'low_conversion'
                WHEN is_apart AND viewers <= half AND rate > overall THEN 'hidden_winner' END AS standing, *
    FROM judged
)
SELECT standing, {shown}, viewers, viewing_buyers, rate, low, high, overall,
       viewers * overall - viewing_buyers AS short_of, revenue, products
FROM placed WHERE standing IS NOT NULL
ORDER BY standing DESC, CASE WHEN standing = 'low_conversion' THEN -short_of ELSE -low END, {name}
"""
"""z is the 97.5% point of the normal distribution."""
_LABEL_COLUMNS = {"category": "category", "brand": "brand", "item": "item_id, title, category"}


def products(log: Log, period: Period, level: str = "category", scope: Scope = EVERYTHING) -> Answer:
    """One row per category or brand ('' = unknown) or item that was acted on, most revenue first.

    Args:
        log: What is read.
        period: What of it is looked at.
        level: One of LEVELS.
        scope: Filters.

    Returns:
        category, items or brand, items or item_id, title, category; then users, viewers (who viewed or clicked), carters, buyers,
        viewing_buyers (who viewed and bought), all distinct shoppers; views, carts, purchases; cart_rate and buyer_rate (of users);
        revenue (NULL where no purchase has one) and its share of all.

    Raises:
        RuleError: Another level.
    """
    if level not in NAMES:
        raise RuleError("There is no table by {level!r}; choose one of {levels}.", level=level, levels=", ".join(LEVELS))
    begin = _COUNTED_SQL.format(name=NAMES[level], label=_LABELS[level])
    end = _RATES_SQL.format(name=NAMES[level], shown=_SHOWN[level], more=_MORE.get(level, ""))
    values = values_of(period)
    if (acts := chosen(log, scope)) is None:
        return answer(log, begin + end, values, scope)
    rows = counted_products.products(log, acts, period.since, period.until, level, NAMES[level])
    return finish(log, rows, end, described(begin + end, values, scope), values)


def standing_out(log: Log, found: Answer, level: str) -> Answer:
    """What is viewed much and bought little, and what is viewed little and bought much.

    Conversion of a thing is the share of its viewers who bought it in the period, `overall` that of all viewers of all things together.
    `low_conversion`: viewers in the upper quarter of all n things, and conversion below `overall`; `hidden_winner`: viewers in the lower
    half, and conversion above. Either way so far that chance is no explanation: m viewers of whom a share r buys come from a rate p with
    a probability of at most exp(-m D(r, p)), D the Kullback-Leibler divergence (Hoeffding 1963, theorem 1), also when m is small; it is
    at most 1 in n / 2, and at most 1 in 40, so that among things without any difference less than one is expected in either list.

    Args:
        log: Any; only its engine is used.
        found: From `products`; hidden counts (NULL) are left out.
        level: As `found` was asked.

    Returns:
        standing, the names of `found`, viewers, viewing_buyers, rate, low, high, overall, short_of (buyers that it lacks to `overall`),
        revenue, products (how many were judged); hidden winners by `low`, the others by `short_of`, largest first.
    """

    def statement(products: str) -> str:
        return _FAR_SQL.format(products=products, shown=_LABEL_COLUMNS[level], name=NAMES[level]).strip()

    with log.history() as connection:
        connection.register("products_shown", found.table)
        rows = fetch(connection, statement("FROM products_shown"))
    return Answer(rows, statement(found.sql))
