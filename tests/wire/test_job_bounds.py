"""Bounds of what may be asked of jobs: no number that the store cannot hold gets past the edge."""

import pytest
from pydantic import ValidationError

from wire.canonical import MAX_INT
from wire.jobs import JobsReconcile, JobsSessions, JobsShow, JobsWatch
from wire.model import Request

JOB = "j-aebagbafaydqqcik"


@pytest.mark.parametrize(
    ("request_of", "fields"),
    [
        (JobsShow, {"job": JOB, "after": 0}),
        (JobsWatch, {"job": JOB, "after": 0}),
        (JobsWatch, {"job": JOB, "decided_at_ms": 0}),
        (JobsSessions, {"before": 0}),
        (JobsReconcile, {"key": "k", "job": JOB, "epoch": 0}),
    ],
)
def test_a_number_that_is_too_large_is_invalid(request_of: type[Request], fields: dict[str, str | int]) -> None:
    """Ours: 2^70 is a mistake of who asks, and no failure of the broker."""
    (name,) = [name for name, value in fields.items() if value == 0]
    assert getattr(request_of.model_validate({**fields, name: MAX_INT}), name) == MAX_INT
    for number in (2**53 + 1, 2**70):
        with pytest.raises(ValidationError, match=name):
            request_of.model_validate({**fields, name: number})
