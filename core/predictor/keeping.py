"""The fitted model of a run, kept without pickles: it scores in any later process what it scored when it was fitted, byte for byte.

`<role>.json` says what there is (kind, columns, calibration, ranges), `<role>.safetensors` holds weights and scales, and
`<role>_<name>_<member>.lightgbm.txt` the trees in LightGBM's own form. A new kind of model has one entry in each of `_WRITERS`
and `_READERS`.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from core.artifacts import read_arrays, read_json, read_table, write_arrays, write_json, write_table
from core.errors import StorageError
from core.predictor.baselines import FittedBoosting, FittedLogistic
from core.predictor.bgnbd import FittedBgNbd
from core.predictor.calibration import Calibrator, RangeTable
from core.predictor.history_networks import FittedHistory, HistoryNetwork
from core.predictor.matrix import Directions, Floats, Matrix, Scaling, matrix_of
from core.predictor.models import Blend, Model
from core.predictor.network import FittedNetwork, Members
from core.predictor.options import HistoryOptions
from core.predictor.threads import one_thread

IN_USE = "model"
"""Role of the model that scores at the end of the log, fitted with the newest windows."""
JUDGED = "judged"
"""Role of the same model as it was judged: fitted on the training windows alone, so that the test window is new to it."""
BACKGROUND_ROWS = 48
"""Shoppers that stand in for whatever is left out: the mean of so many varies by a seventh of their spread."""
FORM = 1
"""Of the record; a run of another form is trained again."""
TEXTS_OF_ACTS = "texts of acts"

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class KeptModel:
    """The model in use, with all that makes propensities of its logits."""

    name: str
    """Of the winner: mlp, lightgbm, mean …"""
    model: Model
    calibrator: Calibrator
    ranges: RangeTable
    columns: list[str]
    """Counted features that a matrix must bring, in this order."""

    def blocks(self) -> set[str]:
        """Learned blocks that the model looks at, by the names of `Matrix.learned`."""
        return _blocks(self.model)

    @property
    def reads_acts(self) -> bool:
        """Whether the model reads single acts."""
        return _reads_acts(self.model)

    def propensities(self, matrix: Matrix) -> Floats:
        """Calibrated chances (N,)."""
        with one_thread():
            return self.calibrator.apply(self.model.logits(matrix))

    def score(self, matrix: Matrix) -> pa.Table:
        """user_id, propensity, low, high, in the order of the matrix."""
        with one_thread():
            chance = self.calibrator.apply(self.model.logits(matrix))
            low, high = self.ranges.around(chance, self.calibrator.slope * spread(self.model, matrix))
        return pa.table({"user_id": pa.array(matrix.user_ids, pa.string()), "propensity": chance, "low": low, "high": high})


def can_keep(model: Model) -> bool:
    """Whether a model is of a kind that is kept."""
    if isinstance(model, Blend):
        return all(can_keep(part) for part in model.parts.values())
    return any(isinstance(model, made) for made, _write in _WRITERS.values())


def spread(model: Model, matrix: Matrix) -> Floats:
    """Standard deviation over members of the ensemble, in logits (N,)."""
    if isinstance(model, Blend):
        return np.asarray(model.shares @ np.stack([spread(part, matrix) for part in model.parts.values()]))
    members = model.member_logits(matrix)
    return np.asarray(members.std(axis=0, ddof=1)) if len(members) > 1 else np.zeros(members.shape[1])


def _blocks(model: Model) -> set[str]:
    if isinstance(model, Blend):
        return set().union(*(_blocks(part) for part in model.parts.values()))
    if isinstance(model, FittedBgNbd):
        return set()
    fitted: Any = model
    return set(fitted.directions if isinstance(model, FittedBoosting) else fitted.scaling.directions)


def _reads_acts(model: Model) -> bool:
    return any(_reads_acts(part) for part in model.parts.values()) if isinstance(model, Blend) else isinstance(model, FittedHistory)


def save_model(kept: KeptModel, folder: Path, role: str = IN_USE) -> None:
    """Write a model into the draft of a run.

    Args:
        kept: Of a kind that `_WRITERS` knows.
        folder: Gets the record, the arrays when the model has any, and one text file for each booster.
        role: First part of the names of the files.
    """
    arrays: Arrays = {}
    record = {
        "form": FORM,
        "name": kept.name,
        "columns": kept.columns,
        "model": _written(kept.name, kept.model, folder / role, arrays),
        "calibrator": asdict(kept.calibrator),
        "ranges": asdict(kept.ranges),
    }
    if arrays:
        write_arrays(folder / f"{role}.safetensors", arrays)
    write_json(folder / f"{role}.json", record)


def has_model(folder: Path, role: str = IN_USE) -> bool:
    """Whether a run keeps its model; those made by earlier releases do not."""
    return (folder / f"{role}.json").is_file()


def load_model(folder: Path, role: str = IN_USE) -> KeptModel:
    """Read the model of a run.

    Raises:
        StorageError: The run was made before models were kept, or by a later release, or a file is damaged.
    """
    if not has_model(folder, role):
        raise StorageError("The run {run} keeps no model; it was made by an earlier release. Train the chances again.", run=folder.name)
    record = read_json(folder / f"{role}.json")
    if not isinstance(record, dict) or record.get("form") != FORM:
        raise StorageError("The model of the run {run} is of another release. Train the chances again.", run=folder.name)
    held = folder / f"{role}.safetensors"
    arrays = read_arrays(held) if held.is_file() else {}
    calibrator, ranges = record["calibrator"], record["ranges"]
    try:
        model = _read(record["model"], folder, arrays)
    except KeyError as error:
        raise StorageError("The model of the run {run} is of another release. Train the chances again.", run=folder.name) from error
    return KeptModel(
        name=record["name"],
        model=model,
        calibrator=Calibrator(**{**calibrator, "knots": tuple((x, y) for x, y in calibrator["knots"])}),
        ranges=RangeTable(**{**ranges, "edges": tuple(ranges["edges"]), "errors": tuple(ranges["errors"])}),
        columns=record["columns"],
    )


def save_background(matrix: Matrix, folder: Path, rng: np.random.Generator, rows: int = BACKGROUND_ROWS) -> None:
    """Write a sample of the scored shoppers, against whom single features are weighed (see `explain.named`)."""
    n = len(matrix.user_ids)
    sample = matrix.rows(np.sort(rng.choice(n, size=min(rows, n), replace=False)))
    columns = {name: sample.values[:, place] for place, name in enumerate(sample.columns)}
    write_table(folder / "background.parquet", pa.table({"user_id": pa.array(sample.user_ids, pa.string()), **columns}))
    blocks = ({} if sample.text is None else {"text": sample.text}) | dict(sample.further)
    if blocks:
        write_arrays(folder / "background.safetensors", blocks)


def load_background(folder: Path) -> Matrix:
    """Read what save_background wrote.

    Raises:
        StorageError: The run has none, or the file is damaged.
    """
    if not (folder / "background.parquet").is_file():
        raise StorageError("The run {run} keeps no model; it was made by an earlier release. Train the chances again.", run=folder.name)
    counts = read_table(folder / "background.parquet")
    held = folder / "background.safetensors"
    blocks = read_arrays(held) if held.is_file() else {}
    matrix = matrix_of(counts)
    text = blocks.pop("text", None)
    return Matrix(matrix.user_ids, matrix.columns, matrix.values, text, blocks)


def exact_shares(kept: KeptModel, matrix: Matrix) -> tuple[list[str], Floats, float] | None:
    """Contributions that are exact by construction: Shapley values of trees (Lundberg et al., 2018), terms of a linear model.

    Returns:
        Names of columns and blocks, contributions (N, names) and the base, in log-odds of the calibrated chance; None for other
        models, and where the calibration is no line.
    """
    if kept.calibrator.method == "isotonic" or not isinstance(kept.model, FittedBoosting | FittedLogistic):
        return None
    names, shares = kept.model.contributions(matrix)
    base = kept.model.base(matrix) if isinstance(kept.model, FittedBoosting) else kept.model.intercept
    return names, shares * kept.calibrator.slope, kept.calibrator.slope * base + kept.calibrator.intercept


def _written(name: str, model: Model, place: Path, arrays: Arrays) -> dict[str, Any]:
    for kind, (made, write) in _WRITERS.items():
        if isinstance(model, made):
            return {"kind": kind, "name": name, **write(name, model, place, arrays)}
    raise TypeError(f"{type(model).__name__} has no writer in core.predictor.keeping")


def _read(record: dict[str, Any], folder: Path, arrays: Arrays) -> Model:
    if record["kind"] not in _READERS:
        raise StorageError("The model of the run {run} is of another release. Train the chances again.", run=folder.name)
    return _READERS[record["kind"]](record, folder, arrays)


def _write_blend(name: str, model: Any, place: Path, arrays: Arrays) -> dict[str, Any]:
    parts = [_written(part_name, part, place, arrays) for part_name, part in model.parts.items()]
    return {"parts": parts, "weights": list(model.weights)}


def _read_blend(record: dict[str, Any], folder: Path, arrays: Arrays) -> Model:
    return Blend({part["name"]: _read(part, folder, arrays) for part in record["parts"]}, tuple(record.get("weights", ())))


def _write_boosting(name: str, model: Any, place: Path, arrays: Arrays) -> dict[str, Any]:
    files = []
    for member, booster in enumerate(model.boosters):
        files.append(f"{place.name}_{name}_{member}.lightgbm.txt")
        place.with_name(files[-1]).write_text(booster.model_to_string(), encoding="utf-8")
    return {"files": files, "columns": model.columns, "directions": _write_directions(name, model.directions, arrays)}


def _read_boosting(record: dict[str, Any], folder: Path, arrays: Arrays) -> Model:
    try:
        boosters = [lgb.Booster(model_str=(folder / Path(file).name).read_text(encoding="utf-8")) for file in record["files"]]
    except (OSError, UnicodeDecodeError, lgb.basic.LightGBMError) as error:
        raise StorageError("The trees of the run {run} cannot be read. Train the chances again.", run=folder.name) from error
    return FittedBoosting(boosters, record["columns"], _read_directions(record["name"], record["directions"], arrays), [])


def _write_logistic(name: str, model: Any, place: Path, arrays: Arrays) -> dict[str, Any]:
    arrays[f"{name}.weights"] = model.weights
    return {"intercept": model.intercept, "scaling": write_scaling(name, model.scaling, arrays)}


def _read_logistic(record: dict[str, Any], folder: Path, arrays: Arrays) -> Model:
    name = record["name"]
    return FittedLogistic(read_scaling(name, record["scaling"], arrays), arrays[f"{name}.weights"], record["intercept"])


def _write_network(name: str, model: Any, place: Path, arrays: Arrays) -> dict[str, Any]:
    arrays |= {f"{name}.{key}": value.detach().numpy() for key, value in model.module.named_parameters()}
    return {
        "layers": len(model.module.weights),
        "dropout": model.module.dropout,
        "best_epochs": model.best_epochs,
        "scaling": write_scaling(name, model.scaling, arrays),
    }


def _read_network(record: dict[str, Any], folder: Path, arrays: Arrays) -> Model:
    name = record["name"]
    weights = [arrays[f"{name}.weights.{layer}"] for layer in range(record["layers"])]
    members, inputs = weights[0].shape[:2]
    hidden = tuple(int(weight.shape[2]) for weight in weights[:-1])
    module = Members(members, inputs, hidden, record["dropout"], torch.Generator().manual_seed(0))
    module.load_state_dict({key: torch.from_numpy(arrays[f"{name}.{key}"]) for key, _value in module.named_parameters()})
    return FittedNetwork(read_scaling(name, record["scaling"], arrays), module.eval(), [], record["best_epochs"])


def _write_history(name: str, model: Any, _place: Path, arrays: Arrays) -> dict[str, Any]:
    for member, module in enumerate(model.modules):
        arrays |= {f"{name}.{member}.{key}": value.detach().numpy() for key, value in module.state_dict().items()}
    text = {} if model.text is None else {TEXTS_OF_ACTS: model.text}
    return {
        "reads": model.kind,
        "members": len(model.modules),
        "length": model.length,
        "options": asdict(model.options),
        "best_epochs": model.best_epochs,
        "rows": model.rows,
        "scaling": write_scaling(name, model.scaling, arrays),
        "texts": _write_directions(f"{name}.acts", text, arrays),
    }


def _read_history(record: dict[str, Any], _folder: Path, arrays: Arrays) -> Model:
    name, options = record["name"], HistoryOptions(**record["options"])
    scaling = read_scaling(name, record["scaling"], arrays)
    text = _read_directions(f"{name}.acts", record["texts"], arrays).get(TEXTS_OF_ACTS)
    modules = []
    for member in range(record["members"]):
        module = HistoryNetwork(record["reads"], text.width if text else 0, len(scaling.names()), record["length"], options)
        module.load_state_dict({key: torch.from_numpy(arrays[f"{name}.{member}.{key}"]) for key in module.state_dict()})
        modules.append(module.eval())
    return FittedHistory(record["reads"], modules, scaling, text, [], record["best_epochs"], record["rows"], options, record["length"])


def write_scaling(name: str, scaling: Scaling, arrays: Arrays) -> dict[str, Any]:
    """Put a scaling's arrays among others, under a name; returns the rest of it."""
    arrays |= {f"{name}.{key}": getattr(scaling, key) for key in ("kept", "mean", "std", "missing")}
    return {"columns": scaling.columns, "directions": _write_directions(name, scaling.directions, arrays)}


def read_scaling(name: str, record: dict[str, Any], arrays: Arrays) -> Scaling:
    """Read what write_scaling wrote."""
    kept, mean, std, missing = (arrays[f"{name}.{key}"] for key in ("kept", "mean", "std", "missing"))
    return Scaling(record["columns"], kept, mean, std, missing, _read_directions(name, record["directions"], arrays))


def _write_directions(name: str, directions: dict[str, Directions], arrays: Arrays) -> list[str]:
    for place, found in enumerate(directions.values()):
        arrays |= {f"{name}.block{place}.mean": found.mean, f"{name}.block{place}.axes": found.axes}
    return list(directions)


def _read_directions(name: str, blocks: list[str], arrays: Arrays) -> dict[str, Directions]:
    return {
        block: Directions(arrays[f"{name}.block{place}.mean"], arrays[f"{name}.block{place}.axes"]) for place, block in enumerate(blocks)
    }


def _write_bgnbd(_name: str, model: Any, _place: Path, _arrays: Arrays) -> dict[str, Any]:
    return {"fitted": asdict(model)}


def _read_bgnbd(record: dict[str, Any], _folder: Path, _arrays: Arrays) -> Model:
    return FittedBgNbd(**{**record["fitted"], "usual": tuple(record["fitted"]["usual"])})


_WRITERS: dict[str, tuple[type, Callable[[str, Any, Path, Arrays], dict[str, Any]]]] = {
    "mean": (Blend, _write_blend),
    "lightgbm": (FittedBoosting, _write_boosting),
    "logistic": (FittedLogistic, _write_logistic),
    "mlp": (FittedNetwork, _write_network),
    "bgnbd": (FittedBgNbd, _write_bgnbd),
    "history": (FittedHistory, _write_history),
}
_READERS: dict[str, Callable[[dict[str, Any], Path, Arrays], Model]] = {
    "mean": _read_blend,
    "lightgbm": _read_boosting,
    "logistic": _read_logistic,
    "mlp": _read_network,
    "bgnbd": _read_bgnbd,
    "history": _read_history,
}
