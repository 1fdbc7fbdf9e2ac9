"""GPUs that are cut into slices: which of them CUDA gives a process, however its list names the board."""

import pytest

from tests.fakes.nvml import found, gpu, uuids
from traceml_agent.sensors import discovery, unmeasured


def test_a_mig_slice_takes_its_sevenths_of_the_boards_energy_and_says_so(gpus, monkeypatch):
    gpus(gpu(0, energy="7000000", slices="2,3"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-000-abc-1")
    (sensor,) = found()
    assert (sensor.facts["share"], sensor.facts["basis"]) == (2 / 7, "sensor")
    assert sensor.read().energy_j == pytest.approx(2000)
    assert "estimate" in sensor.facts["note"]


FIRST, SECOND, WHOLE = "MIG-000-abc-1", "MIG-000-abc-2", "GPU-111-abc"


@pytest.mark.parametrize(
    ("listed", "seen"),
    [
        (None, FIRST),
        ("0", FIRST),
        ("GPU-000-abc", FIRST),
        ("GPU-000", FIRST),
        ("MIG-000-abc-2", SECOND),
        ("MIG-000-abc-2,MIG-000-abc-1", SECOND),
        ("MIG-GPU-000-abc/8/0", SECOND),
        ("MIG-GPU-000/7/0", FIRST),
        ("0,1", FIRST),  # beside a slice CUDA lists no whole GPU
        ("1,0", FIRST),
        ("1", WHOLE),
        ("GPU-111", WHOLE),
        ("", None),
        ("-1", None),
        ("NoDevFiles", None),
        ("MIG-000-abc", None),  # the beginning of two
        ("MIG-000-abc-9", None),
        ("MIG-GPU-000-abc/9/0", None),
        ("MIG-nonsense,0", None),
    ],
)
def test_cuda_gives_a_process_one_slice_however_the_board_is_named(gpus, monkeypatch, listed, seen):
    gpus(gpu(0, slices="2,3"), gpu(1))
    if listed is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    assert uuids() == ([seen] if seen else [])


def test_the_first_slice_of_a_board_takes_its_share_of_the_boards_joules(gpus, monkeypatch):
    gpus(gpu(0, energy="7000000", slices="2,3"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    (sensor,) = found()
    assert (sensor.facts["key"], sensor.facts["share"]) == ("gpu-0.0", 2 / 7)
    assert sensor.read().energy_j == pytest.approx(2000)


def test_a_slice_of_a_card_of_four_is_a_quarter(gpus):
    gpus(gpu(name="NVIDIA A30", slices="1,1,2"))
    assert found()[0].facts["share"] == 1 / 4


def test_of_a_slice_no_utilisation_is_known(gpus):
    gpus(gpu(used="50", slices="2,3"))
    assert found()[0].read().busy_share is None


def test_a_board_with_mig_on_and_no_slice_is_named_as_not_measured(gpus):
    gpus(gpu(slices="0"))
    assert list(discovery.of_accelerators()) == []
    assert [what for what, _ in unmeasured.devices()] == ["NVIDIA GPU"]


def test_the_whole_machine_takes_the_whole_board_of_slices(gpus):
    gpus(gpu(energy="7000000", slices="2,3"))
    (sensor,) = found("machine")
    assert (sensor.facts["key"], sensor.read().energy_j) == ("gpu-0", 7000)
