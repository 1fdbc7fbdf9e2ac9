/* A button under each chart that saves it as PNG, on the theme's own ground. */
(function () {
  "use strict";

  function picture(canvas) {
    const copy = document.createElement("canvas");
    copy.width = canvas.width;
    copy.height = canvas.height;
    const ctx = copy.getContext("2d");
    ctx.fillStyle = TraceCharts.colour("--surface");
    ctx.fillRect(0, 0, copy.width, copy.height);
    ctx.drawImage(canvas, 0, 0);
    return copy;
  }

  function save(figure) {
    picture(figure.querySelector("canvas")).toBlob((blob) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = figure.dataset.source.replace(/-data$/, "") + ".png";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
  }

  document.querySelectorAll("figure.chart").forEach((figure) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "link small png";
    button.textContent = "Save as PNG";
    button.addEventListener("click", () => save(figure));
    figure.querySelector("details").before(button);
  });
})();
