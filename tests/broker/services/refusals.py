"""Refusals: an error with its code, and a database in which nothing changed."""

from collections.abc import Callable
from typing import TypeVar

import pytest

from tests.fakes.office import FakeOffice
from wire.errors import QueenpostError

E = TypeVar("E", bound=QueenpostError)


def refused(office: FakeOffice, code: type[E], act: Callable[[], object]) -> E:
    """Expect a refusal with just this code that leaves the database as it was; gives the error."""
    before = office.contents()
    with pytest.raises(code) as caught:
        act()
    assert type(caught.value) is code
    assert office.contents() == before
    assert caught.value.message
    return caught.value
