/* Power over time: areas stacked by device, a stage as a band behind them. */
(function () {
  "use strict";
  const T = TraceCharts;
  const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3]];

  /* Labels are the middles of equal buckets from 0 on. Each bucket is drawn from edge to edge: Chart.js can step a line, but
     fills a stacked area under it aslant. */
  function points(values, data) {
    const half = data.labels[0];
    return data.labels.flatMap((at, n) => [at - half, at + half].map((edge) => ({ x: edge / data.axisUnit.size, y: values[n] })));
  }

  function end(data) {
    return (data.labels.length * 2 * data.labels[0]) / data.axisUnit.size;
  }

  function dataset(series, index, data) {
    const colour = T.seriesColour(index, series.name);
    return {
      label: series.name,
      data: points(T.scaled(series.values, data.unit), data),
      borderColor: colour,
      backgroundColor: T.faded(colour, 0.28),
      borderDash: DASHES[index % DASHES.length],
      borderWidth: 1.5,
      pointRadius: 0,
      pointHoverRadius: 3,
      spanGaps: false,
      fill: "stack",
    };
  }

  function drawBand(chart, band, index, size) {
    const { ctx, chartArea: area, scales } = chart;
    const left = Math.max(scales.x.getPixelForValue(band.start / size), area.left);
    const width = Math.min(scales.x.getPixelForValue(band.end / size), area.right) - left;
    if (width <= 0) return;
    if (index % 2 === 0) ctx.fillRect(left, area.top, width, area.height);
    ctx.fillRect(left, area.top, 1, area.height);
    if (ctx.measureText(band.name).width <= width - 8) writeName(ctx, band.name, left + 4, area.top + 12);
  }

  function writeName(ctx, name, x, y) {
    ctx.save();
    ctx.fillStyle = T.colour("--ink-soft");
    ctx.fillText(name, x, y);
    ctx.restore();
  }

  function bandsOf(data) {
    return {
      id: "bands",
      beforeDatasetsDraw(chart) {
        chart.ctx.save();
        chart.ctx.font = "11px " + Chart.defaults.font.family;
        chart.ctx.fillStyle = T.colour("--band");
        data.bands.forEach((band, index) => drawBand(chart, band, index, data.axisUnit.size));
        chart.ctx.restore();
      },
    };
  }

  T.each("power", (data) => ({
    type: "line",
    data: { datasets: data.series.map((series, index) => dataset(series, index, data)) },
    options: T.options(
      data,
      {
        x: T.axis("Time since start (" + data.axisUnit.symbol + ")", { type: "linear", min: 0, max: end(data), grid: { display: false } }),
        y: T.valueAxis(data.unit, { grace: data.bands.length ? "12%" : 0 }), // room for the bands' names
      },
      (item) => T.number(item.parsed.x) + " " + data.axisUnit.symbol,
    ),
    plugins: [bandsOf(data)],
  }));
})();
