/* The run list: keyboard navigation and row selection. */
(function () {
  "use strict";
  const list = document.getElementById("found");
  if (!list) return;

  const rows = () => [...list.querySelectorAll("tbody tr")];
  const boxOf = (row) => row.querySelector("input[type=checkbox]");
  const place = () => rows().findIndex((row) => row.classList.contains("at"));
  let anchor = null; // the row selected last, where a range begins

  function writes(element) {
    return element.closest("input:not([type=checkbox]), select, textarea, [contenteditable]") !== null;
  }

  function goTo(row) {
    list.querySelector("tr.at")?.classList.remove("at");
    row.classList.add("at");
    (row.querySelector("th a") || row).focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  }

  function move(step, event) {
    const all = rows();
    if (!all.length) return;
    const before = place();
    const next = Math.min(Math.max(before + step, 0), all.length - 1);
    if (event.shiftKey && before >= 0) choose([all[before], all[next]], true);
    goTo(all[next]);
  }

  function choose(some, chosen) {
    some.map(boxOf).forEach((box) => box && (box.checked = chosen));
    count();
  }

  /* With Shift, all rows from the last selected one to this one get the same state. */
  function chooseTo(row, chosen, shift) {
    const all = rows();
    const [from, to] = [all.indexOf(anchor), all.indexOf(row)].sort((a, b) => a - b);
    choose(shift && from >= 0 ? all.slice(from, to + 1) : [row], chosen);
    anchor = row;
  }

  function toggle(event) {
    const row = rows()[place()];
    if (row && boxOf(row)) chooseTo(row, !boxOf(row).checked, event.shiftKey);
  }

  function count() {
    const words = document.getElementById("chosen");
    if (!words) return;
    const boxes = rows().map(boxOf);
    const number = boxes.filter((box) => box.checked).length;
    words.textContent = number ? number + (number === 1 ? " run selected:" : " runs selected:") : "Select runs to compare or change them:";
    list.querySelectorAll(".bulk button").forEach((button) => (button.disabled = number === 0));
    const every = document.getElementById("every");
    every.checked = number === boxes.length;
    every.indeterminate = number > 0 && number < boxes.length;
  }

  const KEYS = {
    j: (event) => move(1, event),
    ArrowDown: (event) => move(1, event),
    k: (event) => move(-1, event),
    ArrowUp: (event) => move(-1, event),
    x: toggle,
    "/": () => document.getElementById("q").focus(),
  };

  document.addEventListener("keydown", (event) => {
    const key = KEYS[event.key] || KEYS[event.key.toLowerCase()];
    if (event.ctrlKey || event.metaKey || event.altKey || writes(event.target) || !key) return;
    event.preventDefault();
    key(event);
  });
  list.addEventListener("click", (event) => {
    if (!event.target.matches("tbody input[type=checkbox]")) return;
    chooseTo(event.target.closest("tr"), event.target.checked, event.shiftKey);
  });
  list.addEventListener("change", (event) => {
    if (event.target.id === "every") choose(rows(), event.target.checked);
    count();
  });
  document.addEventListener("refreshed", count);
  addEventListener("pageshow", count);
  count();
})();
