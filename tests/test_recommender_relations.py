"""Relations that a shop declares: edges of the item graph, paths and reasons that name them, and files that tell no relation."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from core.errors import RuleError
from core.recommender.interactions import read_interactions
from core.recommender.options import RecommendOptions
from core.recommender.paths import Paths, catalogue_names
from core.recommender.recommend import recommend
from core.recommender.relations import MOST_EDGES, Relation, Relations, read_relations, tell_unknown
from core.recommender.sources import fit_sources
from core.store import Log
from tests.test_recommender import act

MakeLog = Callable[..., Log]
HEAD = "from_kind,from,relation,to_kind,to,weight\n"
CASE = Relation("item", "case", "accessory_of", "item", "phone")


def shop() -> list[dict[str, Any]]:
    return [
        {"item_id": "phone", "title": "Phone X", "category": "phones", "brand": "Fon"},
        {"item_id": "case", "title": "Case Y", "category": "cases", "brand": "Hull"},
        {"item_id": "glass", "title": "Glass Z", "category": "cases", "brand": "Klar"},
        {"item_id": "tea", "title": "Tea", "category": "tea", "brand": "Leaf"},
        {"item_id": "ink", "title": "Ink", "category": "office", "brand": "Blot"},
    ]


def sold() -> list[dict[str, Any]]:
    """Ann bought a phone, Bob only looked at one; nobody has two things."""
    return [act("ann", "phone", 1), act("bob", "phone", 1, "view"), act("cid", "tea", 2), act("dan", "case", 2), act("eve", "ink", 3)]


def lists(log: Log, *edges: Relation) -> dict[tuple[str, str], dict[str, Any]]:
    options = RecommendOptions(k=5, source="paths", new_only=True, relations=Relations(tuple(sorted(edges))))
    rows = recommend(log, None, options).recommendations.to_pylist()
    return {(row["user_id"], row["item_id"]): row for row in rows}


def test_a_recommendation_shows_the_path_of_a_relation_and_without_the_edge_there_is_none(make_log: MakeLog) -> None:
    log = make_log(sold(), items=shop())
    found = lists(log, CASE)
    first = found["ann", "case"]
    assert first["rank"] == 1 and first["path"] == "phone > accessory_of (reversed) > case"
    assert first["reason"] == "An accessory of Phone X, which this shopper bought."
    assert (first["reason_code"], first["reason_item"]) == ("related_accessory_of", "phone")
    assert found["bob", "case"]["reason"] == "An accessory of Phone X, which this shopper viewed."
    assert found["dan", "phone"]["path"] is None, "a case leads to no phone"
    removed = lists(log)["ann", "case"]
    assert removed["path"] is None and removed["source_paths"] is None and not removed["reason_code"].startswith("related")


def test_a_relation_of_categories_leads_to_every_item_of_it_and_says_so(make_log: MakeLog) -> None:
    log = make_log(sold(), items=shop())
    found = lists(log, Relation("category", "cases", "accessory_of", "category", "phones"))
    path = "phone > category = phones > accessory_of (reversed) > category = cases > "
    assert [found["ann", item]["path"] for item in ("case", "glass")] == [path + "case", path + "glass"]
    assert found["ann", "glass"]["reason"] == "An accessory of Phone X, which this shopper bought."


def test_what_goes_with_something_is_walked_both_ways(make_log: MakeLog) -> None:
    found = lists(make_log(sold(), items=shop()), Relation("title", "Tea", "goes_with", "brand", "Blot"))
    assert found["eve", "tea"]["reason"] == "Goes with Ink, which this shopper bought."
    assert found["cid", "ink"]["path"] == "tea > title = Tea > goes_with > brand = Blot > ink"


def test_a_heavier_relation_stands_before_a_lighter_one(make_log: MakeLog) -> None:
    log, ink = make_log(sold(), items=shop()), Relation("item", "ink", "goes_with", "item", "phone")
    for weight, before in ((3.0, "ink"), (0.3, "case")):
        found = lists(log, CASE, replace(ink, weight=weight))
        assert min(("ink", "case"), key=lambda item: found["ann", item]["rank"]) == before


def test_other_paths_stay_as_they_are(make_log: MakeLog) -> None:
    log = make_log(sold(), items=shop())
    known = read_interactions(log, log.until, "purchase")
    without, with_edge = (
        fit_sources(known, None, RecommendOptions(relations=edges)).sources["paths"] for edges in (Relations(), Relations((CASE,)))
    )
    assert isinstance(without, Paths) and isinstance(with_edge, Paths)
    width = len(without.kind)
    assert len(with_edge.kind) == width + 1 and with_edge.relations == (CASE,)
    for name in ("taste", "belongs"):
        assert (getattr(with_edge, name)[:, :width] != getattr(without, name)).nnz == 0
    assert (with_edge.onward[:width] != without.onward).nnz == 0


def test_names_that_the_catalogue_lacks_are_listed_with_their_rows_and_lead_nowhere(make_log: MakeLog) -> None:
    log = make_log(sold(), items=shop())
    edges = [Relation("item", "case", "accessory_of", "item", "ghost"), Relation("brand", "Nix", "part_of", "item", "ghost"), CASE]
    relations = Relations(tuple(sorted(edges)))
    known = read_interactions(log, log.until, "purchase")
    unknown = relations.unknown(catalogue_names(known))
    assert unknown == [{"kind": "item", "name": "ghost", "rows": 2}, {"kind": "brand", "name": "Nix", "rows": 1}]
    (warning,) = tell_unknown(unknown)
    assert str(warning) == (
        "Names of the relations that are not in the catalogue and lead nowhere: 2 (with their rows: item 'ghost' (2), brand 'Nix' (1))."
    )
    result = recommend(log, None, RecommendOptions(k=5, relations=relations))
    assert result.record["relations"] == {"given": 3, "walked": 1, "unknown": unknown}
    assert any("lead nowhere" in str(told) for told in result.record["warnings"])
    assert any("carry no time" in str(told) for told in result.record["warnings"])
    assert "relations" not in recommend(log, None, RecommendOptions(k=5)).record


def test_a_file_is_read_as_csv_with_three_separators_or_as_json() -> None:
    row = "item,case,accessory_of,item,phone,2\n"
    expected = Relations((replace(CASE, weight=2.0),))
    for text in (HEAD + row, (HEAD + row).replace(",", ";"), (HEAD + row).replace(",", "\t"), "\ufeff" + HEAD + row + row):
        assert read_relations(text.encode()) == expected
    assert read_relations(json.dumps(expected.record()).encode()) == expected
    assert read_relations((HEAD + "item,case,accessory_of,item,phone,\n").encode()) == Relations((CASE,))
    assert read_relations(HEAD.encode()) == Relations()
    assert expected.digest != Relations((CASE,)).digest == read_relations(json.dumps(Relations((CASE,)).record()).encode()).digest


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a,b\n1,2\n", "Row 1 .* does not have the columns"),
        ("", "cannot be read"),
        ("[1]", "Row 1 .* does not have the columns"),
        ("[" * 100_000, "cannot be read"),
        (HEAD + "item,case,accessory_of,item\n", "needs two different names|says ''"),
        (HEAD + "user,case,accessory_of,item,phone,1\n", "says 'user'; choose one of item, title"),
        (HEAD + "item,case,eats,item,phone,1\n", "says 'eats'; choose one of accessory_of"),
        (HEAD + "item,case,part_of,item,case,1\n", "two different names"),
        (HEAD + f"item,{'x' * 401},part_of,item,case,1\n", "1 to 400 characters"),
        *((HEAD + f"item,case,part_of,item,phone,{weight}\n", "above 0, at most 10") for weight in ("0", "-1", "nan", "inf", "11", "=1+1")),
        (HEAD + "item,a,part_of,item,b,1\n" * (MOST_EDGES + 1), "at most 5000 are taken"),
        (HEAD + "item,case,part_of,item,phone,1,more\n", "does not have the columns"),
    ],
)
def test_a_file_that_tells_no_relations_is_refused_with_the_row(text: str, why: str) -> None:
    with pytest.raises(RuleError, match=why):
        read_relations(text.encode())


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(RuleError, match="UTF-8"):
        read_relations(b"\xff\xfe\x00")
