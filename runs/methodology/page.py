"""The numbers of the methodology page, read from the code that uses them, so that the two can't diverge."""

from runs.figures.equivalences import EQUIVALENCES
from runs.models import EmissionFactor, Pue, Run
from traceml_agent import estimation

MEANINGS = {
    estimation.COUNTER: "The hardware's own energy counter, read at every sample.",
    estimation.SENSOR: "The hardware's power sensor, read once a second and added up over time.",
    estimation.SPLIT: "The run's share of a counter of the whole machine: idle power by cores, the rest by CPU time.",
    estimation.REPORTED: "Calculated by the tool that recorded the run, such as CodeCarbon, in its own way.",
    estimation.MODELLED: "Not measured: calculated by a method such as EcoLogits, for a model behind an API.",
    estimation.TDP: "Not measured: estimated from idle and full-load power of the matching hardware profile.",
    estimation.FALLBACK: "Not measured and not in the catalogue: estimated with the typical power of such a device.",
}


def methodology() -> dict:
    """The emission factor and PUE in force, the ranges of measured energy, and the device classes of estimates."""
    return {
        "factor": EmissionFactor.objects.active(),
        "former_factors": [factor for factor in EmissionFactor.objects.used_by(Run.objects.all()) if not factor.active],
        "pue": Pue.objects.active(),
        "bases": [(basis, meaning, estimation.RANGE_BY_BASIS.get(basis)) for basis, meaning in MEANINGS.items()],
        "classes": estimation.POWER_CLASSES,
        "own_power_range": estimation.OWN_POWER_RANGE,
        "wider_by_estimate": estimation.WIDER_BY_ESTIMATE,
        "j_per_kwh": estimation.J_PER_KWH,
        "equivalences": EQUIVALENCES,
    }
