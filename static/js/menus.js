/* Menus close on Escape, with the focus back on their button, and on a click elsewhere. Filters show what is in
   force: after Back, a browser would restore what was selected in them later. */
(function () {
  "use strict";
  const OPEN = "details.menu[open]";

  addEventListener("pageshow", () => document.querySelectorAll('form[role="search"]').forEach((form) => form.reset()));

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const inside = event.target.closest?.(OPEN);
    document.querySelectorAll(OPEN).forEach((menu) => (menu.open = false));
    inside?.querySelector("summary").focus();
  });
  document.addEventListener("click", (event) => {
    document.querySelectorAll(OPEN).forEach((menu) => menu.contains(event.target) || (menu.open = false));
  });
})();
