/* What all charts share: theme colours, numbers, axes, redrawing. Pages add the configuration of their charts. */
const TraceCharts = (function () {
  "use strict";
  const COLOURS = 7;
  const drawn = [];
  const shown = new Map();

  /* A custom property may contain light-dark(), which a canvas can't read: let an element resolve it. */
  function colour(name) {
    const probe = document.createElement("span");
    probe.style.color = "var(" + name + ")";
    document.body.append(probe);
    const resolved = getComputedStyle(probe).color;
    probe.remove();
    return resolved;
  }

  function seriesColour(index, name) {
    return colour(name === "Other models" || index >= COLOURS ? "--series-other" : "--series-" + (index + 1));
  }

  /* Stripes of a colour, for an unfinished period. */
  function hatched(rgb) {
    const tile = Object.assign(document.createElement("canvas"), { width: 8, height: 8 });
    const pen = tile.getContext("2d");
    pen.fillStyle = faded(rgb, 0.25);
    pen.fillRect(0, 0, 8, 8);
    pen.strokeStyle = rgb;
    pen.lineWidth = 2.5;
    [-8, 0, 8].forEach((x) => {
      pen.moveTo(x, 8);
      pen.lineTo(x + 8, 0);
    });
    pen.stroke();
    return pen.createPattern(tile, "repeat");
  }

  function faded(rgb, alpha) {
    const parts = rgb.match(/[\d.]+/g).slice(0, 3);
    return "rgba(" + parts.join(", ") + ", " + alpha + ")";
  }

  /* Like units.py: three significant digits (or as many as the unit has), ties away from zero, thousands separators,
     no trailing zeros. */
  const NOISE = 1e-12;

  function number(value, unit) {
    const digits = (unit && unit.digits) || 3;
    const rounded = Number((value * (1 + NOISE)).toPrecision(digits));
    const exact = Math.abs(rounded - value) <= NOISE * Math.abs(value);
    return rounded.toLocaleString("en", { maximumSignificantDigits: digits, minimumSignificantDigits: exact ? 1 : digits });
  }

  /* The text of an axis tick: as short as the number itself. */
  function tick(value) {
    return value.toLocaleString("en", { maximumSignificantDigits: 3 });
  }

  /* Like units.py: the unit in which the largest of the values reads best. */
  function unitFor(values, scale) {
    const largest = Math.max(0, ...values.map((value) => Math.abs(value || 0)));
    const fitting = scale.filter((unit) => Number((largest / unit.size).toPrecision(3)) >= 1);
    if (largest === 0) return scale.find((unit) => unit.size === 1) || scale[0];
    return fitting.at(-1) || scale[0];
  }

  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

  /* Dates as on the page: British English would call the ninth month `Sept`. */
  function dayLabel(iso, axis) {
    const [year, month, day] = iso.split("-").map(Number);
    return axis === "month" ? MONTHS[month - 1] + " " + year : day + " " + MONTHS[month - 1];
  }

  function scaled(values, unit) {
    return values.map((value) => (value === null ? null : value / unit.size));
  }

  function axis(title, extra) {
    return {
      title: { display: Boolean(title), text: title, color: colour("--ink-soft") },
      // Without the bounds, which are as uneven as the data: 11.004 h.
      ticks: { color: colour("--ink-soft"), maxRotation: 0, autoSkipPadding: 16, includeBounds: false },
      grid: { color: colour("--line"), drawTicks: false },
      border: { display: false },
      ...extra,
    };
  }

  function valueAxis(unit, extra) {
    return axis(unit.symbol, { stacked: true, beginAtZero: true, ...extra, ticks: { color: colour("--ink-soft"), callback: tick, maxTicksLimit: 6 } });
  }

  function options(data, scales, title) {
    return {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      scales: scales,
      plugins: {
        legend: {
          display: data.series.length > 1,
          position: "bottom",
          align: "start",
          labels: { color: colour("--ink-soft"), boxWidth: 11, boxHeight: 11, padding: 14 },
        },
        tooltip: {
          backgroundColor: colour("--ink"),
          titleColor: colour("--surface"),
          bodyColor: colour("--surface"),
          footerColor: colour("--surface"),
          filter: (item) => item.raw !== null && (item.raw.y === undefined ? item.raw : item.raw.y) > 0,
          callbacks: {
            title: (items) => (items.length ? title(items[0]) : ""),
            label: (item) => " " + item.dataset.label + ": " + number(item.parsed.y, data.unit) + " " + data.unit.symbol,
            footer: (items) => (items.length > 1 ? "Total: " + number(items.reduce((sum, item) => sum + item.parsed.y, 0)) + " " + data.unit.symbol : ""),
          },
        },
      },
    };
  }

  /* The data of a figure: from the page, until replaced. */
  function dataOf(figure) {
    if (!shown.has(figure)) shown.set(figure, JSON.parse(document.getElementById(figure.dataset.source).textContent));
    return shown.get(figure);
  }

  function chartOf(figure) {
    return drawn.find((one) => one.figure === figure).chart;
  }

  /* The configuration of a figure's chart, to draw it elsewhere. */
  function configured(figure) {
    return drawn.find((one) => one.figure === figure).configure(dataOf(figure), figure);
  }

  function draw(figure, configure) {
    const chart = new Chart(figure.querySelector("canvas"), configure(dataOf(figure), figure));
    drawn.push({ figure: figure, configure: configure, chart: chart });
  }

  /* Replace the data of a figure and draw it. */
  function replace(figure, data) {
    shown.set(figure, data);
    const one = drawn.splice(drawn.findIndex((each) => each.figure === figure), 1)[0];
    one.chart.destroy();
    draw(figure, one.configure);
  }

  /* Draw every chart of a kind; `configure` gives Chart.js's configuration from the chart's data. */
  function each(kind, configure) {
    document.querySelectorAll('figure[data-chart="' + kind + '"]').forEach((figure) => draw(figure, configure));
  }

  function redraw() {
    drawn.splice(0).forEach((one) => {
      one.chart.destroy();
      draw(one.figure, one.configure);
    });
  }

  /* Paper is light: charts use the light theme while the page is printed. */
  function onPaper(printing) {
    const root = document.documentElement;
    if (printing) root.dataset.screenTheme = root.dataset.theme || "";
    root.dataset.theme = printing ? "light" : root.dataset.screenTheme;
    if (!root.dataset.theme) delete root.dataset.theme;
    redraw();
  }

  addEventListener("beforeprint", () => onPaper(true));
  addEventListener("afterprint", () => onPaper(false));

  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.font.size = 12;
  document.addEventListener("themechange", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  return { axis, chartOf, colour, configured, dataOf, dayLabel, each, faded, hatched, number, options, replace, scaled, seriesColour, tick, unitFor, valueAxis };
})();
