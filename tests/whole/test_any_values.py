"""Whatever a training gives the agent, the portal takes what the agent made of it: nothing is refused on arrival."""

import os
import subprocess
import sys

import pytest

from runs.models import Run
from tests import people as cast

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("catalogue")]

#: Calls with values drawn from what people and programs get wrong. What a run is worth shows in its last metric.
CALLS = """
import datetime, decimal, fractions, pathlib, random, sys
import traceml_agent as t

class Hostile:
    def __getattr__(self, name): raise RuntimeError("no")
    def __str__(self): raise RuntimeError("no")
    def __len__(self): return -1
    def __iter__(self): raise RuntimeError("no")
    def __float__(self): raise RuntimeError("no")

class Endless:
    def __iter__(self): return iter([1])
    def __len__(self): raise NotImplementedError

VALUES = [None, True, -1, 0, 2**31, 2**53 + 1, 2**63, 10**400, 0.5, -0.0, 5e-324, 1e308, float("nan"), float("inf")]
VALUES += ["", " ", "x" * 5000, "\\0", "\\ud800", "\\u202e", "e\\u0301" * 300, "\\U0001f600" * 300, b"\\xff"]
VALUES += ["1.5", "training"]
VALUES += [[], {}, [[[]]], {1: {2: 3}}, {"a": object()}, {"k" * 900: 1}, {f"k{n}": "v" * 400 for n in range(300)}]
VALUES += [[f"t{n}" * 90 for n in range(90)], {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": 1}}}}}}}}}]
VALUES += [(), set(), object(), Hostile(), Endless(), len, t, int, range(3), range(sys.maxsize), range(10**30)]
VALUES += [decimal.Decimal("1e400"), fractions.Fraction(1, 3), 1j, datetime.datetime(1, 1, 1), pathlib.Path("/x"), ...]
NAMES = ["loss", "samples", "tokens", "prompt_tokens", "", "x" * 900, "\\0", "\\u202e", "a/b c", "1", "\\ud800"]
source = random.Random(int(sys.argv[1]))
draw = lambda: source.choice(VALUES)

class Model:
    def predict(self, *given, **named): return 1

runs = []
for number in range(8):
    run = t.start(draw(), draw(), draw(), draw(), draw(), quiet=True)
    model = t.watch(Model(), name=draw(), run=run)
    for _ in range(40):
        kind = source.randrange(8)
        if kind == 0: run.log({source.choice(NAMES): draw()}, **{"b": draw()})
        elif kind == 1: run.log(draw())
        elif kind == 2:
            with run.stage(draw(), total=draw()): model.predict(draw(), x=draw())
        elif kind == 3:
            with run.stage(draw()) as stage:
                with run.stage(draw()): pass
                getattr(stage, "rename", print)(draw())
        elif kind == 4: run.log_params(draw())
        elif kind == 5:
            iterable = source.choice([range(sys.maxsize), range(10**30), Endless(), range(2), iter([1])])
            for _ in run.epochs(iterable, draw()): break
        elif kind == 6: run.log(**{name: source.choice([1, 2.5, 2**70]) for name in ("samples", "tokens")})
        elif kind == 7: model.predict([1] * source.randrange(5))
    run.log(reached_the_end=1)
    runs.append(run)
for run in runs:
    run.stop(source.choice(["completed", draw()]), draw())
"""


@pytest.fixture
def python(tmp_path, people, live_server):
    """Runs Python with these words, with a spool of its own and Alice's portal."""
    settings = {
        "TRACEML_AGENT_SPOOL_DIR": str(tmp_path / "spool"),
        "HOME": str(tmp_path),
        "TRACEML_AGENT_URL": live_server.url,
        "TRACEML_AGENT_TOKEN": cast.token(people.project),
    }

    def run(*words: str, **more):
        command = [sys.executable, *words]
        return subprocess.run(command, env=os.environ | settings | more, capture_output=True, text=True, timeout=120)

    return run


@pytest.mark.parametrize("seed", range(3))
def test_the_portal_takes_all_that_the_agent_made_of_any_values(python, seed):
    done = python("-c", CALLS, str(seed), TRACEML_AGENT_URL="")
    assert done.returncode == 0, done.stderr[-2000:]
    told = python("-m", "traceml_agent", "sync", "--all")
    assert told.returncode == 0, told.stdout + told.stderr
    assert "refused" not in told.stdout + told.stderr
    assert Run.objects.filter(metrics__name="reached_the_end").count() == 8


LARGE = """
import traceml_agent
with traceml_agent.track("model", quiet=True) as run:
    for part in ("model", "data", "trainer"):
        run.log_params({part: {f"key {n}": "v" * 300 for n in range(25)}})
"""


def test_large_parameters_that_are_logged_at_once_lose_only_those_beyond_the_limit(python):
    assert python("-c", LARGE).returncode == 0
    assert "refused" not in python("-m", "traceml_agent", "sync").stdout
    run = Run.objects.get()
    assert run.params.keys() == {"model", "data"}
    assert [row["what"] for row in run.left_out] == ["parameter 'trainer'"]
