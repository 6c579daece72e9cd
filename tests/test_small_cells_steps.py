"""What an attacker learns of a hidden count from the steps that counts are told in, and from sums of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from core.small_cells import middle, told_count

K = 20


def bounds(shown: int | None, k: int = K) -> tuple[int, int]:
    """What an attacker knows of a count from how it is told."""
    return (1, k - 1) if shown is None else (0, 0) if shown == 0 else (shown - k // 2, shown - k // 2 + k - 1)


def test_counts_from_1_to_19_are_hidden_and_others_told_by_the_middle_of_their_step() -> None:
    assert [middle(n, K) for n in (0, 1, 7, 19, 20, 39, 40, 1234)] == [0, None, None, None, 30, 30, 50, 1230]
    assert [told_count(middle(n, K), K) for n in (0, 7, 1234)] == ["0", "< 20", "1,230"]
    assert [middle(n, 5) for n in (4, 5, 9, 10)] == [None, 7, 7, 12]


@given(k=st.integers(2, 50), count=st.integers(0, 5000))
def test_a_count_lies_where_its_telling_says(k: int, count: int) -> None:
    low, high = bounds(middle(count, k), k)
    assert low <= count <= high and (count == 0 or high - low >= k - 2)


@settings(max_examples=80)
@given(k=st.integers(4, 40), data=st.data())
def test_a_total_of_n_parts_leaves_at_least_k_less_n_values_open_for_a_hidden_part(k: int, data: st.DataObject) -> None:
    n = data.draw(st.integers(2, k - 2))
    parts = [data.draw(st.integers(1, k - 1)), *data.draw(st.lists(st.integers(1, 6 * k), min_size=n - 1, max_size=n - 1))]
    low, high = bounds(middle(sum(parts), k), k)
    others = [bounds(middle(part, k), k) for part in parts[1:]]
    first = max(1, low - sum(most for _least, most in others))
    last = min(k - 1, high - sum(least for least, _most in others))
    assert first <= parts[0] <= last and last - first + 1 >= k - n >= 2
    if n == 2 and sum(parts) >= k:
        assert (first, last) == (1, k - 1), "one difference tells nothing"


@pytest.mark.parametrize("seed", range(4))
def test_rows_columns_and_totals_of_a_table_together_determine_no_hidden_cell(seed: int) -> None:
    counts = np.random.default_rng(seed).negative_binomial(0.7, 0.02, (4, 5))
    full = np.vstack([np.column_stack([counts, counts.sum(1)]), np.append(counts.sum(0), counts.sum())])
    shown = [[middle(int(n), K) for n in line] for line in full]
    cells = [(i, j) for i in range(5) for j in range(6)]
    sums = [[float(j < 5) - float(j == 5) if i == row else 0.0 for i, j in cells] for row in range(5)]
    sums += [[float(i < 4) - float(i == 4) if j == column else 0.0 for i, j in cells] for column in range(6)]
    limits = [bounds(shown[i][j]) for i, j in cells]
    hidden = [place for place, (i, j) in enumerate(cells) if shown[i][j] is None and i < 4 and j < 5]
    assert hidden
    for place in hidden:
        aim = np.zeros(len(cells))
        aim[place] = 1
        least, most = (sign * linprog(sign * aim, A_eq=sums, b_eq=[0] * 11, bounds=limits).fun for sign in (1, -1))
        assert most - least >= K // 2, "many values stay open"
