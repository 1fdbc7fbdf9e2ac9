/* Runs over each other as lines, told apart by colour and dash; their energy as stacked bars. */
(function () {
  "use strict";
  const T = TraceCharts;
  const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3], [12, 3], [1, 3], [4, 4], [10, 2, 2, 2]];
  const AXES = { elapsed: "Time since start", share: "Share done" };

  function line(series, index, data) {
    const colour = T.seriesColour(index, series.name);
    return {
      label: series.name,
      data: T.scaled(series.values, data.unit).map((value, n) => ({ x: data.labels[n] / data.axisUnit.size, y: value })),
      borderColor: colour,
      backgroundColor: colour,
      borderDash: DASHES[index % DASHES.length],
      borderWidth: 1.75,
      pointRadius: 0,
      pointHoverRadius: 3,
      spanGaps: false,
    };
  }

  T.each("overlay", (data) => {
    const options = T.options(
      data,
      {
        x: T.axis(AXES[data.axis] + " (" + data.axisUnit.symbol + ")", { type: "linear", min: 0, max: data.labels.at(-1) / data.axisUnit.size, grid: { display: false } }),
        y: T.valueAxis(data.unit, { stacked: false }),
      },
      (item) => T.number(item.parsed.x) + " " + data.axisUnit.symbol,
    );
    options.plugins.tooltip.callbacks.footer = () => "";
    return { type: "line", data: { datasets: data.series.map((series, index) => line(series, index, data)) }, options: options };
  });

  T.each("kinds", (data) => ({
    type: "bar",
    data: {
      labels: data.labels,
      datasets: data.series.map((series, index) => ({
        label: series.name,
        data: T.scaled(series.values, data.unit),
        backgroundColor: T.seriesColour(index, series.name),
        maxBarThickness: 28,
      })),
    },
    options: T.options(
      data,
      { x: T.axis("", { stacked: true, grid: { display: false }, ticks: { color: T.colour("--ink-soft"), callback: (value, n) => shortened(data.labels[n]) } }), y: T.valueAxis(data.unit) },
      (item) => item.label,
    ),
  }));

  function shortened(name) {
    const signs = [...name];
    return signs.length > 22 ? signs.slice(0, 21).join("") + "…" : name;
  }
})();
