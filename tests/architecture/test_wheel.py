"""What goes into the wheel: every module and every data file of the product, and nothing else."""

import tomllib
from fnmatch import fnmatch
from typing import Any

from setuptools import find_namespace_packages

from tests.architecture.tree import PRODUCT, ROOT, name_of

NOT_FOR_THE_WHEEL = {".pyc"}


def test_every_file_of_the_product_is_in_the_wheel() -> None:
    """Ours: a query or a prompt that is only in the checkout is missing at the user's."""
    packages = set(_packages())
    patterns: list[str] = _setuptools()["package-data"]["*"]
    left_out = [
        name_of(path)
        for top in PRODUCT
        for path in sorted((ROOT / top).rglob("*"))
        if path.is_file() and path.suffix not in NOT_FOR_THE_WHEEL
        if ".".join(path.parent.relative_to(ROOT).parts) not in packages
        or not (path.suffix == ".py" or any(fnmatch(path.name, pattern) for pattern in patterns))
    ]
    assert not left_out


def test_nothing_but_the_product_is_in_the_wheel() -> None:
    """Ours: tests and benchmarks stay in the checkout."""
    assert {package.split(".")[0] for package in _packages()} == set(PRODUCT)


def _packages() -> list[str]:
    include: list[str] = _setuptools()["packages"]["find"]["include"]
    return find_namespace_packages(str(ROOT), include=include)


def _setuptools() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
