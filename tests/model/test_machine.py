"""Any mix of acts of senders, harnesses, sessions, operators, time and bad luck, for as many steps as there is time.

QUEENPOST_MODEL_STEPS says how many steps, QUEENPOST_MODEL_SEED which ones; a failure prints both, with the shortest
list of acts that fails and what each of them answered.
"""

import os
import secrets
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import PostOfficeMachine

STEPS = 200_000
"""What `make check` does, in about two minutes and a half."""
STEPS_ON_DISK = 4000
"""On a real file each commit waits for the disk."""
STEPS_OF_A_RUN = 100


def asked_for(name: str, default: int) -> int:
    """Read a number that the caller of the tests may set."""
    return int(os.environ.get(f"QUEENPOST_MODEL_{name}", default))


def run(machine: type[PostOfficeMachine], steps: int) -> None:
    """Run so many steps, in runs that each begin with a new fleet; says how to get the same ones again."""
    number = asked_for("SEED", secrets.randbelow(2**32))
    sys.stderr.write(
        f"replay: QUEENPOST_MODEL_SEED={number} QUEENPOST_MODEL_STEPS={steps} "
        "make test PYTEST_ARGS='-n 0 tests/model/test_machine.py'\n"
    )
    run_state_machine_as_test(
        seed(number)(machine),
        settings=settings(
            max_examples=max(steps // STEPS_OF_A_RUN, 1),
            stateful_step_count=STEPS_OF_A_RUN,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
            database=None,
            deadline=None,
            print_blob=True,
            report_multiple_bugs=False,
        ),
    )
    assert machine.count >= steps // 2


@pytest.mark.timeout(3600)
def test_no_mix_of_acts_breaks_an_invariant() -> None:
    """[H01] [H21] [P01] [P14] [Z1] DESIGN 5, 7, issues 2, 3, 5: invariants 1–21, 23–25, 28–30."""

    class InMemory(PostOfficeMachine):
        """A fleet for each run."""

    run(InMemory, asked_for("STEPS", STEPS))


@pytest.mark.timeout(600)
def test_no_mix_of_acts_breaks_an_invariant_on_disk(tmp_path: Path) -> None:
    """[H01] [P09] DESIGN 6, issue 2: the same on a file, whose broker really ends and starts again."""

    class OnDisk(PostOfficeMachine):
        """A home for each run."""

        folder = tmp_path

    run(OnDisk, min(asked_for("STEPS", STEPS), STEPS_ON_DISK))
