/* Says in words what allauth's scripts would say to the console alone: the key was refused, cancelled or is not there. */
(function () {
  "use strict";
  const WORDS = "That didn’t work: the key was not found, not allowed, or you turned back. Try again, or choose another way.";

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
