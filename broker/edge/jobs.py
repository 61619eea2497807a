"""Errands of jobs: what reads them, and the way of their events."""

import os
from functools import partial

from broker.edge.connection import Connection
from broker.edge.hub import Hub
from broker.edge.office import Office
from broker.services import job_carrying, job_views, jobs
from broker.services.callers import Caller
from wire.errors import Denied, Unavailable
from wire.job_probe import JobsProbe
from wire.jobs import JobsCarried, JobsCarry, JobsList, JobsSessions, JobsShow, JobsTransport
from wire.model import Result


async def list_jobs(office: Office, _hub: Hub, _line: Connection, caller: Caller, request: JobsList) -> Result:
    """List jobs."""
    async with office.readers.read() as reader:
        return await jobs.list_jobs(reader, caller, request)


async def show_job(office: Office, _hub: Hub, _line: Connection, caller: Caller, request: JobsShow) -> Result:
    """Show one job."""
    async with office.readers.read() as reader:
        return await jobs.show(reader, caller, request)


async def sessions(office: Office, _hub: Hub, _line: Connection, _caller: Caller, request: JobsSessions) -> Result:
    """List who worked on jobs."""
    async with office.readers.read() as reader:
        return await job_views.list_sessions(reader, request)


async def transport(office: Office, _hub: Hub, line: Connection, caller: Caller, request: JobsTransport) -> Result:
    """Say how events are published; the first time, start what carries them."""
    if caller.kind != "operator" and request.user != "harness":
        raise Denied(f"an agent's harness publishes as 'harness', not as {request.user!r}")
    if office.transport is None:
        raise Unavailable("the broker is still starting; try again in a moment")
    told = await office.transport(request.user)
    if not _is_elsewhere(line):
        return told
    none = {"user": None, "password_file": None, "ca_file": None, "cert_file": None, "key_file": None}
    return told.model_copy(update={**none, "by_link": True})


def _is_elsewhere(line: Connection) -> bool:
    """Say whether somebody can neither reach our MQTT broker nor read its passwords: another machine, another user."""
    return line.remote or line.shown.uid not in (None, os.getuid())


async def carry(office: Office, _hub: Hub, _line: Connection, caller: Caller, request: JobsCarry) -> Result:
    """Publish an event of somebody elsewhere. Those of one connection go out in the order in which they came."""
    if office.carry is None:
        raise Unavailable("the broker is still starting; try again in a moment")
    signed = job_carrying.read(request, office.rules)
    # By the writer, which only reads here: a pool of readers would not keep the order.
    retain = await office.writer.run(partial(job_carrying.admit, caller=caller, signed=signed, request=request))
    await office.carry(request.topic, request.payload.encode(), retain)
    return JobsCarried()


async def probe(office: Office, _hub: Hub, _line: Connection, _caller: Caller, request: JobsProbe) -> Result:
    """Prove that events of jobs are heard, and say what carries them."""
    if office.probe_transport is None:
        raise Unavailable("the broker is still starting; try again in a moment")
    return await office.probe_transport(request.start)
