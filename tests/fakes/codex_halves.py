"""A Codex that comes in two halves, as a program: knows `--help` and `app-server`, and logs in by API key.

Its server notes beside its socket how it was started and what it was told. Started as a window it prints its words. A
variable says how it is otherwise: PLAYS=old (knows no server), mute (never listens), proud (takes no key).
"""

import json
import os
import sys
from pathlib import Path

import anyio

HELP = "codex [OPTIONS]\n  --remote <ADDR>  `ws://host:port` or `unix://PATH`\n"
NOTES = "server.json"


async def serve(path: Path) -> None:
    """Answer everything, and note what was asked for beside the socket."""
    from tests.fakes.websocket import Peer, listening  # noqa: PLC0415  # the path to it is an argument

    told: list[object] = []
    around = {name: os.environ[name] for name in sorted(os.environ) if name.startswith("QUEENPOST_")}
    about = {"words": sys.argv[5:], "told": told, "cwd": str(Path.cwd()), "environment": around, "pid": os.getpid()}

    async def meet(peer: Peer) -> None:
        while True:
            request = json.loads(await peer.recv())
            told.append([request["method"], request.get("params", {})])
            path.with_name(NOTES).write_text(json.dumps(about), encoding="utf-8")
            if "id" in request:
                refused = os.environ.get("PLAYS") == "proud" and request["method"] == "account/login/start"
                answer: dict[str, object] = {"error": {"message": "that is no key"}} if refused else {"result": {}}
                await peer.send(json.dumps({"method": "remoteControl/status/changed", "params": {}}))
                await peer.send(json.dumps({"id": request["id"], **answer}))

    path.with_name(NOTES).write_text(json.dumps(about), encoding="utf-8")
    async with listening(path, meet):
        await anyio.sleep_forever()


def main() -> None:
    """Do as the words say; the first one is where this tree is."""
    sys.path.insert(0, sys.argv[1])
    words = sys.argv[2:]
    if "--help" in words:
        sys.stdout.write("codex [OPTIONS]" if os.environ.get("PLAYS") == "old" else HELP)
    elif words[:2] == ["app-server", "--listen"]:
        if os.environ.get("PLAYS") == "mute":
            sys.exit(3)
        anyio.run(serve, Path(words[2].removeprefix("unix://")))
    else:
        sys.stdout.write(f"{json.dumps(words)}\n")


if __name__ == "__main__":
    main()
