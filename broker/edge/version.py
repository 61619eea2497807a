"""Which release of the program this is."""

from importlib.metadata import PackageNotFoundError, version


def program_version() -> str:
    """Give the version of the installed package."""
    try:
        return version("queenpost")
    except PackageNotFoundError:  # run from a tree that was never installed
        return "0+unknown"
