"""Errands that read jobs."""

from broker.edge.connection import Connection
from broker.edge.hub import Hub
from broker.edge.office import Office
from broker.services import job_views, jobs
from broker.services.callers import Caller
from wire.errors import Denied, Unavailable
from wire.job_probe import JobsProbe
from wire.jobs import JobsList, JobsSessions, JobsShow, JobsTransport
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


async def transport(office: Office, _hub: Hub, _line: Connection, caller: Caller, request: JobsTransport) -> Result:
    """Say how events are published; the first time, start what carries them."""
    if caller.kind != "operator" and request.user != "harness":
        raise Denied(f"an agent's harness publishes as 'harness', not as {request.user!r}")
    if office.transport is None:
        raise Unavailable("the broker is still starting; try again in a moment")
    return await office.transport(request.user)


async def probe(office: Office, _hub: Hub, _line: Connection, _caller: Caller, request: JobsProbe) -> Result:
    """Prove that events of jobs are heard, and say what carries them."""
    if office.probe_transport is None:
        raise Unavailable("the broker is still starting; try again in a moment")
    return await office.probe_transport(request.start)
