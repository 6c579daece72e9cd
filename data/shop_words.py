"""Words of the invented shop: departments, categories, product nouns in English and Chinese, and brands.

Brands are made up; a likeness to a real one is chance.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Category:
    """A leaf of the shop's tree and what its products are called."""

    department: str
    name: str
    nouns: tuple[str, ...]
    nouns_chinese: tuple[str, ...]
    median_price: float
    consumable: bool = False
    """Bought again when used up."""
    trend: float = 0.0
    """Growth of interest over the whole log, as a share: spring sells gardens and running shoes, not winter coats."""


CATEGORIES = (
    Category("Kitchen", "Coffee and tea", ("coffee beans", "green tea", "espresso capsules", "oolong tea", "cold brew"),
             ("咖啡豆", "绿茶", "浓缩咖啡胶囊", "乌龙茶", "冷萃咖啡"), 14, consumable=True),
    Category("Kitchen", "Snacks", ("roasted nuts", "rice crackers", "dark chocolate", "dried mango", "oat bars"),
             ("坚果礼盒", "米饼", "黑巧克力", "芒果干", "燕麦棒"), 7, consumable=True),
    Category("Kitchen", "Cookware", ("frying pan", "cast iron pot", "wok", "steamer", "knife set"),
             ("平底锅", "铸铁锅", "炒锅", "蒸锅", "刀具套装"), 48),
    Category("Kitchen", "Small appliances", ("electric kettle", "rice cooker", "blender", "air fryer", "toaster"),
             ("电热水壶", "电饭煲", "料理机", "空气炸锅", "多士炉"), 69),
    Category("Beauty", "Skin care", ("face cream", "sunscreen", "sheet masks", "cleansing oil", "vitamin serum"),
             ("保湿面霜", "防晒霜", "补水面膜", "卸妆油", "维C精华"), 19, consumable=True, trend=0.3),
    Category("Beauty", "Make-up", ("lipstick", "cushion foundation", "eyeshadow palette", "mascara", "brow pencil"),
             ("口红", "气垫粉底", "眼影盘", "睫毛膏", "眉笔"), 16),
    Category("Beauty", "Hair care", ("shampoo", "hair mask", "hair dryer", "conditioner", "scalp tonic"),
             ("洗发水", "发膜", "吹风机", "护发素", "头皮护理液"), 13, consumable=True),
    Category("Household", "Laundry", ("detergent pods", "fabric softener", "stain remover", "laundry sheets"),
             ("洗衣凝珠", "柔顺剂", "去渍剂", "洗衣片"), 11, consumable=True),
    Category("Household", "Bedding", ("duvet", "pillow", "cotton sheets", "blanket", "mattress topper"),
             ("羽绒被", "枕头", "纯棉床单", "毛毯", "床垫"), 55, trend=-0.3),
    Category("Household", "Lamps", ("desk lamp", "floor lamp", "night light", "LED strip"),
             ("台灯", "落地灯", "小夜灯", "灯带"), 34),
    Category("Household", "Garden", ("flower pot", "garden hose", "seed mix", "pruning shears", "planter box"),
             ("花盆", "浇水软管", "花种", "修枝剪", "种植箱"), 18, trend=0.8),
    Category("Electronics", "Phones", ("smartphone", "5G phone", "foldable phone", "compact phone"),
             ("智能手机", "5G手机", "折叠屏手机", "小屏手机"), 420),
    Category("Electronics", "Headphones", ("wireless earbuds", "noise-cancelling headphones", "gaming headset", "sports earphones"),
             ("无线耳机", "降噪耳机", "电竞耳机", "运动耳机"), 79),
    Category("Electronics", "Phone accessories", ("phone case", "charging cable", "power bank", "screen protector"),
             ("手机壳", "充电线", "充电宝", "钢化膜"), 15),
    Category("Electronics", "Computers", ("laptop", "mechanical keyboard", "wireless mouse", "monitor", "webcam"),
             ("笔记本电脑", "机械键盘", "无线鼠标", "显示器", "摄像头"), 160),
    Category("Electronics", "Games", ("game controller", "puzzle game", "racing wheel", "gaming chair"),
             ("游戏手柄", "益智游戏", "赛车方向盘", "电竞椅"), 62),
    Category("Sport", "Running", ("running shoes", "running shorts", "sports watch", "hydration vest"),
             ("跑鞋", "跑步短裤", "运动手表", "越野水袋背包"), 74, trend=0.5),
    Category("Sport", "Yoga and fitness", ("yoga mat", "dumbbell set", "resistance bands", "foam roller"),
             ("瑜伽垫", "哑铃套装", "弹力带", "泡沫轴"), 29),
    Category("Sport", "Camping", ("tent", "sleeping bag", "camping stove", "headlamp", "folding chair"),
             ("帐篷", "睡袋", "露营炉具", "头灯", "折叠椅"), 66, trend=0.6),
    Category("Family", "Nappies and baby care", ("nappies", "baby wipes", "baby shampoo", "milk powder"),
             ("纸尿裤", "婴儿湿巾", "婴儿洗发水", "婴儿奶粉"), 22, consumable=True),
    Category("Family", "Toys", ("building blocks", "plush bear", "wooden train", "puzzle", "toy kitchen"),
             ("积木", "毛绒熊", "木质火车", "拼图", "过家家厨房"), 24),
    Category("Family", "Pet food", ("cat food", "dog food", "cat litter", "dog treats"),
             ("猫粮", "狗粮", "猫砂", "狗零食"), 26, consumable=True),
    Category("Clothing", "Dresses", ("summer dress", "midi skirt", "linen dress", "evening dress"),
             ("连衣裙", "半身裙", "亚麻长裙", "晚礼服"), 44, trend=0.4),
    Category("Clothing", "Men's shirts", ("oxford shirt", "polo shirt", "linen shirt", "T-shirt pack"),
             ("牛津衬衫", "Polo衫", "亚麻衬衫", "T恤套装"), 32),
    Category("Clothing", "Coats", ("wool coat", "rain jacket", "down jacket", "trench coat"),
             ("羊毛大衣", "冲锋衣", "羽绒服", "风衣"), 98, trend=-0.6),
    Category("Clothing", "Shoes and bags", ("leather boots", "canvas sneakers", "tote bag", "backpack", "sandals"),
             ("皮靴", "帆布鞋", "托特包", "双肩包", "凉鞋"), 58),
)  # fmt: skip

ADJECTIVES = ("classic", "light", "premium", "compact", "eco", "everyday", "travel", "family", "soft", "pro", "mini", "natural")
ADJECTIVES_CHINESE = ("经典", "轻便", "高级", "小巧", "环保", "日常", "旅行", "家庭装", "柔软", "专业", "迷你", "天然")
VARIANTS = ("black", "white", "sage green", "navy", "set of 2", "size M", "size L", "large", "red", "sand")
VARIANTS_CHINESE = ("黑色", "白色", "灰绿色", "藏青", "两件装", "M码", "L码", "大号", "红色", "沙色")
CONSUMABLE_VARIANTS = ("250 g", "500 g", "1 kg", "pack of 6", "pack of 12", "refill", "family pack", "trial size")
CONSUMABLE_VARIANTS_CHINESE = ("250克", "500克", "1公斤", "6件装", "12件装", "补充装", "家庭装", "试用装")
PRAISES = (
    "made to last, with two years of guarantee",
    "a favourite of our regular customers",
    "gentle on you and on the planet",
    "simple to use and easy to clean",
    "new this season",
    "good value for every day",
    "designed with people who use it daily",
)
PRAISES_CHINESE = ("结实耐用，两年质保", "老顾客的首选", "温和环保", "使用简单，清洗方便", "本季新品", "高性价比日常之选", "与用户共同设计")

BRANDS = (
    ("Norrvik", ""), ("Halden", ""), ("Casa Lume", ""), ("Pinebrook", ""), ("Orvello", ""), ("Tidewell", ""), ("Mirabo", ""),
    ("Quillon", ""), ("Zephra", ""), ("Brindle", ""), ("Kestrel", ""), ("Lumio", ""), ("Verano", ""), ("Fennick", ""),
    ("Aster", ""), ("Solvane", ""), ("Qingyun", "青云"), ("Shanlan", "山岚"), ("Yuebai", "月白"), ("Xinghe", "星禾"),
    ("Lanting", "兰汀"), ("Muyu", "木屿"), ("Hefeng", "和丰"), ("Xiaolu", "小鹿家"), ("Nuanyang", "暖阳里"), ("Juzi", "橘子屋"),
)  # fmt: skip
"""English name and, for Chinese brands, how Chinese titles write it."""

TASTES = (
    ("cook", {"Coffee and tea": 4, "Snacks": 3, "Cookware": 5, "Small appliances": 4}),
    ("beauty", {"Skin care": 6, "Make-up": 5, "Hair care": 4, "Dresses": 3}),
    ("home", {"Laundry": 4, "Bedding": 4, "Lamps": 3, "Garden": 4, "Cookware": 2}),
    ("tech", {"Phones": 5, "Headphones": 4, "Phone accessories": 4, "Computers": 4}),
    ("player", {"Games": 6, "Computers": 4, "Headphones": 3, "Snacks": 2}),
    ("outdoors", {"Running": 5, "Yoga and fitness": 4, "Camping": 5, "Shoes and bags": 2}),
    ("parent", {"Nappies and baby care": 6, "Toys": 5, "Laundry": 2, "Snacks": 2}),
    ("pets", {"Pet food": 8, "Garden": 2, "Laundry": 1}),
    ("fashion", {"Dresses": 5, "Men's shirts": 4, "Coats": 4, "Shoes and bags": 5}),
)
"""Planted tastes: how much more each of their categories is wanted than all others (which weigh 0.35)."""
