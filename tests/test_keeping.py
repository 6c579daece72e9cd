"""The kept model: what was fitted comes back from its files, in another process, with the same bytes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.artifacts import write_arrays, write_json
from core.errors import StorageError
from core.predictor.bgnbd import COLUMNS, FittedBgNbd
from core.predictor.calibration import Calibrator, fit_ranges
from core.predictor.keeping import JUDGED, KeptModel, load_model, save_model
from core.predictor.matrix import Matrix
from core.predictor.models import FITS, OVER_ACTS, fit_models
from core.predictor.result import save_result
from tests.test_predictor import OPTIONS, World
from tests.worlds import at

KINDS = [name for name in FITS if name not in (*OVER_ACTS, "bgnbd")] + ["ensemble", "mean_sequence"]
"""What is kept and this world can feed; BG/NBD has a test of its own below."""
IN_ANOTHER_PROCESS = """
import sys
from pathlib import Path
import pyarrow.parquet as pq
from core.artifacts import read_arrays, read_json
from core.predictor.keeping import load_model
from core.predictor.matrix import Matrix
folder = Path(sys.argv[1])
arrays = read_arrays(folder / "matrix.safetensors")
known = read_json(folder / "matrix.json")
matrix = Matrix(known["users"], known["columns"], arrays["values"], arrays["text"], {"sequence": arrays["sequence"]})
for name in known["names"]:
    pq.write_table(load_model(folder / name).score(matrix), folder / f"{name}.again.parquet")
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, KeptModel], Matrix, Path]:
    """Every kind of model, fitted on 300 shoppers, saved; and what they are asked about."""
    world = World(users=300, text=True, sequence=True)
    train, labels = world.matrix_at(at(20)), world.labels_at(at(20))["label"].to_numpy().astype(float)
    models = fit_models(KINDS, train, labels, OPTIONS, np.random.default_rng(0), lambda share, message: None)
    calibrators = [Calibrator("none"), Calibrator("sigmoid", 0.9, -0.1), Calibrator("isotonic", 1.1, 0.0, ((-3.0, 0.02), (3.0, 0.97)))]
    ranges = fit_ranges(labels, np.full(len(labels), 0.4))
    folder, asked = tmp_path_factory.mktemp("kept"), world.matrix_at(at(27))
    found = {}
    for place, (name, model) in enumerate(models.items()):
        found[name] = KeptModel(name, model, calibrators[place % 3], ranges, train.columns)
        (folder / name).mkdir()
        save_model(found[name], folder / name)
    return found, asked, folder


def test_a_model_of_every_kind_scores_the_same_bytes_in_a_fresh_process(kept: tuple[dict[str, KeptModel], Matrix, Path]) -> None:
    models, asked, folder = kept
    assert set(models) == set(KINDS)
    assert asked.text is not None and set(asked.further) == {"sequence"}
    write_arrays(folder / "matrix.safetensors", {"values": asked.values, "text": asked.text, "sequence": asked.further["sequence"]})
    write_json(folder / "matrix.json", {"users": asked.user_ids, "columns": asked.columns, "names": list(models)})
    subprocess.run([sys.executable, "-c", IN_ANOTHER_PROCESS, str(folder)], check=True, timeout=120)
    for name, model in models.items():
        scores = model.score(asked)
        assert len(set(scores["propensity"].to_pylist())) > 50
        assert pq.read_table(folder / f"{name}.again.parquet").equals(scores), name


def test_reasons_of_a_kept_model_are_those_of_the_fitted_one(kept: tuple[dict[str, KeptModel], Matrix, Path]) -> None:
    models, asked, folder = kept
    for name, model in models.items():
        names, shares = model.model.contributions(asked)
        again, others = load_model(folder / name).model.contributions(asked)
        assert names == again and np.array_equal(shares, others), name


def test_files_of_a_kept_model_hold_no_pickle(kept: tuple[dict[str, KeptModel], Matrix, Path]) -> None:
    for name in kept[0]:
        assert {path.suffix for path in (kept[2] / name).iterdir()} <= {".json", ".safetensors", ".txt"}


def test_a_whole_fit_keeps_the_model_that_made_its_scores(tmp_path: Path) -> None:
    world = World(users=500)
    result = world.fit()
    save_result(result, tmp_path)
    again, judged = load_model(tmp_path), load_model(tmp_path, JUDGED)
    assert again.name == result.verdict["winner"]
    assert result.windows["test"] is not None
    assert judged.propensities(world.matrix_at(result.windows["test"])).tolist() == result.test["propensity"].to_pylist()
    assert again.score(world.matrix_at(world.log.until)).equals(result.scores.select(["user_id", "propensity", "low", "high"]))


def test_a_run_without_a_model_or_with_a_broken_one_says_what_to_do(
    tmp_path: Path, kept: tuple[dict[str, KeptModel], Matrix, Path]
) -> None:
    with pytest.raises(StorageError, match="Train the chances again"):
        load_model(tmp_path)
    write_json(tmp_path / "model.json", {"form": 99})
    with pytest.raises(StorageError, match="of another release"):
        load_model(tmp_path)
    (tmp_path / "model.json").write_bytes((kept[2] / "lightgbm" / "model.json").read_bytes())
    (tmp_path / "model_lightgbm_0.lightgbm.txt").write_text("tree\nnonsense")
    with pytest.raises(StorageError, match="cannot be read"):
        load_model(tmp_path)


def test_a_chance_does_not_depend_on_who_else_is_scored(kept: tuple[dict[str, KeptModel], Matrix, Path]) -> None:
    models, asked, _folder = kept
    for model in models.values():
        alone = pa.concat_tables([model.score(asked.rows(np.array([row]))) for row in range(5)])
        together = model.score(asked).slice(0, 5)
        assert alone["propensity"].to_pylist() == pytest.approx(together["propensity"].to_pylist(), abs=1e-6)


def test_four_parameters_of_a_purchase_model_are_kept(tmp_path: Path, kept: tuple[dict[str, KeptModel], Matrix, Path]) -> None:
    matrix = Matrix(["a", "b", "c"], list(COLUMNS), np.array([[6.0, 60, 1], [1, 60, 60], [3, 50, np.nan]]))
    model = FittedBgNbd(0.24, 4.4, 0.79, 2.4, 28.0, (2.0, 40.0, 12.0))
    before = KeptModel("bgnbd", model, Calibrator("none"), kept[0]["lightgbm"].ranges, list(COLUMNS))
    save_model(before, tmp_path)
    assert load_model(tmp_path).score(matrix).equals(before.score(matrix)) and not load_model(tmp_path).blocks()
