"""A log in perfect order before it is written as a text file, with the truth it tells, and the list of what may happen to it."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

_NAMES = {
    "user_id": ("user_id", "visitorid", "customer_id"),
    "item_id": ("item_id", "product_id", "sku"),
    "event_type": ("event_type", "event", "action"),
    "event_time": ("event_time", "timestamp", "datetime"),
    "price": ("price", "unit_price"),
    "quantity": ("quantity", "qty"),
    "query": ("query", "search_query"),
    "order_id": ("order_id",),
}
WORDS = ("red shoes", "tea", "café au lait", "wool socks", "24 inch", "lamp", "Größe 42", "kids", "50% off", "c++", "a/b", "size:M")
QUOTED = ('5" nails', "tea, green", "salt; pepper", 'the "best" one', "red|blue", "tab\tsign")
OTHERS = ",;\t|"

Change = Callable[["Draft", Random], None]
DAMAGES: dict[str, Change] = {}


@dataclass
class Draft:
    """A text file as cells that are already quoted, with the truth it tells."""

    cells: list[list[str]]
    """Header first; a foreign line is one cell."""
    truth: list[dict[str, Any]]
    columns: list[str]
    """Canonical names in the order of the file."""
    delimiter: str
    decimal: str
    newline: str
    encoding: str = "utf-8"
    delimiters: dict[int, str] = field(default_factory=dict)
    """id of a line → a delimiter of its own."""
    newlines: dict[int, str] = field(default_factory=dict)
    after: list[Callable[[bytes], bytes]] = field(default_factory=list)
    """Changes of the bytes."""

    def render(self) -> bytes:
        """Write the file."""
        lines = [
            self.delimiters.get(id(line), self.delimiter).join(line) + self.newlines.get(id(line), self.newline) for line in self.cells
        ]
        data = "".join(lines).encode(self.encoding, errors="replace")
        for change in self.after:
            data = change(data)
        return data

    def some(self, rng: Random) -> list[list[str]]:
        """One, two, three or a tenth of the data lines."""
        lines = [line for line in self.cells[1:] if len(line) == len(self.columns)]
        return rng.sample(lines, min(len(lines), rng.choice([1, 1, 2, 3, max(1, len(lines) // 10)])))

    def text_cell(self, rng: Random) -> int:
        """The place of a column that takes any text."""
        return rng.choice([i for i, name in enumerate(self.columns) if name in ("query", "item_id", "user_id")])

    def told(self, line: list[str]) -> dict[str, Any]:
        """The truth of a line, {} when it has none."""
        return next((known for known in self.truth if known["order_id"] in line), {})

    def quote(self, value: str) -> str:
        """A cell as the csv module writes it."""
        out = io.StringIO()
        csv.writer(out, delimiter=self.delimiter).writerow([value, "x"])
        return out.getvalue()[:-4]

    def set(self, line: list[str], column: str, text: str, truth: Any) -> None:
        """Change a value and its truth."""
        if len(line) == len(self.columns) and (known := self.told(line)):
            known[column] = truth
            line[self.columns.index(column)] = text


def clean_draft(rng: Random) -> Draft:
    """Make a log of 20 to 60 rows in perfect order; no two rows share their order_id, which marks them."""
    columns = list(_NAMES)
    rng.shuffle(columns)
    if rng.random() < 0.5:
        for name in rng.sample(["price", "quantity", "query"], rng.randint(1, 2)):
            columns.remove(name)
    delimiter = rng.choice([",", ",", ",", ";", "\t", "|"])
    decimal = "," if delimiter == ";" and rng.random() < 0.6 else "."
    header = [rng.choice(_NAMES[name]) for name in columns]
    draft = Draft([header], [], columns, delimiter, decimal, rng.choice(["\n", "\n", "\r\n"]))
    form = rng.choice(["iso", "iso", "iso", "epoch", "dmy", "T"])
    quoted, moment = rng.random() < 0.5, datetime(2024, 3, 1, 8)
    for number in range(rng.randint(20, 60)):
        moment += timedelta(minutes=rng.randint(1, 1500), seconds=rng.randint(0, 59))
        known: dict[str, Any] = {
            "user_id": f"{rng.choice(['u', '00'])}{rng.randint(1, 9)}",
            "item_id": f"p{rng.randint(100, 130)}",
            "event_type": rng.choice(["view", "view", "view", "cart", "purchase"]),
            "event_time": moment,
            "price": Decimal(rng.randint(100, 99999)) / 100,
            "quantity": rng.randint(1, 5),
            "query": rng.choice(QUOTED if quoted and rng.random() < 0.3 else WORDS) if rng.random() < 0.8 else None,
            "order_id": f"o{number:03d}x",
        }
        draft.truth.append({name: known[name] if name in columns else None for name in _NAMES})
        price = str(known["price"]).replace(".", decimal)
        shown = {**known, "event_time": _shown(moment, form), "price": price, "query": known["query"] or ""}
        draft.cells.append([draft.quote(str(shown[name])) for name in columns])
    return draft


def _shown(moment: datetime, form: str) -> str:
    if form == "epoch":
        return str(int(moment.replace(tzinfo=UTC).timestamp()))
    return moment.strftime({"iso": "%Y-%m-%d %H:%M:%S", "dmy": "%d/%m/%Y %H:%M:%S", "T": "%Y-%m-%dT%H:%M:%SZ"}[form])


def damage(change: Change) -> Change:
    """Put a damage on the list, under the name of its function."""
    DAMAGES[change.__name__] = change
    return change
