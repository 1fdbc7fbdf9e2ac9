/* The run list by keyboard, and how many runs are chosen. */
(function () {
  "use strict";
  const list = document.getElementById("found");
  if (!list) return;

  const rows = () => [...list.querySelectorAll("tbody tr")];

  function writes(element) {
    return element.closest("input:not([type=checkbox]), select, textarea, [contenteditable]") !== null;
  }

  function move(step) {
    const all = rows();
    if (!all.length) return;
    const before = all.findIndex((row) => row.classList.contains("at"));
    const next = Math.min(Math.max(before + step, 0), all.length - 1);
    if (before >= 0) all[before].classList.remove("at");
    all[next].classList.add("at");
    (all[next].querySelector("th a") || all[next]).focus({ preventScroll: true });
    all[next].scrollIntoView({ block: "nearest" });
  }

  function choose() {
    const box = list.querySelector("tr.at input[type=checkbox]");
    if (!box) return;
    box.checked = !box.checked;
    count();
  }

  function count() {
    const words = document.getElementById("chosen");
    if (!words) return;
    const number = list.querySelectorAll("tbody input:checked").length;
    words.textContent = number ? number + (number === 1 ? " run selected:" : " runs selected:") : "Select runs to compare or change them:";
    list.querySelectorAll(".bulk button").forEach((button) => (button.disabled = number === 0));
  }

  const KEYS = {
    j: () => move(1),
    ArrowDown: () => move(1),
    k: () => move(-1),
    ArrowUp: () => move(-1),
    x: choose,
    "/": () => document.getElementById("q").focus(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || writes(event.target) || !KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  list.addEventListener("change", count);
  document.addEventListener("refreshed", count);
  addEventListener("pageshow", count);
  count();
})();
