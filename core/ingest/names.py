"""What shops call their columns: for each canonical column the names seen in common exports, best first, English and Chinese."""

import re
import unicodedata
from typing import Final

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_ACCENTS = re.compile("[\u0300-\u036f]")
_TYPED = re.compile(r":(token|float)(_seq)?$")
"""What RecBole's files write behind a name."""
_REST = re.compile(r"[^0-9a-z\u4e00-\u9fff]+")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


EVENT_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "user_id": _words(
        """
        user_id userid user uid user_pseudo_id visitor_id visitorid visitor customer_id customerid customer cust_id client_id client
        reviewer_id clientid household_id household_key household member_id buyer_id shopper_id account_id full_visitor_id
        fullvisitorid person_id profile_id mcvisid mcid domain_userid network_userid customer_no customer_number user_name username
        device_id cookie_id anonymous_id distinct_id customer_email billing_email email 用户id 用户编号 用户 会员id 会员编号 会员号
        会员名 会员 客户id 客户编号 客户 顾客id 顾客 买家id 买家 买家会员名 买家昵称 下单帐号 下单账号 访客id 访客 customer_key
        user_key member_no client_no customer_nr kunde kunden_id kundennummer kundennr kunden_nr client_numero id_client
        identifiant_client code_client cliente id_cliente mongo_user_id profileid person_key visitor_key 用戶id 用戶編號 用戶 會員id
        會員編號 會員 客戶id 客戶編號 客戶 顧客編號 顧客id 顧客 訪客id 買家id
        """
    ),
    "item_id": _words(
        """
        item_id itemid item product_id productid product sku sku_id product_sku stock_code stockcode asin parent_asin article_id
        article goods_id goodsid commodity_id movie_id material content_id lineitem_sku line_item_sku variant_id upc clicked_item_id
        click_item_id clicked_item click_item click_id clicked_id view_item_id viewed_item_id product_code item_code item_sku aid
        商品id 商品编号 商品编码 商品 物品id 物品 产品id 产品编号 产品 宝贝id 点击id 点击商品id 点击商品 浏览商品id 货号 商家编码 iid
        product_key item_key sku_key product_no article_no article_number product_number item_number item_no material_number artikel
        artikelnummer artikelnr artikel_nr artikel_id produkt_id produktnummer reference ref_produit id_produit code_produit
        code_article produit article_code producto id_producto 商品編號 商品編碼 物品編號 產品id 產品編號 產品 寶貝id 貨號
        """
    ),
    "purchase_item_id": _words(
        """
        purchase_item_id purchased_item_id bought_item_id buy_item_id purchase_product_id purchased_product_id purchase_id
        purchased_id buy_id bought_id order_item_id purchased_item 购买id 购买商品id 购买商品 下单商品id 成交商品id
        """
    ),
    "event_type": _words(
        """
        event_type eventtype event event_name behavior_type behaviour_type behavior behaviour action_type action activity_type
        interaction_type interaction user_action type act 行为类型 行为 事件类型 事件 操作类型 操作 动作 用户行为 event_label
        event_kind ereignis ereignistyp aktion evenement type_evenement type_d_evenement evento accion 行為類型 行為 事件類型 操作類型
        動作
        """
    ),
    "event_time": _words(
        """
        event_time eventtime event_timestamp timestamp time_stamp datetime date_time time transaction_timestamp transaction_date
        transaction_time invoice_date invoicedate order_date order_time order_purchase_timestamp purchase_date purchase_time
        created_at occurred_at processed_at hit_time hit_time_gmt collector_tstamp derived_tstamp unix_time unix_timestamp ts t_dat
        unix_review_time review_time date event_date day 时间戳 时间 日期时间 行为时间 事件时间 发生时间 访问时间 点击时间 下单时间
        购买时间 交易时间 订单创建时间 创建时间 日期 event_ts event_dt event_datetime action_time action_ts visit_time click_time
        view_time_utc order_ts order_dt purchase_ts datum zeitpunkt zeitstempel uhrzeit bestelldatum kaufdatum date_heure horodatage
        date_commande date_d_achat fecha 時間戳 時間 日期時間 行為時間 事件時間 發生時間 訪問時間 點擊時間 下單時間 購買時間 交易時間
        創建時間
        """
    ),
    "session_id": _words(
        """
        session_id sessionid user_session session ga_session_id visit_id visitid visit_num visit_number domain_sessionid
        domain_sessionidx browsing_session 会话id 会话 会话编号
        """
    ),
    "dwell_seconds": _words(
        """
        dwell_seconds dwell_time dwell dwelltime dwell_ms dwell_time_ms duration duration_seconds duration_ms time_on_page time_spent
        dwell_s dwell_minutes dwell_min duration_minutes duration_min stay_time view_time view_duration engagement_time_msec
        watch_time 停留时长 停留时间 停留 浏览时长 停留秒数 时长 verweildauer duree temps_passe 停留時長 停留時間 瀏覽時長
        """
    ),
    "position": _words(
        """
        position click_position item_position list_position position_in_list slot pos rank placement item_list_index 点击位置 位置
        展示位置 排名 坑位
        """
    ),
    "quantity": _words(
        """
        quantity qty item_quantity lineitem_quantity line_item_quantity units unit_quantity number_of_items number_of_cds
        product_quantity quantity_sold num_items items_count count 数量 购买数量 订购数量 商品数量 宝贝总数量 件数 销量 qty_ordered
        qty_invoiced ordered_qty order_qty menge anzahl stueckzahl stuckzahl quantite cantidad 數量 購買數量 件數
        """
    ),
    "price": _words(
        """
        price unit_price unitprice item_price product_price lineitem_price line_item_price sale_price selling_price price_usd 价格
        单价 售价 商品价格 商品单价 京东价 成交价 net_price gross_price retail_price preis einzelpreis stueckpreis stuckpreis
        verkaufspreis prix prix_unitaire precio unit_cost 價格 單價 售價
        """
    ),
    "revenue": _words(
        """
        revenue sales_value sales_amount sales line_total item_revenue product_revenue total_price total_amount transaction_amount
        amount dollar_value order_value payment_value purchase_amount spend total value subtotal gmv event_value 金额 销售额 总金额
        总价 支付金额 实付金额 买家实际支付金额 买家应付货款 订单金额 成交金额 交易金额 row_total row_total_incl_tax line_amount
        net_amount gross_amount umsatz betrag gesamtpreis montant chiffre_d_affaires importe 金額 銷售額 總金額 總價
        """
    ),
    "query": _words(
        """
        query search_query search_term search_terms search_keyword keyword keywords search 搜索词 查询词 关键词 搜索关键词 查询
        """
    ),
    "order_id": _words(
        """
        order_id orderid transaction_id transactionid transaction basket_id basketid invoice_no invoiceno invoice invoice_id order_no
        order receipt_id receipt_no cart_id checkout_id ticket_id 订单id 订单编号 订单号 订单 交易号 交易id 交易编号 小票号
        increment_id order_key bestellnummer bestell_nr auftragsnummer numero_commande numero_de_commande id_commande commande pedido
        訂單id 訂單編號 訂單號 訂單
        """
    ),
    "currency": _words(
        """
        currency currency_code order_currency price_currency transaction_currency 币种 货币
        """
    ),
    "order_number": _words(
        """
        order_number
        """
    ),
    "order_hour": _words(
        """
        order_hour_of_day order_hour
        """
    ),
    "days_since_prior_order": _words(
        """
        days_since_prior_order days_since_prior
        """
    ),
}

ITEM_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "title": _words(
        """
        title product_title item_title product_name productname item_name itemname name goods_name prod_name display_name
        lineitem_name product_type product_type_name sub_commodity_desc 商品名称 商品名 商品标题 宝贝标题 标题 名称 产品名称 产品名
        品名 produktname artikelname bezeichnung artikelbezeichnung nom_produit libelle designation nombre_producto 商品名稱 商品標題
        標題 名稱 產品名稱
        """
    ),
    "category": _words(
        """
        product_category category category_name item_category category_code product_category_name category_path categories
        commodity_desc product_group_name cate cat cat_id main_category department department_name product_type category_id categoryid
        cate_id category_l1 genre genres aisle 类别 品类 分类 商品类别 商品分类 商品品类 类目 商品类目 一级类目 类目id 商品类目id
        kategorie warengruppe categorie rayon categoria 類別 品類 分類 類目
        """
    ),
    "brand": _words(
        """
        brand brand_name product_brand item_brand vendor manufacturer brand_id 品牌 商品品牌 品牌名称 厂商 marke marque marca 品牌名稱
        """
    ),
    "description": _words(
        """
        description product_description item_description detail_desc desc details body_html package_size curr_size_of_product size
        features 描述 商品描述 详情 商品详情 简介 规格
        """
    ),
    "price": (*EVENT_NAMES["price"], "list_price", "market_price", "原价"),
    "image": _words(
        """
        image image_url image_link image_src img img_url picture photo main_image 图片 商品图片 图片链接 主图
        """
    ),
}

DEMOGRAPHICS: Final[dict[str, tuple[str, ...]]] = {
    "gender": _words(
        """
        gender sex user_gender 性别 用户性别
        """
    ),
    "age": _words(
        """
        age age_group age_range age_desc user_age age_level 年龄 用户年龄 年龄段
        """
    ),
    "region": _words(
        """
        region state state_code shipping_province customer_state geo_region area 地区 区域 地域
        """
    ),
    "province": _words(
        """
        province user_province 省份 省
        """
    ),
    "city": _words(
        """
        city user_city customer_city shipping_city 城市 市
        """
    ),
    "country": _words(
        """
        country country_code user_country shipping_country geo_country 国家
        """
    ),
    "income": _words(
        """
        income income_group income_desc 收入
        """
    ),
    "marital_status": _words(
        """
        marital_status marital_status_code 婚姻状况 婚姻
        """
    ),
    "household_size": _words(
        """
        household_size household_size_desc 家庭人数
        """
    ),
    "occupation": _words(
        """
        occupation job 职业
        """
    ),
    "education": _words(
        """
        education 学历 教育程度
        """
    ),
}
"""Attributes of the user that event rows sometimes repeat."""


_PREFIXES: Final = _words(
    "items_ item_ events_ products_ product_ lineitem_ line_items_ ecommerce_ event_params_ params_ properties_ data_ payload_ geo_ post_"
)
"""What nested exports put before a name when they are laid flat, such as `items.item_id` or `event_params.ga_session_id`."""
_NESTED: Final = 0.93
"""A nested name is a little less sure than the plain one."""
DAY_ONLY: Final = frozenset(_words("weekday week_day dow day_of_week order_dow dayofweek day_name 星期 星期几 周几"))
"""Names of columns that say the day of the week, which places no event in time."""
STAND_INS: Final = frozenset(
    _words(
        "anonymous_id anonymousid anonymous_user_id user_pseudo_id visitor_id visitorid full_visitor_id fullvisitorid client_id clientid"
        " device_id deviceid cookie_id cookieid distinct_id domain_userid network_userid mcvisid mcid guest_id 访客id 设备id 匿名id"
        " 訪客id 設備id"
    )
)
"""Names of ids that a log has of everyone, also of those who did not sign in."""
ORDER_STATES: Final = frozenset(
    _words(
        "status order_status orderstatus order_state state_of_order financial_status payment_status payment_state transaction_status"
        " line_status item_status bestellstatus zahlungsstatus statut statut_commande estado estado_pedido 订单状态 交易状态 支付状态 状态"
        " 訂單狀態 交易狀態 狀態"
    )
)
"""Names of columns that tell how far an order is."""
PER_USER_SESSIONS: Final = frozenset(_words("ga_session_id visit_num visit_number domain_sessionidx session_number"))
"""Session numbers that start anew, or may meet, with every user."""
ORDER_TOTALS: Final = frozenset(
    _words(
        "total subtotal total_price total_amount order_value order_total order_amount payment_value transaction_amount purchase_revenue"
        " grand_total 总金额 总价 订单金额"
        " 支付金额 实付金额 买家实际支付金额 买家应付货款"
    )
)
"""Amounts that most exports give per order and repeat on every line of it."""


def plain_name(name: str) -> str:
    """Spell a column name for comparison: `visitorId` → `visitor_id`, `用户 ID` → `用户id`, `Référence` → `reference`."""
    name = _TYPED.sub("", name)
    bare = _ACCENTS.sub("", unicodedata.normalize("NFKD", name))
    text = _CAMEL.sub("_", unicodedata.normalize("NFKC", bare).strip())
    text = _REST.sub("_", text.lower()).strip("_")
    return re.sub(r"(?<=[\u4e00-\u9fff])_|_(?=[\u4e00-\u9fff])", "", text)


def bare_name(name: str) -> str:
    """Spell a column name for comparison, without what nested exports put before it."""
    plain = plain_name(name)
    return next((plain.removeprefix(prefix) for prefix in _PREFIXES if plain.startswith(prefix)), plain)


def _index(names: dict[str, tuple[str, ...]]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for canonical, spellings in names.items():
        # Each language has its own best name: the first Chinese one says as much as the first English one.
        for language in ([s for s in spellings if s.isascii()], [s for s in spellings if not s.isascii()]):
            for place, spelling in enumerate(language):
                score = round(0.99 - 0.4 * place / max(len(spellings), 40), 4)
                found.setdefault(spelling, {}).setdefault(canonical, score)
    return found


EVENT_INDEX: Final = _index(EVENT_NAMES)
ITEM_INDEX: Final = _index(ITEM_NAMES)
DEMOGRAPHIC_INDEX: Final = _index(DEMOGRAPHICS)


def name_scores(name: str, index: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return canonical columns that a name may stand for, with a confidence 0-1."""
    plain = plain_name(name)
    if found := index.get(plain) or index.get(plain.replace("_", "")):
        return found
    for prefix in _PREFIXES:
        if plain.startswith(prefix) and (found := index.get(plain.removeprefix(prefix))):
            return {canonical: round(score * _NESTED, 4) for canonical, score in found.items()}
    return {}


def is_known_name(name: str) -> bool:
    """Tell whether a cell reads like a column name of an export."""
    return any(name_scores(name, index) for index in (EVENT_INDEX, ITEM_INDEX, DEMOGRAPHIC_INDEX))
