"""The facts of a citation for programs."""

import json

from runs.citing.facts import Cited


def as_json(facts: Cited, others: dict) -> str:
    """Return all facts as JSON, with units in the names, and others after them."""
    used, made = facts.amounts, facts.predictions
    counted = {
        "counted": made.counted,
        "counted_by": made.sources,
        "kwh_per_1000": made.kwh_per_1000,
        "emissions_g_per_1000": 1000 * (made.kg_per_1000 or 0.0),
    }
    return json.dumps(
        {
            "model": facts.model.name,
            "project": facts.model.project.name,
            "scope": facts.scope,
            "as_of": facts.as_of.isoformat(),
            "runs": used.runs,
            "runs_failed_cancelled_or_lost": facts.bad_ends,
            "kinds": facts.kinds,
            "first_started_at": facts.first.isoformat(),
            "last_seen_at": facts.last.isoformat(),
            "energy_kwh": used.energy_kwh,
            "energy_low_kwh": used.energy_low_kwh,
            "energy_high_kwh": used.energy_high_kwh,
            "measured_share": used.measured_share,
            "modelled_kwh": used.modelled_kwh,
            "emissions_kg": used.emissions_kg,
            "emissions_low_kg": used.emissions_low_kg,
            "emissions_high_kg": used.emissions_high_kg,
            "final": _final_facts(facts) if facts.finals else None,
            "reestimations": [
                {"on": each.at.date().isoformat(), "energy_kwh": each.energy_kwh, "emissions_kg": each.emissions_kg}
                for each in facts.corrections.told
            ],
            "emission_factors": [
                {"kg_per_kwh": each.kg_per_kwh, "year": each.year, "source": each.source, "url": each.url}
                for each in facts.factors
            ],
            "pue": facts.pues,
            "hardware": facts.hardware,
            "predictions": counted if made.counted else None,
            "training_flop": facts.computation and facts.computation.flop,
        }
        | others,
        ensure_ascii=False,
        indent=2,
    )


def _final_facts(facts: Cited) -> dict:
    """Return the runs that produced the model, and what they used."""
    used = facts.final
    return {
        "run_ids": [str(run.run_id) for run in facts.finals],
        "kinds": [run.kind for run in facts.finals],
        "energy_kwh": used.energy_kwh,
        "energy_low_kwh": used.energy_low_kwh,
        "energy_high_kwh": used.energy_high_kwh,
        "measured_share": used.measured_share,
        "emissions_kg": used.emissions_kg,
        "emissions_low_kg": used.emissions_low_kg,
        "emissions_high_kg": used.emissions_high_kg,
    }
