"""The bearer tokens of hosted agents: made at harness start, good on its loopback port only, never stored."""

import hashlib
import hmac
import secrets

import anyio

from mcp_tools.desk import Desk


class Bearers:
    """Token to desk. Keeps digests only, so that no listing or dump of this process' state holds a token."""

    def __init__(self) -> None:
        self._desks: dict[tuple[str, str], tuple[bytes, Desk]] = {}
        self._expected: dict[str, anyio.Event] = {}

    def issue(self, desk: Desk, *, beside: str = "") -> str:
        """Make the token of an agent; an earlier one of the same agent is void from now on.

        `beside`: it is for another session of the agent, of that name, and voids that one's only.
        """
        token = secrets.token_urlsafe(32)
        self._desks[desk.agent, beside] = (_digest(token), desk)
        return token

    def revoke(self, agent: str, *, beside: str = "") -> None:
        """Void the token of an agent, or that of another session of it."""
        self._desks.pop((agent, beside), None)

    def expect(self, agent: str) -> anyio.Event:
        """Give an event that the next request of an agent sets: its program has attached the tools."""
        return self._expected.setdefault(agent, anyio.Event())

    def __call__(self, token: str) -> Desk | None:
        """Find the desk of a token, comparing with every one in constant time."""
        digest = _digest(token)
        found: Desk | None = None
        for known, desk in self._desks.values():
            if hmac.compare_digest(known, digest):
                found = desk
        if found is not None and (expected := self._expected.pop(found.agent, None)) is not None:
            expected.set()
        return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
