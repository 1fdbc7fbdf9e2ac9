/* Overlaid runs as lines, distinguished by colour and dash; their energy as stacked bars. */
(function () {
  "use strict";
  const T = TraceCharts;
  const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3], [12, 3], [1, 3], [4, 4], [10, 2, 2, 2]];
  const AXES = { elapsed: "Time since start", share: "Share done", stage: "Stage" };

  /* A mean is valid since the previous label: it is drawn as a step, the first one from the beginning. */
  function isMean(data) {
    return data.quantity === "power" && data.axis !== "stage";
  }

  function points(series, data) {
    const found = T.scaled(series.values, data.unit).map((value, n) => ({ x: data.labels[n] / sizeOf(data), y: value }));
    return isMean(data) ? [{ x: 0, y: found[0].y }, ...found] : found;
  }

  function line(series, index, data) {
    const colour = T.seriesColour(index, series.name);
    return {
      label: series.name,
      data: points(series, data),
      stepped: isMean(data) && "after",
      borderColor: colour,
      backgroundColor: colour,
      borderDash: DASHES[index % DASHES.length],
      borderWidth: 1.75,
      pointRadius: data.axis === "stage" && data.labels.length <= 40 ? 2.5 : 0,
      pointHoverRadius: 3,
      pointStyle: "line",
      spanGaps: false,
    };
  }

  /* Stages are numbers without a unit. */
  function sizeOf(data) {
    return data.axisUnit ? data.axisUnit.size : 1;
  }

  function symbolOf(data) {
    return data.axisUnit ? data.axisUnit.symbol : "";
  }

  function xAxis(data) {
    const title = AXES[data.axis] + (data.axisUnit ? " (" + data.axisUnit.symbol + ")" : "");
    const axis = T.axis(title, { type: "linear", min: data.axis === "stage" ? 1 : 0, max: data.labels.at(-1) / sizeOf(data), grid: { display: false } });
    if (data.axis === "stage") axis.ticks.precision = 0;
    return axis;
  }

  /* Chart.js takes the dash of a legend's line from the points, which have none. */
  function dashedLabels(chart) {
    const labels = Chart.defaults.plugins.legend.labels.generateLabels(chart);
    return labels.map((label) => ({ ...label, lineWidth: 2, lineDash: chart.data.datasets[label.datasetIndex].borderDash }));
  }

  T.each("overlay", (data) => {
    const options = T.options(
      data,
      {
        x: xAxis(data),
        y: T.valueAxis(data.unit, { stacked: false }),
      },
      (item) => (data.axisUnit ? "" : "Stage ") + T.number(item.parsed.x) + " " + symbolOf(data),
    );
    options.plugins.tooltip.callbacks.footer = () => "";
    Object.assign(options.plugins.legend.labels, { usePointStyle: true, pointStyleWidth: 30, generateLabels: dashedLabels });
    return { type: "line", data: { datasets: data.series.map((series, index) => line(series, index, data)) }, options: options };
  });

  T.each("bars", (data) => ({
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
