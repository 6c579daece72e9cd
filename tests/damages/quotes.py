"""Quotes that are stray, missing, doubled or of another kind."""

from random import Random

from tests.damages.draft import Draft, damage


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
