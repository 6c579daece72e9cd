"""Further facts of items, from a file of their own: any columns beside an item id, kept as they are told."""

from core.errors import MappingError
from core.ingest.guessing import guess_mapping
from core.ingest.ids import make_whole
from core.ingest.mapping import RoleMapping
from core.ingest.personal import find_personal
from core.ingest.preview import FilePreview
from core.ingest.staging import stage_file
from core.ingest.work import Work
from core.messages import say
from core.schema import slug
from core.store import Connection, identifier, scalar

MOST_FACTS = 100
"""Columns that are kept of a file, the first ones; a wider file is a matrix, not a table of facts."""


def facts_mapping(preview: FilePreview) -> RoleMapping:
    """Find the item id by its name or values; every other column is a fact under its own name, but for those that look personal.

    Raises:
        MappingError: No column looks like the id of an item, or nothing stands beside it.
    """
    item_id = guess_mapping(preview, "items").columns["item_id"]
    personal = {hit.column for hit in find_personal(preview)}
    columns = {"item_id": item_id}
    for column in preview.columns:
        name = f"fact_{slug(column)}" if slug(column) in ("source_file", "source_row") else slug(column)
        if column not in item_id and column not in personal and name not in columns and len(columns) <= MOST_FACTS:
            columns[name] = (column,)
    if len(columns) == 1:
        raise MappingError(
            "{file} holds no fact beside {column}; give a table with a row for each item.", file=preview.name, column=item_id[0]
        )
    return RoleMapping(columns=columns)


def write_facts(work: Work, side: dict[str, tuple[FilePreview, RoleMapping]]) -> None:
    """Fill final.item_facts from the file and, where it says nothing, from the version before; without either, make no table."""
    connection = work.connection
    before = _columns_before(connection) if work.previous is not None else []
    names: list[str] = []
    if "facts" in side:
        preview, part = side["facts"]
        names = [name for name in part.columns if name != "item_id"]
        listed = ", ".join(f"{identifier(name)} VARCHAR" for name in ("item_id", *names))
        connection.execute(f"CREATE TABLE fact_rows (source_file INTEGER, source_row BIGINT, {listed})")
        work.sources.append(stage_file(connection, preview, part, "facts", 0, "fact_rows", lambda share: None))
        make_whole(connection, "fact_rows", "item_id", part.whole_ids)
        values = ", ".join(f"arg_min({identifier(name)}, source_row) AS {identifier(name)}" for name in names)
        connection.execute(f"CREATE TABLE own_facts AS SELECT item_id, {values} FROM fact_rows WHERE item_id IS NOT NULL GROUP BY item_id")  # noqa: S608 - names of our own
        _tell(work, preview)
    if not names and not before:
        return
    every = list(dict.fromkeys([*names, *before]))
    columns = ", ".join(
        "COALESCE("
        + ", ".join(f"{table}.{identifier(name)}" for table, has in (("own_facts", names), ("earlier", before)) if name in has)
        + f") AS {identifier(name)}"
        for name in every
    )
    ids = " UNION ".join(f"SELECT item_id FROM {table}" for table, has in (("own_facts", names), ("previous.item_facts", before)) if has)  # noqa: S608 - fixed names
    joins = (" LEFT JOIN own_facts USING (item_id)" if names else "") + (
        " LEFT JOIN previous.item_facts AS earlier USING (item_id)" if before else ""
    )
    connection.execute(f"CREATE TABLE final.item_facts AS SELECT item_id, {columns} FROM ({ids}){joins} ORDER BY item_id")  # noqa: S608 - names of our own


def _columns_before(connection: Connection) -> list[str]:
    if not scalar(connection, "SELECT count(*) FROM duckdb_tables() WHERE database_name = 'previous' AND table_name = 'item_facts'"):
        return []
    return [row[0] for row in connection.execute("DESCRIBE previous.item_facts").fetchall() if row[0] != "item_id"]


def _tell(work: Work, preview: FilePreview) -> None:
    unknown = scalar(work.connection, "SELECT count(*) FROM own_facts ANTI JOIN final.items USING (item_id)")
    known = scalar(work.connection, "SELECT count(*) FROM own_facts SEMI JOIN final.items USING (item_id)")
    if repeated := scalar(work.connection, "SELECT count(item_id) - count(DISTINCT item_id) FROM fact_rows"):
        work.warnings.append(say("In {file}, rows repeat an item id: {n}. The first one counts.", file=preview.name, n=repeated))
    if unknown:
        work.warnings.append(
            say("{file} tells facts of {known} items of this log and of {unknown} others.", file=preview.name, known=known, unknown=unknown)
        )
