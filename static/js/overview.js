/* Bars over time, stacked by model, with a line for their running sum; a bar links to its runs. */
(function () {
  "use strict";
  const T = TraceCharts;

  function dataset(series, index, data) {
    const colour = T.seriesColour(series.colour === null ? index : series.colour, series.name);
    return {
      label: series.name,
      data: T.scaled(series.values, data.unit),
      backgroundColor: data.running === null ? colour : (bar) => (bar.dataIndex === data.running ? T.hatched(colour) : colour),
      borderColor: T.colour("--surface"),
      borderWidth: { top: 1 },
      maxBarThickness: 40,
      categoryPercentage: 0.86,
      barPercentage: 1,
      pointStyle: "rect",
      order: 1,
    };
  }

  function line(data) {
    const colour = T.colour("--ink");
    return {
      type: "line",
      label: data.line.name,
      data: T.scaled(data.line.values, data.line.unit),
      yAxisID: "sum",
      stack: "sum",
      borderColor: colour,
      backgroundColor: T.colour("--surface"),
      borderWidth: 1.5,
      borderDash: [5, 3],
      pointStyle: "rectRot",
      pointRadius: data.labels.length > 40 ? 0 : 3,
      pointHoverRadius: 5,
      order: 0,
    };
  }

  function scales(data) {
    const found = { x: T.axis("", { stacked: true, grid: { display: false } }), y: T.valueAxis(data.unit) };
    if (data.line) {
      const right = { position: "right", stacked: false, grid: { display: false } };
      found.sum = T.valueAxis(data.line.unit, right);
      found.sum.title.text = "Cumulative, " + data.line.unit.symbol;
    }
    return found;
  }

  function options(data, runs) {
    const goesOn = (item) => (item.dataIndex === data.running ? ", not over yet" : "");
    const found = T.options(data, scales(data), (item) => (data.axis === "week" ? "Week of " : "") + item.label + goesOn(item));
    if (data.line) {
      const isLine = (item) => item.dataset.yAxisID === "sum";
      const label = found.plugins.tooltip.callbacks.label;
      const footer = found.plugins.tooltip.callbacks.footer;
      found.plugins.tooltip.callbacks.label = (item) =>
        isLine(item) ? " " + item.dataset.label + ": " + T.number(item.parsed.y) + " " + data.line.unit.symbol : label(item);
      found.plugins.tooltip.callbacks.footer = (items) => footer(items.filter((item) => !isLine(item)));
      found.plugins.legend.display = true;
      Object.assign(found.plugins.legend.labels, { usePointStyle: true, pointStyleWidth: 14 });
    }
    if (runs) {
      found.onClick = (event, hits, chart) => follow(chart, event, data, runs);
      found.onHover = (event, hits, chart) => {
        chart.canvas.classList.toggle("leads-on", barAt(chart, event) !== undefined);
      };
    }
    return found;
  }

  /* The bar under the pointer itself, not all bars of its day. */
  function barAt(chart, event) {
    return chart.getElementsAtEventForMode(event, "nearest", { intersect: true }, false).find((hit) => hit.datasetIndex < chart.data.datasets.length && chart.data.datasets[hit.datasetIndex].type !== "line");
  }

  function follow(chart, event, data, runs) {
    const hit = barAt(chart, event);
    if (!hit) return;
    const [since, until] = data.spans[hit.index];
    const key = (data.series[hit.datasetIndex] || {}).key;
    location.href = runs + "since=" + since + "&until=" + until + (key ? "&model=" + encodeURIComponent(key) : "");
  }

  T.each("bars", (data, figure) => ({
    type: "bar",
    data: {
      labels: data.labels.map((label) => T.dayLabel(label, data.axis)),
      datasets: [...data.series.map((series, index) => dataset(series, index, data)), ...(data.line ? [line(data)] : [])],
    },
    options: options(data, figure.dataset.runs),
  }));

  /* While runs are running, the page receives new numbers; the chart is updated like its sentence and table. */
  document.addEventListener("refreshed", () => {
    document.querySelectorAll('figure[data-chart="bars"]').forEach((figure) => {
      const fresh = document.getElementById(figure.dataset.source).textContent;
      if (fresh === JSON.stringify(T.dataOf(figure))) return;
      T.replace(figure, JSON.parse(fresh));
      const words = figure.querySelector("figcaption").firstChild.textContent;
      figure.querySelector("canvas").setAttribute("aria-label", words);
    });
  });
})();
