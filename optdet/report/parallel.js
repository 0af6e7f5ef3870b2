// Parallel coordinates as SVG: a line a complete trial, an axis a parameter or tuned threshold, the value last.
// plotly.js draws them by WebGL, which a remote desktop or a printer may not have, and which takes a second without a
// graphics card.

const WIDE = 1200, HIGH = 400, TOP = 46, FOOT = 16, SIDE = 70;

// A scale from values to 0 (bottom) .. 1 (top), and the ticks that are written beside its axis.
function scaleOf(axis, values) {
  if (axis.choices) {
    const last = Math.max(axis.choices.length - 1, 1);
    return { at: (place) => (axis.choices.length > 1 ? place / last : 0.5), ticks: axis.choices.map((name, place) => [place, name]) };
  }
  const [low, high] = [least(values), most(values)];
  if (axis.log && low > 0) {
    const { tickvals, ticktext } = logTicks(values), span = log10(high) - log10(low) || 1;
    return { at: (value) => (log10(value) - log10(low)) / span, ticks: tickvals.map((tick, i) => [10 ** tick, ticktext[i]]) };
  }
  const span = high - low || 1, step = niceStep(span / 5);
  const ticks = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-9; tick += step) ticks.push([tick, String(Number(tick.toPrecision(6)))]);
  return { at: (value) => (value - low) / span, ticks };
}

function niceStep(rough) {
  const power = 10 ** Math.floor(log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
}

// From a pale colour to a strong one, as the page is light or dark; the pale one is 3 to 1 against the page.
function shade(share) {
  const [from, to] = theme.dark() ? [[100, 112, 130], [255, 234, 70]] : [[122, 148, 186], [8, 48, 107]];
  const mixed = from.map((part, i) => Math.round(part + share * (to[i] - part)));
  return `rgb(${mixed.join(" ")})`;
}

const svgNode = (tag, attributes, text) => {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
};

function parallel(data) {
  const complete = thinned(data, rowsWith(data, "complete"));
  const rows = complete.filter((i) => data.axes.every((axis) => axis.values[i] !== null));
  if (rows.length < 2) return { empty: "Two complete trials are needed." };
  const value = { short: "value", values: data.trials.value };
  const axes = [...data.axes, value].map((axis, place, all) => {
    const values = rows.map((i) => axis.values[i]);
    return { ...axis, scale: scaleOf(axis, values), x: SIDE + place * ((WIDE - 2 * SIDE) / (all.length - 1)) };
  });
  return { draw: () => parallelSvg(data, rows, axes), minWidth: most(axes.map(({ short }) => 8 * short.length + 30)) * axes.length };
}

const heightOf = (axis, value) => HIGH - FOOT - axis.scale.at(value) * (HIGH - FOOT - TOP);

function parallelSvg(data, rows, axes) {
  const svg = svgNode("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, class: "parallel" });
  const [low, high] = usefulRange(data) || [0, 1];
  const ranked = [...rows].sort((a, b) => data.trials.value[a] - data.trials.value[b]);
  const lines = new Map(ranked.map((i) => {
    const share = Math.min(Math.max((data.trials.value[i] - low) / (high - low), 0), 1);
    const points = axes.map((axis) => `${axis.x.toFixed(1)},${heightOf(axis, axis.values[i]).toFixed(1)}`);
    const line = svgNode("polyline", { points: points.join(" "), stroke: shade(share), "stroke-width": 1 + share });
    line.append(svgNode("title", {}, `trial ${data.trials.number[i]}: ${four(data.trials.value[i])}`));
    return [i, line];
  }));
  svg.append(...lines.values(), ...axes.map(axisOf));
  brush(svg, axes, lines);
  return svg;
}

function axisOf(axis) {
  const group = svgNode("g", { class: "axis" });
  group.append(
    svgNode("line", { x1: axis.x, x2: axis.x, y1: TOP, y2: HIGH - FOOT }),
    svgNode("text", { x: axis.x, y: TOP - 24, class: "axis-title", "text-anchor": "middle" }, axis.short),
    ...axis.scale.ticks.map(([tick, text]) => svgNode("text", { x: axis.x - 5, y: heightOf(axis, tick) + 4, "text-anchor": "end" }, text)),
  );
  return group;
}

// Dragging along an axis keeps the lines that cross the part; a click lets all through again.
function brush(svg, axes, lines) {
  const chosen = new Map();
  const kept = (i) => [...chosen].every(([axis, [from, to]]) => {
    const at = heightOf(axis, axis.values[i]);
    return at >= from && at <= to;
  });
  for (const axis of axes) {
    const part = svgNode("rect", { x: axis.x - 7, width: 14, y: 0, height: 0, class: "part" });
    const grip = svgNode("rect", { x: axis.x - 16, width: 32, y: TOP - 8, height: HIGH - FOOT - TOP + 16, class: "grip" });
    const heightUnder = (event) => svg.createSVGPoint && new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse()).y;
    let start = null;
    const update = (end) => {
      const [from, to] = [Math.min(start, end), Math.max(start, end)];
      if (to - from < 3) chosen.delete(axis); else chosen.set(axis, [from, to]);
      part.setAttribute("y", from);
      part.setAttribute("height", chosen.has(axis) ? to - from : 0);
      for (const [i, line] of lines) line.classList.toggle("out", !kept(i));
    };
    grip.addEventListener("pointerdown", (event) => { start = heightUnder(event); grip.setPointerCapture(event.pointerId); update(start); });
    grip.addEventListener("pointermove", (event) => { if (start !== null) update(heightUnder(event)); });
    grip.addEventListener("pointerup", () => { start = null; });
    svg.append(part, grip);
  }
}
