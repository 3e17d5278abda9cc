"""Which modules can be reached from those named, by import statements anywhere in the code, and which are missing.

Run by the image's Python, whose own library it reads, too.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LIBRARY = Path(f"/usr/lib/python{sys.version_info.major}.{sys.version_info.minor}")
PATHS = (Path("/app/src"), Path("/app/lib"), LIBRARY, LIBRARY / "lib-dynload")


def reach(*roots: str) -> tuple[set[str], dict[str, str]]:
    """The modules that were found, and those that were not, each with one that asks for it."""
    found: set[str] = set()
    missing: dict[str, str] = {}
    waiting = [(root, "") for root in roots]
    while waiting:
        name, by = waiting.pop()
        parts = name.split(".")
        for each in (".".join(parts[:length]) for length in range(1, len(parts) + 1)):
            if each in found:
                continue
            at = place(each)
            if at is None:
                # One within a package may be made up as the package runs, as six.moves is.
                if each not in sys.builtin_module_names and "." not in each:
                    missing.setdefault(each, by)
                break
            found.add(each)
            if at.suffix == ".py":
                waiting += [(imported, each) for imported in imports(each, at)]
    return found, missing


def place(name: str) -> Path | None:
    """The file of a module."""
    for path in PATHS:
        at = path / name.replace(".", "/")
        for candidate in (at / "__init__.py", at / "__init__.pyc", at.with_suffix(".py"), at.with_suffix(".pyc")):
            if candidate.is_file():
                return candidate
        extensions = list(at.parent.glob(f"{at.name}.*.so")) if at.parent.is_dir() else []
        if extensions:
            return extensions[0]
    return None


def imports(module: str, at: Path) -> Iterator[str]:
    """What a module's code asks for."""
    package = module if at.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(at.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            above = parents[: len(parents) - node.level + 1] if node.level else []
            origin = ".".join([*above, *filter(None, [node.module])])
            yield origin
            yield from (f"{origin}.{each.name}" for each in node.names if place(f"{origin}.{each.name}"))


if __name__ == "__main__":
    reached, absent = reach(*sys.argv[1:])
    sys.stdout.write(json.dumps([sorted(reached), absent]))
