/* Runs before the page is painted: the chosen theme must be there from the first frame. */
(function () {
  "use strict";
  const root = document.documentElement;
  const THEMES = ["system", "light", "dark"];
  root.classList.add("scripted");

  function stored() {
    try {
      return localStorage.getItem("theme");
    } catch (refused) {
      return null; // private windows may refuse storage: the switch then lasts for the page
    }
  }

  function apply(theme) {
    root.dataset.theme = theme;
    document.dispatchEvent(new CustomEvent("themechange"));
  }

  function label(button) {
    const theme = root.dataset.theme || "system";
    button.hidden = false;
    button.setAttribute("aria-label", "Theme: " + theme + ". Change it");
    button.title = "Theme: " + theme;
    button.querySelectorAll("svg").forEach((icon) => icon.toggleAttribute("hidden", icon.dataset.theme !== theme));
  }

  function store(theme) {
    try {
      localStorage.setItem("theme", theme);
    } catch (refused) {
      // as above
    }
  }

  /* For the person, in every browser, where somebody is signed in. */
  function save(form, theme) {
    const body = new FormData(form);
    body.set("theme", theme);
    fetch(form.action, { method: "POST", body: body }).catch(() => {}); // the browser has it all the same
  }

  function change(button) {
    const theme = THEMES[(THEMES.indexOf(root.dataset.theme || "system") + 1) % THEMES.length];
    store(theme);
    if (button.form) save(button.form, theme);
    apply(theme);
    label(button);
  }

  /* What the person chose comes with the page and goes before what this browser was left at. */
  const theme = root.dataset.theme || stored();
  if (THEMES.includes(theme)) {
    store(theme);
    apply(theme);
  }

  /* Charts are painted in the theme's colours, and paper is light. */
  let onScreen = "system";
  addEventListener("beforeprint", () => {
    onScreen = root.dataset.theme || "system";
    apply("light");
  });
  addEventListener("afterprint", () => apply(onScreen));

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme-switch");
    if (!button) return;
    label(button);
    button.addEventListener("click", () => change(button));
  });
})();
