"""Where things lie: root packages come from this tree, and tests mirror it."""

import ast
import importlib
from pathlib import Path

import pytest

from tests.architecture.tree import PRODUCT, ROOT, all_files, name_of, parsed


@pytest.mark.parametrize("package", PRODUCT)
def test_a_root_package_comes_from_this_tree(package: str) -> None:
    """Ours: plain names can be shadowed by anything installed beside them (ADR 0004)."""
    module = importlib.import_module(package)
    assert module.__file__ is not None, f"{package} has no __init__.py, or something else goes by its name"
    assert Path(module.__file__).resolve().parent == ROOT / package


def test_an_init_file_holds_nothing_but_names() -> None:
    """Ours: a docstring, imports and __all__; importing a package does nothing."""
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in all_files()
        if path.name == "__init__.py"
        for node in parsed(path).body
        if not _may_stand_in_init(node)
    ]
    assert not found


def test_every_folder_with_python_is_a_package() -> None:
    """Ours: two test files of one name do not collide, and no folder turns into a namespace package."""
    bare = sorted({name_of(path.parent) for path in all_files() if not (path.parent / "__init__.py").exists()})
    assert not bare


def test_tests_mirror_the_tree() -> None:
    """Ours: a folder below tests/<root package>/ has its counterpart in the product."""
    lost = [
        name_of(folder)
        for package in PRODUCT
        for folder in sorted({path.parent for path in (ROOT / "tests" / package).rglob("*.py")})
        if not (ROOT / folder.relative_to(ROOT / "tests")).is_dir()
    ]
    assert not lost


def test_the_wheel_is_told_of_every_root_package() -> None:
    """Ours: no folder with Python at the root is forgotten, and tests stay out of the wheel."""
    here = {path.parent.name for path in ROOT.glob("*/__init__.py") if not path.parent.name.startswith((".", "build"))}
    assert here == {*PRODUCT, "tests", "benchmarks"}


def _may_stand_in_init(node: ast.stmt) -> bool:
    match node:
        case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Assign(targets=[ast.Name(id="__all__")]):
            return True
        case _:
            return False
