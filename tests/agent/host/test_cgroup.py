"""Cgroups: what one as a target may use and holds, and lists of them that nobody expects."""

import pytest

from tests.fakes.proc import Tree
from traceml_agent.host import allocation
from traceml_agent.host.allocation import Target
from traceml_agent.host.processes import Cgroup


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A built /proc and /sys in which a test puts processes and cgroups."""
    monkeypatch.setenv("TRACEML_AGENT_ROOT", str(tmp_path))
    return Tree(tmp_path)


def test_of_version_1_the_total_of_inactive_pages_is_what_the_kernel_gives_up(tree):
    tree.put("sys/fs/cgroup/cpuacct/job/cpuacct.usage", "1000000000\n")
    tree.put("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "9000000000\n")
    tree.put("sys/fs/cgroup/memory/job/memory.stat", "inactive_file 5\ntotal_inactive_file 2000000000\n")
    assert Cgroup(Target(cgroup="/job")).used_gb() == 7.0


@pytest.mark.parametrize("text", ["", "nonsense", "0:x\n::\n", "0::/job\nnonsense\n"])
def test_a_list_of_cgroups_that_nobody_expects_breaks_nothing(tree, text):
    tree.put("proc/100/cgroup", text)
    assert allocation.allocated_threads(4, target=Target(100)) > 0


def test_a_cgroup_as_target_is_allocated_the_cpus_that_it_may_run_on(tree):
    tree.put("sys/fs/cgroup/pods/a/cpuset.cpus.effective", "0-3,8,10-11\n")
    assert allocation.allocated_threads(64, target=Target(cgroup="/pods/a")) == 7
    tree.put("sys/fs/cgroup/pods/a/b/cpuset.cpus.effective", "\n")
    assert allocation.allocated_threads(64, target=Target(cgroup="/pods/a/b")) == 7


def test_a_cgroup_that_tells_no_memory_holds_an_unknown_amount_and_not_none(tree):
    tree.put("sys/fs/cgroup/job/cpu.stat", "usage_usec 1000000\n")
    with pytest.raises(ValueError, match="reports no memory"):
        Cgroup(Target(cgroup="/job")).used_gb()
