"""What the job was allocated, read from built trees of /proc and /sys."""

import os

import pytest

from traceml_agent import host

CPUINFO = """processor\t: {n}
model name\t: AMD EPYC 7742 64-Core Processor
physical id\t: {socket}
core id\t\t: {core}
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder in the place of `/`, and a way to put files into it."""
    monkeypatch.setenv("TRACEML_AGENT_ROOT", str(tmp_path))
    for name in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE", "SLURM_MEM_PER_NODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)

    def put(path, text):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    return put


def test_hyper_threads_are_no_cores_and_sockets_are_told_apart(root):
    blocks = [CPUINFO.format(n=n, socket=n % 2, core=n // 4) for n in range(8)]
    root("proc/cpuinfo", "\n".join(blocks))
    found = host.processor()
    assert (found.name, found.sockets, found.cores, found.threads) == ("AMD EPYC 7742 64-Core Processor", 2, 4, 8)


def test_without_topology_every_thread_is_a_core(root):
    root("proc/cpuinfo", "processor\t: 0\n\nprocessor\t: 1\n")
    root("proc/device-tree/model", "Raspberry Pi 5 Model B\0")
    found = host.processor()
    assert (found.name, found.cores, found.threads) == ("Raspberry Pi 5 Model B", 2, 2)


def test_affinity_bounds_the_allocation(root):
    assert host.allocated_threads(64) == 8


def test_a_v2_quota_of_any_ancestor_bounds_the_allocation(root):
    root("proc/self/cgroup", "0::/pods/a/b\n")
    root("sys/fs/cgroup/pods/a/b/cpu.max", "max 100000\n")
    root("sys/fs/cgroup/pods/a/cpu.max", "250000 100000\n")
    root("sys/fs/cgroup/pods/cpu.max", "400000 100000\n")
    assert host.allocated_threads(64) == 2.5


def test_a_v1_quota_bounds_the_allocation_even_where_the_mount_hides_the_path(root):
    root("proc/self/cgroup", "4:cpu,cpuacct:/docker/abc\n")
    root("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000\n")
    root("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    assert host.allocated_threads(64) == 1.5


def test_no_quota_is_no_bound(root):
    root("proc/self/cgroup", "4:cpu:/\n")
    root("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    root("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    assert host.cgroup_threads() is None


def test_the_scheduler_bounds_the_allocation(root, monkeypatch):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "4")
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "16384")
    assert host.allocated_threads(64) == 4
    assert host.allocated_gb() == pytest.approx(17.18, abs=0.01)


def test_a_memory_limit_is_an_allocation_and_none_is_none(root):
    root("proc/self/cgroup", "0::/job\n7:memory:/old\n")
    root("sys/fs/cgroup/job/memory.max", "8000000000\n")
    root("sys/fs/cgroup/memory/old/memory.limit_in_bytes", "9223372036854771712\n")
    assert host.allocated_gb() == 8.0
    root("sys/fs/cgroup/job/memory.max", "max\n")
    assert host.allocated_gb() is None
