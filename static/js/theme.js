/* Runs before the page is painted: the chosen theme must be set for the first frame. */
(function () {
  "use strict";
  const root = document.documentElement;
  const THEMES = ["system", "light", "dark"];
  root.classList.add("scripted");

  function stored() {
    try {
      return localStorage.getItem("theme");
    } catch (refused) {
      return null; // private windows may refuse storage: the choice then only lasts for this page
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
      // see above
    }
  }

  /* Save for the person, in every browser, if someone is signed in. */
  function save(form, theme) {
    const body = new FormData(form);
    body.set("theme", theme);
    fetch(form.action, { method: "POST", body: body }).catch(() => {}); // this browser has it anyway
  }

  function change(button) {
    const theme = THEMES[(THEMES.indexOf(root.dataset.theme || "system") + 1) % THEMES.length];
    store(theme);
    if (button.form) save(button.form, theme);
    apply(theme);
    label(button);
  }

  /* What the person chose is part of the page, and takes precedence over this browser's last choice. */
  const theme = root.dataset.theme || stored();
  if (THEMES.includes(theme)) {
    store(theme);
    apply(theme);
  }

  /* Charts are painted in the theme's colours, but paper is light. */
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
