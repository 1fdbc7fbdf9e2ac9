/* Waiting for a run: polls every 3 s at first, then every 10 s, and every 60 s while the page is hidden; stops when
   the run ends. */
(function () {
  "use strict";
  const panel = document.getElementById("waiting");
  const $ = (id) => document.getElementById(id);
  if (!panel || !$("arrived").hidden) return;

  const EAGER_MS = 3000, CALM_MS = 10000, HIDDEN_MS = 60000, EAGER_FOR_MS = 180000;
  const began = Date.now();
  let timer, asking;

  function pause() {
    if (document.hidden) return HIDDEN_MS;
    return Date.now() - began < EAGER_FOR_MS ? EAGER_MS : CALM_MS;
  }

  function arrived(run) {
    $("waiting-title").textContent = $("waiting-title").dataset.arrived + ": " + run.name;
    $("arrived-link").href = run.url;
    $("arrived").hidden = false;
    $("nothing-yet").hidden = $("refused").hidden = true;
  }

  function refused(refusal) {
    $("refused-status").textContent = refusal.status;
    $("refused-at").textContent = new Date(refusal.at).toLocaleTimeString();
    $("refused-reason").textContent = refusal.reason;
    $("refused").hidden = false;
  }

  async function ask() {
    if (asking) return;
    asking = true;
    try {
      const answer = await fetch(panel.dataset.news, { headers: { Accept: "application/json" } });
      if (answer.redirected || answer.status === 404) return; // signed out, or no longer in the team
      const news = await answer.json();
      if (news.run) return arrived(news.run);
      if (news.refusal) refused(news.refusal);
    } catch (offline) {
      // the portal may be back next time
    } finally {
      asking = false;
    }
    timer = setTimeout(ask, pause());
  }

  $("look-again")?.remove(); // the script polls itself
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || !$("arrived").hidden) return;
    clearTimeout(timer);
    ask();
  });
  timer = setTimeout(ask, EAGER_MS);
})();
