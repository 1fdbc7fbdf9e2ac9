"""The arrows of docs/architecture.md, read off the import statements."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: A package a screen: its addresses' views, their filters and reads.
SCREENS = [
    "accounts",
    "agent_index",
    "compare",
    "hardware_pages",
    "imports",
    "methodology",
    "model_page",
    "overview",
    "plan",
    "report",
    "run_list",
    "run_page",
    "sharing",
    "start",
    "teams",
]
#: What screens share, and what of each other that may know.
BELOW_THE_SCREENS = {
    "figures": [],
    "selection": ["figures"],
    "exports": ["figures", "selection"],
    "citing": ["figures", "selection", "exports"],
    "web": ["figures", "selection", "exports", "jobs"],
    "thinning": [],
    "ingest": ["thinning"],
    "jobs": ["ingest"],
    "importers": ["ingest", "jobs"],
}
#: Modules of `runs` itself that anybody may know.
PLAIN = [
    "addresses",
    "agent_wheel",
    "left_out",
    "limits",
    "mail",
    "remembering",
    "rights",
    "secret_digests",
    "silence",
    "slugs",
    "sql",
    "text",
]
OTHERS = ["models", "api", "admin", "backup", "demo", "management", "migrations", "scaling", "templatetags"]
#: What knows the screens, so that they can't know it.
ABOVE = {"urls", "admin", "api", "management", "backup", "demo"}
PURE = {"traceml_agent.estimation", "traceml_agent.catalogue", "traceml_agent.limits", "traceml_agent.student"}
PURE |= {"traceml_agent.outputs.wording"}


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


def room_of(name: str) -> str | None:
    """The package or module of `runs` that an imported name is in; None for what is not of `runs`."""
    parts = name.split(".")
    return parts[1] if parts[0] == "runs" and len(parts) > 1 else None


def test_hardware_knows_nothing_of_runs():
    assert offenders(python_files("hardware"), lambda name: name.startswith("runs")) == []


def test_models_import_nothing_that_uses_them():
    assert offenders(python_files("runs/models"), lambda name: room_of(name) not in (None, "models", *PLAIN)) == []


def test_only_the_api_knows_rest_framework():
    files = [path for path in python_files("runs", "hardware", "traceml_site") if "api" not in path.parts]
    assert offenders(files, lambda name: name.startswith(("rest_framework", "drf_spectacular"))) == []


@pytest.mark.parametrize("screen", SCREENS)
def test_a_screen_imports_no_other_screen(screen):
    others = set(SCREENS) - {screen}
    assert offenders(python_files(f"runs/{screen}"), lambda name: room_of(name) in others | ABOVE) == []


@pytest.mark.parametrize(("room", "knows"), BELOW_THE_SCREENS.items())
def test_what_screens_share_knows_only_what_lies_below_it(room, knows):
    known = {None, room, "models", *PLAIN, *knows}
    assert offenders(python_files(f"runs/{room}"), lambda name: room_of(name) not in known) == []


def test_template_tags_that_several_screens_use_know_no_screen():
    assert offenders(python_files("runs/templatetags"), lambda name: room_of(name) in {*SCREENS, *ABOVE}) == []


def test_commands_and_admin_know_no_screen_but_the_accounts():
    files = python_files("runs/management", "runs/admin", "hardware")
    assert offenders(files, lambda name: room_of(name) in {*SCREENS, "urls"} - {"accounts"}) == []


def test_the_site_knows_no_screen_but_by_its_addresses():
    files = [path for path in python_files("traceml_site") if path.name not in ("urls.py", "settings.py")]
    assert offenders(files, lambda name: room_of(name) in {*SCREENS, "api", "urls"}) == []


def test_every_package_of_runs_has_its_place_in_this_test():
    packages = {path.parent.name for path in (ROOT / "runs").glob("*/__init__.py")}
    assert packages == {*SCREENS, *BELOW_THE_SCREENS, *OTHERS, "sql"}
    assert {path.stem for path in (ROOT / "runs").glob("*.py")} == {*PLAIN, "__init__", "apps", "urls"} - {"sql"}


def test_the_portal_takes_only_the_pure_modules_of_the_agent():
    def impure(name):
        return name.startswith("traceml_agent.") and not any(name == p or name.startswith(f"{p}.") for p in PURE)

    assert offenders(python_files("runs", "hardware", "traceml_site"), impure) == []


@pytest.mark.parametrize("folder", ["agent/src"])
def test_the_agent_knows_nothing_of_the_portal(folder):
    portal = ("django", "runs", "hardware", "traceml_site", "rest_framework")
    # A user's Django project is measured like any other service.
    files = [path for path in python_files(folder) if not path.match("integrations/django.py")]
    assert offenders(files, lambda name: name.split(".")[0] in portal) == []
