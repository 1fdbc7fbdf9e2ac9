"""What the host is called and has, and what of it the job was allocated, read from built trees of /proc and /sys."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from traceml_agent import catalogue
from traceml_agent.host import allocation, cpuinfo, processes, system

CPUINFO = """processor\t: {n}
model name\t: AMD EPYC 7742 64-Core Processor
physical id\t: {socket}
core id\t\t: {core}
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder in the place of `/`, and a way to put files into it."""
    monkeypatch.setenv("TRACEML_AGENT_ROOT", str(tmp_path))
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)

    def put(path, text):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    return put


def test_hyper_threads_are_no_cores_and_sockets_are_told_apart(root):
    blocks = [CPUINFO.format(n=n, socket=n % 2, core=n // 4) for n in range(8)]
    root("proc/cpuinfo", "\n".join(blocks))
    found = cpuinfo.processor()
    assert (found.name, found.sockets, found.cores, found.threads) == ("AMD EPYC 7742 64-Core Processor", 2, 4, 8)


def test_without_topology_every_thread_is_a_core(root):
    root("proc/cpuinfo", "processor\t: 0\n\nprocessor\t: 1\n")
    root("proc/device-tree/model", "Raspberry Pi 5 Model B\0")
    found = cpuinfo.processor()
    assert (found.name, found.cores, found.threads) == ("Raspberry Pi 5 Model B", 2, 2)


ARM = "processor\t: {n}\nBogoMIPS\t: 243.75\nCPU implementer\t: {by}\nCPU part\t: {part}\n"
VENDOR, GRACE = "sys/class/dmi/id/sys_vendor", "sys/devices/soc0/soc_id"


@pytest.mark.parametrize(
    ("by", "part", "beside", "name", "slug"),
    [
        ("0x41", "0xd0c", (VENDOR, "Amazon EC2\n"), "AWS Graviton2", "aws-graviton2"),
        ("0x41", "0xd4f", (VENDOR, "Amazon EC2\n"), "AWS Graviton4", "aws-graviton4"),
        ("0x41", "0xd84", (VENDOR, "Amazon EC2\n"), "AWS Graviton5", "aws-graviton5"),
        ("0x41", "0xd4f", (VENDOR, "Google\n"), "Google Axion", "google-axion"),
        ("0x41", "0xd49", (VENDOR, "Microsoft Corporation\n"), "Azure Cobalt 100", "microsoft-cobalt-100"),
        ("0x41", "0xd84", (VENDOR, "Microsoft Corporation\n"), "Azure Cobalt 200", "microsoft-cobalt-200"),
        ("0x41", "0xd4f", ("proc/driver/nvidia/version", "NVRM\n"), "NVIDIA Grace", "nvidia-grace-cpu"),
        ("0x41", "0xd4f", (GRACE, "jep106:036b:0241\n"), "NVIDIA Grace", "nvidia-grace-cpu"),
        ("0x48", "0xd01", None, "Kunpeng-920", "huawei-kunpeng-920"),
        ("0x41", "0xd0c", None, "Neoverse-N1", None),  # Graviton's and Altra's alike: no model's watts
    ],
)
def test_an_arm_core_is_named_so_that_the_catalogue_knows_it(root, by, part, beside, name, slug):
    root("proc/cpuinfo", "\n".join(ARM.format(n=n, by=by, part=part) for n in range(4)))
    if beside:
        root(*beside)
    found, match = cpuinfo.processor(), catalogue.match(name, "cpu")
    assert (found.name, found.cores, found.threads, match and match.slug) == (name, 4, 4, slug)


def test_an_architecture_is_no_model(root):
    root("proc/cpuinfo", "processor\t: 0\nmodel name\t: ARMv8 Processor rev 1 (v8l)\n")
    assert cpuinfo.processor().name == "ARMv8 Processor rev 1 (v8l)"
    root("proc/device-tree/model", "NVIDIA Jetson AGX Orin Developer Kit\0")
    assert cpuinfo.processor().name == "NVIDIA Jetson AGX Orin Developer Kit"


def test_threads_of_a_core_are_told_apart_where_cpuinfo_names_no_cores(root):
    root("proc/cpuinfo", "\n\n".join(f"processor\t: {n}\ncpu\t\t: POWER9, altivec supported" for n in range(8)))
    root("sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0-3\n")
    found = cpuinfo.processor()
    assert (found.name, found.cores, found.threads) == ("POWER9, altivec supported", 2, 8)


def test_a_hybrid_processor_with_cpus_taken_out_breaks_nothing(root):
    """Performance cores have two threads, efficiency cores one; CPU 1 is off, and CPU 6 tells no core."""
    places = {0: 0, 2: 4, 3: 4, 4: 32, 5: 33}
    blocks = [CPUINFO.format(n=n, socket=0, core=core) for n, core in places.items()]
    root(
        "proc/cpuinfo", "\n".join([*blocks, "processor\t: 6\nmodel name\t: AMD EPYC 7742 64-Core Processor\n", "junk"])
    )
    found = cpuinfo.processor()
    assert (found.sockets, found.cores, found.threads) == (1, 4, 6)


@pytest.mark.parametrize(
    ("text", "count"), [("0-3,8,10", 6), ("5", 1), ("", None), (None, None), ("nonsense", None), ("0-", None)]
)
def test_the_kernels_lists_of_cpus_are_counted(text, count):
    assert system.counted(text) == count


def test_without_proc_the_name_is_the_kernels_by_sysctl(root, tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler: the fake sysctl can't be made")
    source = Path(__file__).parents[2] / "fakes" / "sysctl.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", tmp_path / "sysctl.so", source], check=True)
    code = f"""
import ctypes
ctypes.CDLL({str(tmp_path / "sysctl.so")!r}, mode=ctypes.RTLD_GLOBAL)
from traceml_agent.host import cpuinfo
found = cpuinfo.processor()
print(found.name, found.threads >= found.cores >= 1)
"""
    environment = os.environ | {"TRACEML_AGENT_ROOT": str(tmp_path / "nowhere")}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout == "Apple M3 Max True\n"


def test_where_nothing_tells_a_name_there_is_one_all_the_same(root):
    assert cpuinfo.processor().name


def test_affinity_bounds_the_allocation(root):
    assert allocation.allocated_threads(64) == 8


def test_a_v2_quota_of_any_ancestor_bounds_the_allocation(root):
    root("proc/self/cgroup", "0::/pods/a/b\n")
    root("sys/fs/cgroup/pods/a/b/cpu.max", "max 100000\n")
    root("sys/fs/cgroup/pods/a/cpu.max", "250000 100000\n")
    root("sys/fs/cgroup/pods/cpu.max", "400000 100000\n")
    assert allocation.allocated_threads(64) == 2.5


def test_a_v1_quota_bounds_the_allocation_even_where_the_mount_hides_the_path(root):
    root("proc/self/cgroup", "4:cpu,cpuacct:/docker/abc\n")
    root("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000\n")
    root("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    assert allocation.allocated_threads(64) == 1.5


def test_no_quota_is_no_bound(root):
    root("proc/self/cgroup", "4:cpu:/\n")
    root("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    root("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    assert allocation.cgroup_threads() is None


def test_the_scheduler_bounds_the_allocation(root, monkeypatch):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "4")
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "16384")
    assert allocation.allocated_threads(64) == 4
    assert allocation.allocated_gb() == pytest.approx(17.18, abs=0.01)


@pytest.mark.parametrize(
    ("variables", "megabytes"),
    [
        ({"SLURM_MEM_PER_NODE": "16384"}, 16384),
        ({"SLURM_MEM_PER_NODE": "16G"}, 16384),
        ({"SLURM_MEM_PER_NODE": "1.5t"}, 1.5 * 2**20),
        ({"SLURM_MEM_PER_NODE": "524288K"}, 512),
        ({"SLURM_MEM_PER_NODE": "0"}, None),  # all of the node's
        ({"SLURM_MEM_PER_NODE": "nonsense"}, None),
        ({"SLURM_MEM_PER_CPU": "256", "SLURM_CPUS_ON_NODE": "2"}, 512),
        ({"SLURM_MEM_PER_CPU": "2G", "SLURM_JOB_CPUS_PER_NODE": "16(x3),8"}, 32768),
        ({"SLURM_MEM_PER_CPU": "256"}, 8 * 256),  # of the CPUs that it may run on
        ({"SLURM_MEM_PER_GPU": "8192M", "SLURM_GPUS_ON_NODE": "2"}, 16384),
        ({"SLURM_MEM_PER_GPU": "8G", "SLURM_GPUS_PER_NODE": "a100:2"}, 16384),
        ({"SLURM_MEM_PER_GPU": "8G", "SLURM_JOB_GPUS": "0,3"}, 16384),
        ({"SLURM_MEM_PER_GPU": "8G", "SLURM_JOB_GPUS": "0,2-3"}, 24576),
        ({"SLURM_MEM_PER_GPU": "8G", "SLURM_GPUS": "a100:2"}, 16384),
        ({"SLURM_MEM_PER_GPU": "8G", "SLURM_GPUS": "8", "SLURM_JOB_NUM_NODES": "2"}, None),
        ({"SLURM_MEM_PER_GPU": "8G"}, None),
    ],
)
def test_memory_that_slurm_granted_is_an_allocation_however_it_was_asked_for(root, monkeypatch, variables, megabytes):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found_gb = allocation.allocated_gb()
    assert found_gb == (None if megabytes is None else pytest.approx(megabytes * 2**20 / 1e9))


def test_a_memory_limit_is_an_allocation_and_none_is_none(root):
    root("proc/self/cgroup", "0::/job\n7:memory:/old\n")
    root("sys/fs/cgroup/job/memory.max", "8000000000\n")
    root("sys/fs/cgroup/memory/old/memory.limit_in_bytes", "9223372036854771712\n")
    assert allocation.allocated_gb() == 8.0
    root("sys/fs/cgroup/job/memory.max", "max\n")
    assert allocation.allocated_gb() is None


@pytest.fixture
def rank(root, tmp_path, monkeypatch):
    """Makes this process a rank whose parent is a wrapper with this environment, and whose grandparent a launcher."""
    monkeypatch.setattr(processes.job, "local_size", lambda: 2)
    monkeypatch.setenv("RANK", "1")
    above = [os.getppid(), 70, 1]
    for pid, parent in zip(above, [*above[1:], 0], strict=True):
        root(f"proc/{pid}/stat", f"{pid} (sh) S {parent} 1 1\n")

    def wrapped(environment):
        root(f"proc/{above[0]}/environ", environment)
        root("proc/70/environ", "PATH=/bin\0LOCAL_WORLD_SIZE=2\0")

    return wrapped


@pytest.mark.parametrize(
    ("environment", "found"), [("PATH=/bin\0RANK=1\0", 70), ("PATH=/bin\0WORLD_RANK=1\0", os.getppid())]
)
def test_the_launcher_is_the_nearest_ancestor_that_is_no_rank(rank, environment, found):
    rank(environment)
    assert processes.launcher() == found


def test_a_process_alone_has_no_launcher(rank, monkeypatch):
    rank("RANK=1\0")
    monkeypatch.setattr(processes.job, "local_size", lambda: 1)
    assert processes.launcher() == 0


RANK = """
import os, subprocess, sys
os.sched_setaffinity(0, eval(sys.argv[1]))
code = "import os, sys; os.sched_setaffinity(0, eval(sys.argv[1])); " \\
    "from traceml_agent.host.allocation import Target; " \\
    "from traceml_agent.sensors import cpu; print(cpu.Cpu('job', Target()).facts['threads'])"
settings = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
subprocess.run([sys.executable, "-c", code, sys.argv[2]], env=os.environ | settings, check=True)
"""


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="binding a rank to a core of its own needs two")
@pytest.mark.parametrize(
    ("launcher", "rank", "threads"),
    [("{0}", "{0}", 0.5), ("{0, 1}", "{0}", 1.0)],
    ids=["two ranks share the launcher's core", "each rank is bound to its own"],
)
def test_ranks_divide_the_cores_that_they_were_not_bound_to(launcher, rank, threads):
    words = [sys.executable, "-c", RANK, launcher, rank]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "OMPI"))}
    assert float(subprocess.run(words, env=kept, capture_output=True, text=True, check=True).stdout) == threads
