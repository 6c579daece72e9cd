"""What each counted feature is: the column dictionary that people download beside the matrix."""

from dataclasses import dataclass

WINDOWS_DAYS = (7, 14, 28, 56)


@dataclass(frozen=True)
class Feature:
    """One counted column."""

    name: str
    group: str
    """recency, frequency, money, rhythm, breadth, price, intent, attention."""
    unit: str
    """events, orders, days, money, items, share, ratio, seconds, log ratio, place."""
    description: str
    """A phrase for people."""
    is_count: bool = False
    """Counts and sums: 0 where nothing happened; int32 unless they are money or units."""
    empty: str = ""
    """In what case the value is empty; "" when it never is."""


def _windowed(stem: str, what: str, group: str = "frequency", unit: str = "events") -> tuple[Feature, ...]:
    spans = [(f"{days}d", f"in the {days} days before the cutoff") for days in WINDOWS_DAYS] + [("all", "in the whole history")]
    return tuple(Feature(f"{stem}_{span}", group, unit, f"{what} {words}", is_count=True) for span, words in spans)


def _since(name: str, what: str) -> Feature:
    return Feature(name, "recency", "days", f"Days from the last {what} to the cutoff", empty="without one")


def _count(name: str, group: str, unit: str, description: str) -> Feature:
    return Feature(name, group, unit, description, is_count=True)


FEATURES: tuple[Feature, ...] = (
    Feature("tenure_days", "recency", "days", "Days from the first event to the cutoff"),
    _since("days_since_event", "event of any kind"),
    _since("days_since_view", "view"),
    _since("days_since_click", "click"),
    _since("days_since_search", "search"),
    _since("days_since_favourite", "favourite"),
    _since("days_since_cart", "cart event"),
    _since("days_since_purchase", "purchase"),
    *_windowed("events", "Events"),
    *_windowed("views", "Views"),
    *_windowed("clicks", "Clicks"),
    *_windowed("favourites", "Favourites"),
    *_windowed("carts", "Cart events"),
    *_windowed("purchases", "Purchase lines"),
    _count("impressions_28d", "frequency", "events", "Impressions in the 28 days before the cutoff"),
    _count("impressions_all", "frequency", "events", "Impressions in the whole history"),
    _count("searches_28d", "frequency", "events", "Searches in the 28 days before the cutoff"),
    _count("searches_all", "frequency", "events", "Searches in the whole history"),
    _count("shares_28d", "frequency", "events", "Shares in the 28 days before the cutoff"),
    _count("shares_all", "frequency", "events", "Shares in the whole history"),
    _count("removals_28d", "frequency", "events", "Removals from the cart in the 28 days before the cutoff"),
    _count("removals_all", "frequency", "events", "Removals from the cart in the whole history"),
    _count("refunds_28d", "frequency", "events", "Refunds in the 28 days before the cutoff"),
    _count("refunds_all", "frequency", "events", "Refunds in the whole history"),
    _count("others_all", "frequency", "events", "Events of other kinds in the whole history"),
    *_windowed("revenue", "Money spent", "money", "money"),
    _count("units_all", "money", "units", "Units bought in the whole history"),
    _count("active_days_7d", "rhythm", "days", "Calendar days (UTC) with an event in the 7 days before the cutoff"),
    _count("active_days_28d", "rhythm", "days", "Calendar days (UTC) with an event in the 28 days before the cutoff"),
    _count("active_days_56d", "rhythm", "days", "Calendar days (UTC) with an event in the 56 days before the cutoff"),
    _count("active_days_all", "rhythm", "days", "Calendar days (UTC) with an event in the whole history"),
    Feature("active_weeks_of_8", "rhythm", "weeks", "Of the 8 weeks before the cutoff, those with an event", is_count=True),
    Feature("buying_weeks_of_8", "rhythm", "weeks", "Of the 8 weeks before the cutoff, those with a purchase", is_count=True),
    Feature("events_trend", "rhythm", "log ratio", "Events in the last 28 days over the 28 days before: ln of the ratio, 1 added to both"),
    Feature("revenue_trend", "rhythm", "log ratio", "Money in the last 28 days over the 28 days before: ln of the ratio, 1 added to both"),
    Feature("price_mean", "price", "money", "Mean price of the events that carry one", empty="without"),
    Feature("price_paid_mean", "price", "money", "Mean price of purchase lines", empty="without"),
    Feature("dwell_seconds_mean", "attention", "seconds", "Mean dwell of the events that carry one", empty="without"),
    Feature("dwell_seconds_mean_28d", "attention", "seconds", "Mean dwell of the events of the 28 days before the cutoff", empty="without"),
    Feature("position_mean", "attention", "place", "Mean numeric position in lists", empty="without"),
    Feature("night_share", "rhythm", "share", "Share of events from 0:00 to 6:00 UTC"),
    Feature("morning_share", "rhythm", "share", "Share of events from 6:00 to 12:00 UTC"),
    Feature("afternoon_share", "rhythm", "share", "Share of events from 12:00 to 18:00 UTC"),
    Feature("weekend_share", "rhythm", "share", "Share of events on Saturday and Sunday (UTC)"),
    Feature("carts_per_view", "intent", "ratio", "Cart events per view or click", empty="without views"),
    Feature("purchases_per_view", "intent", "ratio", "Purchase lines per view or click", empty="without views"),
    Feature("active_gap_mean_days", "rhythm", "days", "Mean gap between active days", empty="below two"),
    Feature("active_gap_median_days", "rhythm", "days", "Median gap between active days", empty="below two"),
    Feature("active_gap_sd_days", "rhythm", "days", "Standard deviation of the gaps between active days", empty="below three"),
    Feature("active_gap_longest_days", "rhythm", "days", "Longest gap between active days", empty="below two"),
    Feature("active_overdue_ratio", "rhythm", "ratio", "Days since the last event over the median gap of active days", empty="below two"),
    *_windowed("orders", "Orders", unit="orders"),
    Feature("orders_per_week", "frequency", "orders", "Orders per week since the first one (plus one week)", empty="without orders"),
    Feature("orders_trend", "rhythm", "log ratio", "Orders in the last 28 days over the 28 days before: ln of the ratio, 1 added to both"),
    Feature("days_since_first_purchase", "recency", "days", "Days from the first purchase to the cutoff", empty="without one"),
    Feature("days_since_previous_order", "recency", "days", "Days from the last order but one to the cutoff", empty="below two"),
    Feature("basket_lines_mean", "money", "lines", "Mean lines of an order", empty="without orders"),
    Feature("basket_value_mean", "money", "money", "Mean value of an order", empty="without orders"),
    Feature("basket_lines_mean_28d", "money", "lines", "Mean lines of the orders of the last 28 days", empty="without"),
    Feature("basket_value_mean_28d", "money", "money", "Mean value of the orders of the last 28 days", empty="without"),
    Feature("last_basket_lines", "money", "lines", "Lines of the last order", empty="without orders"),
    Feature("last_basket_value", "money", "money", "Value of the last order", empty="without orders"),
    Feature("order_gap_mean_days", "rhythm", "days", "Mean time between orders", empty="below two"),
    Feature("order_gap_median_days", "rhythm", "days", "Median time between orders", empty="below two"),
    Feature("order_gap_sd_days", "rhythm", "days", "Standard deviation of the time between orders", empty="below three"),
    Feature("order_gap_last_days", "rhythm", "days", "Time between the last two orders", empty="below two"),
    Feature("order_gap_longest_days", "rhythm", "days", "Longest time between orders", empty="below two"),
    Feature("order_overdue_ratio", "rhythm", "ratio", "Days since the last order over the median time between orders", empty="below two"),
    Feature("order_silence_ratio", "rhythm", "ratio", "Days since the last order over the longest time between orders", empty="below two"),
    _count("items_all", "breadth", "items", "Different items touched with interest"),
    _count("items_28d", "breadth", "items", "Different items whose last touch lies in the 28 days before the cutoff"),
    _count("items_bought", "breadth", "items", "Different items bought"),
    _count("brands_all", "breadth", "brands", "Different brands touched"),
    Feature("repeat_share", "breadth", "share", "Share of purchase lines whose item had been bought before", empty="without purchases"),
    Feature("items_bought_again_share", "breadth", "share", "Share of bought items bought more than once", empty="without purchases"),
    _count("most_touches_of_one_item", "breadth", "events", "Events on the item touched most often"),
    _count("open_carts_7d", "intent", "items", "Items put in the cart in the last 7 days, neither bought nor removed since"),
    _count("open_carts_all", "intent", "items", "Items put in the cart, neither bought nor removed since"),
    _count("open_favourites_all", "intent", "items", "Favourites not bought since"),
    _count("open_views_7d", "intent", "items", "Items viewed in the last 7 days and not bought since"),
    _count("revisited_unbought", "intent", "items", "Items touched more than once, viewed and never bought"),
    Feature(
        "price_level",
        "price",
        "log ratio",
        "Price of touched items over the median of their category: mean of ln of the ratio",
        empty="without prices",
    ),
    Feature(
        "price_level_bought",
        "price",
        "log ratio",
        "Price of bought items over the median of their category: mean of ln of the ratio",
        empty="without prices",
    ),
    _count("categories_all", "breadth", "categories", "Different categories touched"),
    _count("categories_28d", "breadth", "categories", "Different categories touched in the 28 days before the cutoff"),
    _count("categories_bought", "breadth", "categories", "Different categories bought"),
    Feature("top_category_share", "breadth", "share", "Share of touches in the category touched most", empty="without categories"),
    Feature("category_entropy", "breadth", "nats", "Entropy of touches over categories", empty="without categories"),
    Feature("sessions_all", "attention", "sessions", "Sessions in the whole history", empty="when the log knows none"),
    Feature("sessions_28d", "attention", "sessions", "Sessions that end in the 28 days before the cutoff", empty="when the log knows none"),
    Feature("events_per_session", "attention", "events", "Mean events of a session", empty="when the log knows none"),
)
