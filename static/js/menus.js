/* Menus close by Escape, with the focus back where it was opened, and by a click anywhere else. */
(function () {
  "use strict";
  const OPEN = "details.menu[open]";

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
