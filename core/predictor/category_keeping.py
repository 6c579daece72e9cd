"""The fitted chance by category, kept so that the chance of one shopper in one category can be asked about later.

C categories, U users of the background, F columns of a pair.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from core.artifacts import read_arrays, read_json, write_arrays, write_json
from core.errors import StorageError
from core.predictor.calibration import Calibrator, RangeTable
from core.predictor.category_models import FittedCategories
from core.predictor.grid import CategoryTexts, Crowd, Grid, Pairs, Smoothing
from core.predictor.keeping import Arrays, read_scaling, write_scaling
from core.predictor.matrix import Floats, Matrix
from core.predictor.options import PooledOptions
from core.predictor.pooled import BASKETS, FittedPooled, Pooled
from core.predictor.threads import one_thread

FILE = "categories_model"
FORM = 1
TEXT = "text profile"


@dataclass(frozen=True)
class KeptCategories:
    """The model in use by category, with all that makes the chance of one shopper."""

    models: FittedCategories
    winner: str
    calibrator: Calibrator
    ranges: RangeTable
    crowd: Crowd
    texts: CategoryTexts | None
    background: Grid
    """All pairs of a few shoppers, who stand in for whatever is left out."""

    @property
    def categories(self) -> list[str]:
        """Names (C,), sorted."""
        return self.background.categories

    @property
    def blocks(self) -> set[str]:
        """Learned blocks of a shopper that are looked at, by the names of `Matrix.learned`."""
        of_network = set(self.models.pooled.scaling.directions) if self.models.pooled is not None else set()
        return of_network | ({TEXT} if self.texts is not None else set())

    def pairs(self, people: Matrix, counts: pa.Table) -> Grid:
        """All pairs of one shopper or some, from their own counts."""
        return Pairs(people, counts, self.categories, self.texts, self.crowd).grid()

    def log_odds(self, place: int, pair: Grid, baskets: npt.NDArray[np.float32]) -> Floats:
        """Of the calibrated chances of pairs of one category (N,); see `FittedPooled.of_category`."""
        with one_thread():
            chance = self.calibrator.apply(self.models.logits_of(place, pair, baskets, self.winner))
        return np.asarray(np.log(chance / (1 - chance)))


def of_category(grid: Grid, place: int) -> Grid:
    """The pairs of a grid that are of one category."""
    width = len(grid.categories)
    about = None if grid.about is None else grid.about[place : place + 1]
    return Grid(grid.people, [grid.categories[place]], grid.columns, grid.values[place::width], grid.pair_columns, about)


def baskets_of(grid: Grid) -> npt.NDArray[np.float32]:
    """What the users of a grid bought in all categories, then and lately (U, 2 C)."""
    shape = len(grid.user_ids), len(grid.categories)
    return np.concatenate([np.log1p(np.nan_to_num(grid.column(name).reshape(shape))) for name in BASKETS], axis=1).astype(np.float32)


def save_categories(kept: KeptCategories, folder: Path) -> None:
    """Write into the draft of a run; trees go into text files of their own."""
    arrays: Arrays = dict(kept.models.arrays())
    grid, people, crowd = kept.background, kept.background.people, kept.crowd
    scaling = write_scaling("pooled.user", kept.models.pooled.scaling, arrays) if kept.models.pooled is not None else None
    arrays |= {"reach": crowd.reach, "reach_recent": crowd.reach_recent}
    for name, smoothing in (("alike", crowd.alike), ("alike_recent", crowd.alike_recent)):
        arrays |= {f"{name}.mean": smoothing.mean, f"{name}.kept": smoothing.kept}
    if kept.texts is not None:
        arrays |= {"texts.centroids": kept.texts.centroids, "texts.overall": kept.texts.overall}
    arrays |= {"background.values": grid.values, "background.people": people.values}
    learned = people.learned()
    arrays |= {f"background.block{place}": block for place, block in enumerate(learned.values())}
    files = []
    for name, boosters in kept.models.boosters.items():
        for number, booster in enumerate(boosters):
            files.append((name, f"categories_{name}_{number}.lightgbm.txt"))
            (folder / files[-1][1]).write_text(booster.model_to_string(), encoding="utf-8")
    record = {
        "form": FORM, "winner": kept.winner, "calibrator": asdict(kept.calibrator), "ranges": asdict(kept.ranges), "files": files,
        "categories": grid.categories, "columns": grid.columns, "pair_columns": grid.pair_columns, "people": people.columns,
        "users": people.user_ids, "blocks": list(learned), "logistic": len(kept.models.logistic or []),
        "pooled": _pooled_record(kept.models.pooled, scaling),
    }  # fmt: skip
    write_arrays(folder / f"{FILE}.safetensors", arrays)
    write_json(folder / f"{FILE}.json", record)


def load_categories(folder: Path) -> KeptCategories | None:
    """Read what save_categories wrote; None where the run knows no chance by category that could be asked about.

    Raises:
        StorageError: A file is damaged, or of a later release.
    """
    if not (folder / f"{FILE}.json").is_file():
        return None
    record, arrays = read_json(folder / f"{FILE}.json"), read_arrays(folder / f"{FILE}.safetensors")
    if record.get("form") != FORM:
        raise StorageError("The model of the run {run} is of another release. Train the chances again.", run=folder.name)
    texts = CategoryTexts(arrays["texts.centroids"], arrays["texts.overall"]) if "texts.overall" in arrays else None
    alike, recent = (Smoothing(arrays[f"{name}.mean"], arrays[f"{name}.kept"]) for name in ("alike", "alike_recent"))
    learned = {name: arrays[f"background.block{place}"] for place, name in enumerate(record["blocks"])}
    text = learned.pop(TEXT, None)
    further = {name.removesuffix(" profile"): block for name, block in learned.items()}
    people = Matrix(record["users"], record["people"], arrays["background.people"], text, further)
    about = texts.directions if texts is not None else None
    grid = Grid(people, record["categories"], record["columns"], arrays["background.values"], record["pair_columns"], about)
    ranges = RangeTable(**{**record["ranges"], "edges": tuple(record["ranges"]["edges"]), "errors": tuple(record["ranges"]["errors"])})
    calibrator = Calibrator(**{**record["calibrator"], "knots": tuple((a, b) for a, b in record["calibrator"]["knots"])})
    crowd = Crowd(arrays["reach"], arrays["reach_recent"], alike, recent)
    return KeptCategories(_models(record, arrays, folder), record["winner"], calibrator, ranges, crowd, texts, grid)


def _models(record: dict[str, Any], arrays: Arrays, folder: Path) -> FittedCategories:
    boosters: dict[str, list[lgb.Booster]] = {}
    for name, file in record["files"]:
        try:
            found = lgb.Booster(model_str=(folder / Path(file).name).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, lgb.basic.LightGBMError) as error:
            raise StorageError("The trees of the run {run} cannot be read. Train the chances again.", run=folder.name) from error
        boosters.setdefault(name, []).append(found)
    logistic = [(row[0], row[1], row[2], float(row[3][0])) for row in (arrays[f"logistic.{n}"] for n in range(record["logistic"]))]
    return FittedCategories(boosters, logistic or None, _pooled(record["pooled"], arrays))


def _pooled_record(pooled: FittedPooled | None, scaling: dict[str, Any] | None) -> dict[str, Any] | None:
    if pooled is None:
        return None
    first = pooled.modules[0]
    options = {"category_dim": first.category.shape[1], "hidden": first.of_pair.out_features}
    return {"members": len(pooled.modules), "columns": pooled.columns, "scaling": scaling, "options": options}


def _pooled(record: dict[str, Any] | None, arrays: Arrays) -> FittedPooled | None:
    if record is None:
        return None
    modules = []
    for member in range(record["members"]):
        state = {key.split(".", 2)[2]: torch.from_numpy(value) for key, value in arrays.items() if key.startswith(f"pooled.{member}.")}
        pair, user = state["slope"].shape[0], state["people.0.weight"].shape[1]
        rates, about = torch.full((len(state["bias"]),), 0.5), state.get("about")
        module = Pooled(pair, user, rates, about, PooledOptions(**record["options"]))
        module.load_state_dict(state)
        modules.append(module.eval())
    scaling = read_scaling("pooled.user", record["scaling"], arrays)
    return FittedPooled(modules, scaling, record["columns"], arrays["pooled.pair_mean"], arrays["pooled.pair_std"], [], [])
