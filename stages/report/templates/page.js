// Draws every chart at the width of its column, once; again when that width changes. Nothing is fetched.
(function () {
  "use strict";
  const theme = JSON.parse(document.getElementById("theme").textContent);
  const plots = Array.from(document.querySelectorAll(".plot"));
  const drawn = new Map();
  if (window.matchMedia("(min-width: 1080px)").matches) document.querySelector("nav details").open = true;

  function widths() {
    // A closed part has no width: open all for the blink of a measurement that no eye sees
    const closed = Array.from(document.querySelectorAll("details:not([open])"));
    closed.forEach((part) => (part.open = true));
    const found = plots.map((plot) => Math.floor(plot.clientWidth));
    closed.forEach((part) => (part.open = false));
    return found;
  }

  async function embed(plot, spec, columns) {
    const config = { ...theme, legend: { ...theme.legend, columns } };
    const found = await vegaEmbed(plot, spec, { actions: false, renderer: "svg", config, tooltip: true });
    return found.view;
  }

  async function fitted(plot, spec) {
    // as many names of a legend in a row as fit: what is drawn may be no wider than the column of the page
    let columns = Math.max(1, Math.floor((spec.width - 60) / 100));
    let view = await embed(plot, spec, columns);
    while (columns > 1 && view.scenegraph().root.bounds.width() > spec.width) {
      view.finalize();
      columns -= 1;
      view = await embed(plot, spec, columns);
    }
  }

  async function draw(plot, width) {
    if (width < 1 || drawn.get(plot) === width) return;
    drawn.set(plot, width);
    const spec = JSON.parse(plot.nextElementSibling.textContent);
    spec.width = width;
    spec.autosize = { type: "fit-x", contains: "padding" };
    try {
      await fitted(plot, spec);
      const svg = plot.querySelector("svg");
      svg.setAttribute("role", "img");
      svg.setAttribute("aria-label", plot.dataset.says);
    } catch (error) {
      plot.classList.add("failed");
      console.error(plot.id + ": " + error.message);
    }
  }

  async function drawAll() {
    const found = widths();
    const closed = (plot) => Boolean(plot.closest("details:not([open])"));
    const places = [...plots.keys()].sort((one, other) => closed(plots[one]) - closed(plots[other])); // seen ones first
    for (const place of places) await draw(plots[place], found[place]);
    document.documentElement.dataset.charts = "drawn";
  }

  let waiting;
  window.addEventListener("resize", () => {
    if (window.matchMedia("print").matches) return; // paper scales what the screen drew
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 200);
  });
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = Array.from(document.querySelectorAll("details:not([open])"));
    opened.forEach((part) => (part.open = true));
  });
  window.addEventListener("afterprint", () => opened.forEach((part) => (part.open = false)));
  drawAll();
})();
