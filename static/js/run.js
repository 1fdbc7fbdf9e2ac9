/* Power over time: areas stacked by device, a stage as a band behind them. It can be dragged over to see a part of it
   more finely, and grows while the run goes on. */
(function () {
  "use strict";
  const T = TraceCharts;
  const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3]];
  const MOST_BUCKETS = 900;

  /* Each bucket is drawn from edge to edge: Chart.js can step a line, but fills a stacked area under it aslant.
     It stacks what has one x, so a bucket begins a thousandth of a pixel after the end of the one before. */
  function points(values, data) {
    const size = data.axisUnit.size;
    const hair = (data.edges.at(-1) - data.edges[0]) * 1e-6;
    return T.scaled(values, data.unit).flatMap((value, n) => [
      { x: (data.edges[n] + hair) / size, y: value },
      { x: data.edges[n + 1] / size, y: value },
    ]);
  }

  function dataset(series, index, data) {
    const colour = T.seriesColour(index, series.name);
    return {
      label: series.name,
      data: points(series.values, data),
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

  function timeAxis(data) {
    return T.axis("Time since start (" + data.axisUnit.symbol + ")", {
      type: "linear",
      min: data.edges[0] / data.axisUnit.size,
      max: data.edges.at(-1) / data.axisUnit.size,
      grid: { display: false },
    });
  }

  function configure(data, figure) {
    const options = T.options(
      data,
      { x: timeAxis(data), y: T.valueAxis(data.unit, { grace: data.bands.length ? "12%" : 0 }) }, // room for the bands' names
      (item) => T.number(item.parsed.x) + " " + data.axisUnit.symbol,
    );
    options.plugins.zoom = {
      zoom: {
        mode: "x",
        drag: { enabled: true, backgroundColor: T.faded(T.colour("--accent"), 0.2), borderColor: T.colour("--accent"), borderWidth: 1 },
        onZoomComplete: ({ chart }) => dragged(figure, chart, data),
      },
    };
    return { type: "line", data: { datasets: data.series.map((series, index) => dataset(series, index, data)) }, options: options, plugins: [bandsOf(data)] };
  }

  T.each("power", configure);

  /* What follows needs the address that a run's own page gives; a chart without it is only looked at. */
  const figure = document.querySelector('figure[data-chart="power"][data-series]');
  if (!figure) {
    const awaited = document.querySelector("[data-awaited]");
    if (awaited) TraceLive.poll(async () => (await TraceLive.json(awaited.dataset.awaited)).edges.length === 0 || location.reload());
    return;
  }
  const url = figure.dataset.series;
  const words = document.getElementById("span-words");
  const form = document.getElementById("span-form");
  let whole = form.elements.start.value === "" ? T.dataOf(figure) : null; // opened with a part: the whole is fetched when asked for

  function dragged(figure, chart, data) {
    const { min, max } = chart.scales.x;
    const [start, end] = [min, max].map((at) => Number((at * data.axisUnit.size).toPrecision(6)));
    show(start, end, true);
  }

  async function show(start, end, remember) {
    const found = await TraceLive.json(url + "?start=" + start + "&end=" + end);
    if (!found.chart) return;
    const bands = T.dataOf(figure).bands;
    T.replace(figure, { ...found.chart, bands: bands });
    words.textContent = found.words;
    place(start, end, remember);
  }

  async function showWhole(remember) {
    if (!whole) {
      const found = await TraceLive.json(url + "?start=0&end=1e12");
      whole = { ...found.chart, bands: T.dataOf(figure).bands };
    }
    T.replace(figure, whole);
    words.textContent = "";
    place("", "", remember);
  }

  /* The address and the form say what is shown, so that it can be sent on and come back to. */
  function place(start, end, remember) {
    form.elements.start.value = start;
    form.elements.end.value = end;
    const query = start === "" ? "" : "?start=" + start + "&end=" + end;
    if (remember) history.pushState(null, "", location.pathname + query + location.hash);
    document.getElementById("span-reset").hidden = start === "";
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const { start, end } = form.elements;
    show(Number(start.value) || 0, end.value === "" ? 1e12 : Number(end.value), true);
  });
  document.getElementById("span-reset").addEventListener("click", (event) => {
    event.preventDefault();
    showWhole(true);
  });
  addEventListener("popstate", () => {
    const query = new URLSearchParams(location.search);
    if (query.has("start")) show(Number(query.get("start")), query.has("end") ? Number(query.get("end")) : 1e12, false);
    else showWhole(false);
  });

  /* Live */

  function zoomed() {
    return form.elements.start.value !== "" || form.elements.end.value !== "";
  }

  async function grow() {
    const since = whole ? whole.edges.at(-1) : 1e12; // figures alone
    const news = await TraceLive.json(url + "?since=" + since);
    if (whole && news.edges.length) await append(news);
    Object.entries(news.figures).forEach(([name, figure]) => tell(name, figure));
    document.querySelectorAll("[data-seen]").forEach((one) => (one.textContent = news.seen));
    if (news.state !== figure.dataset.state) await TraceLive.refresh(["facts"]);
    figure.dataset.state = news.state;
    if (news.state === "running" || news.state === "lost") return true;
    await TraceLive.refresh(["facts", "figures", "devices", "stages", "calls", "calculation"]);
    return false;
  }

  async function append(news) {
    const same = news.series.length === whole.series.length && news.series.every((one, n) => one.name === whole.series[n].name);
    if (!same || whole.edges.length > MOST_BUCKETS) {
      whole = null;
      if (!zoomed()) await showWhole(false);
      return;
    }
    whole.edges.push(...news.edges.slice(1));
    whole.labels.push(...news.edges.slice(1).map((edge, n) => (edge + news.edges[n]) / 2));
    whole.series.forEach((one, n) => one.values.push(...news.series[n].values));
    whole.axisUnit = news.axisUnit;
    if (!zoomed()) lengthen(T.chartOf(figure));
  }

  /* In place, so that what the reader hid or points at stays. */
  function lengthen(chart) {
    chart.data.datasets.forEach((one, n) => (one.data = points(whole.series[n].values, whole)));
    Object.assign(chart.options.scales.x, timeAxis(whole));
    chart.update("none");
  }

  function tell(name, figure) {
    const place = document.querySelector('[data-figure="' + name + '"]');
    if (!place) return;
    const data = document.createElement("data");
    data.className = "figure";
    data.value = String(figure.value);
    data.title = figure.exact;
    const unit = document.createElement("span");
    unit.className = "unit";
    unit.textContent = figure.unit;
    data.append(figure.number + " ", unit);
    place.replaceChildren(data);
  }

  if (["running", "lost"].includes(figure.dataset.state)) TraceLive.poll(grow);
})();
