"""Who may import whom, what an import may pull in, and how long a file may be."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAX_LINES = 400
LOW = {"types", "io", "models", "metrics", "views", "store", "capture", "studies", "jobs"}

# Layer -> the layers it may import. "analytics" is the package's own __init__, which holds
# names only and may be imported by all.
ALLOWED: dict[str, set[str]] = {
    "analytics": set(),
    "types": set(),
    "io": {"types"},
    "models": {"types"},
    "metrics": {"types"},
    "views": {"types"},
    "store": {"types", "io"},
    "capture": {"types", "models"},
    "studies": {"types", "io", "models", "metrics", "store", "capture"},
    "jobs": {"types", "store"},
    "serve": LOW,
    "cli": LOW | {"serve"},
    "pages": LOW | {"serve"},
    "app": LOW | {"serve", "pages"},
}
MAY_SHOW = {"pages", "app"}
HEAVY = ("streamlit", "altair", "umap", "openslide", "vl_convert", "pillow_heif")


@dataclass(frozen=True)
class Import:
    """One imported module, absolute, with the line it stands on."""

    module: str
    line: int


def module_name(path: Path, root: Path = ROOT) -> str:
    """`analytics/io/images.py` -> `analytics.io.images`; a package -> its own name."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(module: str) -> str | None:
    """The layer of a module of ours; None for everybody else's."""
    first, _, rest = module.partition(".")
    if first == "analytics":
        return rest.partition(".")[0] or "analytics"
    return first if first in MAY_SHOW else None


def _absolute(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    kept = parts[: len(parts) - node.level + int(is_package)]
    return ".".join([*kept, *([node.module] if node.module else [])])


def _called(node: ast.Call) -> str | None:
    """The module named by importlib.import_module("x") or __import__("x")."""
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name not in {"import_module", "__import__"} or not node.args:
        return None
    first = node.args[0]
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def imports_of(source: str, module: str, is_package: bool = False) -> list[Import]:
    """Every import in a file: at the top, inside functions, for types only, and by name."""
    found: list[Import] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, module, is_package)
            # `from analytics import io` names the layer only together with the alias.
            names = [
                f"{base}.{alias.name}"
                if base == "analytics" and not alias.name.startswith("_")
                else base
                for alias in node.names
            ]
            found += [Import(name, node.lineno) for name in names]
        elif isinstance(node, ast.Call) and (name := _called(node)):
            found.append(Import(name, node.lineno))
    return found


def violations(source: str, module: str, is_package: bool = False) -> list[str]:
    """What a file imports against the order of the layers, one line each."""
    layer = layer_of(module)
    if layer not in ALLOWED:
        return [f"{module}: the layer {layer!r} has no place in the order; name it in ALLOWED"]
    found = []
    for item in imports_of(source, module, is_package):
        target = layer_of(item.module)
        if item.module.partition(".")[0] == "streamlit" and layer not in MAY_SHOW:
            found.append(f"{module}:{item.line}: imports streamlit below pages")
        elif target not in {None, "analytics", layer} and target not in ALLOWED[layer]:
            found.append(f"{module}:{item.line}: {layer} must not import {item.module}")
    return found


def our_files() -> list[Path]:
    """Every Python file of the engine, the pages and the entry."""
    files = [*(ROOT / "analytics").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]
    return sorted(files) + [path for path in [ROOT / "app.py"] if path.exists()]


def too_long(lines_by_file: dict[str, int]) -> list[str]:
    """Files over the limit, with their length."""
    return [f"{name}: {n} lines" for name, n in lines_by_file.items() if n > MAX_LINES]


def declared(requirements: list[str]) -> set[str]:
    """Normalised names of the distributions that requirement strings name."""
    names = [re.match(r"[A-Za-z0-9._-]+", item) for item in requirements]
    return {re.sub(r"[-_.]+", "-", name.group()).lower() for name in names if name}


def test_imports_follow_the_order_of_the_layers() -> None:
    files = our_files()
    assert len(files) > 10
    found = [
        line
        for path in files
        for line in violations(path.read_text(), module_name(path), path.name == "__init__.py")
    ]
    assert found == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("analytics.io.images", "import streamlit as st"),
        ("analytics.serve.routes", "def f():\n    from streamlit.runtime import get_instance"),
        ("analytics.views.lens", "import importlib\nimportlib.import_module('streamlit')"),
        ("analytics.metrics.hops", "from analytics.io import images"),
        ("analytics.metrics.hops", "from ..models.registry import load_model"),
        ("analytics.views.lens", "import analytics.studies.attend"),
        ("analytics.models.registry", "from analytics import capture"),
        ("analytics.capture.grid", "def f():\n    from analytics.studies import attend"),
        ("analytics.studies.attend", "from analytics.jobs.queue import JobQueue"),
        ("analytics.types", "from .io.images import Limits"),
        ("analytics.serve.routes", "from analytics.cli import main"),
        ("analytics.cli", "import pages.lens"),
        ("analytics.helpers.misc", "import math"),
    ],
)
def test_the_checker_finds_a_breach(module: str, source: str) -> None:
    assert len(violations(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("analytics.io.images", "from analytics.types import Picture\nfrom .fitting import place"),
        ("analytics.studies.attend", "from ..capture import record\nfrom analytics import models"),
        ("analytics.cli", "from analytics import __version__\nimport analytics.serve.state"),
        ("pages.lens", "import streamlit as st\nfrom analytics.studies.attend import attend"),
        ("app", "import streamlit as st\nfrom analytics.serve.routes import routes"),
    ],
)
def test_the_checker_accepts_the_order(module: str, source: str) -> None:
    assert violations(source, module) == []


def test_relative_imports_of_a_package_are_resolved_from_the_package() -> None:
    assert imports_of("from . import images", "analytics.io", is_package=True) == [
        Import("analytics.io", 1)
    ]
    assert imports_of("from ..types import Fit", "analytics.io", is_package=True) == [
        Import("analytics.types", 1)
    ]


def test_what_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [item for extra in project["optional-dependencies"].values() for item in extra]
    names = declared([*project["dependencies"], *extras])
    providers = packages_distributions()
    missing = set()
    for path in our_files():
        module = module_name(path)
        for item in imports_of(path.read_text(), module, path.name == "__init__.py"):
            top = item.module.partition(".")[0]
            if top in sys.stdlib_module_names or layer_of(item.module) is not None:
                continue
            if not declared(providers.get(top, [top])) & names:
                missing.add(f"{module}: {top}")
    assert missing == set()


ENGINE = ("analytics", "analytics.types", "analytics.capture", "analytics.models")


def _python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_engine_stays_light() -> None:
    code = (
        f"import json, sys, {', '.join(ENGINE)}\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    assert json.loads(_python(code)) == []


def test_importing_the_name_alone_pulls_no_torch() -> None:
    code = "import sys, analytics, analytics.types\nprint('torch' in sys.modules)"
    assert _python(code).strip() == "False"


def test_the_engine_imports_where_the_optional_libraries_are_missing() -> None:
    code = (
        f"import sys\nfor name in {HEAVY!r}:\n    sys.modules[name] = None\n"
        f"import {', '.join(ENGINE)}\nprint('imported')"
    )
    assert _python(code).strip() == "imported"


def test_no_file_is_too_long() -> None:
    folders = ("analytics", "pages", "tests", "benchmarks")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    code = [path for path in [*files, ROOT / "app.py"] if path.suffix in {".py", ".js"}]
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in code
        if path.exists()
    }
    assert too_long(lengths) == []


def test_the_length_check_finds_a_long_file() -> None:
    assert too_long({"a.py": MAX_LINES, "b.js": MAX_LINES + 1}) == [f"b.js: {MAX_LINES + 1} lines"]
