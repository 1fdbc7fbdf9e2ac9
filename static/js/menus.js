/* Menus close by Escape, with the focus back where it was opened, and by a click anywhere else. Filters show what is in
   force: on the way back a browser would restore what was chosen in them later. */
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
