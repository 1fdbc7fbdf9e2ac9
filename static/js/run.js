/* A run's page: the charts over time show one part of it, selected with the mouse, the form or a stage's link, and
   grow while the run continues. */
(function () {
  "use strict";
  const T = TraceCharts;
  const MOST_BUCKETS = 900;
  const END = 1e12;
  const POLLS_A_REFRESH = 6;
  const SECTIONS = ["facts", "left-out", "devices", "stages", "outlook", "events"];
  const SECTIONS_AT_END = [...SECTIONS, "figures", "calls", "calculation", "finding"];

  const section = document.querySelector("#over-time[data-series]");
  if (!section) {
    const awaited = document.querySelector("[data-awaited]");
    if (awaited) TraceLive.poll(() => untilNews(awaited));
    return;
  }

  /* A run without figures: reload the page when it has some, has ended without any, is lost, or has been found
     again. */
  async function untilNews(awaited) {
    const news = await TraceLive.json(awaited.dataset.awaited);
    if (news.edges.length === 0 && news.state === awaited.dataset.state) return true;
    location.reload();
    return false;
  }

  const url = section.dataset.series;
  const figures = [...section.querySelectorAll('figure[data-chart="time"]')];
  const words = document.getElementById("span-words");
  const form = document.getElementById("span-form");
  const frames = new Map(figures.map((figure) => [T.dataOf(figure).id, (({ bands, moments }) => ({ bands, moments }))(T.dataOf(figure))]));
  const tableOf = (figure) => figure.querySelector("details");
  const someTableIsOpen = () => figures.some((figure) => tableOf(figure).open);
  figures.forEach((figure) => (T.dataOf(figure).sentence = figure.querySelector("figcaption").textContent));
  // If the page was opened with a part, the whole is fetched on request.
  let whole = zoomed() ? null : new Map(figures.map((figure) => [T.dataOf(figure).id, T.dataOf(figure)]));
  let latest = 0; // of several requests only the last one counts
  let tablesAreOld = false; // tables are not updated while they are closed

  function zoomed() {
    return form.elements.start.value !== "" || form.elements.end.value !== "";
  }

  function draw(charts, tables) {
    figures.forEach((figure) => {
      const data = charts.get(T.dataOf(figure).id);
      T.replace(figure, data);
      tell(figure, data);
    });
    tablesAreOld = !tables;
    if (tables) fill(tables);
  }

  function tell(figure, data) {
    figure.querySelector("figcaption").textContent = data.sentence;
    figure.querySelector("canvas").setAttribute("aria-label", data.sentence);
  }

  function fill(tables) {
    const made = new DOMParser().parseFromString(tables, "text/html");
    figures.forEach((figure) => figure.querySelector("table").replaceWith(made.querySelector("#" + T.dataOf(figure).id + "-table table")));
  }

  /* A part of the run by its charts' ids; the bands of the stages and the moments come from the page. Tables are
     included while they are open. */
  async function fetched(start, end) {
    const mine = ++latest;
    const found = await TraceLive.json(url + "?start=" + start + "&end=" + end + (someTableIsOpen() ? "&tables=1" : ""));
    const charts = new Map(Object.entries(found.charts).map(([id, data]) => [id, { ...data, ...frames.get(id) }]));
    return { charts, tables: found.tables, words: found.words, wanted: mine === latest };
  }

  async function show(start, end, remember) {
    const found = await fetched(start, end);
    if (!found.wanted || !found.charts.size) return;
    draw(found.charts, found.tables);
    words.textContent = found.words;
    place(start, end, remember);
  }

  async function showWhole(remember) {
    let tables;
    if (!whole || someTableIsOpen()) {
      const found = await fetched(0, END);
      if (!found.wanted || !found.charts.size) return;
      whole = found.charts;
      tables = found.tables;
    }
    latest += 1;
    draw(whole, tables);
    words.textContent = "";
    place("", "", remember);
  }

  /* Show the current part with its tables. */
  function showAgain() {
    const { start, end } = form.elements;
    return zoomed() ? show(Number(start.value) || 0, end.value === "" ? END : Number(end.value), false) : showWhole(false);
  }

  figures.forEach((figure) => {
    tableOf(figure).addEventListener("toggle", () => tableOf(figure).open && tablesAreOld && showAgain());
  });

  /* The address and the form contain the part shown, so that it can be shared and bookmarked. */
  function place(start, end, remember) {
    form.elements.start.value = start;
    form.elements.end.value = end === END ? "" : end;
    const address = new URL(location.href);
    address.searchParams.delete("start");
    address.searchParams.delete("end");
    if (start !== "") address.searchParams.set("start", start);
    if (start !== "" && end !== END) address.searchParams.set("end", end);
    if (remember) history.pushState(null, "", address);
    document.getElementById("span-reset").hidden = start === "";
  }

  section.addEventListener("spanchosen", (event) => show(event.detail.start, event.detail.end, true));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const { start, end } = form.elements;
    if (start.value === "" && end.value === "") showWhole(true);
    else show(Number(start.value) || 0, end.value === "" ? END : Number(end.value), true);
  });
  document.getElementById("span-reset").addEventListener("click", (event) => {
    event.preventDefault();
    showWhole(true);
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-span]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const query = new URL(link.href).searchParams;
    show(Number(query.get("start")), Number(query.get("end")), true);
    section.scrollIntoView();
  });
  addEventListener("popstate", () => {
    const query = new URLSearchParams(location.search);
    if (query.has("start") || query.has("end")) show(Number(query.get("start")), query.has("end") ? Number(query.get("end")) : END, false);
    else showWhole(false);
  });

  /* Live */

  let polls = 0;

  async function grow() {
    const since = whole ? whole.get("energy").edges.at(-1) : END; // figures only
    const news = await TraceLive.json(url + "?since=" + since + (whole ? mosts() : ""));
    if (whole && news.edges.length) await append(news);
    Object.entries(news.figures).forEach(([name, figure]) => {
      document.querySelectorAll('[data-figure="' + name + '"]').forEach((one) => (one.innerHTML = figure.html));
    });
    document.querySelectorAll("[data-seen]").forEach((one) => (one.textContent = news.seen));
    const goesOn = news.state === "running" || news.state === "lost";
    polls += 1;
    if (!goesOn) await TraceLive.refresh(SECTIONS_AT_END);
    else if (news.state !== section.dataset.state || (news.edges.length && polls % POLLS_A_REFRESH === 0)) await TraceLive.refresh(SECTIONS.filter(nobodyWrites));
    section.dataset.state = news.state;
    return goesOn;
  }

  /* An update only knows the maximum of its new data, so the request contains the maximum so far. */
  function mosts() {
    const told = ["power", "utilisation"].filter((id) => whole.has(id)).map((id) => [id, whole.get(id).says.most]).filter(([, most]) => most !== null);
    return told.map(([id, most]) => "&most_" + id + "=" + most).join("");
  }

  /* Don't replace a form while someone is filling it in. */
  function nobodyWrites(id) {
    return !document.getElementById(id)?.contains(document.activeElement);
  }

  async function append(news) {
    const same = [...whole].every(([id, data]) => data.series.map((one) => one.name).join("\n") === news.series[id].map((one) => one.name).join("\n"));
    if (!same || someTableIsOpen() || whole.get("energy").edges.length > MOST_BUCKETS) {
      whole = null;
      if (!zoomed()) await showWhole(false);
      return;
    }
    whole.forEach((data, id) => extend(data, news, news.series[id]));
    if (!zoomed()) figures.forEach((figure) => lengthen(figure, whole.get(T.dataOf(figure).id)));
  }

  function extend(data, news, series) {
    const added = news.edges.slice(1);
    const points = data.labels.length === data.edges.length; // values at the edges, not between them
    data.labels.push(...(points ? added : added.map((edge, n) => (edge + news.edges[n]) / 2)));
    data.edges.push(...added);
    data.series.forEach((one, n) => {
      one.values.push(...(points ? series[n].values.slice(1) : series[n].values));
      if (one.lows) one.lows.push(...(series[n].lows || series[n].values));
      if (one.highs) one.highs.push(...(series[n].highs || series[n].values));
    });
    data.says = news.says[data.id];
    data.sentence = news.sentences[data.id];
    data.axisUnit = T.unitFor([data.edges.at(-1)], data.axisScale);
    data.unit = T.unitFor(data.series.flatMap((one) => one.values), data.scale);
    if (data.twin) data.twin.unit = T.unitFor([data.twin.per * data.series.reduce((sum, one) => sum + one.values.at(-1), 0)], data.twin.scale);
  }

  /* In place, so that what the reader hid or points at stays. */
  function lengthen(figure, data) {
    const chart = T.chartOf(figure);
    TraceTime.datasets(data).forEach((one, n) => (chart.data.datasets[n].data = one.data));
    Object.entries(TraceTime.scalesOf(data, figure)).forEach(([name, scale]) => Object.assign(chart.options.scales[name], scale));
    chart.update("none");
    tell(figure, data);
    tablesAreOld = true;
  }

  if (["running", "lost"].includes(section.dataset.state)) TraceLive.poll(grow);
})();
