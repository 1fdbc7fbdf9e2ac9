"""The methodology page's numbers, read from the code that uses them, so that page and physics can't drift apart."""

from runs.dashboards.equivalences import EQUIVALENCES
from runs.models import Device, EmissionFactor, Run
from traceml_agent import estimation

MEANINGS = {
    estimation.COUNTER: "The hardware's own energy counter, read at the start and the end.",
    estimation.SENSOR: "The hardware's power sensor, read once a second and added up over time.",
    estimation.TDP: "No measurement: idle and full-load power of the matched hardware profile.",
    estimation.FALLBACK: "No measurement and no match: typical power of a device of this kind and size.",
}


def methodology() -> dict:
    """The factor in force, the ranges by basis, and the shares of TDP where no power was measured."""
    return {
        "factor": EmissionFactor.objects.active(),
        "former_factors": [factor for factor in EmissionFactor.objects.used_by(Run.objects.all()) if not factor.active],
        "ranges": [
            {"basis": basis, "meaning": MEANINGS[basis], "low": low, "high": high}
            for basis, (low, high) in estimation.RANGE_BY_BASIS.items()
        ],
        "shares": [
            (Device.Kind(kind).label, idle, estimation.FULL_LOAD_SHARE_OF_TDP[kind])
            for kind, idle in estimation.IDLE_SHARE_OF_TDP.items()
        ],
        "j_per_kwh": estimation.J_PER_KWH,
        "measured_idle_share": estimation.IDLE_SHARE_OF_TDP["gpu"],
        "equivalences": EQUIVALENCES,
    }
