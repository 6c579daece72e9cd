"""The map: profiles of everyone become a picture, segments and their traits, published as one run."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from core.artifacts import read_arrays, read_table, write_table
from core.errors import ModelError, NotFoundError, StorageError
from core.pipeline.encoding import PROFILE_BLOCKS
from core.pipeline.options import MapChoice, ProfileOptions
from core.pipeline.telling import Result, about
from core.pipeline.texts import models_now
from core.pipeline.updating import earlier_run, tell_moves
from core.schema import Progress, silent
from core.store import Began, Dataset, Home

if TYPE_CHECKING:
    from core.atlas.options import Previous
    from core.atlas.space import Vectors


def choice_on_screen(dataset: Dataset) -> MapChoice:
    """What was decided for the map on screen; nothing where there is none."""
    run = dataset.current()["runs"].get("atlas")
    try:
        config = dataset.run_manifest("atlas", run).get("config") or {} if run else {}
    except (NotFoundError, StorageError):
        config = {}
    return MapChoice(config.get("segments"), bool(config.get("demographics")))


def draw_map(
    home: Home,
    dataset: Dataset,
    *,
    cutoff: datetime | None = None,
    options: ProfileOptions | None = None,
    seed: int = 0,
    redraw: bool = False,
    weights: str = "auto",
    choice: MapChoice | None = None,
    progress: Progress = silent,
) -> Result:
    """Draw shoppers of the newest fitting profiles on a map, split them into named segments, publish both.

    Shoppers of the map on screen stay where they are and new ones are placed between them while that picture fits;
    with `redraw` the whole picture is laid out again. Its segments are kept in the same way: see `core.atlas.build.Previous`.

    Args:
        weights: `auto`: blocks weigh what `blocks` chose for them on validation, where that was measured on this version, cutoff and
            these blocks, else as usual; `usual`: as usual.
        choice: None: as decided for the map on screen; as of a cutoff, nothing is.

    Raises:
        NotFoundError: There are no profiles of that cutoff yet.
    """
    from core.atlas.build import build_atlas
    from core.atlas.options import AtlasOptions
    from core.atlas.segments import SegmentOptions
    from core.search.tokens import words_of

    options = options or ProfileOptions()
    choice = choice or (choice_on_screen(dataset) if cutoff is None else MapChoice())
    made_of = _made_of(home, dataset, options)
    profiles = _profiles_run(dataset, cutoff, options, made_of)
    held = _held(profiles)
    measured = _measured(dataset, cutoff, options, held, made_of) if weights == "auto" else None
    inputs = {"version": dataset.version_path().name, "profiles": profiles.name} | ({"blocks": measured[0]} if measured else {})
    config = {"seed": seed} | ({"redraw": True} if redraw else {}) | choice.config
    if found := dataset.find_run("atlas", inputs=inputs, config=config, cutoff=cutoff):
        if cutoff is None:
            dataset.point_to("atlas", found)
        return about(dataset, "atlas", found, reused=True)
    counts = read_table(profiles / "counts.parquet")
    blocks = {"held": ["counts", *held], "shares": measured[1] if measured else None, "measured": measured[0] if measured else None}
    space = _space_of(dataset, {"inputs": inputs, "blocks": blocks})
    began, log = Began.now(), dataset.log(cutoff)
    with log.history() as connection:
        atlas = build_atlas(
            counts.column("user_id").to_pylist(),
            _space(profiles, counts, held, measured[1] if measured else None),
            counts,
            connection,
            cutoff=log.until,
            seed=seed,
            previous=_previous_map(dataset, space) if cutoff is None else None,
            options=AtlasOptions(SegmentOptions(count=choice.segments), redraw=redraw, tokens=words_of, demographics=choice.demographics),
            progress=progress,
        )
    with dataset.new_run("atlas", inputs=inputs, config=config, cutoff=cutoff, make_current=cutoff is None, began=began) as draft:
        for name, table in atlas.tables().items():
            write_table(draft.path / f"{name}.parquet", table)
        tell_moves(dataset, draft, atlas.users, profiles.name, earlier_run(dataset, "atlas") if cutoff is None else None)
        draft.record |= {
            "as_of": log.until.isoformat(),
            "users": atlas.users.num_rows,
            "segments": atlas.segments.num_rows,
            "metrics": atlas.metrics,
            "blocks": blocks,
            "warnings": atlas.metrics.get("warnings", []),
        }
    return about(dataset, "atlas", draft.run_id)


def _held(profiles: Path) -> list[str]:
    """Learned blocks of a profiles run."""
    return [block for block in PROFILE_BLOCKS[1:] if (profiles / f"{block}.safetensors").is_file()]


def _space(profiles: Path, counts: pa.Table, held: list[str], shares: dict[str, float] | None) -> "Vectors":
    """The space of shoppers of a profiles run; its blocks are let go of as soon as it is made."""
    from core.atlas.space import USUAL_SHARES, SpaceOptions, profile_space

    blocks = {block: read_arrays(profiles / f"{block}.safetensors")[block] for block in held}
    return profile_space(counts, blocks, SpaceOptions(shares=shares or USUAL_SHARES))


def _measured(
    dataset: Dataset, cutoff: datetime | None, options: ProfileOptions, held: list[str], made_of: dict[str, str]
) -> tuple[str, dict[str, float]] | None:
    """The newest run that weighed these very blocks of this version at this cutoff, with their shares in squared distances; or None.

    A weight multiplies vectors, so its square is the share.
    """
    for run in reversed(dataset.runs("blocks")):
        try:
            record = dataset.run_manifest("blocks", run)
            weights, config = dict(record["weights"]), record["config"]
        except (StorageError, KeyError):
            continue
        is_same = record.get("inputs") == made_of and record.get("cutoff") == (cutoff.isoformat() if cutoff else None)
        made_alike = config.get("model") == options.model and all(config.get(name) == value for name, value in options.of_blocks.items())
        if is_same and made_alike and set(weights) == {"counts", *held} and any(weights.values()):
            return run, {name: float(weight) ** 2 for name, weight in weights.items()}
    return None


def _previous_map(dataset: Dataset, space: dict[str, Any] | None) -> "Previous | None":
    """The map on screen; None when there is none yet, or a damaged one, which the next run replaces.

    Its segments are gone on from only where its profiles were made and weighed in the same way: else the space is another.
    """
    from core.atlas.options import Previous

    try:
        folder = dataset.run_path("atlas")
        record = dataset.run_manifest("atlas", folder.name)
        metrics = record.get("metrics", {})
        drawn = metrics.get("trustworthiness") if not metrics.get("picture_kept") else metrics.get("drawn_trustworthiness")
        subsegments = folder / "subsegments.parquet"
        return Previous(
            read_table(folder / "users.parquet"),
            read_table(folder / "segments.parquet"),
            read_table(subsegments) if subsegments.is_file() else None,
            metrics.get("drawn_users"),
            drawn,
            metrics.get("method") if space and _space_of(dataset, record) == space else None,
            metrics.get("segments_asked"),
            {int(segment): method for segment, method in (metrics.get("split_methods") or {}).items()},
            metrics.get("sought_users"),
        )
    except (NotFoundError, StorageError):
        return None


def _space_of(dataset: Dataset, record: dict[str, Any]) -> dict[str, Any] | None:
    """How the space of a map was made: its profiles' choices, blocks and their shares; None where that is no longer known."""
    try:
        profiles = dataset.run_manifest("profiles", str((record.get("inputs") or {}).get("profiles")))
    except (NotFoundError, StorageError):
        return None
    blocks = record.get("blocks") or {}
    return {"config": profiles.get("config"), "held": blocks.get("held"), "shares": blocks.get("shares")}


def _made_of(home: Home, dataset: Dataset, options: ProfileOptions) -> dict[str, str]:
    """What profiles and weights of their blocks rest on now; with a model that is no longer at hand, what the ones on screen do."""
    version = dataset.version_path().name
    try:
        return {"version": version, **models_now(home, options)}
    except ModelError:
        run = dataset.current()["runs"].get("profiles")
        if run is None:
            raise
        return {**dataset.run_manifest("profiles", run)["inputs"], "version": version}


def _profiles_run(dataset: Dataset, cutoff: datetime | None, options: ProfileOptions, made_of: dict[str, str]) -> Path:
    found = dataset.find_run("profiles", inputs=made_of, config=options.config, cutoff=cutoff)
    if found is None:
        raise NotFoundError("Dataset {dataset!r} has no profiles of this cutoff yet; run `profile` first.", dataset=dataset.name)
    return dataset.run_path("profiles", found)
