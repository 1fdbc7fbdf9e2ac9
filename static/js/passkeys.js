/* Shows errors that allauth's scripts only write to the console: the key was refused, cancelled or not found. */
(function () {
  "use strict";
  const WORDS = "That didn’t work. The key was not found or not allowed, or you cancelled. Try again, or choose another way.";

  document.addEventListener("allauth.error", (event) => {
    event.preventDefault();
    let note = document.getElementById("passkey-note");
    if (!note) {
      note = document.createElement("p");
      note.id = "passkey-note";
      note.className = "note error";
      note.setAttribute("role", "alert");
      document.querySelector("main h1").after(note);
    }
    note.textContent = WORDS;
  });
})();
