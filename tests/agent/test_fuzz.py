"""Promise PA1: no public call raises, whatever the arguments, settings, environment or server; few lines on stderr."""

import os
import subprocess
import sys
import textwrap

import pytest

#: 500 calls with values drawn from what people and programs get wrong, in one process that must end as if nothing was.
CALLS = """
    import random, sys
    import traceml_agent as t

    class Hostile:
        def __getattr__(self, name): raise RuntimeError("no")
        def __str__(self): raise RuntimeError("no")
        def __len__(self): return -1
        def __iter__(self): raise RuntimeError("no")
        def __float__(self): raise RuntimeError("no")

    VALUES = [None, True, -1, 0, 1e308, float("nan"), float("inf"), 10**400, "", "x" * 5000, "\\0", "\\ud800", b"\\xff"]
    VALUES += [[], {}, [[[]]], {1: {2: 3}}, {"a": object()}, (), set(), object(), Hostile(), len, lambda: 1, t, int]
    VALUES += ["training", range(3)]
    WORDS = ["url", "token", "interval", "run_id", "flush_s", "spool_mb", "budget_kwh", "on_budget", "x"]
    source = random.Random(int(sys.argv[1]))
    draw = lambda: source.choice(VALUES)
    runs, calls = [t.start("first")], 0
    while calls < 500:
        run = source.choice(runs)
        kind = source.randrange(9)
        calls += 1
        if kind == 0 and len(runs) < 12:
            words = source.sample(WORDS, 3)
            runs.append(t.start(draw(), draw(), draw(), draw(), draw(), **{word: draw() for word in words}))
        elif kind == 1:
            run.log(**{"a": draw(), "samples": draw()})
        elif kind == 2:
            with run.stage(draw()): pass
        elif kind == 3:
            t.watch(draw(), name=draw(), run=draw())
        elif kind == 4:
            run.summary
        elif kind == 5:
            repr(run), run.url, run.over_budget, run.forecast
        elif kind == 6 and len(runs) > 3:
            runs.remove(run); run.stop(draw(), draw())
        elif kind == 7:
            list(run.epochs(range(2), draw()))
        elif kind == 8:
            with t.track(draw() if not callable(draw()) else "x", disabled=True) as inner: inner.log(a=draw())
    for run in runs: run.stop()
    print("unharmed")
"""

FAULTS = {
    "nothing wrong": {},
    "refused": {"TRACEML_AGENT_URL": "http://127.0.0.1:9", "TRACEML_AGENT_TOKEN": "tml_x"},
    "no url at all": {"TRACEML_AGENT_URL": "::::", "TRACEML_AGENT_TOKEN": "tml_x"},
    "http elsewhere": {"TRACEML_AGENT_URL": "http://192.0.2.1", "TRACEML_AGENT_TOKEN": "tml_x"},
    "a token of two lines": {"TRACEML_AGENT_URL": "http://127.0.0.1:9", "TRACEML_AGENT_TOKEN": "a\nb"},
    "no place to write": {"TRACEML_AGENT_SPOOL_DIR": "/proc/x", "XDG_STATE_HOME": "/proc/y", "TMPDIR": "/proc/z"},
    "settings that are none": {
        "TRACEML_AGENT_INTERVAL": "nan",
        "TRACEML_AGENT_FLUSH_S": "x",
        "TRACEML_AGENT_SCOPE": "?",
    },
    "a run id of any text": {"TRACEML_AGENT_RUN_ID": "../../etc/passwd"},
    "no /proc": {"TRACEML_AGENT_ROOT": "/nowhere"},
    "ranks of nonsense": {"RANK": "x", "WORLD_SIZE": "-3", "LOCAL_WORLD_SIZE": "99999999999999999999"},
    "gpus of nonsense": {"CUDA_VISIBLE_DEVICES": "-1,,GPU-\udce9"},
    "no home": {"HOME": "", "XDG_CONFIG_HOME": "relative"},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_five_hundred_calls_of_any_kind_harm_nothing(fault, tmp_path):
    environment = (
        os.environ | {"TRACEML_AGENT_SPOOL_DIR": str(tmp_path / "spool"), "HOME": str(tmp_path)} | FAULTS[fault]
    )
    seed = str(list(FAULTS).index(fault))
    words = [sys.executable, "-c", textwrap.dedent(CALLS), seed]
    done = subprocess.run(
        words, env=environment, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "unharmed\n"), done.stderr[-2000:]
    assert "Traceback" not in done.stderr
