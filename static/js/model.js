/* How a model's footprint grew: areas, stacked by kind of use. */
(function () {
  "use strict";
  const T = TraceCharts;
  const PARTS = { Training: "--series-1", Inference: "--series-2", Other: "--series-other" };

  function dataset(series, data) {
    const colour = T.colour(PARTS[series.name]);
    return {
      label: series.name,
      data: T.scaled(series.values, data.unit),
      borderColor: colour,
      backgroundColor: T.faded(colour, 0.25),
      borderWidth: 1.5,
      pointRadius: data.labels.length > 1 ? 0 : 3,
      pointHoverRadius: 4,
      fill: "stack",
    };
  }

  T.each("growth", (data) => ({
    type: "line",
    data: {
      labels: data.labels.map((label) => T.dayLabel(label, data.axis)),
      datasets: data.series.map((series) => dataset(series, data)),
    },
    options: T.options(data, { x: T.axis("", { grid: { display: false } }), y: T.valueAxis(data.unit) }, (item) => item.label),
  }));
})();
