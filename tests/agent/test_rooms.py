"""The agent's rooms: which may know which, how large they are, and that no name stands for two things."""

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "agent" / "src"
MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(SOURCE.rglob("*.py"))
}
#: Each room, with those that it may import from. A room's own modules and the modules of the root are open to it.
ROOMS = {
    "catalogue": set(),
    "inputs": {"catalogue"},
    "host": {"inputs"},
    "spool": {"host"},
    "sensors": {"host", "inputs", "catalogue"},
    "measuring": {"sensors", "spool", "host", "inputs"},
    "delivery": {"spool", "host", "inputs"},
    "tracking": {"measuring", "delivery", "sensors", "spool", "host", "inputs", "catalogue"},
    "outputs": {"tracking", "inputs"},
    "watching": set(),
    "integrations": {"outputs", "watching", "tracking", "measuring", "sensors", "inputs", "host"},
    "commands": {
        "integrations",
        "outputs",
        "watching",
        "tracking",
        "delivery",
        "measuring",
        "sensors",
        "spool",
        "host",
        "inputs",
        "catalogue",
    },
}
#: Modules that the portal imports, or that these need.
PURE = [name for name in MODULES if name.startswith("traceml_agent.catalogue")]
PURE += [f"traceml_agent.{name}" for name in ("estimation", "forecasting", "limits", "outputs.wording", "student")]
MOST_MODULES, MOST_LINES = 14, 350
#: A module a package that it is for, as a person looks it up by its name: not a room to keep in view.
BY_NAME = "integrations"
#: What each framework's callback or middleware is called, so that a user who knows one knows all.
SAME_NAMES = {"TraceMLCallback", "TraceMLMiddleware"}


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those below `if TYPE_CHECKING`, which never run."""
    for child in ast.iter_child_nodes(tree):
        if not (isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING"):
            yield child
            yield from nodes(child)


def imports(name: str) -> set[str]:
    """The modules that a module imports, at its head or inside a function."""
    found = set()
    for node in nodes(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name} imports relative to itself"
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inside & MODULES.keys() or {node.module or ""}
    return found


GRAPH = {name: imports(name) & MODULES.keys() - {name} for name in MODULES}


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """The strongly connected components of more than one module: each reaches all others of it."""
    reach = {name: set(others) for name, others in graph.items()}
    for middle in graph:
        for others in reach.values():
            if middle in others:
                others |= reach[middle]
    found = {frozenset(other for other in reach[name] if name in reach[other]) for name in graph if name in reach[name]}
    return [set(circle) for circle in found]


def room_of(name: str) -> str:
    """The room of a module; empty for one of the root."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else ""


def test_a_circle_is_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [{"b", "c"}]


def test_no_modules_import_each_other_in_a_circle():
    assert circles(GRAPH) == []


def test_every_room_is_known():
    assert {path.parent.name for path in SOURCE.glob("traceml_agent/*/__init__.py")} == ROOMS.keys()


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_those_below_it(room):
    used = {room_of(other) for name, others in GRAPH.items() if room_of(name) == room for other in others}
    assert used - {room, ""} <= ROOMS[room]


@pytest.mark.parametrize(
    "folder", [SOURCE / "traceml_agent", *(SOURCE / "traceml_agent" / room for room in ROOMS if room != BY_NAME)]
)
def test_a_package_has_no_more_modules_than_a_person_keeps_in_view(folder):
    assert len([path for path in folder.glob("*.py") if path.name != "__init__.py"]) <= MOST_MODULES


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_short_enough_to_be_read(name):
    assert len(MODULES[name].read_text().splitlines()) < MOST_LINES


def test_the_rooms_load_nothing_by_themselves():
    assert [room for room in ROOMS if room != "catalogue" and MODULES[f"traceml_agent.{room}"].read_text()] == []


def test_no_two_classes_have_the_same_name():
    names = Counter(
        node.name
        for path in MODULES.values()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    )
    assert {name for name, count in names.items() if count > 1} <= SAME_NAMES


#: What they catch comes from other threads or processes than the training's, where Python runs no signal handler.
ELSEWHERE = {"delivery.uploader_process", "watching.engine", "measuring.sampler", "cli"}
PASSES_ON = {"let_handlers_through", "reason_of", "throw", "athrow"}


def keeps_all(handler: ast.ExceptHandler) -> bool:
    """Whether it catches every exception, also one that a signal handler raised, and passes none on."""
    caught = {each.id for each in ast.walk(handler.type or ast.Tuple([])) if isinstance(each, ast.Name)}
    inside = [each for statement in handler.body for each in ast.walk(statement)]
    named = {getattr(each, "id", getattr(each, "attr", "")) for each in inside}
    is_passed_on = named & PASSES_ON or any(isinstance(each, ast.Raise) for each in inside)
    return bool(caught & {"Exception", "BaseException"}) and not is_passed_on


def test_what_catches_every_exception_lets_those_of_signal_handlers_through():
    kept = {
        f"{name}, line {node.lineno}"
        for name in MODULES.keys() - {f"traceml_agent.{each}" for each in ELSEWHERE}
        for node in ast.walk(ast.parse(MODULES[name].read_text()))
        if isinstance(node, ast.ExceptHandler) and keeps_all(node)
    }
    assert kept == set()


@pytest.mark.parametrize("name", PURE)
def test_what_the_portal_imports_needs_the_standard_library_and_each_other_alone(name):
    others = {module for module in imports(name) if module not in PURE}
    assert {module.split(".")[0] for module in others} <= sys.stdlib_module_names
