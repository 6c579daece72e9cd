"""Odd and broken logs, and what a worker that is ended in the middle does."""

import csv
from pathlib import Path

HEADER = "user_id,item_id,event_type,event_time\n"
ROWS = [f"u{i % 7},i{i % 5},{'view' if i % 3 else 'purchase'},2024-03-{1 + i % 28:02d} 10:{i % 60:02d}:00\n" for i in range(300)]
LONG = "x" * 200
ODD = [
    ("=cmd|' /C calc'!A0", "=1+1", "@SUM(A1)", "+cat"),
    ("'; DROP TABLE events; --", "x' OR 1=1", "'; DROP TABLE users", "%s {x} $1 ?"),
    ("<script>alert(1)</script>", "<img src=x>", "![](http://x)", "<b>bold</b>"),
    ("😀", "商品-é", "👩‍👩‍👧 tee", "日本語"),
    ("007", "7", "Tea", "tea"),
    ("7", "007", "tea", "Tea"),
    ("9007199254740993", "9007199254740992", "n", "n"),
    (LONG, LONG, LONG * 3, LONG),
    ("two\nlines", "it\nem", "ti\ntle", "c\nat"),
]
FORMULA = ("=", "+", "@", "\t", "\r")
SLOW_VERB = (
    "import sys, time; from pathlib import Path; from core.jobs import working; from core.store import Home\n"
    "home = Home(Path(sys.argv[1]))\n"
    "with working(home, sys.argv[2], heavy=True, echo=lambda line: None) as report, report.stage('map', 0, 1):\n"
    "    with home.dataset('d').new_run('atlas', inputs={}, config={}, cutoff=None) as draft:\n"
    "        (draft.path / 'half.parquet').write_text('half')\n"
    "        Path(sys.argv[3]).touch(); time.sleep(600)\n"
)


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def leftovers(home: Path) -> list[Path]:
    return [path for path in home.rglob(".*") if path.name != ".gitignore"]


def flip(path: Path, *places: float) -> bytes:
    """Turn over bytes at these shares of a file's length, and return what it was."""
    whole = path.read_bytes()
    damaged = bytearray(whole)
    for place in places:
        damaged[int(len(whole) * place)] ^= 0xFF
    path.write_bytes(damaged)
    return whole


def odd_log(path: Path) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["user_id", "item_id", "event_type", "event_time", "title", "category", "price"])
        for day in range(1, 15):
            for user, item, title, category in ODD:
                for act in ("view", "purchase"):
                    writer.writerow([user, item, act, f"2024-03-{day:02d} 10:00:00", title, category, 9.99])
    return path
