"""The ranks of a run's job: what those on this host have used together, and which epoch is the last for all."""

from __future__ import annotations

from traceml_agent.host import job
from traceml_agent.host.claims import Claims
from traceml_agent.measuring.summary import Record

#: What of a summary the ranks of a job add up.
TOTALS = ("energy_kwh", "energy_low_kwh", "energy_high_kwh", "emissions_kg", "measured_kwh")


class Ranks:
    """The run's ranks on this host, including this process. `folder` is one that they share."""

    def __init__(self, run_id: str, folder: str):
        self._rank = job.rank()
        self._claims = Claims(run_id, folder if job.size() > 1 else None, job.local_rank())
        self._epochs = self._last_epoch = 0

    def take(self, uuid: str) -> bool:
        """Whether this rank measures the device: no other rank of the run does."""
        return self._claims.take(uuid)

    def tell(self, summary: Record, work: dict[str, float]) -> None:
        """Tell the other ranks what this one has used, and which epoch is the last."""
        self._claims.tell(_totals_of(summary, work) | {"last_epoch": self._last_epoch})

    def add_to(self, summary: Record, work: dict[str, float]) -> None:
        """Add what the other ranks on this host told to this one's summary and work."""
        totals = _totals_of(summary, work)
        for other in self._claims.others(job.local_size()):
            for name in totals:
                totals[name] += other.get(name, 0.0)
        summary.update({name: totals[name] for name in TOTALS if name in summary})
        summary["measured_share"] = totals["measured_kwh"] / summary.energy_kwh if summary.energy_kwh else 0.0
        work.update({name: totals[name] for name in work})
        summary["ranks"] = Record(of=job.size(), here=job.local_size())

    def end_with_the_next_epoch(self, stops: bool) -> bool:
        """Count an epoch. If the budget `stops`, the first rank makes it the last; returns whether it just did.

        All ranks know by the end of that epoch, since they work on it together.
        """
        self._epochs += 1
        if self._rank or not stops or self._last_epoch:
            return False
        self._last_epoch = self._epochs
        return True

    def are_past_the_last_epoch(self) -> bool:
        """Whether the current epoch comes after the last one."""
        told = self._claims.others(job.local_size()) if self._rank else []
        last = max((each.get("last_epoch", 0) for each in told), default=0) or self._last_epoch
        return 0 < last < self._epochs

    def release(self) -> None:
        """Release the devices."""
        self._claims.release()


def _totals_of(summary: Record, work: dict[str, float]) -> dict[str, float]:
    measured_kwh = summary.measured_share * summary.energy_kwh
    return {name: summary.get(name, measured_kwh) for name in TOTALS} | work
