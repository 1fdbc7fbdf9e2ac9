/* Sends a large file in compressed parts. Small files, and browsers without compression, use the form itself. */
(function () {
  "use strict";
  const form = document.getElementById("import-form");
  const SMALL_BYTES = 1024 * 1024;
  if (!form || !window.CompressionStream) return;

  const file = form.elements.import_file, progress = document.getElementById("import-progress");
  const problem = document.getElementById("import-problem"), button = form.querySelector("button[type=submit]");
  const token = form.elements.csrfmiddlewaretoken.value;

  function say(text) {
    problem.textContent = text;
    problem.hidden = false;
    progress.hidden = true;
    button.disabled = false;
  }

  async function post(address, body, headers) {
    const answer = await fetch(address, { method: "POST", body, headers: { "X-CSRFToken": token, ...headers } });
    if (answer.ok || answer.status === 422) return answer;
    throw new Error(answer.status === 413 ? await answer.text() : "The portal answered with status " + answer.status + ".");
  }

  async function send(chosen) {
    const fields = new FormData(form);
    fields.delete("import_file");
    fields.set("file_name", chosen.name);
    const begun = await (await post(form.action, fields, { Accept: "application/json" })).json();
    if (begun.errors) return say(Object.values(begun.errors).flat().join(" "));
    const isZipped = chosen.name.endsWith(".gz");
    const stream = isZipped ? chosen.stream() : chosen.stream().pipeThrough(new CompressionStream("gzip"));
    const zipped = await new Response(stream).blob(), size = Number(form.dataset.partBytes);
    for (let number = 0; number * size < zipped.size; number++) {
      const part = zipped.slice(number * size, (number + 1) * size);
      await post(begun.parts + number + "/", part, { "Content-Type": "application/octet-stream" });
      progress.value = Math.min(((number + 1) * size) / zipped.size, 1);
    }
    window.location = (await post(begun.check, "", {})).url;
  }

  form.addEventListener("submit", (event) => {
    const chosen = file.files[0];
    if (!chosen || chosen.size <= SMALL_BYTES) return;
    event.preventDefault();
    problem.hidden = true;
    progress.hidden = false;
    progress.value = 0;
    button.disabled = true;
    send(chosen).catch((error) => say(error.message));
  });
})();
