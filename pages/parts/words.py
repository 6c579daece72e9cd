"""Screen words of the codes that core tables carry; each is a msgid of the catalogues."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from core.offers.words import source_name
from core.pipeline.intake import RULES
from core.pipeline.quality import rule_name
from core.pipeline.shoppers import feature_words
from pages.parts.text import _, language, said

EVENT_WORDS = {
    "impression": "impression",
    "view": "view",
    "click": "click",
    "search": "search",
    "favourite": "favourite",
    "share": "share",
    "cart": "cart",
    "remove_from_cart": "removal from cart",
    "purchase": "purchase",
    "refund": "refund",
    "other": "other",
    "all": "all",
}
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def event_word(kind: str) -> str:
    """The word of a kind of event in the chosen language."""
    return _(EVENT_WORDS[kind]) if kind in EVENT_WORDS else kind


def asked_word(config: Mapping[str, Any]) -> str:
    """What a chance is of: the act, and the category where it is of one alone."""
    act, category = event_word(config.get("act", "purchase")), config.get("category")
    return act if category in (None, "all") else _("{act} in category “{category}”", act=act, category=category)


def item_names(rows: pd.DataFrame) -> list[str]:
    """What the items of a list are called: their title, with the id where a title stands for several or is missing."""
    titles, known = rows["title"], rows["title"].notna()
    shared = known & titles.duplicated(keep=False)
    told = zip(titles, rows["item_id"], known, shared, strict=True)
    return [str(item) if not has else f"{title} · {item}" if several else str(title) for title, item, has, several in told]


def weekday_words() -> list[str]:
    """Short weekday names, Monday first."""
    return [_(name) for name in WEEKDAYS]


COLUMN_WORDS = {
    "user_id": "Shopper id",
    "anonymous_id": "Device or cookie, where the shopper id is empty",
    "item_id": "Item id",
    "purchase_item_id": "Id of the purchased item",
    "event_type": "Kind of event",
    "event_time": "Time",
    "session_id": "Session id",
    "dwell_seconds": "Dwell time",
    "position": "Position on the page",
    "quantity": "Quantity",
    "price": "Unit price",
    "revenue": "Value of the line",
    "query": "Search query",
    "order_id": "Order id",
    "currency": "Currency",
    "order_number": "Order number",
    "order_hour": "Hour of the order",
    "days_since_prior_order": "Days since the prior order",
    "title": "Item title",
    "category": "Category",
    "brand": "Brand",
    "description": "Description",
    "image": "Image",
    "gender": "Gender",
    "age": "Age",
    "region": "Region",
    "province": "Province",
    "city": "City",
    "country": "Country",
    "income": "Income",
    "marital_status": "Marital status",
    "household_size": "Household size",
    "occupation": "Occupation",
    "education": "Education",
}


def column_word(column: str) -> str:
    """The name of a known column in the chosen language; a log's own column as it is called."""
    return _(COLUMN_WORDS[column]) if column in COLUMN_WORDS else column


def rule_word(rule: str) -> str:
    """The name of a cleaning rule in the chosen language."""
    return said(rule_name(rule))


def rule_sentence(rule: str) -> str:
    """What a cleaning rule does, in the chosen language."""
    return next((_(found.description) for found in RULES if found.id == rule), "")


def feature_word(name: str) -> str:
    """What a counted feature is, in the chosen language."""
    return _({**feature_words(), **OTHER_FEATURE_WORDS}.get(name, name))


GROUP_WORDS = {
    "events": "Number of events",
    "views": "Number of views",
    "clicks": "Number of clicks",
    "favourites": "Number of favourites",
    "carts": "Number of cart events",
    "purchases": "Number of purchase lines",
    "impressions": "Number of impressions",
    "searches": "Number of searches",
    "shares": "Number of shares",
    "removals": "Number of removals from the cart",
    "refunds": "Number of refunds",
    "revenue": "Money spent",
    "active_days": "Number of active days",
    "orders": "Number of orders",
    "items": "Number of different items",
    "categories": "Number of different categories",
    "open_carts": "Items left in the cart",
    "sessions": "Number of sessions",
}


def group_word(name: str) -> str:
    """What a named feature is, whose windows are joined, in the chosen language."""
    return _(GROUP_WORDS[name]) if name in GROUP_WORDS else feature_word(name)


OTHER_FEATURE_WORDS = {
    "text profile": "text profile",
    "sequence profile": "order of acts",
    "graph profile": "place in the graph",
    "narrative profile": "history told as text",
    "image profile": "pictures of items",
    "facts profile": "facts",
    "ids profile": "items themselves",
    "order of acts": "order of acts",
    "attributes": "shopper attributes",
}
"""Reasons that are no counted feature."""
BAND_WORDS = {"cold": "cold: 1 event", "warm": "warm: 2 to 4 events", "hot": "hot: 5 or more events"}
MODEL_WORDS = {
    "propensity": "On screen",
    "mlp": "Neural network",
    "mlp_counts": "Neural network, counts alone",
    "lightgbm": "LightGBM on counts",
    "lightgbm_text": "LightGBM on counts and text",
    "logistic": "Logistic regression",
    "mean": "Mean of network and LightGBM",
    "ensemble": "Mean of network, LightGBM and logistic regression",
    "ensemble_orders": "Mean of network, LightGBM, logistic regression and BG/NBD",
    "mlp_sequence": "Neural network with further blocks",
    "lightgbm_sequence": "LightGBM on counts and further blocks",
    "mean_sequence": "Mean of both with further blocks",
    "bgnbd": "BG/NBD on orders and their recency",
    "cnn": "1-D CNN over single acts",
    "gru": "GRU over single acts",
    "transformer": "Transformer over single acts",
    "mlp_tasks": "Neural network with several tasks",
}
CATEGORY_MODEL_WORDS = {
    "personal count": "Personal count",
    "logistic": "Logistic regression for each category",
    "lightgbm": "LightGBM on user × category counts",
    "lightgbm_text": "LightGBM on counts and text affinity",
    "pooled": "Pooled network",
    "mean": "Mean of pooled network and LightGBM",
    "mean_text": "Mean of pooled network and LightGBM with text affinity",
}
REASON_WORDS = {
    "again": "Acted on before",
    "open_purchase": "Bought at an earlier time",
    "open_view": "Viewed, and not yet bought",
    "open_click": "Clicked, and not yet bought",
    "open_favourite": "Saved, and not yet bought",
    "open_share": "Shared, and not yet bought",
    "open_cart": "Put in the cart, and not yet bought",
    "related_accessory_of": "An accessory of {item}",
    "related_part_of": "A part of {item}",
    "related_refill_of": "A refill for {item}",
    "related_successor_of": "The successor of {item}",
    "related_goes_with": "Goes with {item}",
    "together": "Often bought with {item}",
    "similar": "Similar to {item}",
    "kind": "Popular among the shopper's frequent choices",
    "popular": "Popular lately",
    "popular_ever": "Popular over the whole log",
    "catalogue": "In the catalogue, and still without any history",
    "pinned": "Placed here by a rule",
}


def band_word(band: str) -> str:
    """How much is known of a shopper, in the chosen language."""
    return _(BAND_WORDS[band]) if band in BAND_WORDS else band


def model_word(name: str) -> str:
    """The name of a model in the chosen language."""
    return _(MODEL_WORDS[name]) if name in MODEL_WORDS else name


def category_model_word(name: str) -> str:
    """The name of a model of the chance by category in the chosen language."""
    return _(CATEGORY_MODEL_WORDS[name]) if name in CATEGORY_MODEL_WORDS else name


def source_word(name: str) -> str:
    """The name of a source of recommendations in the chosen language."""
    return said(source_name(name))


def reasons_shown(codes: list[str | None], items: list[str | None], english: list[str]) -> list[str]:
    """Reasons in the chosen language; core's own English sentence, which says more, when that is English."""
    if language() == "en":
        return english
    pairs = zip(codes, items, english, strict=True)
    return [_(REASON_WORDS[code], item=item or "–") if code in REASON_WORDS else sentence for code, item, sentence in pairs]
