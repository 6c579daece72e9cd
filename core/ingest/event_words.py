"""What shops call an act: words in many exports and both languages to the canonical event types."""

import unicodedata
from collections.abc import Mapping as Words
from typing import Final

from core.errors import MappingError
from core.schema import EVENT_TYPES

_WORDS: Final[dict[str, str]] = {
    "impression": "impression impressions imp show shown expose exposure display displayed view_item_list 曝光 展示 展现 推荐曝光",
    "view": "view views viewed pv page_view pageview view_item product_view view_product product_viewed detail detail_view browse "
    "item_view visit product_page_view 浏览 查看 访问 商品浏览 浏览商品 详情 详情页",
    "click": "click clicks clicked clk select_item select_content product_click item_click tap 点击 单击 点击商品 商品点击",
    "search": "search searches searched view_search_results site_search query 搜索 查询 检索",
    "favourite": "favorite favourites favorites fav favor wish wishlist_add add_to_wishlist add_to_favorites addtowishlist like liked "
    "collect bookmark save 收藏 喜欢 点赞 加收藏 关注",
    "share": "share shares shared forward 分享 转发",
    "cart": "cart carts add_to_cart addtocart add_cart addcart added_to_cart basket add_to_basket add_to_bag product_added "
    "加购 加购物车 加入购物车 购物车 加车 添加购物车",
    "remove_from_cart": "remove_from_cart removefromcart remove_cart removed_from_cart cart_remove delete_from_cart product_removed "
    "移出购物车 删除购物车 取消加购",
    "purchase": "purchase purchases purchased buy buys bought order orders ordered transaction transactions sale sold checkout_complete "
    "order_completed conversion pay paid payment alipay ecommerce_purchase in_app_purchase complete_order clickout_purchase "
    "购买 下单 支付 成交 付款 交易 买",
    "refund": "refund refunds refunded return returns returned cancel cancelled canceled cancellation chargeback "
    "退款 退货 取消 取消订单 撤单",
    "other": "other others unknown checkout begin_checkout add_payment_info add_shipping_info login register 其他 其它 结算",
}

EVENT_WORDS: Final[dict[str, str]] = {word: kind for kind, words in _WORDS.items() for word in [kind, *words.split()]}
"""Word → canonical event type; words are spelled as `plain_word` spells them."""


def plain_word(word: str) -> str:
    """Spell an event word for comparison: `Add To Cart` → `add_to_cart`."""
    text = unicodedata.normalize("NFKC", word).strip().lower()
    return "_".join(text.replace("-", " ").replace("_", " ").replace(".", " ").split())


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
