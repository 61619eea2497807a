"""Evaluates tests/nix/eval.nix: without a store, without a network, by one library or the other."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
NIX = shutil.which("nix-instantiate")
LONGEST_S = 15

needs_nix = pytest.mark.skipif(NIX is None, reason="left out: nix-instantiate is not installed")

_COPY = os.environ.get("NIXPKGS_LIB")
LIBRARIES = ("stub", "nixpkgs") if _COPY else ("stub",)
"""Each test of the module runs by our own library, and by nixpkgs' where a copy of it is named."""


@dataclass(frozen=True)
class Nix:
    """An argument that is Nix already."""

    text: str


class NixError(Exception):
    """What nix-instantiate said."""


def evaluate(library: str, attribute: str, *argument: object) -> Any:
    """Give an attribute of eval.nix, or what it makes of an argument, which goes there as JSON where it is not `Nix`.

    Raises:
        NixError: it cannot be evaluated; the message says why.
    """
    assert NIX is not None
    at = "null" if library == "stub" else json.dumps(str(_library(Path(_COPY or ""))))
    call = f"(import {HERE / 'eval.nix'} {{ libPath = {at}; }}).{attribute}"
    for given in argument:
        call += f" ({given.text})" if isinstance(given, Nix) else _nix_string(json.dumps(given, ensure_ascii=False))
    # The store is one that does not exist: nothing is written, whoever runs this.
    options = ["--eval", "--strict", "--json", "--readonly-mode", "--store", "dummy://"]
    done = subprocess.run([NIX, *options, "-E", call], capture_output=True, text=True, timeout=LONGEST_S, check=False)
    if done.returncode:
        raise NixError(done.stderr)
    return json.loads(done.stdout)


def _nix_string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${")
    return f' "{escaped}"'


def _library(copy: Path) -> Path:
    """A checkout holds it in lib/, but it may be named itself."""
    inner = copy / "lib"
    return (inner if (inner / "default.nix").exists() else copy).resolve()
