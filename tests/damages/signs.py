"""Line ends, encodings, odd bytes and cut ends."""

from random import Random

from tests.damages.draft import Draft, damage


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
