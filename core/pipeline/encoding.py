"""What a person chooses before shoppers are encoded: blocks, text model, device; and what this machine and this log have for it.

Light, as `screens` is: no model library is loaded to answer.
"""

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from core.encoder.models import E5, MINILM
from core.errors import CoreError, FileError, NotFoundError, StorageError
from core.pipeline.intake import allowed_folder
from core.pipeline.options import ProfileOptions
from core.pipeline.screens import Screen
from core.store import Dataset, Home, scalar

PROFILE_BLOCKS = ("counts", "text", "sequence", "graph", "narrative", "image", "facts", "ids")
REFUSED = ("user_id", "user_ids", "users", "order_id", "order_ids", "purchase_id", "purchase_ids")
"""Ids that somebody may ask for as features, and that are none."""
TEXT_MODELS = (MINILM, E5)
"""Those that come with the installation."""
FAST = "fast"
"""What the first of them is called, too."""
PRECISIONS = ("auto", "fp32", "bf16", "int8")
"""In which a text model reads; int8 on processors alone."""
DEVICES = ("auto", "cuda", "mps", "cpu")


@dataclass(frozen=True)
class Machine:
    """What encoding can run on here."""

    processors: int
    graphics: tuple[str, ...]
    """Names of the graphics cards at hand; empty without one."""


@dataclass(frozen=True)
class Means:
    """What a log has for the blocks of a profile."""

    in_use: ProfileOptions
    """What the profiles on screen were made with."""
    has_texts: bool
    has_pictures: bool
    """Whether the catalogue names any."""
    has_facts: bool
    tuned: str
    """Folder of the weights that `tune` kept on this log, or ''."""


def check_blocks(blocks: tuple[str, ...]) -> None:
    """Make sure that all blocks are known.

    Raises:
        CoreError: One is not, or it is an id of a shopper or an order, which is no feature.
    """
    if refused := set(blocks) & set(REFUSED):
        raise CoreError(
            "{block!r} is no block of a profile: an id of a shopper or an order never comes again in whoever is new, so a model would "
            "learn by heart what it saw and know nothing of anyone later. The block `ids` tells shoppers by the items they touched.",
            block=min(refused),
        )
    if unknown := set(blocks) - set(PROFILE_BLOCKS):
        raise CoreError("There is no profile block {block!r}; choose from {known}.", block=min(unknown), known=", ".join(PROFILE_BLOCKS))


def options_in_use(dataset: Dataset) -> ProfileOptions:
    """Return what the profiles on screen were made with, else the product's default; device and limits are for each call to say."""
    try:
        run = dataset.current()["runs"].get("profiles")
        config = dataset.run_manifest("profiles", run)["config"] if run else {}
        return ProfileOptions.of(config) if config else ProfileOptions()
    except (NotFoundError, StorageError, KeyError):  # none yet, or a damaged one, which will be made again
        return ProfileOptions()


@lru_cache(maxsize=1)
def machine() -> Machine:
    """Look once for processors and graphics cards; the encoder itself looks again when it starts."""
    return Machine(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, _graphics())


def _graphics() -> tuple[str, ...]:
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return ("Apple Metal",)
    if (program := shutil.which("nvidia-smi")) is None:
        return ()
    try:
        told = subprocess.run(
            [program, "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True, timeout=5, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):  # a driver that does not answer is as good as none
        return ()
    return tuple(line.strip() for line in told.splitlines() if line.strip())


def means(screen: Screen) -> Means:
    """Look what the pinned version holds of texts, pictures and facts, and which weights were tuned on it."""
    dataset = screen.dataset
    with screen.log.history() as connection:
        has_texts, has_pictures = (
            bool(scalar(connection, f"SELECT count(*) FROM (SELECT 1 FROM catalogue WHERE {column} LIMIT 1)"))  # noqa: S608 - one of two fixed texts
            for column in ("coalesce(title, category, brand, description) IS NOT NULL", "image IS NOT NULL")
        )
        has_facts = bool(scalar(connection, "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'item_facts'"))
    try:
        folder = dataset.run_manifest("tuning").get("kept_folder")
        tuned = str(dataset.run_path("tuning") / folder) if folder else ""
    except (NotFoundError, StorageError):
        tuned = ""
    return Means(options_in_use(dataset), has_texts, has_pictures, has_facts, tuned)


def arguments_of(home: Home, dataset: str, chosen: ProfileOptions, *, everything: bool) -> list[str]:
    """Return the command line that encodes shoppers as chosen, and, when asked, computes what rests on it.

    Raises:
        CoreError: A block is unknown, the model has no name, or the folder of pictures may not be read.
        FileError: The folder of pictures is no folder.
    """
    check_blocks(chosen.blocks)
    if not chosen.model.strip() or chosen.model.startswith("-"):
        raise CoreError("The text model {model!r} is no name; give a Hugging Face name or a folder.", model=chosen.model)
    argv = ["run" if everything else "profile", "--dataset", dataset, "--blocks", ",".join(chosen.blocks)]
    argv += ["--model", chosen.model.strip(), "--device", chosen.device]
    argv += ["--half-life", "auto" if chosen.half_life is None else f"{chosen.half_life:g}"]
    if "image" in chosen.blocks and chosen.pictures:
        argv += ["--pictures", str(_folder(home, chosen.pictures))]
    if "facts" in chosen.blocks:
        argv += ["--user-facts" if chosen.user_facts else "--no-user-facts"]
    return argv


def _folder(home: Home, text: str) -> Path:
    folder = allowed_folder(home, text)
    if not folder.is_dir():
        raise FileError("{path!r} is no folder; name the folder that holds the catalogue's pictures.", path=text)
    return folder
