// The charts: each takes the report's data and gives Plotly's traces and what of the layout is its own.

const SYMBOLS = { complete: "circle", pruned: "x-thin-open" };
const blue = () => (theme.dark() ? COLOURS.sky : COLOURS.blue);  // the darker one is lost on black
const colourOf = (state) => ({ complete: blue(), pruned: COLOURS.orange, best: COLOURS.green }[state] || COLOURS.grey);
const SHOWN_POINTS = 1500;  // of a state: each costs the browser an element

const least = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
const most = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);
const ink = () => (theme.dark() ? "#e4e4e4" : "#222");
const faint = () => (theme.dark() ? "#3a3f45" : "#dcdfe3");

// Trials as rows that have a value, with their places in the columns.
function rowsWith(data, state) {
  const { trials } = data;
  return trials.number.map((_, i) => i).filter((i) => trials.state[i] === state && trials.value[i] !== null);
}

// Of very many the best half, and of the others every so many-th.
function thinned(data, rows) {
  if (rows.length <= SHOWN_POINTS) return rows;
  const ranked = [...rows].sort((a, b) => data.trials.value[b] - data.trials.value[a]);
  const half = SHOWN_POINTS / 2, rest = ranked.slice(half).sort((a, b) => a - b), step = rest.length / half;
  return [...ranked.slice(0, half), ...Array.from({ length: half }, (_, i) => rest[Math.floor(i * step)])].sort((a, b) => a - b);
}

function pointText(data, i) {
  const lines = data.axes.filter((axis) => axis.values[i] !== null).map((axis) => {
    const value = axis.choices ? axis.choices[axis.values[i]] : axis.values[i];
    return `${plain(axis.name)} ${typeof value === "number" ? Number(value.toPrecision(4)) : plain(value)}`;
  });
  return [`<b>trial ${data.trials.number[i]}</b> ${four(data.trials.value[i])}`, ...lines.slice(0, 12)].join("<br>");
}

// Where complete trials are: a few that learnt nothing must not flatten all else.
function usefulRange(data) {
  const sorted = rowsWith(data, "complete").map((i) => data.trials.value[i]).sort((a, b) => a - b);
  if (sorted.length < 3) return undefined;
  const top = sorted[sorted.length - 1], middle = sorted[Math.floor(sorted.length / 2)];
  // Of a few trials each is worth seeing.
  const reach = sorted.length < 10 ? 12 : 4;
  const bottom = Math.max(sorted[0], top - reach * Math.max(top - middle, 0.01));
  const margin = 0.08 * Math.max(top - bottom, 0.01);
  return [bottom - margin, top + margin];
}

// Values by place; what lies below the range stands at its foot, pointing down.
function pointsOf(data, state, range, x) {
  const rows = thinned(data, rowsWith(data, state));
  const low = range ? range[0] + 0.02 * (range[1] - range[0]) : -Infinity;
  const below = rows.map((i) => data.trials.value[i] < low);
  const color = colourOf(state);
  return {
    type: "scatter", mode: "markers", name: state, x: rows.map(x), hoverinfo: "text",
    y: rows.map((i, place) => (below[place] ? low : data.trials.value[i])), text: rows.map((i) => pointText(data, i)),
    marker: {
      color, size: 8, opacity: 0.85, symbol: below.map((is) => (is ? "triangle-down-open" : SYMBOLS[state])),
      line: { width: below.map((is) => (is || state === "pruned" ? 1.8 : 0)), color },
    },
  };
}

function history(data) {
  const range = usefulRange(data);
  const traces = ["pruned", "complete"].map((state) => pointsOf(data, state, range, (i) => data.trials.number[i]));
  const failed = data.trials.number.filter((_, i) => data.trials.state[i] === "fail");
  if (failed.length) {
    const foot = range ? range[0] + 0.02 * (range[1] - range[0]) : 0;
    traces.push({
      type: "scatter", mode: "markers", name: "failed", x: failed, y: failed.map(() => foot), hovertemplate: "trial %{x} failed<extra></extra>",
      marker: { symbol: "diamond", size: 8, color: COLOURS.vermillion },
    });
  }
  if (data.running_best) {
    const [x, y] = [[], []];
    for (const i of rowsWith(data, "complete")) {
      if (y.length && data.trials.value[i] <= y[y.length - 1]) continue;
      x.push(data.trials.number[i]);
      y.push(data.trials.value[i]);
    }
    if (y.length) {
      x.push(data.trials.number.at(-1));
      y.push(y.at(-1));
    }
    traces.push({
      type: "scatter", mode: "lines", name: "best so far", x, y, hoverinfo: "skip",
      line: { color: COLOURS.green, width: 2.5, shape: "hv" },
    });
  }
  return { traces, layout: { xaxis: { title: { text: "trial" }, dtick: wholeStep(data.trials.number.at(-1)) }, yaxis: { title: { text: "value" }, range } } };
}

// The number of the trial with the highest value: its epochs, which are scored at other thresholds, may not be the highest.
function bestNumber(data) {
  const [best] = rowsWith(data, "complete").sort((a, b) => data.trials.value[b] - data.trials.value[a] || a - b);
  return best === undefined ? null : data.trials.number[best];
}

function curves(data) {
  const best = bestNumber(data);
  let named = new Set();
  const traces = data.curves.map((each) => {
    const isBest = each.number === best;
    const kind = isBest ? "best" : each.state;
    const first = !named.has(kind);
    named.add(kind);
    const color = colourOf(kind);
    return {
      type: "scatter", mode: each.values.length > 1 ? "lines" : "markers", x: each.epochs, y: each.values,
      name: kind, legendgroup: kind, showlegend: first, opacity: kind === "best" ? 1 : 0.55,
      line: { color, width: kind === "best" ? 3 : 1.3, dash: kind === "pruned" ? "dot" : "solid" },
      marker: { color, size: 5 }, hovertemplate: `trial ${each.number}, epoch %{x}: %{y:.4f}<extra></extra>`,
    };
  });
  const ends = data.curves.filter((each) => each.state === "pruned");
  traces.push({
    type: "scatter", mode: "markers", showlegend: false, hoverinfo: "skip", x: ends.map((each) => each.epochs.at(-1)),
    y: ends.map((each) => each.values.at(-1)), legendgroup: "pruned",
    marker: { symbol: "x-thin", size: 7, line: { color: COLOURS.orange, width: 2 } },
  });
  return {
    traces: traces.sort((a, b) => (a.name === "best") - (b.name === "best")),
    layout: { xaxis: { title: { text: "epoch" }, dtick: wholeStep(most(data.curves.map((each) => each.epochs.at(-1)))) }, yaxis: { title: { text: "H-mean" }, range: curvesRange(data) } },
  };
}

// As that of the values, which tuning has raised since, and down to nearly all of the second halves of the curves.
function curvesRange(data) {
  const range = usefulRange(data);
  const complete = data.curves.filter((each) => each.state === "complete");
  const late = complete.flatMap((each) => each.values.slice(Math.floor(each.values.length / 2))).sort((a, b) => a - b);
  if (!range || !late.length) return range;
  const bottom = Math.max(late[complete.length < 10 ? 0 : Math.floor(late.length / 10)], late[late.length - 1] - 0.5);
  const top = Math.max(range[1], late[late.length - 1]);
  return [Math.min(range[0], bottom - 0.05 * (top - bottom)), top];
}

// Between trials, and between epochs, there is nothing: of a few each has a tick.
const wholeStep = (last) => (last <= 12 ? 1 : undefined);

const log10 = (value) => Math.log(value) / Math.LN10;

// Ticks of a logarithmic axis, in logarithms.
function logTicks(values) {
  const [low, high] = [log10(least(values)), log10(most(values))];
  const ticks = [];
  for (let power = Math.floor(low); power <= high; power++) {
    for (const step of high - low > 2 ? [1] : [1, 2, 5]) {
      const tick = power + log10(step);
      if (tick >= low && tick <= high) ticks.push(tick);
    }
  }
  const shown = ticks.length > 1 ? ticks : [low, high];
  return { tickvals: shown, ticktext: shown.map((tick) => String(Number((10 ** tick).toPrecision(2)))) };
}

function importances(data) {
  const shown = data.importances.slice(0, 15).reverse();
  return {
    traces: [{
      type: "bar", orientation: "h", x: shown.map((each) => each.importance), y: shown.map((each) => plain(each.name)),
      text: shown.map((each) => each.importance.toFixed(2)), textposition: "outside", cliponaxis: false,
      marker: { color: blue(), pattern: { shape: shown.map((each) => (each.tuned ? "/" : "")), fillmode: "overlay", fgcolor: "#fff", fgopacity: 0.75 } },
      hovertemplate: "%{y}: %{x:.3f}<extra></extra>",
    }],
    layout: { height: 60 + 30 * shown.length, margin: { l: 10, r: 50, t: 10, b: 40 }, yaxis: { automargin: true }, showlegend: false, xaxis: { title: { text: "importance" }, rangemode: "tozero" } },
  };
}

// Ticks at powers of ten, and between them where there are few.
function powers(values) {
  const { tickvals, ticktext } = logTicks(values);
  return { type: "log", tickvals: tickvals.map((tick) => 10 ** tick), ticktext };
}

function slice(data, axis) {
  const there = axis.values.filter((value) => value !== null);
  const range = usefulRange(data);
  const place = (i) => (axis.choices && axis.values[i] !== null ? axis.choices[axis.values[i]] : axis.values[i]);
  const traces = ["pruned", "complete"].map((state) => ({ ...pointsOf(data, state, range, place), showlegend: false }));
  const kind = axis.choices ? { type: "category", categoryorder: "array", categoryarray: axis.choices } : axis.log && least(there) > 0 ? powers(there) : { type: "linear", nticks: 5 };
  return {
    traces,
    layout: {
      height: 230, margin: { l: 50, r: 10, t: 10, b: 42 }, xaxis: { title: { text: plain(axis.name) }, ...kind },
      yaxis: { range, nticks: 5 },
    },
  };
}

function heat(sweep, ratio) {
  const named = sweep.charts.named().filter((trace) => trace.xaxis === "x");
  const traces = [...sweep.charts.heat(ratio), ...named];
  traces[0].colorbar = { thickness: 12, tickformat: ".3f", len: 0.9 };
  for (const trace of traces) if (trace.text) trace.mode = "markers";  // the legend has their names
  const shapes = sweep.charts.shapes().filter((shape) => shape.xref === "x");
  return {
    traces, layout: {
      shapes, hovermode: "closest", height: 440, plot_bgcolor: "#f4f4f4",
      xaxis: { title: { text: "thresh" }, zeroline: false }, yaxis: { title: { text: "box_thresh" }, zeroline: false },
    },
  };
}

function front(sweep) {
  const traces = [...sweep.charts.front(), ...sweep.charts.named().filter((trace) => trace.xaxis === "x2")];
  for (const trace of traces) {
    Object.assign(trace, { xaxis: "x", yaxis: "y" });
    if (trace.mode.includes("text")) Object.assign(trace, { showlegend: true, textfont: { color: ink() } });
  }
  const [x, y] = sweep.view.limits;
  return {
    traces, layout: {
      hovermode: "closest", height: 440,
      xaxis: { title: { text: "recall" }, range: x, zeroline: false }, yaxis: { title: { text: "precision" }, range: y, zeroline: false },
    },
  };
}

function costs(data) {
  const shown = [...data.costs].reverse();
  return {
    traces: [{
      type: "bar", orientation: "h", y: shown.map((each) => each.text), x: shown.map((each) => each.cost),
      error_x: {
        type: "data", symmetric: false, color: ink(), thickness: 1.5,
        array: shown.map((each) => each.interval[1] - each.cost), arrayminus: shown.map((each) => each.cost - each.interval[0]),
      },
      marker: { color: COLOURS.vermillion }, hovertemplate: "%{y}: %{x:+.4f}<extra></extra>",
    }],
    layout: { height: 60 + 34 * shown.length, margin: { l: 10, r: 20, t: 10, b: 40 }, yaxis: { automargin: true }, showlegend: false, xaxis: { title: { text: "H-mean to gain" }, rangemode: "tozero" } },
  };
}

// Words in lines that the smallest charts have room for.
const LINE = 28;
function inLines(text) {
  const lines = [""];
  for (const word of text.split(" ")) {
    if (lines.at(-1) && `${lines.at(-1)} ${word}`.length > LINE) lines.push(word);
    else lines.push(`${lines.pop()} ${word}`.trim());
  }
  return lines;
}

function buckets(data) {
  const shown = data.properties.map((each) => ({ ...each, buckets: each.buckets.filter((bucket) => bucket.recall.value !== null) })).filter((each) => each.buckets.length);
  const all = data.properties[0].buckets.reduce(([part, whole], { recall }) => [part + recall.part, whole + recall.whole], [0, 0]);
  return shown.map(({ title, buckets: of }) => ({
    traces: [{
      type: "scatter", mode: "markers", cliponaxis: false, x: of.map((bucket) => plain(bucket.label)), y: of.map((bucket) => bucket.recall.value),
      customdata: of.map((bucket) => bucket.n_words), marker: { color: blue(), size: 9 }, hovertemplate: "%{x}: recall %{y:.3f}, %{customdata} words<extra></extra>",
      error_y: {
        type: "data", symmetric: false, color: ink(), thickness: 1.3,
        array: of.map(({ recall }) => (recall.interval ? recall.interval[1] - recall.value : 0)),
        arrayminus: of.map(({ recall }) => (recall.interval ? recall.value - recall.interval[0] : 0)),
      },
    }],
    layout: {
      height: 275, margin: { l: 45, r: 10, t: 47, b: 60 }, showlegend: false, title: { text: inLines(title).map(plain).join("<br>"), font: { size: 12 } },
      xaxis: { type: "category" }, yaxis: { range: [Math.max(0, least(of.map(({ recall }) => (recall.interval || [recall.value])[0])) - 0.05), 1.01], nticks: 5 },
      shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: all[0] / all[1], y1: all[0] / all[1], line: { color: COLOURS.green, dash: "dot", width: 1.5 } }],
    },
  }));
}

function board(data) {
  const boards = [...new Set(data.board.map((each) => each.board))];
  const values = data.board.flatMap((each) => [each.local, each.score]);
  const [low, high] = [least(values), most(values)];
  const traces = boards.map((name, place) => {
    const rows = data.board.filter((each) => each.board === name);
    return {
      type: "scatter", mode: rows.length <= 12 ? "markers+text" : "markers", name, x: rows.map((each) => each.local), y: rows.map((each) => each.score),
      text: rows.map((each) => plain(each.file)), textposition: "top center", textfont: { size: 10, color: ink() },
      marker: { size: 9, color: [blue(), COLOURS.vermillion][place], symbol: ["circle", "diamond"][place] },
      hovertemplate: "%{text}<br>local %{x:.4f}, board %{y:.4f}<extra></extra>",
    };
  });
  traces.push({ type: "scatter", mode: "lines", name: "equal", x: [low, high], y: [low, high], hoverinfo: "skip", line: { color: COLOURS.grey, dash: "dot" } });
  return { traces, layout: { xaxis: { title: { text: "local H-mean (cross-fitted where known)" } }, yaxis: { title: { text: "leaderboard" } } } };
}
