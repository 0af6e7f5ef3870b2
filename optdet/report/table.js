// The table of trials: sorted by a click on a heading, filtered by state and text, some rows at a time.

const ROWS = 50;

function tableColumns(data) {
  const { trials } = data;
  const column = (name, values, shown = (value) => String(value)) => ({ name, values, shown });
  const scores = ["value", "crossfit", "precision", "recall"];
  return [
    column("trial", trials.number),
    column("state", trials.state),
    ...scores.filter((name) => trials[name].some((value) => value !== null)).map((name) => column(name, trials[name], four)),
    ...data.axes.filter((axis) => !axis.tuned).map((axis) => (axis.choices
      ? column(axis.name, axis.values.map((place) => (place === null ? null : axis.choices[place])))
      : column(axis.name, axis.values, (value) => String(Number(value.toPrecision(4)))))),
    ...Object.entries(data.thresholds).map(([name, values]) => column(name, values, (value) => String(value))),
    column("epochs", trials.epochs),
    column("seconds", trials.seconds, (value) => value.toFixed(0)),
    ...(trials.failure.some(Boolean) ? [column("failure", trials.failure)] : []),
  ];
}

// What is missing comes last, whichever way a column is sorted.
function compared(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  return sign * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
}

function trialTable(data) {
  const columns = tableColumns(data);
  const table = document.getElementById("trial-table"), more = document.getElementById("table-more");
  const byValue = columns.findIndex((column) => column.name === "value");
  const state = { by: Math.max(byValue, 0), sign: byValue < 0 ? 1 : -1, rows: ROWS, only: "", text: "" };
  const best = rowsWith(data, "complete").reduce((top, i) => (top < 0 || data.trials.value[i] > data.trials.value[top] ? i : top), -1);

  const heads = columns.map((column, place) => make("th", {
    scope: "col", class: place === 1 ? "" : "number",
  }, make("button", { type: "button", onclick: () => {
    state.sign = state.by === place ? -state.sign : place < 2 ? 1 : -1;
    state.by = place;
    draw();
  } }, column.name)));
  const body = make("tbody");
  table.replaceChildren(make("thead", {}, make("tr", {}, ...heads)), body);

  const shown = (column, i) => (column.values[i] === null ? "" : column.shown(column.values[i]));
  function chosen() {
    const { values } = columns[state.by];
    const needle = state.text.toLowerCase();
    return data.trials.number.map((_, i) => i)
      .filter((i) => !state.only || data.trials.state[i] === state.only)
      .filter((i) => !needle || columns.some((column) => shown(column, i).toLowerCase().includes(needle)))
      .sort((a, b) => compared(values[a], values[b], state.sign) || a - b);
  }

  function draw() {
    const rows = chosen();
    heads.forEach((head, place) => head.setAttribute("aria-sort", place !== state.by ? "none" : state.sign > 0 ? "ascending" : "descending"));
    body.replaceChildren(...rows.slice(0, state.rows).map((i) => make(
      "tr", { class: `${data.trials.state[i]}${i === best && data.running_best ? " best" : ""}` },
      ...columns.map((column, place) => make("td", { class: place === 1 ? "" : "number" }, shown(column, i))),
    )));
    table.parentElement.classList.toggle("long", body.childElementCount > 20);  // as markup.py has it of other tables
    const left = rows.length - state.rows;
    more.replaceChildren(`${Math.min(rows.length, state.rows)} of ${rows.length} trials `);
    if (left > 0) {
      const add = (count) => () => { state.rows += count; draw(); };
      more.append(make("button", { type: "button", onclick: add(ROWS * 4) }, `show ${Math.min(left, ROWS * 4)} more`));
    }
  }

  const states = [...new Set(data.trials.state)].sort();
  document.getElementById("table-controls").append(
    make("label", {}, "state ", make("select", { onchange: (event) => { state.only = event.target.value; draw(); } },
      make("option", { value: "" }, "all"), ...states.map((name) => make("option", {}, name)))),
    make("label", {}, " find ", make("input", { type: "search", oninput: (event) => { state.text = event.target.value; state.rows = ROWS; draw(); } })),
  );
  draw();
}
