/* Charts of a run: over time, below each other on one axis, and energy against a metric. */
const TraceTime = (function () {
  "use strict";
  const T = TraceCharts;
  const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3]];
  const SIDE = 58; // width of the axis area of each chart, so that equal times are aligned
  const NARROW = { below: 520, side: 54 };
  const MOST_OVER = 2.5; // a level that is this many times higher than the data would flatten it

  /* How each chart differs from the others. */
  const KINDS = {
    power: { stacked: true, stepped: true },
    utilisation: { stacked: false, stepped: true, max: 1 },
    energy: { stacked: true, stepped: false },
    learning: { stacked: false, stepped: false },
  };

  function kindOf(data) {
    return KINDS[data.id] || KINDS.learning;
  }

  /* Each bucket is drawn from edge to edge: Chart.js can step a line, but fills a stacked area below it diagonally.
     It stacks values with the same x, so a bucket begins a thousandth of a pixel after the end of the previous one. */
  function buckets(values, data) {
    const size = data.axisUnit.size;
    const hair = (data.edges.at(-1) - data.edges[0]) * 1e-6;
    return T.scaled(values, data.unit).flatMap((value, n) => [
      { x: (data.edges[n] + hair) / size, y: value },
      { x: data.edges[n + 1] / size, y: value },
    ]);
  }

  function points(values, data) {
    if (kindOf(data).stepped) return buckets(values, data);
    return T.scaled(values, data.unit).map((value, n) => ({ x: data.labels[n] / data.axisUnit.size, y: value }));
  }

  function line(series, index, data) {
    const colour = T.seriesColour(index, series.name);
    const { stacked } = kindOf(data);
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
      fill: stacked ? "stack" : false,
    };
  }

  /* From the lowest to the highest sample of each bucket; for stacked areas only if a single series is shown. */
  function band(series, index, data) {
    if (!series.lows || (kindOf(data).stacked && data.series.length > 1)) return [];
    const edge = { band: true, borderWidth: 0, pointRadius: 0, pointHoverRadius: 0, stack: "band", fill: false };
    return [
      { ...edge, label: series.name, stack: "low" + index, data: points(series.lows, data) },
      { ...edge, label: series.name, stack: "high" + index, data: points(series.highs, data), fill: "-1", backgroundColor: T.faded(T.seriesColour(index, series.name), 0.16) },
    ];
  }

  function datasets(data) {
    return [...data.series.map((series, index) => line(series, index, data)), ...data.series.flatMap((series, index) => band(series, index, data))];
  }

  function heightOf(data) {
    if (!kindOf(data).stacked) return Math.max(0, ...data.series.flatMap((one) => [...one.values, ...(one.highs || [])]).map((value) => value || 0));
    const alone = data.series.length === 1 && data.series[0].highs;
    return Math.max(0, ...data.labels.map((_, n) => data.series.reduce((sum, one) => sum + ((alone ? one.highs[n] : one.values[n]) || 0), 0)));
  }

  function scalesOf(data, figure) {
    const side = sideOf(figure);
    const height = heightOf(data);
    const { max } = kindOf(data);
    const levels = data.marks.map((mark) => mark.value).filter((value) => value <= MOST_OVER * height);
    const top = max || Math.max(1.08 * height, ...levels.map((value) => 1.06 * value)) || 1;
    const value = (unit, size, extra) => T.valueAxis(unit, { stacked: false, min: 0, max: size / unit.size, afterFit: (scale) => (scale.width = side), ...extra });
    const scales = { x: timeAxis(data), y: value(data.unit, top, { stacked: kindOf(data).stacked }) };
    scales.y.ticks.includeBounds = Boolean(max);
    if (data.twin) scales.twin = twinAxis(data, top, value);
    return scales;
  }

  /* The same curve in another quantity, with an axis on the right. */
  function twinAxis(data, top, value) {
    const axis = value(data.twin.unit, top * data.twin.per, { position: "right", grid: { display: false } });
    axis.title.text = data.twin.name + " (" + data.twin.unit.symbol + ")";
    axis.ticks.includeBounds = false;
    return axis;
  }

  function timeAxis(data) {
    return T.axis("Time since start (" + data.axisUnit.symbol + ")", {
      type: "linear",
      min: data.edges[0] / data.axisUnit.size,
      max: data.edges.at(-1) / data.axisUnit.size,
      grid: { display: false },
    });
  }

  function sideOf(figure) {
    return figure.clientWidth && figure.clientWidth < NARROW.below ? NARROW.side : SIDE;
  }

  /* What lies behind and over the lines */

  function drawBand(chart, each, index, size, named) {
    const { ctx, chartArea: area, scales } = chart;
    const left = Math.max(scales.x.getPixelForValue(each.start / size), area.left);
    const width = Math.min(scales.x.getPixelForValue(each.end / size), area.right) - left;
    if (width <= 0) return;
    if (index % 2 === 0) ctx.fillRect(left, area.top, width, area.height);
    ctx.fillRect(left, area.top, 1, area.height);
    if (named && ctx.measureText(each.name).width <= width - 8) write(ctx, each.name, left + 4, area.top - 5);
  }

  /* With an outline in the background colour, so that it can be read over lines and areas. */
  function write(ctx, text, x, y, align) {
    ctx.save();
    ctx.textAlign = align || "left";
    ctx.lineJoin = "round";
    ctx.lineWidth = 3;
    ctx.strokeStyle = T.colour("--surface");
    ctx.strokeText(text, x, y);
    ctx.fillStyle = T.colour("--ink-soft");
    ctx.fillText(text, x, y);
    ctx.restore();
  }

  function dashed(ctx, from, to) {
    ctx.save();
    ctx.strokeStyle = T.colour("--ink-soft");
    ctx.setLineDash([5, 4]);
    ctx.beginPath();
    ctx.moveTo(...from);
    ctx.lineTo(...to);
    ctx.stroke();
    ctx.restore();
  }

  function drawLevel(chart, mark, data) {
    const { ctx, chartArea: area, scales } = chart;
    const y = scales.y.getPixelForValue(mark.value / data.unit.size);
    if (y < area.top || y > area.bottom) return;
    dashed(ctx, [area.left, y], [area.right, y]);
    write(ctx, mark.name + " " + T.number(mark.value / data.unit.size) + " " + data.unit.symbol, area.right - 4, y + 13, "right");
  }

  function drawMoment(chart, mark, data, named) {
    const { ctx, chartArea: area, scales } = chart;
    const x = scales.x.getPixelForValue(mark.value / data.axisUnit.size);
    if (x < area.left || x > area.right) return;
    dashed(ctx, [x, area.top], [x, area.bottom]);
    if (!named) return;
    const right = x + ctx.measureText(mark.name).width + 8 < area.right;
    write(ctx, mark.name, right ? x : x + 4, area.top - 5, right ? "left" : "right");
  }

  function annotations(data, named) {
    return {
      id: "annotations",
      beforeDatasetsDraw(chart) {
        chart.ctx.save();
        chart.ctx.font = "11px " + Chart.defaults.font.family;
        chart.ctx.fillStyle = T.colour("--band");
        data.bands.forEach((each, index) => drawBand(chart, each, index, data.axisUnit.size, named));
        chart.ctx.restore();
      },
      afterDatasetsDraw(chart) {
        chart.ctx.save();
        chart.ctx.font = "11px " + Chart.defaults.font.family;
        data.marks.forEach((mark) => drawLevel(chart, mark, data));
        data.moments.forEach((mark) => drawMoment(chart, mark, data, !KINDS[data.id].stacked));
        chart.ctx.restore();
      },
    };
  }

  /* The time pointed at in one chart is marked in all charts. */
  let pointed = null;

  function pointer(data) {
    return {
      id: "pointer",
      afterEvent(chart, args) {
        const away = args.event.type === "mouseout" || !args.inChartArea;
        const at = away ? null : chart.scales.x.getValueForPixel(args.event.x) * data.axisUnit.size;
        if (at === pointed) return;
        pointed = at;
        args.changed = true;
        document.querySelectorAll('figure[data-chart="time"] canvas').forEach((canvas) => {
          const other = Chart.getChart(canvas);
          if (other && other !== chart) other.draw();
        });
      },
      afterDatasetsDraw(chart) {
        const { ctx, chartArea: area, scales } = chart;
        const x = pointed === null ? -1 : scales.x.getPixelForValue(pointed / data.axisUnit.size);
        if (x < area.left || x > area.right) return;
        ctx.save();
        ctx.fillStyle = T.colour("--line-strong");
        ctx.fillRect(x, area.top, 1, area.height);
        ctx.restore();
      },
    };
  }

  /* One line of the tooltip: the mean, and the samples between which it lies. */
  function told(item, data) {
    const series = data.series[item.datasetIndex];
    const at = kindOf(data).stepped ? Math.floor(item.dataIndex / 2) : item.dataIndex;
    const [low, high] = [series.lows, series.highs].map((column) => column && column[at]);
    const range = low === null || low === undefined ? "" : " (" + T.number(low / data.unit.size) + "–" + T.number(high / data.unit.size) + ")";
    return " " + series.name + ": " + T.number(item.parsed.y, data.unit) + range + " " + data.unit.symbol;
  }

  function footer(items, data) {
    if (!kindOf(data).stacked) return "";
    const sum = items.reduce((sum, item) => sum + item.parsed.y, 0);
    const together = items.length > 1 ? ["Total: " + T.number(sum) + " " + data.unit.symbol] : [];
    if (data.twin) together.push(data.twin.name + ": " + T.number((sum * data.unit.size * data.twin.per) / data.twin.unit.size) + " " + data.twin.unit.symbol);
    return together;
  }

  function configure(data, figure) {
    const options = T.options(data, scalesOf(data, figure), (item) => T.number(item.parsed.x) + " " + data.axisUnit.symbol);
    const named = kindOf(data) === KINDS.power;
    const above = named ? data.bands : KINDS[data.id].stacked ? [] : data.moments; // named above the chart
    options.layout = { padding: { top: above.length ? 18 : 4, right: data.twin ? 0 : sideOf(figure) } };
    options.plugins.legend.display = named && data.series.length > 1; // the charts below use the same colours
    options.plugins.legend.labels.filter = (item, chart) => !chart.datasets[item.datasetIndex].band;
    options.plugins.tooltip.filter = (item) => !item.dataset.band && item.raw.y !== null;
    options.plugins.tooltip.callbacks.label = (item) => told(item, data);
    options.plugins.tooltip.callbacks.footer = (items) => footer(items, data);
    if (figure.closest("[data-series]")) {
      options.plugins.zoom = {
        zoom: {
          mode: "x",
          drag: { enabled: true, backgroundColor: T.faded(T.colour("--accent"), 0.2), borderColor: T.colour("--accent"), borderWidth: 1 },
          onZoomComplete: ({ chart }) => chosen(figure, chart, data),
        },
      };
    }
    return { type: "line", data: { datasets: datasets(data) }, options: options, plugins: [annotations(data, named), pointer(data)] };
  }

  function chosen(figure, chart, data) {
    const [start, end] = [chart.scales.x.min, chart.scales.x.max].map((at) => Number((at * data.axisUnit.size).toPrecision(6)));
    figure.dispatchEvent(new CustomEvent("spanchosen", { bubbles: true, detail: { start, end } }));
  }

  T.each("time", configure);

  T.each("learning", (data) => {
    const options = T.options(
      data,
      {
        x: T.axis("Energy used (" + data.axisUnit.symbol + ")", { type: "linear", min: 0, grid: { display: false } }),
        y: { ...T.valueAxis(data.unit, { stacked: false, beginAtZero: false, grace: "6%" }), title: { display: true, text: data.series[0].name.slice(0, 40), color: T.colour("--ink-soft") } },
      },
      (item) => T.number(item.parsed.x) + " " + data.axisUnit.symbol,
    );
    options.plugins.tooltip.filter = (item) => item.raw.y !== null;
    options.plugins.tooltip.callbacks.footer = () => "";
    options.layout = { padding: { top: 18 } };
    const shown = data.series.map((series, index) => ({
      ...line(series, index, data),
      stepped: index === 1,
      pointRadius: index === 0 && data.labels.length <= 60 ? 2.5 : 0,
    }));
    return { type: "line", data: { datasets: shown }, options: options, plugins: [annotations(data, true)] };
  });

  return { datasets, scalesOf };
})();
