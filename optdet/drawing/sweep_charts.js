"use strict";
// The charts of a dense sweep, for sweep_html.py's page and for the report: what is drawn, not where.
// Arrays are flat, indexed [thresh, unclip_ratio, box_thresh]. The heat map is on the axes x and y, the front on
// x2 and y2.

// Plotly reads tags in its texts: a name is shown as it is written.
const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
const four = (value) => value.toFixed(4);
const CONTOUR = "#d55e00";  // that of the best, whose neighbourhood it bounds: black is lost on a dark page
const EXCLUDED = "#cfcfcf";  // lighter than any grey among the colours of the heat map

// A loop: a call for each of millions of characters is slow.
function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

// Differences along the last axis, little-endian int32, gzip, base64: most steps of a threshold change nothing.
async function decoded(text, [K, U, B]) {
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = new DataView(await new Response(stream).arrayBuffer());
  const values = new Int32Array(K * U * B);
  for (let i = 0; i < values.length; i++) {
    values[i] = bytes.getInt32(4 * i, true) + (i % B ? values[i - 1] : 0);
  }
  return values;
}

// `view` is what sweep_html.py's sweep_data gives.
async function sweepCharts(view) {
  const [K, U, B] = [view.thresh.length, view.unclip_ratio.length, view.box_thresh.length];
  const names = Object.keys(view.scores);
  const arrays = await Promise.all(names.map((name) => decoded(view.scores[name], [K, U, B])));
  const scores = Object.fromEntries(names.map((name, i) => [name, arrays[i]]));

  const at = (k, u, b) => (k * U + u) * B + b;

  // The index of the unclip_ratio shown at a place: the chosen one, or (chosen < 0) the first of the best.
  function shownUnclip(scores, k, b, chosen) {
    if (chosen >= 0) return chosen;
    let best = 0;
    for (let u = 1; u < U; u++) if (scores.hmean[at(k, u, b)] > scores.hmean[at(k, best, b)]) best = u;
    return best;
  }

  // Rows are box_thresh, columns thresh. A place is excluded if no unclip_ratio that is looked at meets the constraint.
  function heatMap(scores, chosen) {
    const heat = { hmean: [], details: [], excluded: [] };
    const constraint = view.constraint;
    const meets = (i) => {
      if (!constraint) return true;
      const value = scores[constraint.metric][i] / constraint.divisor;
      return constraint.at_least ? value >= constraint.bound : value <= constraint.bound;
    };
    for (let b = 0; b < B; b++) {
      const [hmean, details, excluded] = [[], [], []];
      for (let k = 0; k < K; k++) {
        const u = shownUnclip(scores, k, b, chosen), i = at(k, u, b);
        hmean.push(scores.hmean[i] / view.divisor);
        details.push([
          scores.precision[i] / view.divisor, scores.recall[i] / view.divisor,
          view.unclip_ratio[u], scores.n_detections[i],
        ]);
        const looked = chosen >= 0 ? [chosen] : view.unclip_ratio.keys();
        excluded.push([...looked].some((v) => meets(at(k, v, b))) ? null : 1);
      }
      heat.hmean.push(hmean);
      heat.details.push(details);
      heat.excluded.push(excluded);
    }
    return heat;
  }

  function heatTraces(scores, chosen) {
    const heat = heatMap(scores, chosen);
    const places = { x: view.thresh, y: view.box_thresh, xaxis: "x", yaxis: "y" };
    const traces = [{
      ...places, type: "heatmap", z: heat.hmean, customdata: heat.details, colorscale: view.colours,
      zmin: view.low, zmax: view.high, colorbar: { x: 0.43, thickness: 14, tickformat: ".4f" },
      hovertemplate: "thresh %{x:.4~f}, box_thresh %{y:.4~f}<br><b>H %{z:.4f}</b>  P %{customdata[0]:.4f}  " +
        "R %{customdata[1]:.4f}<br>unclip_ratio %{customdata[2]:.3~f}, %{customdata[3]} detections<extra></extra>",
    }];
    if (heat.excluded.flat().some((value) => value)) {
      traces.push({
        ...places, type: "heatmap", z: heat.excluded, colorscale: [[0, EXCLUDED], [1, EXCLUDED]], showscale: false,
        opacity: 0.85, hoverinfo: "skip",
      });
    }
    if (view.contour && K > 1 && B > 1) {
      traces.push({
        ...places, type: "contour", z: heat.hmean, showscale: false, hoverinfo: "skip", autocontour: false,
        contours: { coloring: "none", start: view.contour, end: view.contour, size: 1 },
        line: { color: CONTOUR, width: 1.5, smoothing: 0 }, showlegend: true,
        name: "best − 1 SE: " + four(view.contour),
      });
    }
    return traces;
  }

  function pointTrace(scores, indices, style) {
    const details = indices.map((i) => [
      scores.hmean[i] / view.divisor, view.thresh[Math.floor(i / (U * B))], view.box_thresh[i % B],
      view.unclip_ratio[Math.floor(i / B) % U], scores.n_detections[i],
    ]);
    return {
      type: "scatter", xaxis: "x2", yaxis: "y2", customdata: details,
      x: indices.map((i) => scores.recall[i] / view.divisor),
      y: indices.map((i) => scores.precision[i] / view.divisor),
      hovertemplate: "P %{y:.4f}  R %{x:.4f}  <b>H %{customdata[0]:.4f}</b><br>thresh %{customdata[1]:.4~f}, " +
        "box_thresh %{customdata[2]:.4~f}<br>unclip_ratio %{customdata[3]:.3~f}, %{customdata[4]} detections" +
        "<extra></extra>",
      ...style,
    };
  }

  function namedTraces() {
    return view.named.flatMap((point) => {
      const name = plain(point.name);
      const shared = {
        type: "scatter", mode: "markers+text", name, textposition: point.side, legendgroup: point.name,
        marker: { symbol: point.symbol, color: point.colour, size: point.size, line: { color: "black", width: 1 } },
        hovertemplate: `<b>${name}</b><br>thresh ${point.thresh}, box_thresh ${point.box_thresh}, ` +
          `unclip_ratio ${point.unclip_ratio}<br><b>H ${four(point.hmean)}</b>  P ${four(point.precision)}  ` +
          `R ${four(point.recall)}<extra></extra>`,
      };
      return [
        { ...shared, x: [point.thresh], y: [point.box_thresh], xaxis: "x", yaxis: "y", text: [point.labelled ? name : ""] },
        { ...shared, x: [point.recall], y: [point.precision], xaxis: "x2", yaxis: "y2", showlegend: false },
      ];
    });
  }

  function frontTraces(scores) {
    return [
      pointTrace(scores, view.cloud, { mode: "markers", name: "points", marker: { color: "#9a9a9a", size: 4, opacity: 0.5 } }),
      pointTrace(scores, view.front, {
        mode: "lines+markers", name: "front", line: { color: view.front_colour, shape: "vh" }, marker: { size: 6 },
      }),
    ];
  }

  function shapes() {
    const box = { type: "rect", xref: "x", yref: "y", x0: view.bounds[0], x1: view.bounds[2], y0: view.bounds[1], y1: view.bounds[3] };
    const shapes = [{ ...box, line: { color: "black", width: 1.5 } }];
    if (view.constraint && ["recall", "precision"].includes(view.constraint.metric)) {
      const recall = view.constraint.metric === "recall";
      const [along, across] = recall ? ["x", "y"] : ["y", "x"];
      shapes.push({
        type: "rect", layer: "below", fillcolor: EXCLUDED, opacity: 0.9, line: { width: 0 },
        xref: recall ? "x2" : "x2 domain", yref: recall ? "y2 domain" : "y2",
        [along + "0"]: view.constraint.at_least ? 0 : 1, [along + "1"]: view.constraint.bound, [across + "0"]: 0, [across + "1"]: 1,
      });
    }
    return shapes;
  }

  return {
    heat: (chosen) => heatTraces(scores, chosen),
    front: () => frontTraces(scores),
    named: namedTraces,
    shapes,
  };
}
