"""Forks, and the work of other threads that they must not divide. Real forks, in processes with few threads."""

import json
import os
import subprocess
import sys

import pytest

from traceml_agent.host import forks

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks")

START = """
import json, os, sys, threading, time

began, may_end = threading.Event(), threading.Event()
between = []  # calls between what the agent does before a fork and the fork

def run_between():
    for call in between:
        call()

os.register_at_fork(before=run_between)  # of several, the first comes last

from traceml_agent.host import forks

def work(kind=forks.undivided):
    with kind():
        began.set()
        may_end.wait(30)

def in_thread(function, *arguments):
    thread = threading.Thread(target=function, args=arguments)
    thread.start()
    return thread

def fork_s():
    since = time.monotonic()
    if not os.fork():
        os._exit(0)
    os.wait()
    return time.monotonic() - since
"""


def told(script: str, **values):
    """What the script says, as JSON. In it, the values have these names."""
    given = "".join(f"{name} = {value!r}\n" for name, value in values.items())
    done = subprocess.run([sys.executable, "-c", START + given + script], capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_fork_waits_until_another_threads_work_is_done():
    took_s = told("""
in_thread(work)
began.wait()
threading.Timer(0.5, may_end.set).start()
print(fork_s())
""")
    assert 0.4 < took_s < 1.9


def test_a_fork_does_not_wait_for_the_work_of_its_own_thread():
    took_s = told("""
with forks.loading(), forks.undivided():
    print(fork_s())
""")
    assert took_s < 1.9


def test_a_driver_that_hangs_costs_the_first_fork_two_seconds_and_the_next_nothing():
    first_s, second_s = told("""
in_thread(work)
began.wait()
print(json.dumps([fork_s(), fork_s()]))
may_end.set()
""")
    assert first_s > 1.9
    assert second_s < 1.9


def test_a_module_of_ours_may_take_longer_than_a_driver():
    took_s = told("""
in_thread(work, forks.loading)
began.wait()
threading.Timer(3, may_end.set).start()
print(fork_s())
""")
    assert took_s > 2.5


def test_no_work_begins_while_a_thread_forks():
    during, after = told("""
seen = []
between += [lambda: in_thread(work), lambda: seen.append(began.wait(0.3))]
fork_s()
seen.append(began.wait(10))
may_end.set()
print(json.dumps(seen))
""")
    assert (during, after) == (False, True)


def test_work_within_work_does_not_wait_for_a_fork_that_waits_for_it():
    took_s = told("""
def outer():
    with forks.loading():
        began.set()
        time.sleep(0.3)
        work()

in_thread(outer)
began.wait()
threading.Timer(0.6, may_end.set).start()
print(fork_s())
""")
    assert took_s < 1.9


#: Raises an exception at a line of a function, as a signal's handler may.
STRIKE = """
class TimeIsUp(Exception):
    pass

code = eval(function).__code__
struck = []

def trace(frame, event, _):
    if frame.f_code is code and not struck and frame.f_lineno - code.co_firstlineno == line:
        struck.append(line)
        raise TimeIsUp
    return trace

def do_work():
    with forks.undivided():
        pass

sys.settrace(trace)
try:
    eval(call)()
except TimeIsUp:
    pass
sys.settrace(None)
assert struck
"""


def do_work():
    with forks.undivided():
        pass


def lines_of(function, call) -> list[tuple[str, int]]:
    """Each line of the function that runs in the call, as the function's name and a number from its first line on."""
    code, found = function.__code__, set()

    def trace(frame, event, _):
        if frame.f_code is code:
            found.add((f"forks.{function.__qualname__}", frame.f_lineno - code.co_firstlineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return sorted(found)


@pytest.mark.parametrize(
    ("function", "line"), [*lines_of(forks.Work.__enter__, do_work), *lines_of(forks.Work.__exit__, do_work)]
)
def test_a_handler_that_raises_at_the_border_of_work_delays_neither_forks_nor_other_work(function, line):
    fork_s, work_has_begun = told(
        STRIKE
        + """
took_s = []
in_thread(lambda: took_s.append(fork_s())).join()
in_thread(work)
print(json.dumps([*took_s, began.wait(1.9)]))
may_end.set()
""",
        function=function,
        line=line,
        call="do_work",
    )
    assert fork_s < 1.9
    assert work_has_begun


@pytest.mark.parametrize(
    ("function", "line"), [*lines_of(forks._before, forks._before), *lines_of(forks._after, forks._after)]
)
def test_a_handler_that_raises_at_the_border_of_a_fork_delays_other_work_by_two_seconds_at_most(function, line):
    first_began, second_began_s = told(
        STRIKE
        + """
in_thread(work)
has_begun = began.wait(10)
may_end.set()
since = time.monotonic()
in_thread(do_work).join()
print(json.dumps([has_begun, time.monotonic() - since]))
""",
        function=function,
        line=line,
        call="fork_s",
    )
    assert first_began
    assert second_began_s < 1.9


def test_a_fork_waits_for_all_that_a_start_loads(tmp_path):
    """Else a child that is forked while a thread starts a run could never load it."""
    unguarded = told(
        """
import traceml_agent

class Finder:
    '''Python asks it first for each module that is not loaded yet.'''
    @staticmethod
    def find_spec(name, path=None, target=None):
        if not any(work.thread == threading.get_ident() for work in forks._in_progress()):
            unguarded.append(name)

unguarded = []
sys.meta_path.insert(0, Finder)
run = traceml_agent.start("model", **settings)
run._sampler._ready.wait(10)
print(json.dumps(unguarded))
""",
        settings={"url": "http://127.0.0.1:9", "token": "tml_x", "spool_dir": str(tmp_path), "devices": "2x TPU v5e"},
    )
    assert unguarded == []
