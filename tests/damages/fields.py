"""Delimiters that change, fields too many or missing."""

from random import Random

from tests.damages.draft import OTHERS, Draft, damage


@damage
def other_delimiter_in_some_rows(draft: Draft, rng: Random) -> None:
    other = rng.choice(OTHERS.replace(draft.delimiter, ""))
    for line in draft.some(rng):
        draft.delimiters[id(line)] = other


@damage
def other_delimiter_from_the_middle(draft: Draft, rng: Random) -> None:
    other = rng.choice(OTHERS.replace(draft.delimiter, ""))
    for line in draft.cells[rng.randint(2, len(draft.cells) - 1) :]:
        draft.delimiters[id(line)] = other


@damage
def other_delimiter_in_the_header(draft: Draft, rng: Random) -> None:
    draft.delimiters[id(draft.cells[0])] = rng.choice(OTHERS.replace(draft.delimiter, ""))


@damage
def one_delimiter_changed(draft: Draft, rng: Random) -> None:
    other = rng.choice((OTHERS + " ").replace(draft.delimiter, ""))
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
