"""The kernel's tree of RAPL counters as a test lays it down, beside the real /proc."""

import pytest

from traceml_agent.sensors import rapl


@pytest.fixture
def powercap(tmp_path, monkeypatch):
    """A tree with the real /proc and a built /sys/class/powercap; sets a zone's counter in µJ."""
    monkeypatch.setenv("TRACEML_AGENT_ROOT", str(tmp_path))
    (tmp_path / "proc").symlink_to("/proc")

    def zone(folder, name=None, energy_uj=None, range_uj=262_143_328_850):
        place = tmp_path / rapl.POWERCAP / folder
        place.mkdir(parents=True, exist_ok=True)
        if name:
            (place / "name").write_text(f"{name}\n")
            (place / "max_energy_range_uj").write_text(f"{range_uj}\n")
        if energy_uj is not None:
            (place / "energy_uj").write_text(f"{energy_uj}\n")
        return place / "energy_uj"

    return zone
