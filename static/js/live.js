/* Live pages of running runs: poll often at first, rarely when the page is hidden, and stop at the end. */
const TraceLive = (function () {
  "use strict";
  const SOON_MS = 3000;
  const LATER_MS = 10000;
  const HIDDEN_MS = 60000;
  const SOON_POLLS = 20;

  /* Call `work` repeatedly until it resolves to false. A failed request is retried later. */
  function poll(work) {
    let polls = 0;
    let timer = 0;
    let busy = false;

    function plan() {
      const wait = document.hidden ? HIDDEN_MS : polls < SOON_POLLS ? SOON_MS : LATER_MS;
      timer = setTimeout(run, wait);
    }

    async function run() {
      clearTimeout(timer);
      if (busy) return;
      busy = true;
      polls += 1;
      let more = true;
      try {
        more = await work();
      } catch (failed) {
        polls = SOON_POLLS; // the portal is unreachable or restarting: poll less often
      }
      busy = false;
      if (more !== false) plan();
      else document.removeEventListener("visibilitychange", seen);
    }

    function seen() {
      if (!document.hidden) run();
    }

    document.addEventListener("visibilitychange", seen);
    plan();
  }

  async function json(url) {
    const answer = await fetch(url, { headers: { Accept: "application/json" }, credentials: "same-origin" });
    if (!answer.ok || answer.redirected) throw new Error("no answer");
    return answer.json();
  }

  /* The state that a reader has changed: selected rows, opened details, focus. */
  function keep(place) {
    const chosen = new Set([...place.querySelectorAll("input[type=checkbox]:checked")].map((box) => box.value));
    const open = [...place.querySelectorAll("details")].map((one) => one.open);
    const focused = place.contains(document.activeElement) ? document.activeElement : null;
    const at = place.querySelector("tr.at");
    return function restore() {
      place.querySelectorAll("input[type=checkbox]").forEach((box) => (box.checked = chosen.has(box.value)));
      place.querySelectorAll("details").forEach((one, n) => (one.open = Boolean(open[n])));
      if (at && at.id) document.getElementById(at.id)?.classList.add("at");
      if (!focused) return;
      const value = focused.value || focused.getAttribute("href");
      [...place.querySelectorAll(focused.tagName)].find((one) => (one.value || one.getAttribute("href")) === value)?.focus();
    };
  }

  async function html(url) {
    const answer = await fetch(url, { credentials: "same-origin" });
    if (!answer.ok || answer.redirected) throw new Error("no answer");
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  }

  /* Unchanged cells of a row stay, and with them what the reader selected or points at. */
  function renewRow(old, fresh) {
    old.toggleAttribute("data-running", fresh.hasAttribute("data-running"));
    const news = [...fresh.cells];
    [...old.cells].forEach((cell, n) => {
      if (news[n] && cell.innerHTML !== news[n].innerHTML) cell.replaceChildren(...news[n].childNodes);
    });
  }

  function renew(old, fresh) {
    if (old.innerHTML === fresh.innerHTML) return;
    if (old.matches("tr")) return renewRow(old, fresh);
    const restore = keep(old);
    old.replaceChildren(...fresh.childNodes);
    restore();
  }

  function renewAll(elements) {
    elements.forEach((fresh) => {
      const old = fresh && document.getElementById(fresh.id);
      if (old) renew(old, fresh);
    });
    document.dispatchEvent(new CustomEvent("refreshed"));
  }

  /* Replace these elements by the portal's current ones. */
  async function refresh(ids) {
    const page = await html(location.href);
    renewAll(ids.map((id) => page.getElementById(id)));
  }

  const running = (list) => [...list.querySelectorAll("[data-running]")];

  /* Update only the rows of running runs, and all other elements with an id in the answer. Runs that are missing
     from it are removed. */
  async function refreshRows(list) {
    const asked = running(list);
    const page = await html(list.dataset.liveUrl + asked.map((row) => "&run=" + row.id.slice("run-".length)).join(""));
    renewAll([...page.querySelectorAll("[id]")]);
    asked.forEach((row) => page.getElementById(row.id) || row.removeAttribute("data-running"));
  }

  /* Lists with rows marked data-running (id="run-…"). data-live-url answers with such rows only; without it,
     data-live lists the elements to update from the page itself. */
  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-live], [data-live-url]").forEach((list) => {
      if (!running(list).length) return;
      poll(async () => {
        await (list.dataset.liveUrl ? refreshRows(list) : refresh(list.dataset.live.split(" ")));
        return running(list).length > 0;
      });
    });
  });

  return { json, poll, refresh };
})();
