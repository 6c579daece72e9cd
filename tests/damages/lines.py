"""Lines that are no rows, tables below and beside the table."""

from random import Random

from tests.damages.draft import Draft, damage


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
