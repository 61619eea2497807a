"""Figures, goals, the table and the JSON of a run."""

import json

import pytest

from benchmarks.figures import Figure, Goal, percentile, ratios
from benchmarks.plan import Plan
from benchmarks.report import as_json, table


@pytest.mark.parametrize(
    ("goal", "values", "reached"),
    [
        (Goal("≥", 0.4), [0.1, 0.5, 0.4], True),
        (Goal("≥", 0.4), [0.9, 0.3, 0.39], False),
        (Goal("≤", 1.0), [2.0, 0.2, -0.1], True),
        (None, [1.0], None),
    ],
)
def test_the_median_decides_whether_a_goal_is_reached(
    goal: Goal | None, values: list[float], reached: bool | None
) -> None:
    """Ours: one disturbed round neither saves nor spoils a figure."""
    assert Figure("sends", "/s", values, goal).reached is reached


def test_a_percentile_is_one_of_the_samples() -> None:
    """Ours."""
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([1.0, 2.0], 99) == 2.0


def test_ratios_are_taken_round_by_round() -> None:
    """Ours: what disturbed a round disturbed both sides of it."""
    assert ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0], [])


def test_the_table_shows_median_spread_and_verdict() -> None:
    """Ours: one line a figure."""
    head, goal, plain = table(
        [Figure("life cycles ÷ floor", "×", [0.3, 0.5, 0.4], Goal("≥", 0.45)), Figure("sends", "/s", [12_345.6])]
    ).splitlines()
    assert head.split() == ["median", "min", "max", "goal"]
    assert goal.split() == ["life", "cycles", "÷", "floor", "0.4", "0.3", "0.5", "×", "≥", "0.45", "MISSED"]
    assert plain.split() == ["sends", "12,346", "12,346", "12,346", "/s"]


def test_the_json_holds_every_value_of_every_round() -> None:
    """Ours: who doubts a median can look."""
    run = json.loads(json.dumps(as_json(Plan(rounds=2), [Figure("sends", "/s", [1.0, 3.0], Goal("≥", 2))])))
    assert run["plan"]["rounds"] == 2
    assert run["figures"] == [
        {
            "name": "sends",
            "unit": "/s",
            "values": [1.0, 3.0],
            "goal": {"sign": "≥", "bound": 2},
            "median": 2.0,
            "min": 1.0,
            "max": 3.0,
            "reached": True,
        }
    ]


def test_what_was_left_out_says_so_and_why() -> None:
    """Ours: a program that is not installed is neither a goal that was reached nor one that was missed."""
    figure = Figure("Claude Code: turns", "×", [], Goal("≤", 2), "it is not installed")
    assert figure.reached is None
    assert table([figure]).endswith(" ≤ 2   left out: it is not installed")
    assert figure.as_json()["left_out"] == "it is not installed"
    assert "median" not in figure.as_json()
