"""The fixture application stands behind the product's checks, and the runner is pinned. Needs no Node."""

import json
from typing import Any

import httpx2
import pytest

from mcp_tools import http
from tests.conformance.fixture import Fixture, served
from tests.conformance.runner import HERE, expected_failures
from tests.mcp_tools.test_http import ACCEPT, INITIALIZE

RUNNER = "@modelcontextprotocol/conformance"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/mcp", {}, 200),
        ("POST", "/mcp", {"origin": "{own}"}, 200),
        ("POST", "/mcp", {"host": "evil.example"}, 421),
        ("POST", "/mcp", {"host": "localhost"}, 421),
        ("POST", "/mcp", {"origin": "http://evil.example"}, 403),
        ("POST", "/mcp", {"origin": "{own}.evil.example"}, 403),
        ("POST", "/mcp", {"origin": "null"}, 403),
        ("POST", "/mcp", {"authorization": "Bearer wrong"}, 401),
        ("POST", "/", {}, 404),
        ("POST", "/mcp?x=1", {}, 400),
        ("GET", "/mcp", {}, 405),
    ],
)
async def test_the_checks_of_the_product_stand_in_front(
    method: str, path: str, headers: dict[str, str], status: int
) -> None:
    """Ours: what the scenarios show of the fixture they show of the product."""
    async with served(Fixture()) as url, httpx2.AsyncClient(timeout=5) as client:
        own = url.removesuffix(http.PATH)
        filled = {name: value.replace("{own}", own) for name, value in headers.items()}
        response = await client.request(method, own + path, json=INITIALIZE, headers={**ACCEPT, **filled})
    assert response.status_code == status


async def test_the_bound_of_a_body_holds() -> None:
    """Ours: 413, as in the product."""
    async with served(Fixture()) as url, httpx2.AsyncClient(timeout=5) as client:
        body = b"x" * (http.MAX_BODY_BYTES + 1)
        response = await client.post(url, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 413


def test_the_runner_is_pinned_with_all_that_it_needs() -> None:
    """Ours: one exact version, a digest for each package, and nothing that says where it came from."""
    wanted: dict[str, str] = _json("package.json")["devDependencies"]
    packages: dict[str, dict[str, Any]] = _json("package-lock.json")["packages"]
    root = packages.pop("")
    assert root["devDependencies"] == wanted
    assert {f"node_modules/{name}": version for name, version in wanted.items()} == {
        f"node_modules/{RUNNER}": packages[f"node_modules/{RUNNER}"]["version"]
    }
    careless = [name for name, package in packages.items() if not package.get("integrity", "").startswith("sha512-")]
    assert not careless
    assert not [name for name, package in packages.items() if "resolved" in package]


def test_each_expected_failure_has_its_reason() -> None:
    """Ours."""
    reasons = expected_failures()
    assert reasons
    assert all(len(reason) > 40 for reason in reasons.values())


def _json(name: str) -> dict[str, Any]:
    return json.loads((HERE / name).read_bytes())
