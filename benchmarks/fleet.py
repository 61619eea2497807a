"""The fleet of a run: pairs of a sender and a reader, and sinks whose mail nobody takes."""

from dataclasses import dataclass

LIMITS = """\
[limits]
send_burst = 1000000
send_per_minute = 10000000.0
inbox_messages = 1000000
inbox_bytes = 1099511627776
"""
"""So that no load meets a quota; the checks themselves stay."""

BODY = (
    "Please read broker/store/group.py and say where a command could run twice.\n\n"
    "Begin with commit() and follow the jobs through _transact, _salvage and _redo. For each of them I need to know: "
    "which jobs have come to an end when the transaction is lost, which of those are run again, and what the caller "
    "of the others is told. A table with one line a case would be best; give the lines of the file beside it.\n"
    "Answer to me, not to the manager, and send a second message should you find a case that has no test."
)
"""One letter: what agents write to each other, 485 bytes."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Names. Every number of agents is the number of pairs."""

    pairs: int

    @property
    def senders(self) -> list[str]:
        """Who writes."""
        return [f"sender-{n}" for n in range(self.pairs)]

    @property
    def readers(self) -> list[str]:
        """Who opens turns, one for each sender."""
        return [f"reader-{n}" for n in range(self.pairs)]

    @property
    def sinks(self) -> list[str]:
        """Mailboxes that only fill."""
        return [f"sink-{n}" for n in range(self.pairs)]

    @property
    def spare(self) -> str:
        """Somebody for whom no harness works: a plain MCP client."""
        return "spare"

    @property
    def agents(self) -> list[str]:
        """All of them."""
        return [*self.senders, *self.readers, *self.sinks, self.spare]

    @property
    def settings(self) -> str:
        """The text of its `queenpost.toml`."""
        return LIMITS + "".join(f'\n[agents.{name}]\nbackend = "none"\n' for name in self.agents)
