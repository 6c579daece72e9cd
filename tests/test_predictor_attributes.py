"""Shopper attributes as features: encoded, aligned, and refused when they hold the outcome."""

import numpy as np
import pyarrow as pa

from core.predictor.attributes import read_attributes
from core.predictor.matrix import Matrix

USERS = [f"u{i:03d}" for i in range(240)]
LABELS = (np.arange(240) % 3 == 0).astype(float)


def table() -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "user_id": USERS,
            "region": ["north" if i % 2 else "south" for i in range(240)],
            "income": [str(float(value)) for value in rng.normal(3000, 500, 240).round(2)],
            "label": ["1" if label else "0" for label in LABELS],
            "scheme": ["b" if label else "a" for label in LABELS],
            "rare": [None] * 235 + ["x"] * 5,
        }
    )


def test_a_planted_leak_is_caught_by_its_name_and_one_of_another_name_by_its_values() -> None:
    found = read_attributes(table(), [(USERS, LABELS)])
    assert set(found.of_column) == {"region", "income"}
    assert any(sentence.startswith("label: refused") and "name" in sentence for sentence in found.said)
    assert any(sentence.startswith("scheme: refused") and "AUC 1.000" in sentence for sentence in found.said)


def test_values_become_columns_of_the_right_users_and_strangers_are_empty() -> None:
    found = read_attributes(table(), [(USERS, LABELS)])
    matrix = found.added_to(Matrix(["u001", "stranger"], ["events_all"], np.array([[1.0], [2.0]])))
    assert matrix.columns == ["events_all", "region = north", "region = south", "income"]
    assert matrix.values[0, 1:3].tolist() == [1, 0]
    assert np.isfinite(matrix.values[0, 3])
    assert np.isnan(matrix.values[1, 1:]).all()


def test_a_table_of_ids_alone_adds_nothing_and_says_so() -> None:
    found = read_attributes(table().select(["user_id"]), [(USERS, LABELS)])
    matrix = Matrix(["u001"], ["events_all"], np.array([[1.0]]))
    assert found.added_to(matrix) is matrix
    assert "no shopper attributes" in found.said[0]


def test_a_column_that_knows_any_window_is_refused() -> None:
    other = np.random.default_rng(1).permutation(LABELS)
    for windows in ([(USERS, other), (USERS, LABELS)], [(USERS, LABELS), (USERS, other)]):
        found = read_attributes(table(), windows)
        assert any(sentence.startswith("scheme: refused") and "AUC 1.000" in sentence for sentence in found.said)
    assert "scheme = a" in read_attributes(table(), [(USERS, other)]).columns and read_attributes(table(), []).columns
