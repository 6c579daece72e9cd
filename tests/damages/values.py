"""Values that are hard to read, and no damage."""

from decimal import Decimal
from random import Random

from tests.damages.draft import Draft, damage


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
