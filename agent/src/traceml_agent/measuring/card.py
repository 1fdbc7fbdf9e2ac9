"""A run's figures as HTML, which notebooks show: no script, no colours of its own, everything escaped."""

from __future__ import annotations

from html import escape
from string import Template

from traceml_agent import figures
from traceml_agent.measuring.curve import Curve

CARD = Template("""<div role="group" aria-label="$title" style="max-width: 36em; margin: 0.5em 0">
<div><strong>$title</strong> $link</div>
<table style="margin: 0.5em 0; color: inherit; background: transparent">$rows</table>
$chart
</div>""")
ROW = Template(
    '<tr style="background: transparent"><th scope="row" style="text-align: left">$name</th>'
    '<td style="text-align: left">$value</td></tr>'
)
LINK = Template('<a href="$url" style="color: inherit">Open in TraceML</a>')
CHART = Template("""<svg role="img" aria-label="$words" viewBox="0 0 360 72" style="width: 100%; color: inherit">
<title>$words</title>
<line x1="0" y1="52" x2="360" y2="52" stroke="currentColor" stroke-opacity="0.4"/>
<path d="$path" fill="none" stroke="currentColor" stroke-width="1.5" vector-effect="non-scaling-stroke"/>
<g fill="currentColor" font-size="11">
<text x="0" y="10">$most</text><text x="0" y="67">0 s</text><text x="360" y="67" text-anchor="end">$end</text>
</g>
</svg>""")
WIDTH, TOP, HEIGHT = 360.0, 16.0, 36.0


def html(title: str, summary: dict, curve: Curve | None) -> str:
    """The figures of a summary under a title, with its power over time."""
    rows = {
        "Energy": figures.energy_with_range(*(summary[f"energy_{end}kwh"] for end in ("", "low_", "high_"))),
        "Emissions": f"{figures.emissions(summary['emissions_kg'])} CO2e",
        "Measured": figures.share(summary["measured_share"]),
        "Duration": figures.duration(summary["duration_s"]),
        "Devices": ", ".join(dict.fromkeys(device["name"] for device in summary["devices"])),
    }
    return CARD.substitute(
        title=escape(title),
        link=LINK.substitute(url=escape(summary["url"])) if summary["url"] else "",
        rows="".join(ROW.substitute(name=name, value=escape(value)) for name, value in rows.items()),
        chart=_chart(curve) if curve else "",
    )


def _chart(curve: Curve) -> str:
    """Power over time as steps; empty before there are two intervals."""
    powers = curve.powers()
    if len(powers) < 2:
        return ""
    end_s, most_w = powers[-1][1], max(power_w for *_, power_w in powers) or 1.0

    def x(t_s: float) -> str:
        return f"{WIDTH * t_s / end_s:.1f}"

    steps = [
        f"{x(from_s)},{(y := TOP + HEIGHT * (1 - power_w / most_w)):.1f} {x(to_s)},{y:.1f}"
        for from_s, to_s, power_w in powers
    ]
    mean_w = sum((to_s - from_s) * power_w for from_s, to_s, power_w in powers) / (end_s - powers[0][0])
    end, most = figures.duration(end_s), figures.power(most_w)
    words = f"Power over {end}: {figures.power(mean_w)} on average, {most} at most"
    return CHART.substitute(path=f"M {' L '.join(steps)}", words=escape(words), most=escape(most), end=escape(end))
