"""What GPUs of all makers have in common: which of them are seen, who else uses them, what their figures hold."""

import types

import pytest

from tests.fakes.proc import Tree
from traceml_agent.host import processes
from traceml_agent.host.allocation import Target
from traceml_agent.sensors import discovery, modules, sharing
from traceml_agent.sensors.sharing import NOT_KNOWN, SPLIT, Sharing
from traceml_agent.sensors.visibility import seen

ANOTHER_NAMESPACE = 4026532999
TARGET = Target(100)


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("-1", []),
        ("2,0", [2, 0]),
        ("1,1", [1]),
        ("1,7,0", [1]),
        ("GPU-bb", [1]),
        ("GPU-a", []),  # the beginning of two
        ("MIG-cc-1", [2]),
        ("MIG-GPU-cc/1/0", [2]),
        ("7,8", [0, 1, 2]),  # a host's indices in a container
    ],
)
def test_a_list_leaves_what_the_runtimes_see(listed, found):
    uuids = [("GPU-aa",), ("GPU-bb", "GPU-ab"), ("GPU-cc", "MIG-cc-1", "MIG-cc-2")]
    gpus = {index: types.SimpleNamespace(index=index, uuids=each) for index, each in enumerate(uuids)}
    chosen, _ = seen(listed, gpus)
    assert [gpu.index for gpu in chosen] == found


def test_an_index_stays_the_drivers_where_a_gpu_was_lost():
    kept = types.SimpleNamespace(uuids=())
    assert seen("1", {1: kept}) == ([kept], False)
    assert seen("0", {1: kept}) == ([], False)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACEML_AGENT_ROOT", str(tmp_path))
    monkeypatch.setattr(processes, "_trees", {})
    monkeypatch.setattr(processes, "FRESH_FOR_S", 0.0)
    return Tree(tmp_path)


def shared(pids, uses=None):
    """A Sharing whose GPU has these pids on it, with their uses where they are told."""
    return Sharing(lambda: list(pids), lambda: None if uses is None else list(uses), TARGET)


def test_a_gpu_of_the_job_alone_is_all_the_jobs(tree):
    tree.process(101, 100)
    alone = shared([100, 101], [(100, 30), (101, 0)])
    assert (alone.part(), alone.note) == (1.0, "")


def test_the_jobs_part_is_its_processes_use_over_all(tree):
    tree.process(101, 100)
    tree.process(200, 1)
    beside = shared([100, 101, 200], [(100, 20), (101, 10), (200, 10), (300, 20)])  # 300 draws a desktop
    assert (beside.part(), beside.note) == (0.5, SPLIT)


def test_where_nobody_was_busy_the_part_stays(tree):
    uses = [(100, 30), (200, 10)]
    beside = shared([100, 200], uses)
    beside.part()
    uses[:] = [(100, 0), (200, 0)]
    assert beside.part() == 0.75


def test_before_anybody_was_busy_a_shared_gpu_is_divided_by_the_processes_that_hold_it(tree):
    assert shared([100, 200], []).part() == 0.5
    assert shared([100, 200], [(100, 0), (200, 0)]).part() == 0.5


def test_jobs_that_share_an_idle_gpu_take_together_what_it_draws(tree, monkeypatch):
    """Two jobs, 30 s in which nobody is busy, then one of them is."""
    clock = [0.0]
    monkeypatch.setattr(sharing.time, "monotonic", lambda: clock[0])
    tree.process(200, 1)
    uses: list = []
    jobs = [Sharing(lambda: [100, 200], lambda: list(uses), Target(pid)) for pid in (100, 200)]
    for clock[0] in range(30):
        assert [job.part() for job in jobs] == [0.5, 0.5]
    uses[:] = [(100, 40)]
    assert [job.part() for job in jobs] == [1.0, 0.0]


def test_a_worker_that_began_since_the_last_look_is_no_stranger(tree):
    pids, uses = [100, 200], [(100, 10), (200, 10)]
    beside = shared(pids, uses)
    beside.part()
    tree.process(101, 100)
    pids.append(101)
    uses.append((101, 20))
    assert beside.part() == 0.75


def test_strangers_are_looked_for_now_and_then_alone(tree, monkeypatch):
    clock, looks = [0.0], []
    monkeypatch.setattr(sharing.time, "monotonic", lambda: clock[0])
    quiet = Sharing(lambda: looks.append(1) or [100], lambda: None, TARGET)
    for clock[0] in range(1, 62):
        quiet.part()
    assert len(looks) == 3


def test_a_process_that_the_system_hides_is_a_stranger(tree):
    assert shared([100, 999], [(100, 10), (999, 30)]).part() == 0.25  # no /proc/999


def test_where_use_is_not_told_all_of_it_counts_and_says_so(tree):
    beside = shared([100, 200])
    assert (beside.part(), beside.note) == (1.0, NOT_KNOWN)


@pytest.mark.parametrize(("uses", "part"), [([(100, 10), (0, 30)], 0.25), ([(0, 30)], 0.0)])
def test_in_a_container_pid_0_is_a_stranger(tree, uses, part):
    tree.namespace(ANOTHER_NAMESPACE)
    beside = shared([pid for pid, _ in uses], uses)
    assert (beside.part(), beside.note) == (part, SPLIT)


def test_in_a_container_the_hosts_pids_say_nothing_unless_they_are_more_than_the_jobs_processes(tree):
    tree.namespace(ANOTHER_NAMESPACE)
    tree.process(101, 100)
    few = shared([88001, 88002], [(88001, 10), (88002, 90)])
    assert (few.part(), few.note) == (1.0, "")
    many = shared([88001, 88002, 88003], [(88001, 10), (88002, 90)])
    assert (many.part(), many.note) == (1.0, NOT_KNOWN)


def test_the_server_of_several_clients_is_no_stranger(tree):
    tree.process(300, 1, comm="nvidia-cuda-mps\n")
    server = shared([100, 300])
    assert (server.part(), server.note) == (1.0, "")


def test_a_watched_cgroups_processes_are_the_jobs(tree):
    tree.put("sys/fs/cgroup/job/cgroup.procs", "500\n501\n")
    target = Target(cgroup="/job")
    beside = Sharing(lambda: [500, 501, 200], lambda: [(500, 10), (501, 10), (200, 20)], target)
    assert beside.part() == 0.5


@pytest.mark.parametrize(
    ("name", "is_measured", "replaced"),
    [
        ("NVIDIA GH200 480GB", True, ("cpu-0", "ram")),
        ("NVIDIA GH200 144G HBM3e", False, ("cpu-0", "ram")),
        ("AMD Instinct MI300A", True, ("cpu-0", "ram")),
        ("Orin (nvgpu)", False, ("cpu-0", "ram")),
        ("NVIDIA Thor", False, ("cpu-0", "ram")),
        ("NVIDIA GB10", False, ("cpu-0",)),
        ("NVIDIA GB10", True, ()),  # its sensor is the GPU's alone
        ("NVIDIA GB200", True, ()),
        ("NVIDIA H100 80GB HBM3", True, ()),
        ("AMD Instinct MI300X", True, ()),
    ],
)
def test_a_modules_figure_holds_its_cpu_and_memory(name, is_measured, replaced):
    assert modules.held_by(name, is_measured) == replaced


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("AMD Radeon 780M Graphics", True),
        ("AMD Radeon(TM) Graphics", True),
        ("Radeon 8060S Graphics", True),
        ("AMD Radeon Vega 8 Graphics", True),
        ("AMD Radeon RX 7900 XTX", False),
        ("AMD Radeon RX 6700S", False),
        ("AMD Radeon VII", False),
        ("AMD Radeon Pro W7900", False),
        ("AMD Radeon RX Vega 64", False),
        ("AMD Instinct MI300X", False),
    ],
)
def test_graphics_of_a_processor_are_told_from_cards(name, is_one):
    assert modules.is_integrated(name) == is_one


@pytest.mark.parametrize(
    "fault", ["raise ValueError('broken')", "raise SystemExit(3)", "1 / 0", "import no_such_module"]
)
def test_a_broken_library_is_one_warning_and_the_others_go_on(tree, tmp_path, monkeypatch, caplog, fault):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/libamd_smi.so").touch()
    (tmp_path / "lib/pynvml.py").write_text(fault)
    (tmp_path / "lib/amdsmi.py").write_text(fault)
    monkeypatch.syspath_prepend(tmp_path / "lib")
    for module in ("pynvml", "amdsmi"):
        monkeypatch.delitem(__import__("sys").modules, module, raising=False)
    tree.put("proc/driver/nvidia/version", "")
    tree.put("sys/module/amdgpu/refcnt", "")
    monkeypatch.setattr("traceml_agent.messages._said", {})
    assert list(discovery.of_accelerators()) == []
    said = [record.getMessage() for record in caplog.records]
    assert [text.split()[1] for text in said] == ["nvidia", "amd"]


def test_only_the_first_rank_of_a_host_reports_the_whole_machine(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    counts = []
    for rank in ("0", "1"):
        monkeypatch.setenv("LOCAL_RANK", rank)
        counts.append((len(list(discovery.of_host("machine"))), len(list(discovery.of_host("job")))))
    assert counts == [(2, 2), (0, 2)]
