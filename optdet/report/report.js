// Opens the report: unpacks it, fills table and gallery, and draws each chart when it comes into view.

async function unpacked(id) {
  const stream = new Blob([bytesOf(document.getElementById(id).textContent)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

let loading = null;
function plotly() {
  loading = loading || unpacked("plotly").then((text) => document.head.append(make("script", {}, text)));
  return loading;
}

const CHARTS = { history, curves, parallel, importances, costs, board };

function layoutOf(own) {
  const axis = { gridcolor: faint(), linecolor: faint(), zerolinecolor: faint(), automargin: true };
  return {
    height: 340, margin: { t: 30, r: 15, l: 55, b: 45 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: ink(), size: 12, family: "system-ui, sans-serif" }, hovermode: "closest",
    legend: { orientation: "h", x: 0, y: 1.01, yanchor: "bottom" },
    ...own, xaxis: { ...axis, ...own.xaxis }, yaxis: { ...axis, ...own.yaxis },
  };
}

// By default plotly.js from 4 on has a button that sends the data to its makers.
const CONFIG = { displaylogo: false, responsive: true, showSendToCloud: false, plotlyServerURL: "", displayModeBar: false };

function show(node, made) {
  if (made.empty) { node.textContent = made.empty; node.style.minHeight = "0"; return; }
  if (made.minWidth) node.style.minWidth = `${made.minWidth}px`;
  if (made.draw) { node.replaceChildren(made.draw()); return; }
  const layout = { ...layoutOf(made.layout), autosize: !theme.printing };
  if (theme.printing) layout.width = paperWidth(node);
  Plotly.react(node, made.traces, layout, CONFIG);
  fitToPaper(node, layout);
}

// In CSS pixels, about what report.css gives it on a page of A4 or Letter.
function paperWidth(node) {
  if (node.classList.contains("slice")) return 228;
  return node.closest(".wide") ? 700 : 342;
}

// How wide a page is nobody says: on paper a chart is a picture that report.css scales to its place.
function fitToPaper(node, { width, height }) {
  node.style.setProperty("--shape", `${width} / ${height}`);
  for (const svg of node.querySelectorAll(".main-svg")) {
    if (theme.printing) svg.setAttribute("viewBox", `0 0 ${width} ${height}`); else svg.removeAttribute("viewBox");
  }
}

const sweepOf = (data) => data.sweeps.find((each) => each.title === document.getElementById("sweep-kind").value);

// Several small charts in one place.
function small(node, charts) {
  if (!node.children.length) node.append(...charts.map(() => make("div", { class: "slice" })));
  return charts.map((made, i) => [node.children[i], made]);
}

// What is drawn into a place, by the elements that it goes to; of a landscape when its scores are unpacked.
function chartsOf(node, data) {
  const name = node.dataset.chart;
  if (name === "slices") return small(node, data.axes.map((axis) => slice(data, axis)));
  if (name === "buckets") return small(node, buckets(data));
  if (name === "heat") return [[node, heat(sweepOf(data), Number(document.getElementById("sweep-ratio").value))]];
  if (name === "front") return [[node, front(sweepOf(data))]];
  return [[node, CHARTS[name](data)]];
}

// Between two charts the browser shows what is there, and hears the reader.
const pause = () => new Promise((resolve) => { setTimeout(resolve); });

const isSweep = (node) => ["heat", "front"].includes(node.dataset.chart);
const canDraw = (node, data) => "Plotly" in window && !(isSweep(node) && !sweepOf(data).charts);

function drawAtOnce(node, data) {
  for (const [target, made] of chartsOf(node, data)) show(target, made);
  Object.assign(node.dataset, { queued: "", drawn: "" });
}

async function unpackSweep(sweep) {
  sweep.charts = sweep.charts || await sweepCharts(sweep.view);
}

async function draw(node, data) {
  if (isSweep(node)) await unpackSweep(sweepOf(data));
  await plotly();
  for (const [target, made] of chartsOf(node, data)) {
    show(target, made);
    await pause();
  }
  node.dataset.drawn = "";
  performance.mark(`drawn ${node.dataset.chart}`);
}

// One after the other, those in view first.
let drawing = Promise.resolve();
function enqueue(node, data) {
  node.dataset.queued = "";
  drawing = drawing.then(() => draw(node, data)).catch((error) => {
    node.textContent = `This chart cannot be drawn: ${error.message}`;
    console.error(error);
  });
  return drawing;
}

function sweepControls(data, redraw) {
  const kinds = document.getElementById("sweep-kind"), ratios = document.getElementById("sweep-ratio");
  if (!kinds) return;
  const fill = () => {
    const { view } = data.sweeps.find((each) => each.title === kinds.value);
    ratios.replaceChildren(make("option", { value: "-1" }, "best of all"), ...view.unclip_ratio.map((ratio, place) => make("option", { value: place }, String(ratio))));
  };
  kinds.value = (data.sweeps.find((each) => each.in_use) || data.sweeps[0]).title;
  fill();
  kinds.addEventListener("change", () => { fill(); redraw(["heat", "front"]); });
  ratios.addEventListener("change", () => redraw(["heat"]));
}

function failed(error) {
  document.querySelector("main").prepend(make("p", { class: "note" }, `The page cannot be drawn: ${error.message}`));
  throw error;
}

// The rest in the reader's pauses: what is printed was drawn before.
function drawTheRest(places, data) {
  const idle = window.requestIdleCallback || setTimeout;
  idle(() => {
    const next = places.find((node) => !("queued" in node.dataset));
    if (next) enqueue(next, data).then(() => drawTheRest(places, data)); else loadImages();
  });
}

async function main() {
  const data = JSON.parse(await unpacked("data"));
  const places = [...document.querySelectorAll("[data-chart]")];
  sweepControls(data, (names) => places.filter((node) => names.includes(node.dataset.chart)).forEach((node) => enqueue(node, data)));
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) { seen.unobserve(target); if (!("queued" in target.dataset)) enqueue(target, data); }
    }
  }, { rootMargin: "200px" });
  places.forEach((node) => seen.observe(node));
  onTheme(() => {
    // At once: a browser prints what is there when it is told.
    for (const node of places) if ("drawn" in node.dataset || (theme.printing && canDraw(node, data))) drawAtOnce(node, data);
  });
  trialTable(data);
  gallery(JSON.parse(await unpacked("image-data")), data.before);
  performance.mark("ready");
  document.documentElement.dataset.ready = "";
  // Who prints at once gets all charts too: from here on they can be drawn without waiting.
  await Promise.all([plotly(), ...data.sweeps.map(unpackSweep)]);
  drawTheRest(places, data);
}

main().catch(failed);
