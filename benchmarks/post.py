"""The seam between a load and what it is put on: the product and its floor offer the same four acts."""

from typing import Protocol


class Post(Protocol):
    """A durable post office over a link, as little of it as a load needs."""

    async def ping(self) -> None:
        """A round trip that stores nothing."""
        ...

    async def send(self, sender: str, recipient: str, body: str) -> None:
        """Send; durable once it returns."""
        ...

    async def open(self, agent: str) -> str:
        """Park until there is mail, then open a turn over it and give its id."""
        ...

    async def close(self, agent: str, turn: str) -> None:
        """Close the turn as completed; its mail is acked."""
        ...
