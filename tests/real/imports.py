"""Lists the modules that the named modules import, directly or not, and the imported modules that are missing.

A container of the image runs it. It reads import statements anywhere in the code, the standard library included.
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


def reachable(*roots: str) -> tuple[set[str], dict[str, str]]:
    """The modules that were found, and those that are missing, each with a module that imports it."""
    found: set[str] = set()
    missing: dict[str, str] = {}
    waiting = [(root, "") for root in roots]
    while waiting:
        name, by = waiting.pop()
        parts = name.split(".")
        for each in (".".join(parts[:length]) for length in range(1, len(parts) + 1)):
            if each in found:
                continue
            at = file_of(each)
            if at is None:
                # A package may create its submodules at run time, as six does with six.moves.
                if each not in sys.builtin_module_names and "." not in each:
                    missing.setdefault(each, by)
                break
            found.add(each)
            if at.suffix == ".py":
                waiting += [(imported, each) for imported in imports(each, at)]
    return found, missing


def file_of(name: str) -> Path | None:
    """The file of a module; None if there is none."""
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
    """The modules that a module's code imports."""
    package = module if at.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(at.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            above = parents[: len(parents) - node.level + 1] if node.level else []
            origin = ".".join([*above, *filter(None, [node.module])])
            yield origin
            yield from (f"{origin}.{each.name}" for each in node.names if file_of(f"{origin}.{each.name}"))


if __name__ == "__main__":
    reached, absent = reachable(*sys.argv[1:])
    sys.stdout.write(json.dumps([sorted(reached), absent]))
