/* A model: how its footprint grew, and its runs as points by time and by a metric. */
(function () {
  "use strict";
  const T = TraceCharts;
  const PARTS = { Training: "--series-1", Inference: "--series-2", Other: "--series-other" };
  const KINDS = {
    training: { word: "Training", colour: "--series-1", shape: "circle" },
    finetuning: { word: "Finetuning", colour: "--series-4", shape: "rectRot" },
    evaluation: { word: "Evaluation", colour: "--series-3", shape: "triangle" },
    inference: { word: "Inference", colour: "--series-2", shape: "rect" },
    other: { word: "Other", colour: "--series-other", shape: "rectRounded" },
  };
  const HOLLOW = ["failed", "cancelled", "lost"];
  const DAY_MS = 86400000;
  const MOST_DAYS_NAMED = 8;

  function area(series, data) {
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
      datasets: data.series.map((series) => area(series, data)),
    },
    options: T.options(data, { x: T.axis("", { grid: { display: false } }), y: T.valueAxis(data.unit) }, (item) => item.label),
  }));

  const runs = JSON.parse(document.getElementById("runs-data").textContent);

  /* The page sends columns, and the runs of all charts once: there may be hundreds. */
  function unpacked(data) {
    const front = new Set(data.front);
    const points = data.runs.map((run, n) => ({ x: data.x[n], y: data.y[n], front: front.has(n), ...runOf(run) }));
    return { ...data, points };
  }

  function runOf(n) {
    const run = { kind: runs.kinds[n], state: runs.states[n] };
    return runs.url ? { ...run, name: runs.names[n], id: runs.ids[n] } : run;
  }

  function placed(point, data) {
    return { x: data.xUnit ? point.x / data.xUnit.size : point.x * 1000, y: point.y / data.yUnit.size, of: point };
  }

  /* Points of one kind of run: filled if they ended well, hollow if they failed, were cancelled or lost. */
  function kindSet(kind, data) {
    const points = data.points.filter((point) => point.kind === kind);
    const look = KINDS[kind];
    const colour = T.colour(look.colour);
    return {
      label: look.word,
      data: points.map((point) => placed(point, data)),
      pointStyle: look.shape,
      pointRadius: points.map((point) => (point.front ? 6.5 : 4.5)),
      pointHoverRadius: 7,
      clip: 10, // a point at the edge stays whole
      pointBorderWidth: 1.5,
      pointBorderColor: colour,
      backgroundColor: colour, // for the legend
      pointBackgroundColor: points.map((point) => (HOLLOW.includes(point.state) ? "transparent" : T.faded(colour, 0.65))),
    };
  }

  function frontSet(data) {
    const points = data.points.filter((point) => point.front).sort((one, other) => one.x - other.x);
    return {
      type: "line",
      label: "Front",
      data: points.map((point) => placed(point, data)),
      borderColor: T.colour("--ink-soft"),
      borderDash: [6, 4],
      stepped: "before", // nothing better is available until the next run of the front
      borderWidth: 1.5,
      pointRadius: 0,
      pointHitRadius: 0,
      pointStyle: "line",
      order: 1,
    };
  }

  function datasets(data) {
    const kinds = Object.keys(KINDS).filter((kind) => data.points.some((point) => point.kind === kind));
    const sets = kinds.map((kind) => kindSet(kind, data));
    return data.points.some((point) => point.front) ? sets.concat(frontSet(data)) : sets;
  }

  function day(ms) {
    return T.dayLabel(new Date(ms).toISOString().slice(0, 10), "day");
  }

  function xAxis(data) {
    if (data.xUnit) return amountAxis("CO₂e", data.xUnit, data.logarithmic.x, true);
    const days = data.points.map((point) => (point.x * 1000) / DAY_MS);
    const first = Math.floor(Math.min(...days));
    const last = Math.floor(Math.max(...days)) + 1;
    const axis = T.axis("Started", { type: "linear", min: first * DAY_MS, max: last * DAY_MS, grid: { display: false } });
    axis.ticks.callback = day;
    axis.ticks.stepSize = Math.ceil((last - first) / MOST_DAYS_NAMED) * DAY_MS;
    return axis;
  }

  /* An axis of amounts begins at zero; an axis of a metric begins where its values do. */
  function amountAxis(name, unit, isLogarithmic, fromZero) {
    const facts = [unit.symbol, isLogarithmic ? "logarithmic" : ""].filter(Boolean);
    const axis = T.axis(name + (facts.length ? " (" + facts.join(", ") + ")" : ""), { type: isLogarithmic ? "logarithmic" : "linear", beginAtZero: fromZero });
    axis.ticks.callback = T.tick;
    axis.ticks.maxTicksLimit = 8;
    if (isLogarithmic) axis.afterBuildTicks = (scale) => (scale.ticks = scale.ticks.filter((tick) => isRound(tick.value)));
    return axis;
  }

  /* 1, 2, 5, 10, 20 …: a logarithmic axis has more ticks than anyone can read. */
  function isRound(value) {
    return ["1", "2", "5"].includes(value.toExponential(0)[0]) && Number(value.toExponential(0)) === Number(value.toPrecision(6));
  }

  function yAxis(data) {
    return amountAxis(data.yName, data.yUnit, data.logarithmic.y, Boolean(data.yUnit.symbol));
  }

  /* Return the page of the run under the pointer; points on a shared page have no links. */
  function leads(elements, chart) {
    if (!runs.url || !elements.length) return "";
    return runs.url + chart.data.datasets[elements[0].datasetIndex].data[elements[0].index].of.id + "/";
  }

  function scatter(data) {
    const sets = datasets(data);
    const options = T.options({ series: sets, unit: data.yUnit }, { x: xAxis(data), y: yAxis(data) }, () => "");
    options.layout = { padding: { top: 8, right: 8 } };
    options.interaction = { mode: "nearest", intersect: true };
    options.plugins.legend.labels.usePointStyle = true;
    options.plugins.tooltip.filter = (item) => item.dataset.label !== "Front";
    options.plugins.tooltip.callbacks = {
      title: (items) => (items.length ? items[0].raw.of.name || items[0].dataset.label : ""),
      label: (item) => data.yName + " " + T.number(item.parsed.y, data.yUnit) + " " + data.yUnit.symbol,
      afterLabel: (item) => [
        data.xUnit ? "CO₂e " + T.number(item.parsed.x) + " " + data.xUnit.symbol : day(item.parsed.x),
        item.dataset.label + ", " + item.raw.of.state,
      ],
    };
    options.onClick = (event, elements, chart) => {
      const url = leads(elements, chart);
      if (url) location.assign(url);
    };
    options.onHover = (event, elements, chart) => chart.canvas.classList.toggle("leads", Boolean(leads(elements, chart)));
    return { type: "scatter", data: { datasets: sets }, options: options };
  }

  T.each("energies", (data) => scatter(unpacked(data)));
  T.each("tradeoff", (data) => scatter(unpacked(data)));
})();
