"""Layouts of common exports whose column names mislead: recognised by their names together, read column by column."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from core.ingest.names import plain_name

SURE: Final = 0.97
"""Confidence of a column of a recognised layout."""


@dataclass(frozen=True)
class Layout:
    """One export: how it is recognised, and which of its columns is what; names as `plain_name` spells them."""

    name: str
    needs: frozenset[str]
    """Columns that only this export has together."""
    columns: Mapping[str, tuple[tuple[str, ...], ...]]
    """Canonical column → choices of columns to be joined; the first choice that is there and not empty is taken."""
    ignored: frozenset[str] = frozenset()
    """Columns that would be mistaken for something."""
    codes: Mapping[str, str] = field(default_factory=dict)
    """Event words or codes → canonical event, where they mean nothing outside of this export."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ADOBE_CODES = {"1": "purchase", "2": "view", "11": "other", "12": "cart", "13": "remove_from_cart"}

LAYOUTS: Final = (
    Layout(
        "Shopify orders",
        _names("name lineitem_name lineitem_quantity lineitem_price"),
        {
            "order_id": (("name",),),
            "item_id": (("lineitem_sku",), ("lineitem_name",)),
            "user_id": (("customer_id",), ("email",), ("phone",)),
            "title": (("lineitem_name",),),
        },
        _names("financial_status fulfillment_status lineitem_fulfillment_status subtotal total id source taxes shipping"),
    ),
    Layout(
        "WooCommerce orders, one row per item",
        _names("order_id item_product_id item_quantity"),
        {
            "item_id": (("item_sku",), ("item_product_id",)),
            "user_id": (("customer_id",), ("billing_email",)),
            "revenue": (("item_total",), ("item_subtotal",)),
            "city": (("billing_city",),),
            "country": (("billing_country",),),
        },
        _names(
            "item_id status order_total order_number order_subtotal refunded_total tax_total shipping_total item_product_id item_subtotal"
        ),
    ),
    Layout(
        "Adobe Analytics data feed",
        _names("post_visid_high post_visid_low"),
        {
            "user_id": (("post_visid_high", "post_visid_low"),),
            "session_id": (("post_visid_high", "post_visid_low", "visit_num"),),
            "event_time": (("hit_time_gmt",), ("post_cust_hit_time_gmt",), ("date_time",)),
            "event_type": (("post_event_list",), ("event_list",)),
            "item_id": (("post_product_list",), ("product_list",)),
            "quantity": (("post_product_list",), ("product_list",)),
            "revenue": (("post_product_list",), ("product_list",)),
            "order_id": (("post_purchaseid",), ("purchaseid",)),
            "currency": (("post_currency",), ("currency",)),
        },
        _names("date_time visit_num visit_page_num hit_source"),
        _ADOBE_CODES,
    ),
    Layout(
        "Snowplow events",
        _names("collector_tstamp domain_userid event"),
        {
            "user_id": (("user_id",), ("domain_userid",), ("network_userid",)),
            "session_id": (("domain_sessionid",), ("domain_userid", "domain_sessionidx")),
            "event_time": (("derived_tstamp",), ("collector_tstamp",)),
            "event_type": (("event", "se_action"), ("event",)),
            "item_id": (("ti_sku",), ("se_label",), ("se_property",)),
            "price": (("ti_price",),),
            "quantity": (("ti_quantity",),),
            "order_id": (("ti_orderid",), ("tr_orderid",)),
            "title": (("ti_name",),),
            "category": (("ti_category",),),
        },
        _names(
            "se_action se_category se_property se_label se_value tr_total page_title platform event_id etl_tstamp collector_tstamp"
            " dvce_created_tstamp dvce_sent_tstamp domain_sessionidx tr_orderid"
        ),
        {"struct": "other", "page_ping": "other", "page_view": "view", "transaction": "other", "transaction_item": "purchase"},
    ),
    Layout(
        "Tmall repeat buyers log",
        _names("user_id item_id cat_id brand_id action_type"),
        {"category": (("cat_id",),)},
        _names("seller_id merchant_id"),
        {"0": "click", "1": "cart", "2": "purchase", "3": "favourite"},
    ),
    Layout(
        "JD action log",
        _names("user_id sku_id model_id type cate"),
        {},
        _names("model_id"),
        {"1": "view", "2": "cart", "3": "remove_from_cart", "4": "purchase", "5": "favourite", "6": "click"},
    ),
    Layout(
        "Tianchi mobile log",
        _names("user_id item_id behavior_type item_category time"),
        {},
        _names("user_geohash"),
        {"1": "view", "2": "favourite", "3": "cart", "4": "purchase"},
    ),
)


def find_layout(columns: tuple[str, ...] | list[str]) -> Layout | None:
    """Recognise an export by its column names; the layout that asks for most of them wins."""
    spelled = {plain_name(column) for column in columns}
    found = [layout for layout in LAYOUTS if layout.needs <= spelled]
    return max(found, key=lambda layout: len(layout.needs), default=None)


def layout_columns(layout: Layout, free: list[str], values: Mapping[str, list[str]], rows: int) -> dict[str, tuple[str, ...]]:
    """Choose the file's columns that a layout names.

    Args:
        layout: A recognised export.
        free: Columns of the file that nobody has taken.
        values: Sample values of each column that are not empty.
        rows: Rows of the sample.
    """
    spelled = {plain_name(column): column for column in reversed(free)}
    chosen: dict[str, tuple[str, ...]] = {}
    for canonical, choices in layout.columns.items():
        there = [tuple(spelled[name] for name in choice) for choice in choices if all(name in spelled for name in choice)]
        if there:
            # A column that is empty in most rows says who it is in few; the next choice may say it in all.
            chosen[canonical] = max(there, key=lambda pieces: (_filled(pieces, values, rows) > 0.5, _filled(pieces, values, rows) > 0))
    return chosen


def _filled(pieces: tuple[str, ...], values: Mapping[str, list[str]], rows: int) -> float:
    return len(values[pieces[0]]) / rows if rows else 0.0
