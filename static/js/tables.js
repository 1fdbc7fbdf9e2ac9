/* The sentence and the table of a chart whose data were replaced or grew: as the portal would have written them. */
const TraceTables = (function () {
  "use strict";
  const T = TraceCharts;

  function cell(tag, value, unit) {
    const place = document.createElement(tag);
    if (tag === "td") place.className = "number";
    else place.scope = "row";
    if (value === null || value === undefined) {
      place.innerHTML = '<span class="figure soft" title="not known">–</span>';
      return place;
    }
    const data = document.createElement("data");
    data.className = "figure";
    data.value = data.title = String(value);
    data.textContent = T.number(value / unit.size);
    place.append(data);
    return place;
  }

  function head(name, unit, first) {
    const place = document.createElement("th");
    place.scope = "col";
    if (!first) place.className = "number";
    const symbol = document.createElement("span");
    symbol.className = "unit";
    symbol.textContent = unit.symbol ? "(" + unit.symbol + ")" : "";
    place.append(name + " ", symbol);
    return place;
  }

  function row(cells) {
    const place = document.createElement("tr");
    place.append(...cells);
    return place;
  }

  function sumAt(data, n) {
    return data.series.reduce((sum, one) => sum + (one.values[n] || 0), 0);
  }

  /* Rewrite a chart's table; while it is closed, that can wait. */
  function write(figure, data) {
    const table = figure.querySelector("table");
    const heads = [head(table.querySelector("th").firstChild.textContent.trim(), data.axisUnit, true), ...data.series.map((one) => head(one.name, data.unit))];
    if (data.twin) heads.push(head(data.twin.name + ", all", data.twin.unit));
    const rows = data.labels.map((label, n) => {
      const cells = [cell("th", label, data.axisUnit), ...data.series.map((one) => cell("td", one.values[n], data.unit))];
      if (data.twin) cells.push(cell("td", data.twin.per * sumAt(data, n), data.twin.unit));
      return row(cells);
    });
    table.tHead.replaceChildren(row(heads));
    table.tBodies[0].replaceChildren(...rows);
    if (table.tFoot && data.totals) writeTotals(table.tFoot.rows[0], data.totals);
  }

  function writeTotals(place, totals) {
    const cells = totals.values.map((value) => {
      const unit = T.unitFor([value], totals.scale);
      const written = cell("td", value, unit);
      written.firstChild.append(" " + unit.symbol);
      return written;
    });
    place.replaceChildren(place.cells[0], ...cells);
  }

  const LEAST_SHARE = 0.0001;

  function text(value, scale) {
    const unit = T.unitFor([value], scale);
    if (unit.symbol === "%" && value > 0 && value < LEAST_SHARE) return "<" + T.number(LEAST_SHARE / unit.size) + " %";
    return T.number(value / unit.size) + " " + unit.symbol;
  }

  /* The pattern with the portal's numbers, as runs/run_page/series.py fills it in. */
  function sentence(data) {
    const words = (name, value) => (value === null ? "not known" : name === "time" ? T.span(value) : text(value, name === "twin" ? data.twin.scale : data.scale));
    return data.pattern.replace(/\{(\w+)\}/g, (_, name) => words(name, data.says[name]));
  }

  /* Say in words and as a table what the figure's chart shows by now. */
  function tell(figure, data) {
    const words = data.sentence || sentence(data);
    figure.querySelector("figcaption").textContent = words;
    figure.querySelector("canvas").setAttribute("aria-label", words);
    const details = figure.querySelector("details");
    if (details.open) write(figure, data);
    else details.addEventListener("toggle", () => write(figure, T.dataOf(figure)), { once: true });
  }

  return { tell };
})();
