/* Pages of what still runs: poll often at first, seldom when nobody looks, and stop at the end. */
const TraceLive = (function () {
  "use strict";
  const SOON_MS = 3000;
  const LATER_MS = 10000;
  const HIDDEN_MS = 60000;
  const SOON_POLLS = 20;

  /* Call `work` again and again until it resolves to false. A refused request is tried again, later. */
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
        polls = SOON_POLLS; // the portal is away or restarts: ask seldom
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

  /* The parts of a page that a reader has changed: chosen rows, opened details, the place of the focus. */
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

  /* Take these elements anew from the page as the portal would send it now. */
  async function refresh(ids) {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (!answer.ok || answer.redirected) throw new Error("no answer");
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    ids.forEach((id) => {
      const [old, fresh] = [document.getElementById(id), page.getElementById(id)];
      if (!old || !fresh || old.innerHTML === fresh.innerHTML) return;
      const restore = keep(old);
      old.replaceChildren(...fresh.childNodes);
      restore();
    });
    document.dispatchEvent(new CustomEvent("refreshed"));
  }

  /* Lists with rows of running runs: data-live names the elements to take anew. */
  document.addEventListener("DOMContentLoaded", () => {
    const list = document.querySelector("[data-live]");
    if (!list || !list.querySelector("[data-running]")) return;
    poll(async () => {
      await refresh(list.dataset.live.split(" "));
      return list.querySelector("[data-running]") !== null;
    });
  });

  return { json, poll, refresh };
})();
