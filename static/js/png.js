/* A button below each chart that saves it as PNG with title, sentence, legend and units, in the current theme. */
(function () {
  "use strict";
  const T = TraceCharts;
  const SIZE = { width: 1200, height: 600 };

  const ground = {
    id: "ground",
    beforeDraw(chart) {
      chart.ctx.save();
      chart.ctx.fillStyle = T.colour("--surface");
      chart.ctx.fillRect(0, 0, chart.width, chart.height);
      chart.ctx.restore();
    },
  };

  function heading(text, colour, size, weight) {
    return { display: true, text: text, color: T.colour(colour), align: "start", font: { size: size, weight: weight }, padding: { top: 2, bottom: 8 } };
  }

  /* Draw again at a fixed size, without parts that need a pointer. */
  function drawn(figure) {
    const canvas = Object.assign(document.createElement("canvas"), SIZE);
    const configuration = T.configured(figure);
    const { options } = configuration;
    Object.assign(options, { responsive: false, devicePixelRatio: 2 });
    options.layout = { ...options.layout, padding: { left: 16, right: 24, top: 18, bottom: 12 } };
    options.plugins.legend.display = configuration.data.datasets.length > 1;
    options.plugins.title = heading(figure.dataset.title, "--ink", 17, 600);
    options.plugins.subtitle = heading([].concat(figure.dataset.about || [], wrapped(figure.querySelector("figcaption").textContent)), "--ink-soft", 12, 400);
    delete options.plugins.zoom;
    configuration.plugins = [...(configuration.plugins || []), ground];
    return new Chart(canvas, configuration);
  }

  /* Lines of at most 160 characters, broken between words. */
  function wrapped(text) {
    return text.match(/.{1,160}(\s|$)/g) || text;
  }

  function save(figure) {
    const chart = drawn(figure);
    chart.canvas.toBlob((blob) => {
      chart.destroy();
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
    button.className = "png";
    button.textContent = "Save as PNG";
    button.addEventListener("click", () => save(figure));
    figure.querySelector("details").after(button);
  });
})();
