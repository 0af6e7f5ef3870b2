// The page of sweep_html.py: one figure of both charts of sweep_charts.js.
const view = JSON.parse(document.getElementById("sweep").textContent);

function layout(shapes) {
  return {
    height: 640, margin: { t: 20, r: 20, l: 60 }, hovermode: "closest", shapes, plot_bgcolor: "#f4f4f4",
    legend: { orientation: "h", y: -0.12 }, font: { size: 13 },
    xaxis: { domain: [0, 0.42], title: { text: "thresh" }, zeroline: false },
    yaxis: { title: { text: "box_thresh" }, zeroline: false },
    xaxis2: { domain: [0.56, 1], anchor: "y2", title: { text: "recall" }, range: view.limits[0], zeroline: false },
    yaxis2: { anchor: "x2", title: { text: "precision" }, range: view.limits[1], zeroline: false },
  };
}

async function main() {
  const charts = await sweepCharts(view);
  const select = document.getElementById("unclip_ratio");
  const others = [...charts.front(), ...charts.named()];
  // By default plotly.js from 4 on has a button that sends the data to its makers.
  const config = { displaylogo: false, responsive: true, showSendToCloud: false, plotlyServerURL: "" };
  const draw = () => Plotly.react(
    "plot", [...charts.heat(Number(select.value)), ...others], layout(charts.shapes()), config,
  );
  select.addEventListener("change", draw);
  await draw();
}

main().catch((error) => {
  document.getElementById("plot").textContent = "The picture cannot be drawn: " + error.message;
});
