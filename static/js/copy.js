/* Copy buttons: shown if there is a clipboard (https or localhost); otherwise the text can be selected. */
(function () {
  "use strict";
  const SAID_FOR_MS = 2000;

  async function copy(button) {
    const word = button.textContent;
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = word), SAID_FOR_MS);
  }

  if (!navigator.clipboard) return;
  document.querySelectorAll("[data-copies]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  });
})();
