"""Has a folder surveyed: shares the files out to workers, collects what they counted, reports.

Arguments: the names of the workers. It works over several turns and any of them may be repeated after a
crash: all it knows of a survey stands in `surveys/<id of the request>.json` before anything is sent, and
every message has a key that follows from that id. A request that is a job makes its parts jobs too, and the report
its end.
"""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.scripted.agent import ScriptedAgent
from harness.scripted.frames import Letter
from harness.scripted.mcp_client import ToolError
from harness.scripted.notes import read_json, write_json, write_text
from harness.scripted.survey.facts import Facts, gather
from harness.scripted.survey.listing import Entry, Listing, list_files, share_out
from harness.scripted.survey.mail import find_folder, pack, unpack
from harness.scripted.survey.report import LINES_EACH, Part, write_report

ALL_IS_WELL = re.compile(r"job \S+ has ended: completed\.")
"""Begins the notice about a part that was registered as a job."""
LONGEST_REPORT_BYTES = 20 * 1024
HELP = "I survey folders. Write: Survey the folder /path/to/it (the whole path of a folder on this machine)."


def run(agent: ScriptedAgent) -> None:
    """Handle all mail, each message by itself."""
    for letter in agent.all_mail():
        answer = unpack(letter.body)
        if answer is not None:
            _collect(agent, letter, answer)
        elif letter.kind == "operator":
            _begin(agent, letter)
        elif letter.kind == "system" and ALL_IS_WELL.match(letter.body):
            agent.say(letter.body)
        elif letter.kind == "system":
            agent.say(f"passing {letter.id} on: {letter.body}")
            agent.send("operator", letter.body, key=f"notice:{letter.id}")
        else:
            agent.say(f"{letter.id} from {letter.sender} has nothing to do with a survey; read and left at that")


def _begin(agent: ScriptedAgent, letter: Letter) -> None:
    folder = find_folder(letter.body)
    survey = read_json(_file(agent, letter.id))
    if not survey:
        if folder is None:
            agent.send(letter.sender, HELP, in_reply_to=letter.id, key=f"help:{letter.id}")
            return
        survey = _plan(agent, letter, folder)
        write_json(_file(agent, letter.id), survey)
    if survey["job"]:
        files = sum(len(part["paths"]) for part in survey["parts"])
        _publish(agent, survey, "progress", f"{files} files in {len(survey['parts'])} parts", {"files": files})
    for number, part in enumerate(survey["parts"]):
        _hand_out(agent, survey, number, part)
    _report_if_complete(agent, survey)


def _plan(agent: ScriptedAgent, letter: Letter, folder: Path) -> dict[str, Any]:
    listing = list_files(folder)
    shares = [share for share in share_out(listing.files, max(len(agent.args), 1)) if share]
    workers = agent.args or [""]
    agent.say(f"{len(listing.files)} files in {folder}, in {len(shares)} parts")
    return {
        "id": letter.id,
        "asked_by": letter.sender,
        "job": letter.job,
        "folder": str(folder),
        "huge": [asdict(entry) for entry in listing.huge],
        "not_listed": listing.not_listed,
        "parts": [
            {"worker": worker, "paths": [entry.path for entry in share]}
            for worker, share in zip(workers, shares, strict=False)
        ],
        "answers": {},
        "report": "",
    }


def _hand_out(agent: ScriptedAgent, survey: dict[str, Any], number: int, part: dict[str, Any]) -> None:
    """Send one part to its worker; without workers, count it here and now."""
    if str(number) in survey["answers"]:
        return
    if not part["worker"]:
        survey["answers"][str(number)] = gather(Path(survey["folder"]), part["paths"]).as_json()
        write_json(_file(agent, survey["id"]), survey)
        return
    task = {"survey": survey["id"], "part": number, "folder": survey["folder"], "paths": part["paths"]}
    body = pack(task, agent.state / "surveys" / f"{survey['id']}-part-{number}.json")
    key = f"survey:{survey['id']}:{number}"
    if survey["job"]:
        agent.register_job(body, part["worker"], key=key)
    else:
        agent.send(part["worker"], body, in_reply_to=survey["id"], key=key)
    agent.say(f"part {number} of {survey['id']}: {len(part['paths'])} files to {part['worker']}")


def _collect(agent: ScriptedAgent, letter: Letter, answer: dict[str, Any]) -> None:
    """Note one answer; the same one again changes nothing, and only the worker that was asked can give it."""
    survey = read_json(_file(agent, str(answer["survey"])))
    number = int(answer.get("part", -1))
    if not survey or not 0 <= number < len(survey["parts"]) or survey["parts"][number]["worker"] != letter.sender:
        agent.say(f"{letter.id} answers nothing that {letter.sender} was asked")
        return
    survey["answers"].setdefault(str(number), answer["facts"])
    write_json(_file(agent, survey["id"]), survey)
    agent.say(f"part {number} of {survey['id']} is in from {letter.sender}")
    _report_if_complete(agent, survey)


def _report_if_complete(agent: ScriptedAgent, survey: dict[str, Any]) -> None:
    if len(survey["answers"]) < len(survey["parts"]):
        return
    if not survey["report"]:
        survey["report"] = _write_report(agent, survey)
        write_json(_file(agent, survey["id"]), survey)
    agent.send(survey["asked_by"], survey["report"], in_reply_to=survey["id"], key=f"report:{survey['id']}")
    agent.say(f"reported on {survey['id']}")
    if survey["job"]:
        _publish(agent, survey, "completed", f"reported on {survey['folder']}", {"parts": len(survey["parts"])})


def _publish(agent: ScriptedAgent, survey: dict[str, Any], event: str, detail: str, data: dict[str, Any]) -> None:
    """Say how the job goes. That it cannot be said any more, as after a repeated end, stops no survey."""
    try:
        agent.publish(event, detail, data, job=survey["job"])
    except ToolError as exc:
        agent.say(f"{event} was not published: {exc}")


def _write_report(agent: ScriptedAgent, survey: dict[str, Any]) -> str:
    listing = Listing(huge=[Entry(**entry) for entry in survey["huge"]], not_listed=survey["not_listed"])
    parts = [
        Part(
            part["worker"] or "the manager",
            len(part["paths"]),
            Facts.from_json(survey["answers"][str(number)]),
        )
        for number, part in enumerate(survey["parts"])
    ]
    whole = agent.state / "surveys" / f"{survey['id']}.md"
    write_text(whole, write_report(survey["folder"], listing, parts, lines_each=1_000_000))
    for lines_each in (LINES_EACH, 5, 1, 0):
        report = write_report(survey["folder"], listing, parts, lines_each=lines_each)
        if len(report.encode()) <= LONGEST_REPORT_BYTES:
            break
    return f"{report}\nThe whole lists: {whole}\n"


def _file(agent: ScriptedAgent, survey_id: str) -> Path:
    return agent.state / "surveys" / f"{Path(survey_id).name}.json"
