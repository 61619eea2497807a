"""The probe: signed events of no job, published as a publisher would and heard by the bridge; what it finds is told.

Each step has a bound of its own, so that a broker that swallows something costs seconds and names what it swallowed.
"""

import secrets
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import replace

import anyio

from broker.bridge.proofs import Proof, Proofs
from broker.bridge.where import Where
from broker.services.callers import Rules
from wire.errors import QueenpostError
from wire.job_probe import JobsProbed
from wire.jobs import MqttUser
from wire.mqtt import MqttLine, connected
from wire.mqtt_peer import Transport
from wire.racing import first_of
from wire.topics import events_filter

HEARD_S = 5.0
"""An event that was not heard for so long is not heard at all."""


class Probe:
    """One run. The bridge hears meanwhile, and takes what it says to `proofs`."""

    def __init__(self, where: Where, proofs: Proofs, rules: Rules) -> None:
        self._where = where
        self._proofs = proofs
        self._rules = rules
        self._name = f"queenpost-{rules.fleet}-probe-{secrets.token_hex(4)}"

    async def run(self) -> JobsProbed:
        """Find out what the MQTT broker does.

        Raises:
            Unavailable, Denied: a publisher cannot connect; with what to look at.
        """
        found = await self._round_trip()
        if found.heard_ms is None:  # the rest would fail for the same reason
            return found
        return found.model_copy(
            update={
                "retained": await _succeeds(self._is_retained),
                "resumed": await _succeeds(self._is_resumed),
                "whole": await _succeeds(self._comes_whole),
                "strangers": await _succeeds(self._lets_in_strangers),
            }
        )

    async def _round_trip(self) -> JobsProbed:
        transport = self._where.transport("publisher")
        accepted_ms = heard_ms = None
        began_s = anyio.current_time()
        async with self._line("publisher") as line:
            connected_ms = _since_ms(began_s)
            began_s = anyio.current_time()
            with self._made() as proof, anyio.move_on_after(HEARD_S):
                await line.publish(proof.topic, proof.payload)
                accepted_ms = _since_ms(began_s)
                await first_of(proof.heard.wait, line.lost.wait)
                heard_ms = _since_ms(began_s) if proof.heard.is_set() else None
        return JobsProbed(
            kind=self._where.kind,
            url=self._where.url,
            topics=events_filter(self._rules.topic_prefix),
            user=transport.user,
            connected_ms=connected_ms,
            accepted_ms=accepted_ms,
            heard_ms=heard_ms,
            readable=transport.readable_by_others,
        )

    async def _is_retained(self) -> bool:
        """Say something to be kept, then come late; what was kept is cleared."""
        async with self._line("publisher") as line:
            with self._made() as proof:
                try:
                    await line.publish(proof.topic, proof.payload, retain=True)
                    return await self._hears(proof.topic)
                finally:
                    with anyio.move_on_after(HEARD_S, shield=True):
                        await line.publish(proof.topic, b"", retain=True)

    async def _hears(self, topic: str) -> bool:
        async with self._line("watcher", "-late") as line:
            await line.subscribe(topic)
            async for heard in line.heard:
                line.settle(heard)
                return heard.retained
        return False

    async def _is_resumed(self) -> bool:
        """Come back under the same name; then let it forget that there was one."""
        try:
            async with self._line("watcher", clean=False) as line:
                await line.subscribe(events_filter(self._rules.topic_prefix))
            async with self._line("watcher", clean=False) as line:
                return line.resumed
        finally:
            with anyio.move_on_after(HEARD_S, shield=True):
                async with self._line("watcher"):
                    pass

    async def _comes_whole(self) -> bool:
        async with self._line("publisher") as line:
            with self._made(whole=True) as proof:
                await line.publish(proof.topic, proof.payload)
                await first_of(proof.heard.wait, line.lost.wait)
                return proof.heard.is_set()

    async def _lets_in_strangers(self) -> bool:
        transport = self._where.transport("publisher")
        stranger = replace(transport, user=None, password=None, cert_file=None, key_file=None)
        async with connected(stranger, f"{self._name}-stranger", clean=True):
            return True

    def _made(self, *, whole: bool = False) -> AbstractContextManager[Proof]:
        return self._proofs.made(self._rules.fleet, self._rules.topic_prefix, whole=whole)

    def _line(self, user: MqttUser, role: str = "", *, clean: bool = True) -> AbstractAsyncContextManager[MqttLine]:
        transport: Transport = self._where.transport(user)
        return connected(transport, f"{self._name}{role}", clean=clean)


async def _succeeds(step: Callable[[], Awaitable[bool]]) -> bool:
    """Take a step; one that fails, or takes too long, does not succeed."""
    with anyio.move_on_after(HEARD_S):
        try:
            return await step()
        except QueenpostError:
            return False
    return False


def _since_ms(began_s: float) -> float:
    return (anyio.current_time() - began_s) * 1000
