// Images with their words and detections, each kind in a look of its own: colour, and line or fill.

const KINDS = {
  hit: "hit", partial: "found in part", split: "split", merge: "merged", miss: "missed", overlap: "overlap",
  false_positive: "false", ignored: "ignored", unread: "not read",
};
const LAYERS = [
  ["hit", "hits"], ["miss", "misses"], ["partial", "found in part"], ["split", "splits"], ["merge", "merges"],
  ["overlap", "overlaps"], ["false_positive", "false positives"], ["ignored", "ignored"],
];
const GROUPS = { all: "all", worst: "worst", improved: "most improved", harmed: "most harmed" };
const SVG = "http://www.w3.org/2000/svg";

function shape(what, [kind, points, text]) {
  const node = document.createElementNS(SVG, "polygon");
  node.setAttribute("points", points.join(" "));
  node.setAttribute("class", `${what} ${kind}`);
  node.append(document.createElementNS(SVG, "title"));
  node.firstChild.textContent = `${what} ${KINDS[kind]}${text ? `: ${text}` : ""}`;
  return node;
}

function overlay(image, side) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${image.width} ${image.height}`);
  svg.append(...side.words.map((word) => shape("word", word)), ...side.detections.map((found) => shape("detection", found)));
  return svg;
}

function scores(side, moved, shown) {
  return make("span", { class: `scores ${shown}` }, `H ${four(side.hmean)}${moved}  P ${four(side.precision)}  R ${four(side.recall)}`,
    make("span", { class: "counts" }, side.errors.join(", ") || "no errors"));
}

function card(image) {
  const change = image.before ? image.now.hmean - image.before.hmean : null;
  const moved = change === null || Math.abs(change) < 5e-5 ? "" : ` (${change > 0 ? "+" : "−"}${Math.abs(change).toFixed(4)})`;
  const caption = make("figcaption", {}, make("strong", {}, image.name), scores(image.now, moved, image.before ? "now" : ""));
  if (image.before) caption.append(scores(image.before, " before", "before"));
  const view = make("div", { class: "view", tabindex: "0", role: "button", "aria-label": `${image.name}: larger or smaller` },
    make("img", { src: image.image, alt: image.name, loading: "lazy", decoding: "async", width: image.width, height: image.height }));
  if (image.map) view.append(make("img", { class: "map", src: image.map, alt: "probability map", loading: "lazy", decoding: "async" }));
  // Thousands of polygons: those of an image are made when it comes into view.
  let made = false;
  const outline = () => {
    if (made) return;
    made = true;
    for (const side of ["now", "before"]) {
      if (!image[side]) continue;
      const svg = overlay(image, image[side]);
      svg.classList.add(side);
      view.append(svg);
    }
  };
  const figure = make("figure", { class: "card", "data-groups": image.groups.join(" ") }, view, caption);
  const larger = () => figure.classList.toggle("large");
  view.addEventListener("click", larger);
  view.addEventListener("keydown", (event) => { if (event.key === "Enter") larger(); });
  return [figure, outline];
}

// A browser prints those images alone that it has: one that waits for the reader to scroll is white on paper.
function loadImages() {
  for (const image of document.querySelectorAll("#gallery img")) image.loading = "eager";
}

function gallery(images, before) {
  const place = document.getElementById("gallery"), controls = document.getElementById("gallery-controls");
  if (!place) return;
  const outlines = new Map(images.map(card));
  place.append(...outlines.keys());
  const near = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) if (isIntersecting) { near.unobserve(target); outlines.get(target)(); }
  }, { rootMargin: "900px" });
  for (const figure of outlines.keys()) near.observe(figure);
  addEventListener("beforeprint", () => { loadImages(); outlines.forEach((outline) => outline()); });
  const toggle = (name, label, on) => make("label", { class: "layer" },
    make("input", { type: "checkbox", checked: on, "data-layer": name, onchange: (event) => place.classList.toggle(`no-${name}`, !event.target.checked) }),
    make("i", { class: `swatch ${name}` }), label);
  const groups = ["all", ...Object.keys(GROUPS).filter((name) => images.some((image) => image.groups.includes(name)))];
  const choose = make("select", { id: "gallery-group", onchange: (event) => {
    for (const figure of place.children) {
      figure.hidden = event.target.value !== "all" && !figure.dataset.groups.split(" ").includes(event.target.value);
    }
  } }, ...groups.map((name) => make("option", { value: name }, GROUPS[name])));
  const there = new Set(images.flatMap((image) => [image.now, image.before].filter(Boolean))
    .flatMap((side) => [...side.words, ...side.detections].map(([kind]) => kind)));
  const map = toggle("map", "probability map", false);
  place.classList.add("no-map");
  const words = toggle("words", "ground truth", true);
  controls.append(make("label", {}, "show ", choose), map, words, ...LAYERS.filter(([name]) => there.has(name)).map(([name, label]) => toggle(name, label, true)));
  if (before) {
    controls.append(make("label", { class: "layer" }, make("input", { type: "checkbox", id: "before", onchange: (event) => place.classList.toggle("show-before", event.target.checked) }), `before (${before}), on the maps of now`));
  }
}
