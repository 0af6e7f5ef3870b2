// Opens the report: unpacks it, fills table and gallery, and draws each chart when it comes into view.

async function unpacked(id) {
  const packed = Uint8Array.from(atob(document.getElementById(id).textContent), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
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

async function drawInto(node, made) {
  if (made.empty) { node.textContent = made.empty; node.style.minHeight = "0"; return; }
  if (made.minWidth) node.style.minWidth = `${made.minWidth}px`;
  await plotly();
  await Plotly.react(node, made.traces, layoutOf(made.layout), CONFIG);
  node.dataset.drawn = "";
}

async function sweepOf(data) {
  const kind = document.getElementById("sweep-kind").value;
  const sweep = data.sweeps.find((each) => each.title === kind);
  sweep.charts = sweep.charts || await sweepCharts(sweep.view);
  return sweep;
}

async function draw(node, data) {
  const name = node.dataset.chart;
  if (name === "slices") {
    if (!node.children.length) node.append(...data.axes.map(() => make("div", { class: "slice" })));
    await Promise.all(data.axes.map((axis, i) => drawInto(node.children[i], slice(data, axis))));
    node.dataset.drawn = "";
  } else if (name === "heat") {
    await drawInto(node, heat(await sweepOf(data), Number(document.getElementById("sweep-ratio").value)));
  } else if (name === "front") {
    await drawInto(node, front(await sweepOf(data)));
  } else {
    await drawInto(node, CHARTS[name](data));
  }
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

async function main() {
  const data = JSON.parse(await unpacked("data"));
  const places = [...document.querySelectorAll("[data-chart]")];
  const redraw = (names) => places.filter((node) => names.includes(node.dataset.chart)).forEach((node) => draw(node, data).catch(failed));
  sweepControls(data, redraw);
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) { seen.unobserve(target); draw(target, data).catch(failed); }
    }
  }, { rootMargin: "300px" });
  places.forEach((node) => seen.observe(node));
  onTheme(() => places.filter((node) => theme.printing || "drawn" in node.dataset).forEach((node) => draw(node, data).catch(failed)));
  trialTable(data);
  gallery(data);
  performance.mark("ready");
  document.documentElement.dataset.ready = "";
}

main().catch(failed);
