"""No class of the portal shares its name with another, and no package is too large to look through."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: Names that Django asks for.
ITS_OWN = {"Command", "DatabaseWrapper", "Meta", "Migration"}
MOST_MODULES = 14
#: A module a table, a migration a release, and a module a tool.
AS_MANY_AS_IT_TAKES = {"runs/models", "runs/migrations", "agent/src/traceml_agent/integrations"}


def modules(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def test_no_class_name_stands_twice():
    homes = defaultdict(list)
    for path in modules("runs", "hardware", "traceml_site"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and node.name not in ITS_OWN:
                homes[node.name].append(str(path.relative_to(ROOT)))
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}


def test_no_package_has_more_modules_than_a_person_looks_through():
    counts = defaultdict(int)
    for path in modules("runs", "hardware", "traceml_site", "agent/src"):
        counts[str(path.parent.relative_to(ROOT))] += path.name != "__init__.py"
    large = {package: count for package, count in counts.items() if count > MOST_MODULES}
    assert set(large) <= AS_MANY_AS_IT_TAKES, large


def test_no_module_is_longer_than_a_person_reads_at_once():
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in modules("runs", "hardware", "traceml_site", "agent/src")
    }
    assert {path: lines for path, lines in lengths.items() if lines > 350 and "/migrations/" not in path} == {}
