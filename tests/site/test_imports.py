"""The arrows of docs/architecture.md, read off the import statements."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PURE = {"traceml_agent.estimation", "traceml_agent.catalogue", "traceml_agent.limits", "traceml_agent.student"}


def imports(path: Path) -> set[str]:
    """Modules that a file imports, wherever in it, with the names taken from packages."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def python_files(*folders: str):
    return [
        path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")) if "migrations" not in path.parts
    ]


def offenders(files, forbidden):
    """Files that import a module for which `forbidden` holds, with that module."""
    return [(str(path.relative_to(ROOT)), name) for path in files for name in imports(path) if forbidden(name)]


def test_hardware_knows_nothing_of_runs():
    assert offenders(python_files("hardware"), lambda name: name.startswith("runs")) == []


def test_models_import_no_views_serializers_or_ingest():
    outer = ("runs.api", "runs.pages", "runs.ingest", "runs.dashboards")
    assert offenders(python_files("runs/models"), lambda name: name.startswith(outer)) == []


def test_only_the_api_knows_rest_framework():
    files = [path for path in python_files("runs", "hardware", "traceml_site") if "api" not in path.parts]
    assert offenders(files, lambda name: name.startswith(("rest_framework", "drf_spectacular"))) == []


def test_ingest_knows_no_pages_dashboards_or_api():
    assert offenders(python_files("runs/ingest"), lambda n: n.startswith(("runs.api", "runs.pages", "runs.dash"))) == []


def test_dashboards_know_no_pages_or_api():
    assert offenders(python_files("runs/dashboards"), lambda name: name.startswith(("runs.api", "runs.pages"))) == []


def test_the_portal_takes_only_the_pure_modules_of_the_agent():
    def impure(name):
        return name.startswith("traceml_agent.") and not any(name == p or name.startswith(f"{p}.") for p in PURE)

    assert offenders(python_files("runs", "hardware", "traceml_site"), impure) == []


@pytest.mark.parametrize("folder", ["agent/src"])
def test_the_agent_knows_nothing_of_the_portal(folder):
    portal = ("django", "runs", "hardware", "traceml_site", "rest_framework")
    assert offenders(python_files(folder), lambda name: name.split(".")[0] in portal) == []
