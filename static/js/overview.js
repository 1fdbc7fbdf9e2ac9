/* Bars over time, stacked by model. */
(function () {
  "use strict";
  const T = TraceCharts;

  function dataset(series, index, data) {
    return {
      label: series.name,
      data: T.scaled(series.values, data.unit),
      backgroundColor: T.seriesColour(index, series.name),
      borderColor: T.colour("--surface"),
      borderWidth: { top: 1 },
      maxBarThickness: 40,
      categoryPercentage: 0.86,
      barPercentage: 1,
    };
  }

  T.each("bars", (data) => ({
    type: "bar",
    data: {
      labels: data.labels.map((label) => T.dayLabel(label, data.axis)),
      datasets: data.series.map((series, index) => dataset(series, index, data)),
    },
    options: T.options(
      data,
      { x: T.axis("", { stacked: true, grid: { display: false } }), y: T.valueAxis(data.unit) },
      (item) => (data.axis === "week" ? "Week of " : "") + item.label,
    ),
  }));
})();
