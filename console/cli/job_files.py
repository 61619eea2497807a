"""`queenpost job export` and `job import`: jobs and sessions as YAML or JSON. Never a secret."""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import click
from pydantic import ValidationError

from console.cli.connecting import converse
from console.cli.job_watch import event_as_json
from console.cli.kinds import JobId
from console.cli.options import Options, command
from console.cli.screen import note, print_json, safe, warn
from console.cli.times import maybe_iso
from wire.client import BrokerClient
from wire.errors import Invalid, QueenpostError
from wire.jobs import (
    MAX_SHOWN,
    JobEvent,
    JobsImport,
    JobsImported,
    JobsSessions,
    JobsSessionsListed,
    JobsShow,
    JobsShown,
    JobState,
    Session,
)
from wire.private_files import sync_folder

STATES: dict[str, JobState] = {
    "pending": "pending", "queued": "pending", "running": "running", "claimed": "running", "completed": "completed",
    "done": "completed", "error": "error", "failed": "error", "cancelled": "cancelled",
}  # fmt: skip
"""How older registries call the states."""
CALLED = {"old_id": "job_id", "registered_at_ms": "created_at"}
"""What is asked of the broker, as a record calls it."""
_SECRET = re.compile(r"[\x21-\x7e]{32,256}")
"""As the link takes one."""


@command("export")
@click.argument("names", type=JobId(), nargs=-1, metavar="[ID...]")
@click.option("--to", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write there, whole or not at all.")
@click.option("--format", "form", type=click.Choice(["yaml", "json"]), help="Else by the name of the file; else YAML.")
def export(options: Options, names: tuple[str, ...], file: Path | None, form: str | None) -> None:
    """Write the jobs ID with all their events, or without one the sessions of all jobs. Never a secret."""
    content = converse(options, lambda client: _jobs(client, names) if names else _sessions(client))
    form = form or ("json" if options.json or (file is not None and file.suffix == ".json") else "yaml")
    text = json.dumps(content, ensure_ascii=False, indent=2) + "\n" if form == "json" else _yaml(content)
    if file is None:
        click.echo(safe(text), nl=False)
        return
    write_whole(file, text)
    note(f"wrote {file}")


def _yaml(content: dict[str, Any]) -> str:
    import yaml  # only here: no other command needs it

    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def write_whole(file: Path, text: str) -> None:
    """Put text into a file, whole or not at all, whatever is killed meanwhile; durable once this returns.

    Raises:
        Invalid: it cannot be written there.
    """
    try:
        descriptor, draft = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as out:
                out.write(text)
                out.flush()
                os.fsync(out.fileno())
            os.replace(draft, file)
        except BaseException:
            os.unlink(draft)
            raise
        sync_folder(file.parent)
    except OSError as exc:
        raise Invalid(f"cannot write {file}: {exc.strerror}") from exc


async def _jobs(client: BrokerClient, names: tuple[str, ...]) -> dict[str, Any]:
    return {"jobs": [await _job(client, name) for name in names]}


async def _job(client: BrokerClient, name: str) -> dict[str, Any]:
    events: list[JobEvent] = []
    while True:
        after = events[-1].number if events else 0
        shown = await client.call(JobsShow(job=name, after=after, limit=MAX_SHOWN), JobsShown)
        events += shown.events
        if shown.job is None:
            raise Invalid(f"the broker shows nothing of {name}")
        if not shown.more:
            break
    job = shown.job
    told = job.model_dump(
        include={"id", "state", "prompt", "made_by", "to", "message", "claimed_by", "epoch", "detail"}
    )
    times = {key: maybe_iso(getattr(job, f"{key}_ms")) for key in ("registered_at", "claimed_at", "ended_at")}
    return {**told, **times, "events": [event_as_json(event) for event in events]}


async def _sessions(client: BrokerClient) -> dict[str, Any]:
    found: list[Session] = []
    page = JobsSessionsListed(sessions=[], next=None)
    while page.next is not None or not found:
        page = await client.call(JobsSessions(before=page.next), JobsSessionsListed)
        found += page.sessions
        if page.next is None:
            break
    return {
        "sessions": [
            {
                **one.model_dump(include={"job", "epoch", "claimed_by", "turn", "state", "reason"}),
                "started_at": maybe_iso(one.started_at_ms),
                "ended_at": maybe_iso(one.ended_at_ms),
            }
            for one in found
        ]
    }


@command("import")
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
def import_records(options: Options, folder: Path) -> None:
    """Take jobs over from FOLDER, one JSON file for each, as older registries keep them; or from one such file.

    Repeating it takes over what is new. A record that cannot be read is named and left out (exit 1).
    """
    files = sorted(folder.glob("*.json")) if folder.is_dir() else [folder]
    if not files:
        raise Invalid(f"there is no .json file in {folder}")
    requests, wrong, renewed = _read_all(files)
    taken = converse(options, lambda client: _take_over(client, requests))
    if options.json:
        print_json([{"old_id": old, "id": one.job, "made": one.made} for old, one in taken])
    else:
        for old, one in taken:
            click.echo(f"{safe(old)} is {one.job}{'' if one.made else ', as before'}")
    for words in [*renewed, *wrong]:
        warn(words)
    if wrong:
        raise Invalid(f"{len(wrong)} of {len(files)} records were left out")


def _read_all(files: list[Path]) -> tuple[list[JobsImport], list[str], list[str]]:
    """Give the records, which of them cannot be read, and which get another secret than they had."""
    requests: list[JobsImport] = []
    wrong: list[str] = []
    renewed: list[str] = []
    for file in files:
        try:
            request, had_secret = _record(file)
        except ValidationError as exc:
            wrong.append(f"{file}: {_in_words(exc)}")
        except (QueenpostError, ValueError, OSError) as exc:
            wrong.append(f"{file}: {str(exc).splitlines()[0]}")
        else:
            requests.append(request)
            if had_secret and request.secret is None:
                why = "its auth_token is not 32 to 256 letters, digits and signs of ASCII; the job gets a new secret"
                renewed.append(f"{file}: {why}")
    return requests, wrong, renewed


def _in_words(exc: ValidationError) -> str:
    """Name the first wrong field, without what stands there: it may be large."""
    first = exc.errors(include_url=False, include_context=False, include_input=False)[0]
    field = str(first["loc"][0])
    return f"{CALLED.get(field, field)}: {first['msg']}"


def _record(file: Path) -> tuple[JobsImport, bool]:
    """Read a record; tells as well whether it had a secret, of whatever kind."""
    try:
        record: object = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as exc:
        raise Invalid(f"not JSON: {exc}") from None
    if not isinstance(record, dict):
        raise Invalid("not a JSON object")
    fields = cast("dict[str, Any]", record)
    old = str(fields.get("job_id") or fields.get("id") or file.stem)
    state = STATES.get(str(fields.get("status") or fields.get("state") or "pending"))
    if state is None:
        raise Invalid(f"the status {str(fields.get('status'))[:40]!r} is not known")
    prompt = next((text for text in _texts(fields, "prompt", "task", "description") if text), None)
    if prompt is None:
        raise Invalid("there is no prompt in it")
    secret = fields.get("auth_token")
    request = JobsImport(
        key=f"import:{hashlib.sha256(old.encode()).hexdigest()}",
        old_id=old,
        prompt=prompt,
        state=state,
        registered_at_ms=_registered_at_ms(fields, file),
        secret=secret if isinstance(secret, str) and _SECRET.fullmatch(secret) else None,
    )
    return request, secret is not None


def _texts(fields: dict[str, Any], *names: str) -> Iterator[str]:
    data = fields.get("data")
    for place in (fields, cast("dict[str, Any]", data) if isinstance(data, dict) else {}):
        yield from (str(place[name]) for name in names if place.get(name))


def _registered_at_ms(fields: dict[str, Any], file: Path) -> int:
    try:
        return _instant(fields.get("created_at"), file)
    except (ValueError, OverflowError) as exc:
        raise Invalid(f"created_at: {exc}") from None


def _instant(value: object, file: Path) -> int:
    """Read when a job was registered: ISO text or seconds; else when its file was written."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value * 1000)
    if isinstance(value, str):
        instant = datetime.fromisoformat(value)
        return int((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp() * 1000)
    return int(file.stat().st_mtime * 1000)


async def _take_over(client: BrokerClient, requests: list[JobsImport]) -> list[tuple[str, JobsImported]]:
    return [(request.old_id, await client.call(request, JobsImported)) for request in requests]
