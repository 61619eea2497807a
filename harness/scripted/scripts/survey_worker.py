"""Reads the files of its part of a survey and answers with what it counted. Arguments: [--pause-once].

The answer is written down before it is sent: a repeated turn sends the very same one under the same key.
Where a part is a job, it says on it how it goes.
With --pause-once it stops for a while in the middle of its first job, so that somebody can kill it there.
"""

import os
import threading
from pathlib import Path, PurePosixPath
from typing import Any

from harness.scripted.agent import ScriptedAgent
from harness.scripted.frames import Letter
from harness.scripted.mcp_client import ToolError
from harness.scripted.notes import read_json, write_json
from harness.scripted.survey.facts import gather
from harness.scripted.survey.mail import pack, unpack

PAUSE_S = 10.0
PAUSE_MARK = "paused.json"
"""In the state folder: written when the pause begins, with the pid that pauses. It pauses once only."""


def run(agent: ScriptedAgent) -> None:
    """Answer every part; anything else is only read."""
    for letter in agent.all_mail():
        task = unpack(letter.body) if letter.kind in {"manager", "operator"} else None
        if task is None:
            agent.say(f"{letter.id} from {letter.sender} is no part of a survey; read and left at that")
            continue
        answer = _answer(agent, letter, task)
        body = pack(answer, agent.state / "answers" / f"{letter.id}-long.json")
        agent.send(letter.sender, body, in_reply_to=letter.id, key=f"answer:{letter.id}")
        agent.say(f"answered {letter.id}")
        _publish(agent, letter, "completed", f"{answer['files']} files are counted", {"files": answer["files"]})


def _answer(agent: ScriptedAgent, letter: Letter, task: dict[str, Any]) -> dict[str, Any]:
    kept = agent.state / "answers" / f"{letter.id}.json"
    if earlier := read_json(kept):
        agent.say(f"{letter.id} was worked out in an earlier turn")
        return earlier
    paths = [str(path) for path in task["paths"] if _stays_below(str(path))]
    agent.say(f"reading {len(paths)} files of {task['folder']}")
    _publish(agent, letter, "progress", f"reading {len(paths)} files", {"files": len(paths)})
    if "--pause-once" in agent.args:
        _pause(agent)
    facts = gather(Path(task["folder"]), paths)
    answer = {"survey": task["survey"], "part": task["part"], "files": len(paths), "facts": facts.as_json()}
    write_json(kept, answer)
    return answer


def _publish(agent: ScriptedAgent, letter: Letter, event: str, detail: str, data: dict[str, Any]) -> None:
    """Say how the job goes, if it is one. That it cannot be said, as of one that was cancelled, stops no answer."""
    if letter.job is None:
        return
    try:
        agent.publish(event, detail, data, job=letter.job)
    except ToolError as exc:
        agent.say(f"{event} was not published: {exc}")


def _stays_below(path: str) -> bool:
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts


def _pause(agent: ScriptedAgent) -> None:
    mark = agent.state / PAUSE_MARK
    if mark.exists():
        return
    write_json(mark, {"pid": os.getpid(), "seconds": PAUSE_S})
    agent.say("pausing")
    threading.Event().wait(PAUSE_S)
