"""A question of one's own about shoppers: whom to ask about next, and what the answers foretell of all the others."""

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from core.artifacts import write_table
from core.errors import FileError, GateError
from core.messages import Message, say
from core.metrics import auc, bootstrap
from core.pipeline.options import ProfileOptions
from core.pipeline.questions import MOST_BYTES
from core.pipeline.seeing import seen_at
from core.pipeline.telling import Result, about
from core.pipeline.writing import write_rows
from core.schema import Progress, part_of, silent
from core.store import Began, Dataset, Home

FEWEST = 10
"""Answers of either kind below which nothing is foretold."""
FOLDS = 5
YES = frozenset({"1", "yes", "y", "true", "t", "是"})
NO = frozenset({"0", "no", "n", "false", "f", "否"})


def saved_answers(dataset: Dataset, question: str) -> dict[str, int]:
    """Return the answers of a question by user id: 0 or 1."""
    record = dataset.saved(f"answers {question}") or {}
    return {str(user): int(answer) for user, answer in (record.get("answers") or {}).items()}


def ask(
    home: Home,
    dataset: Dataset,
    *,
    cutoff: datetime | None = None,
    question: str,
    count: int = 50,
    out: Path,
    options: ProfileOptions | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Result:
    """Write a file of shoppers to be answered for: chosen by what the answers so far foretell (`choose_questions`).

    Columns user_id, answer (empty), chance (empty before a model stands). Shoppers with an answer are not asked for again.

    Raises:
        FileError: The file cannot be written.
    """
    from core.predictor.few_labels import choose_questions

    known = saved_answers(dataset, question)
    users, inputs = _inputs(home, dataset, cutoff, options, part_of(progress, 0.0, 0.8))
    answered = np.array([user in known for user in users], dtype=bool)
    rest = np.flatnonzero(~answered)
    progress(0.8, say("choosing whom to ask about"))
    chances = None
    if len(rest) and _enough(list(known.values())):
        chances = _foretold(inputs[answered], np.array([known[u] for u, a in zip(users, answered, strict=True) if a], float), inputs[rest])
    picked = rest[choose_questions(inputs[rest], chances, count, np.random.default_rng([seed, len(known)]))]
    by_place = dict(zip(rest.tolist(), chances.tolist() if chances is not None else [None] * len(rest), strict=True))
    rows = {
        "user_id": pa.array([users[place] for place in picked.tolist()], pa.string()),
        "answer": pa.array([None] * len(picked), pa.string()),
        "chance": pa.array([by_place[place] for place in picked.tolist()], pa.float64()),
    }
    write_rows(out, pa.table(rows))
    return {"dataset": dataset.name, "question": question, "asked": len(picked), "answered": len(known), "out": str(out), "warnings": []}


def answer(
    home: Home,
    dataset: Dataset,
    *,
    cutoff: datetime | None = None,
    question: str,
    file: Path | None,
    out: Path | None = None,
    options: ProfileOptions | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Result:
    """Take in answers, and foretell the answer of every shopper as far as there are enough of them.

    The file is CSV with user_id and answer (yes/no, 1/0, 是/否); empty answers are passed over, a new answer replaces an earlier one.

    Args:
        home: Whose cache holds text vectors.
        dataset: Whose shoppers.
        cutoff: Behave as if the log ended then.
        question: Its name.
        file: Answers; None uses those that are saved.
        out: Where the scores of all shoppers are written, .parquet or .csv.
        options: Blocks and text model.
        seed: Of folds and intervals.
        progress: Told along the way.

    Raises:
        FileError: The file cannot be read, lacks a column, or holds another word.
        GateError: Fewer than ten answers of either kind; they are kept.
    """
    began, warnings = Began.now(), list[Message]()
    known = saved_answers(dataset, question)
    users, inputs = _inputs(home, dataset, cutoff, options, part_of(progress, 0.0, 0.7))
    if file is not None:
        told = _read(file)
        strangers = sorted(set(told) - set(users))
        if strangers:
            warnings.append(
                say("{n} answers are of users that the log does not hold, such as {user!r}.", n=len(strangers), user=strangers[0][:60])
            )
        known |= {user: value for user, value in told.items() if user not in set(strangers)}
        dataset.save(
            f"answers {question}", {"question": question, "answers": known, "saved": datetime.now(UTC).isoformat(timespec="seconds")}
        )
    yes = sum(known.values())
    if not _enough(list(known.values())):
        raise GateError(
            "{yes} shoppers were answered with yes and {no} with no; {need} of each are needed before anything is foretold. "
            "The answers are kept; ask about more.",
            yes=yes,
            no=len(known) - yes,
            need=FEWEST,
        )
    progress(0.7, say("learning from the answers"))
    answered = np.array([user in known for user in users], dtype=bool)
    labels = np.array([known[user] for user, has in zip(users, answered, strict=True) if has], dtype=float)
    rng = np.random.default_rng(seed)
    held = _cross_fitted(inputs[answered], labels, rng)
    area = bootstrap(lambda rows: auc(labels[rows], held[rows]), len(labels), rng)
    scores = _foretold(inputs[answered], labels, inputs)
    inputs_of = {"version": dataset.version_path().name}
    config = {"question": question, "seed": seed}
    with dataset.new_run("answers", inputs=inputs_of, config=config, cutoff=cutoff, make_current=cutoff is None, began=began) as draft:
        write_table(draft.path / "answers.parquet", pa.table({"user_id": pa.array(users, pa.string()), "score": scores}))
        draft.record |= {"metrics": {"auc": area.as_dict()}, "answered": len(known), "yes": yes, "users": len(users), "warnings": warnings}
    if out:
        write_rows(out, pa.table({"user_id": pa.array(users, pa.string()), "score": scores}))
    return about(dataset, "answers", draft.run_id) | ({"out": str(out)} if out else {})


def _inputs(
    home: Home, dataset: Dataset, cutoff: datetime | None, options: ProfileOptions | None, progress: Progress
) -> tuple[list[str], Any]:
    from core.predictor.few_labels import BLOCK_DIM
    from core.predictor.matrix import fit_scaling

    log, options = dataset.log(cutoff), options or ProfileOptions()
    blocks = tuple(block for block in options.blocks if block in ("counts", "text"))
    matrix = seen_at(home, log, options.reading(blocks), progress)(log.until)
    return matrix.user_ids, fit_scaling(matrix, BLOCK_DIM).apply(matrix)


def _foretold(learned: Any, labels: Any, rows: Any) -> Any:
    from scipy.special import expit

    from core.predictor.few_labels import fit_few

    return expit(fit_few(learned, labels)(rows))


def _cross_fitted(inputs: Any, labels: Any, rng: np.random.Generator) -> Any:
    """Chances of each answered shopper by a model that did not see her answer; folds have like shares of both kinds."""
    folds, held = np.empty(len(labels), dtype=np.int64), np.zeros(len(labels))
    for kind in (0, 1):
        places = np.flatnonzero(labels == kind)
        folds[places] = rng.permutation(len(places)) % FOLDS
    for fold in range(FOLDS):
        held[folds == fold] = _foretold(inputs[folds != fold], labels[folds != fold], inputs[folds == fold])
    return held


def _enough(answers: list[int]) -> bool:
    return min(sum(answers), len(answers) - sum(answers)) >= FEWEST


def _read(file: Path) -> dict[str, int]:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise FileError("{path} holds more than {most:,} bytes; a file of answers is small.", path=file, most=MOST_BYTES)
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(
            "The answers {path} cannot be read ({error}); give a CSV file in UTF-8.", path=file, error=str(error)[:120]
        ) from error
    rows = csv.DictReader(text.splitlines())
    if not {"user_id", "answer"} <= set(rows.fieldnames or []):
        raise FileError("{path} lacks the columns user_id and answer; write the file by `ask` and fill it in.", path=file)
    found: dict[str, int] = {}
    for number, row in enumerate(rows, start=2):
        word = str(row.get("answer") or "").strip().lower()
        if not word:
            continue
        if word not in YES | NO:
            raise FileError(
                "Line {line} of {path} answers {word!r}; write yes or no (1 or 0, 是 or 否), or leave it empty.",
                line=number,
                path=file,
                word=word[:40],
            )
        user = str(row["user_id"] or "")
        found[user.removeprefix("'") if user[1:2] in ("=", "+", "-", "@") else user] = int(word in YES)
    return found
