"""What is told of each block of a profiles run."""

from core.pipeline.block_facts import BlockFacts, block_facts


def test_every_block_tells_its_numbers_its_cost_and_whom_it_misses() -> None:
    record = {
        "users": 200, "features": 90, "counts": {"cpu_seconds": 2.0}, "text": {"cpu_seconds": 7.5}, "card": {"dim": 384},
        "users_without_text": 10, "graph": {"values": 64, "cpu_seconds": 1.0, "users_without_items": 4},
        "narrative": {"values": 384, "users": 200, "cpu_seconds": 9.0},
        "sequence": {"values": 128, "cpu_seconds": 60.0, "users_without_acts": 2, "update": {"cpu_seconds": 0.5}},
    }  # fmt: skip
    assert block_facts(record) == [
        BlockFacts("counts", 90, 2.0, 0.0),
        BlockFacts("text", 384, 7.5, 0.05),
        BlockFacts("sequence", 128, 0.5, 0.01),
        BlockFacts("graph", 64, 1.0, 0.02),
        BlockFacts("narrative", 384, 9.0, 0.0),
    ]


def test_what_an_earlier_release_did_not_tell_is_absent() -> None:
    kept = {"users": 4, "features": 3, "card": {"dim": 8}, "users_without_text": 1}
    assert block_facts(kept) == [BlockFacts("counts", 3, None, 0.0), BlockFacts("text", 8, None, 0.25)]
    assert block_facts({"card": None}) == [BlockFacts("counts", 0, None, None)]
