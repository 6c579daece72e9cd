"""What shops call an act: words in many exports and both languages to the canonical event types."""

import unicodedata
from collections.abc import Mapping as Words
from dataclasses import dataclass
from typing import Final

from core.errors import MappingError
from core.ingest.names import plain_name
from core.schema import EVENT_TYPES

FLAG: Final = "#"
"""Stands before the number of a flag column whose value is yes, counted from 0."""
BETWEEN: Final = "+"
"""Stands between the parts of an event word that several columns make."""

_WORDS: Final[dict[str, str]] = {
    "impression": "impression impressions imp show shown expose exposure display displayed view_item_list 曝光 展示 展现 推荐曝光",
    "view": (
        "view views viewed pv page_view pageview view_item product_view view_product product_viewed viewed_product item_viewed "
        "viewed_item view_content viewcontent product_impression_detail detail detail_view browse item_view visit product_page_view "
        "瀏覽 檢視 浏览 查看 访问 商品浏览 浏览商品 详情 详情页"
    ),
    "click": (
        "click clicks clicked clk select_item select_content product_click product_clicked clicked_product item_click item_clicked "
        "tap 點擊 点击 单击 点击商品 商品点击"
    ),
    "search": "search searches searched view_search_results site_search query 搜尋 搜索 查询 检索",
    "favourite": (
        "favorite favourites favorites fav favor wish wishlist_add add_to_wishlist add_to_favorites addtowishlist like liked "
        "collect bookmark save product_added_to_wishlist added_to_wishlist wishlisted 收藏 喜歡 喜欢 点赞 加收藏 关注"
    ),
    "share": "share shares shared forward 分享 转发",
    "cart": (
        "cart carts add_to_cart addtocart add_cart addcart added_to_cart basket add_to_basket add_to_bag product_added "
        "added_product added_to_basket add_product 加購 加入購物車 加购 加购物车 加入购物车 购物车 加车 添加购物车"
    ),
    "remove_from_cart": (
        "remove_from_cart removefromcart remove_cart removed_from_cart cart_remove delete_from_cart removed_product "
        "removed_from_basket product_removed remove_from_basket 移出購物車 移出购物车 删除购物车 取消加购"
    ),
    "purchase": (
        "purchase purchases purchased buy buys bought order orders ordered transaction transactions sale sold checkout_complete "
        "order_completed completed_order order_placed placed_order place_order ordered_product product_purchased purchased_product "
        "product_ordered checkout_completed conversion pay paid payment alipay ecommerce_purchase in_app_purchase complete_order "
        "clickout_purchase 購買 下單 购买 下单 支付 成交 付款 交易 买"
    ),
    "refund": (
        "refund refunds refunded return returns returned cancel cancelled canceled cancelled_order order_cancelled order_canceled "
        "order_refunded refunded_order product_refunded cancellation chargeback 退款 退貨 取消訂單 退货 取消 取消订单 撤单"
    ),
    "other": (
        "other others unknown checkout begin_checkout checkout_started started_checkout initiate_checkout view_cart cart_viewed "
        "add_payment_info add_shipping_info login register 其他 結帳 其它 结算"
    ),
}

_STATUS_WORDS: Final[dict[str, str]] = {
    "purchase": (
        "paid partially_paid partially_refunded complete completed closed processing in_process shipped shipping in_transit dispatched "
        "out_for_delivery delivered fulfilled partially_fulfilled invoiced approved confirmed accepted success successful succeeded "
        "settled captured authorized received done bezahlt versandt geliefert abgeschlossen paye payee expediee livree terminee "
        "已付款 已支付 支付成功 待发货 已发货 待收货 已收货 已签收 已完成 完成 交易成功 待评价 已付款 已出库"
    ),
    "other": (
        "refunded refund returned cancelled canceled cancel void voided reversed chargeback charged_back failed failure declined rejected "
        "pending pending_payment payment_pending on_hold hold unpaid created draft open new expired abandoned unavailable storniert "
        "erstattet offen remboursee annulee en_attente "
        "已退款 退款成功 已退货 已取消 取消 交易关闭 已关闭 待付款 未付款 待支付 未支付 支付失败"
    ),
}

STATUS_WORDS: Final[dict[str, str]] = {word: kind for kind, words in _STATUS_WORDS.items() for word in words.split()}
"""How far an order is → what the shopper's money says of it: a sale that stands, or none (`other`). The row of an order that was
refunded or cancelled holds the sale itself, so taking it for a refund would subtract what was never added."""

EVENT_WORDS: Final[dict[str, str]] = {word: kind for kind, words in _WORDS.items() for word in [kind, *words.split()]}
"""Word → canonical event type; words are spelled as `plain_word` spells them."""


def plain_word(word: str) -> str:
    """Spell an event word for comparison: `Add To Cart` → `add_to_cart`."""
    text = unicodedata.normalize("NFKC", word).strip().lower()
    return "_".join(text.replace("-", " ").replace("_", " ").replace(".", " ").split())


@dataclass(frozen=True)
class Meaning:
    """What one event word of the log stands for."""

    kinds: tuple[str, ...]
    """Canonical events, the strongest first; several where one row tells several acts."""
    shown: str
    """The word as people know it."""
    known: bool


def read_words(
    words: list[str], pieces: tuple[str, ...], given: Words[str, str], codes: Words[str, str], *, listed: bool = False
) -> dict[str, Meaning]:
    """Read the event words of a log, also those that several columns or a list of codes make.

    Args:
        words: Distinct words as they were staged; several columns are joined by `BETWEEN`, yes-flags stand as their number.
        pieces: The file's columns of the event word.
        given: The mapping's `event_types`, by word or by name of a flag column.
        codes: Words that mean something in this export only.
        listed: Whether one value lists several codes, divided by commas.

    Raises:
        MappingError: A given translation names no canonical event type.
    """
    table = {**codes, **given}
    result: dict[str, Meaning] = {}
    for word in words:
        if len(pieces) > 1:
            parts = [_part(part, pieces) for part in word.split(BETWEEN) if part]
        elif listed:
            parts = [part.split("=")[0].strip() for part in word.split(",") if part.strip()]
        else:
            parts = [word]
        if not parts and len(pieces) > 1:
            result[word] = Meaning(("impression",), "–", True)  # shown, and none of the flagged acts followed
            continue
        names = [flag_word(part) or part for part in parts] if len(pieces) > 1 else parts
        meant, unknown = translate_words(list(dict.fromkeys([*parts, *names])), table)
        kinds = [meant[part] if part not in unknown else meant[name] for part, name in zip(parts, names, strict=True)]
        known = [part not in unknown or name not in unknown for part, name in zip(parts, names, strict=True)]
        told = [kind for kind, sure in zip(kinds, known, strict=True) if sure and kind != "other"]
        acts = sorted(set(told), key=EVENT_TYPES.index, reverse=True)
        if listed and not acts and word not in given:
            acts, known = ["view"], [True]  # a hit without a commerce event is a page that was looked at
        result[word] = Meaning(tuple(acts) or ("other",), " + ".join(parts) or word, bool(told) or all(known))
    return result


def _part(part: str, pieces: tuple[str, ...]) -> str:
    return pieces[int(part[1:])] if part.startswith(FLAG) and part[1:].isdigit() and int(part[1:]) < len(pieces) else part


_FLAG_STARTS: Final = ("is_", "has_", "did_", "flag_", "was_", "是否")
_FLAG_ENDS: Final = ("_flag", "_ind", "_label", "_yn")


def flag_word(column: str) -> str | None:
    """Return the event word in the name of a flag column, `is_buy` → `buy`, or None."""
    name = plain_name(column)
    for start in _FLAG_STARTS:
        name = name.removeprefix(start)
    for end in _FLAG_ENDS:
        name = name.removesuffix(end)
    return name if name in EVENT_WORDS and EVENT_WORDS[name] != "other" else None


def translate_words(words: list[str], given: Words[str, str]) -> tuple[dict[str, str], list[str]]:
    """Translate event words, a person's own table first.

    Args:
        words: Distinct words of the log as they stand there.
        given: The mapping's `event_types`.

    Returns:
        Word → event type for all words, and the words nobody knows (they became `other`).

    Raises:
        MappingError: A given translation names no canonical event type.
    """
    for word, kind in given.items():
        if kind not in EVENT_TYPES:
            raise MappingError(
                "The mapping turns event {word!r} into {kind!r}; it must be one of {known}.",
                word=word,
                kind=kind,
                known=", ".join(EVENT_TYPES),
            )
    spelled = {plain_word(word): kind for word, kind in given.items()}
    result: dict[str, str] = {}
    unknown: list[str] = []
    for word in words:
        plain = plain_word(word)
        found = given.get(word) or spelled.get(plain) or EVENT_WORDS.get(plain) or EVENT_WORDS.get(plain.replace("_", ""))
        if found is None:
            unknown.append(word)
        result[word] = found or "other"
    return result, unknown
