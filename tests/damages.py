"""What can go wrong with a text file of events, one function each; `Draft` is the file before it is written."""

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
_WORDS = ("red shoes", "tea", "café au lait", "wool socks", "24 inch", "lamp", "Größe 42", "kids", "50% off", "c++", "a/b", "size:M")
_QUOTED = ('5" nails', "tea, green", "salt; pepper", 'the "best" one', "red|blue", "tab\tsign")
_OTHERS = ",;\t|"

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
            "query": rng.choice(_QUOTED if quoted and rng.random() < 0.3 else _WORDS) if rng.random() < 0.8 else None,
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


# Quotes


@damage
def stray_quote(draft: Draft, rng: Random) -> None:
    for line in draft.some(rng):
        place = rng.randrange(len(line))
        cut = rng.randint(0, len(line[place]))
        line[place] = line[place][:cut] + '"' + line[place][cut:]


@damage
def quote_never_closed(draft: Draft, rng: Random) -> None:
    for line in draft.some(rng):
        place = rng.randrange(len(line))
        line[place] = '"' + line[place].strip('"')


@damage
def quote_never_opened(draft: Draft, rng: Random) -> None:
    for line in draft.some(rng):
        place = rng.randrange(len(line))
        line[place] = line[place].strip('"') + '"'


@damage
def quotes_missing_around_a_delimiter(draft: Draft, rng: Random) -> None:
    for line in draft.some(rng):
        place = draft.text_cell(rng)
        draft.set(line, draft.columns[place], f"left{draft.delimiter}right", f"left{draft.delimiter}right")


@damage
def quotes_doubled(draft: Draft, rng: Random) -> None:
    """Only around values: around nothing, four quotes are how a sound file writes one quote."""
    for line in draft.some(rng):
        place = rng.choice([place for place, cell in enumerate(line) if cell.strip('"')])
        line[place] = '""' + line[place].strip('"') + '""'


@damage
def inner_quotes_not_doubled(draft: Draft, rng: Random) -> None:
    for line in draft.some(rng):
        place = draft.text_cell(rng)
        text = rng.choice(['the "best" one', f'a "b{draft.delimiter} c" d', 'x" y', f'5" nails{draft.delimiter} ok', '"', '" '])
        draft.set(line, draft.columns[place], f'"{text}"', text)


@damage
def quotes_escaped_by_backslashes(draft: Draft, rng: Random) -> None:
    for line in draft.some(rng):
        place = draft.text_cell(rng)
        text = rng.choice(['the "best" one', '5" nails', f'a "b{draft.delimiter} c" d', f'x"{draft.delimiter}"y', 'end "'])
        draft.set(line, draft.columns[place], '"' + text.replace('"', '\\"') + '"', text)


@damage
def single_quotes(draft: Draft, rng: Random) -> None:
    for line in draft.cells if rng.random() < 0.5 else draft.some(rng):
        line[:] = [f"'{cell.strip(chr(34))}'" for cell in line]


@damage
def curly_quotes(draft: Draft, rng: Random) -> None:
    for line in draft.cells if rng.random() < 0.5 else draft.some(rng):
        line[:] = [f"“{cell.strip(chr(34))}”" for cell in line]


@damage
def blanks_before_quotes(draft: Draft, rng: Random) -> None:
    for line in draft.cells[1:]:
        line[1:] = [" " + cell for cell in line[1:]]


@damage
def lines_wrapped_in_quotes(draft: Draft, rng: Random) -> None:
    for line in draft.cells if rng.random() < 0.5 else draft.some(rng):
        whole = draft.delimiter.join(line).replace('"', '""')
        line[:] = [f'"{whole}"']


# Delimiters and fields


@damage
def other_delimiter_in_some_rows(draft: Draft, rng: Random) -> None:
    other = rng.choice(_OTHERS.replace(draft.delimiter, ""))
    for line in draft.some(rng):
        draft.delimiters[id(line)] = other


@damage
def other_delimiter_from_the_middle(draft: Draft, rng: Random) -> None:
    other = rng.choice(_OTHERS.replace(draft.delimiter, ""))
    for line in draft.cells[rng.randint(2, len(draft.cells) - 1) :]:
        draft.delimiters[id(line)] = other


@damage
def other_delimiter_in_the_header(draft: Draft, rng: Random) -> None:
    draft.delimiters[id(draft.cells[0])] = rng.choice(_OTHERS.replace(draft.delimiter, ""))


@damage
def one_delimiter_changed(draft: Draft, rng: Random) -> None:
    other = rng.choice((_OTHERS + " ").replace(draft.delimiter, ""))
    for line in draft.some(rng):
        place = rng.randrange(len(line) - 1)
        line[place : place + 2] = [line[place] + other + line[place + 1]]


@damage
def empty_field_too_many(draft: Draft, rng: Random) -> None:
    for line in draft.some(rng):
        line.insert(rng.randint(0, len(line)), "")


@damage
def empty_field_too_many_in_most_rows(draft: Draft, rng: Random) -> None:
    place = rng.randint(0, len(draft.columns))
    for line in draft.cells[1:]:
        if rng.random() < 0.9:
            line.insert(place, "")


@damage
def field_too_many(draft: Draft, rng: Random) -> None:
    for line in draft.some(rng):
        line.insert(rng.randint(0, len(line)), rng.choice(["extra", "7", "2024-01-01"]))


@damage
def field_missing(draft: Draft, rng: Random) -> None:
    for line in draft.some(rng):
        line.pop(rng.randrange(len(line)))


@damage
def field_missing_and_an_empty_one_at_the_end(draft: Draft, rng: Random) -> None:
    """Values move over the time of the row; a shift between two free texts, or an emptied last field, is a sound row to any reader."""
    time, last = draft.columns.index("event_time"), len(draft.columns) - 1
    for line in draft.some(rng):
        places = [
            (gone, empty)
            for gone in range(last + 1)
            for empty in (0, last)
            if (empty == last and gone <= time) or (not empty and gone >= time)
        ]
        gone, empty = rng.choice([(gone, empty) for gone, empty in places if gone != empty])
        line.pop(gone)
        line.insert(empty, "")


@damage
def trailing_delimiters(draft: Draft, rng: Random) -> None:
    which = rng.choice(["all", "rows", "some", "header"])
    lines = {"all": draft.cells, "rows": draft.cells[1:], "some": draft.some(rng), "header": draft.cells[:1]}[which]
    for line in lines:
        line.extend([""] * (rng.choice([1, 1, 3]) if which == "some" else 1))


@damage
def row_names_without_a_header(draft: Draft, rng: Random) -> None:
    for number, line in enumerate(draft.cells[1:], start=1):
        line.insert(0, str(number))


@damage
def padded_fields(draft: Draft, rng: Random) -> None:
    for line in draft.cells if rng.random() < 0.5 else draft.some(rng):
        line[:] = [cell if '"' in cell else rng.choice(["", " ", "   "]) + cell + rng.choice(["", " ", "      "]) for cell in line]


# Lines


@damage
def preamble(draft: Draft, rng: Random) -> None:
    mark, width = draft.delimiter, len(draft.columns)
    lines = rng.choice(
        [
            ["Export of the shop"],
            ["Export of the shop", ""],
            ["# shop export", "# 2024-04-01"],
            [f"Report{mark}Clicks", f"From{mark}2024-03-01", ""],
            [f"Report{mark * (width - 1)}"],
            [f"Shop{mark}{mark}2024{mark * (width - 3)}", mark * (width - 1)],
            [f"sep={mark}"],
            ["", "", "Prices, without tax; in EUR", ""],
            ["Date: 2024-03-01 10:00:00", "User: admin", "Rows: 40"],
            ['Shop\'s "best" export'],
            ['Our 5" nails'],
        ]
    )
    draft.cells[:0] = [[line] for line in lines]


@damage
def comment_lines(draft: Draft, rng: Random) -> None:
    for _ in range(rng.randint(1, 4)):
        left = f"# left{draft.delimiter}right"
        full = "# " + draft.delimiter.join("abcdefgh"[: len(draft.columns)])
        text = rng.choice(["# a remark", "// checked", "-- page 2 --", left, "% note", full])
        draft.cells.insert(rng.randint(1, len(draft.cells)), [text])


@damage
def rows_commented_out(draft: Draft, rng: Random) -> None:
    for line in draft.some(rng):
        known = draft.told(line)
        draft.truth = [row for row in draft.truth if row is not known]
        line[0] = rng.choice(["#", "# ", "//"]) + line[0]


@damage
def footer(draft: Draft, rng: Random) -> None:
    mark, width = draft.delimiter, len(draft.columns)
    total, counted = ["Total", *[""] * (width - 1)], [""] * width
    total[rng.randrange(1, width)] = "1234.56"
    counted[rng.randrange(width)] = "340"
    choices = [["(40 rows)"], ["", "Total rows: 40"], [mark.join(total)], [mark.join(counted)], ["--- end ---"], [f"Sum{mark}99"]]
    draft.cells.extend([line] for line in rng.choice(choices))


@damage
def subtotals(draft: Draft, rng: Random) -> None:
    for _ in range(rng.randint(1, 3)):
        line = [""] * len(draft.columns)
        line[rng.randrange(len(line))] = rng.choice(["Subtotal", "Sum", "小计"])
        line[rng.randrange(len(line))] = "99.50"
        draft.cells.insert(rng.randint(2, len(draft.cells)), line)


@damage
def blank_lines(draft: Draft, rng: Random) -> None:
    for _ in range(rng.randint(1, 6)):
        text = rng.choice(["", "", "   ", "\t", draft.delimiter * (len(draft.columns) - 1), "\u00a0"])
        draft.cells.insert(rng.randint(0, len(draft.cells)), [text])


@damage
def repeated_header(draft: Draft, rng: Random) -> None:
    header = list(draft.cells[0])
    for _ in range(rng.randint(1, 3)):
        line = [cell.upper() for cell in header] if rng.random() < 0.3 else list(header)
        draft.cells.insert(rng.randint(1, len(draft.cells)), line)


@damage
def header_missing(draft: Draft, rng: Random) -> None:
    draft.cells.pop(0)


@damage
def header_damaged(draft: Draft, rng: Random) -> None:
    header = draft.cells[0]
    place = rng.randrange(len(header))
    name, next_name = header[place], header[(place + 1) % len(header)]
    header[place] = rng.choice(["", next_name, '"' + name, name + " ", "x" * 70, name.upper(), name + "\n(raw)", f'"{name}\n(raw)"'])


@damage
def second_table_below(draft: Draft, rng: Random) -> None:
    header = rng.choice([["id", "name", "country"], ["item_id", "title", "brand", "price"], [*"abcdefghij"]])
    rows = [[f"v{place}{number}" if place else str(number) for place in range(len(header))] for number in range(rng.randint(2, 12))]
    draft.cells.extend([*([[""]] if rng.random() < 0.6 else []), header, *rows])


@damage
def second_table_below_of_the_same_width(draft: Draft, rng: Random) -> None:
    width = len(draft.columns)
    header = ["country", "campaign", "clicks", "day", "cost", "views", "device", "note"][:width]
    rows = [[f"c{n}", f"k{n}", str(n), f"2024-05-{n + 1:02d}", "1.5", "3", "phone", "x"][:width] for n in range(rng.randint(3, 15))]
    draft.cells.extend([*([[""]] if rng.random() < 0.6 else []), header, *rows])


@damage
def columns_in_another_order_from_the_middle(draft: Draft, rng: Random) -> None:
    order = list(range(len(draft.columns)))
    if rng.random() < 0.5:
        rng.shuffle(order)
    else:  # two columns that no cast tells apart
        a, b = draft.columns.index("user_id"), draft.columns.index("item_id")
        order[a], order[b] = b, a
    half = rng.randint(len(draft.cells) // 3, len(draft.cells) - 3)
    lines = [draft.cells[0], *draft.cells[half:]]
    moved = [[line[place] for place in order] if len(line) == len(order) else line for line in lines]
    draft.cells[half:] = [*([[""]] if rng.random() < 0.5 else []), *moved]


@damage
def table_beside(draft: Draft, rng: Random) -> None:
    rows = rng.randint(2, 12)
    for place, line in enumerate(draft.cells):
        right = ["country", "total"] if place == 0 else [f"C{place}", str(place * 3)] if place <= rows else ["", ""]
        line.extend(["", *right])


# Bytes


@damage
def mixed_newlines(draft: Draft, rng: Random) -> None:
    for line in draft.cells:
        draft.newlines[id(line)] = rng.choice(["\n", "\r\n", "\r", "\n"])


@damage
def odd_newlines(draft: Draft, rng: Random) -> None:
    draft.newline = rng.choice(["\r", "\n\r", "\r\r\n", "\n\n", "\r\n\r\n"])


_TONGUES = (
    ("utf-8-sig", "café Größe"),
    ("utf-16", "café 商品"),
    ("utf-16-le", "tea 商品"),
    ("utf-16-be", "tea"),
    ("utf-32", "tea"),
    ("gb18030", "红色运动鞋，男款"),
    ("big5", "紅色運動鞋，男款"),
    ("shift_jis", "赤いくつ、サイズ"),
    ("euc_kr", "빨간 운동화"),
    ("cp1252", "Größe – “fein” café"),
    ("latin-1", "Größe fein café naïf"),
    ("cp1251", "красные туфли"),
    ("cp1250", "červené boty, žluť"),
    ("cp037", "tea"),
)


@damage
def other_encoding(draft: Draft, rng: Random) -> None:
    draft.encoding, text = rng.choice(_TONGUES)
    if "query" in draft.columns:
        for number, line in enumerate(draft.cells[1:]):
            value = f"{text} {number}" if rng.random() < 0.7 else f"plain {number}"
            draft.set(line, "query", draft.quote(value), value)


@damage
def one_line_in_another_encoding(draft: Draft, rng: Random) -> None:
    line, text = rng.choice(draft.cells[1:]), "größe ééé"
    column = draft.columns[draft.text_cell(rng)]
    draft.set(line, column, text, text)
    draft.after.append(lambda data: data.replace(text.encode(), text.encode("latin-1")))


@damage
def nul_signs(draft: Draft, rng: Random) -> None:
    style, places = rng.choice(["some", "end", "run"]), [rng.random() for _ in range(rng.randint(1, 4))]

    def change(data: bytes) -> bytes:
        if style == "end":
            return data + b"\0" * 700
        for share in places:
            place = int(len(data) * share)
            data = data[:place] + b"\0" * (1 if style == "some" else 40) + data[place:]
        return data

    draft.after.append(change)


@damage
def odd_bytes(draft: Draft, rng: Random) -> None:
    signs = (0x80, 0xFF, 0xC3, 0x1A, 0x07, 0x0B, 0x0C, 0x1C, 0x85)
    places = [(rng.random(), bytes([rng.choice(signs)])) for _ in range(rng.randint(1, 3))]

    def change(data: bytes) -> bytes:
        for share, sign in places:
            place = int(len(data) * share)
            data = data[:place] + sign + data[place:]
        return data

    draft.after.append(change)


@damage
def end_cut_off(draft: Draft, rng: Random) -> None:
    gone = rng.randint(1, 120)
    draft.after.append(lambda data: data[:-gone])
    _forget(draft, draft.cells[:0:-1], gone)


@damage
def start_cut_off(draft: Draft, rng: Random) -> None:
    gone = rng.randint(1, 200)
    draft.after.append(lambda data: data[gone:])
    _forget(draft, draft.cells, gone)


def _forget(draft: Draft, lines: list[list[str]], gone: int) -> None:
    """Take the lines that vanish whole, and could be known by nobody, out of the truth."""
    for line in lines:
        gone -= len((draft.delimiters.get(id(line), draft.delimiter).join(line) + draft.newline).encode())
        if gone < 0:
            return
        known = draft.told(line)
        draft.truth = [row for row in draft.truth if row is not known]


@damage
def byte_order_mark_in_the_middle(draft: Draft, rng: Random) -> None:
    """Two files with a mark, joined by `cat`."""
    draft.encoding = "utf-8-sig"
    line = rng.choice(draft.cells[1:])
    line[0] = "\ufeff" + line[0]


# Values that are hard, and no damage


@damage
def quoted_newlines(draft: Draft, rng: Random) -> None:
    for line in draft.some(rng):
        column = draft.columns[draft.text_cell(rng)]
        value = rng.choice(["two\nlines", "a\n\nb", 'said "x"\nthen', f"x{draft.delimiter}\ny", "one\r\ntwo"])
        draft.set(line, column, draft.quote(value), value.replace("\r\n", "\n"))


@damage
def bare_newlines(draft: Draft, rng: Random) -> None:
    for line in draft.some(rng):
        draft.set(line, draft.columns[draft.text_cell(rng)], "two\nlines", "two\nlines")


@damage
def unicode_blanks(draft: Draft, rng: Random) -> None:
    signs = ["\u00a0", "\u3000", "\u2009", "\u200b", "\ufeff", "\u0085", "\u2028", "\x0b", "\x0c", "\x1c", "\u202f", "\u00ad"]
    for line in draft.some(rng):
        place, sign = draft.text_cell(rng), rng.choice(signs)
        if rng.random() < 0.5:
            draft.set(line, draft.columns[place], f"red{sign}shoes", f"red{sign}shoes")
        elif '"' not in line[place]:
            line[place] = rng.choice([sign + line[place], line[place] + sign])


@damage
def long_fields(draft: Draft, rng: Random) -> None:
    for line in draft.some(rng):
        text = "long text " * rng.choice([700, 20_000, 300_000]) + "."
        draft.set(line, draft.columns[draft.text_cell(rng)], text, text)


@damage
def thousand_separators(draft: Draft, rng: Random) -> None:
    column = next((name for name in ("price", "quantity") if name in draft.columns), None)
    style = rng.choice(["quoted", "bare", "blank", "apostrophe"])
    sign = {"blank": " ", "apostrophe": "'"}.get(style, "." if draft.decimal == "," else ",")
    for line in draft.cells[1:]:
        if column and rng.random() < 0.5:
            whole = rng.randint(1000, 99_999)
            text = f"{whole:,}".replace(",", sign) + (f"{draft.decimal}50" if column == "price" else "")
            draft.set(line, column, text if style == "bare" else draft.quote(text), whole + (Decimal("0.5") if column == "price" else 0))


@damage
def words_for_nothing(draft: Draft, rng: Random) -> None:
    if "query" in draft.columns:
        for line in draft.some(rng):
            word = rng.choice(["NULL", "nan", "\\N", "N/A", "-"])
            draft.set(line, "query", word, None if word != "-" else word)
