"use strict";
// Light or dark: the reader's setting, unless the button says otherwise; paper is always light.

// The eight colours of Okabe and Ito, which people with any of the common colour-vision deficiencies can tell
// apart. One meaning has one colour everywhere.
const COLOURS = {
  orange: "#e69f00", sky: "#56b4e9", green: "#009e73", yellow: "#f0e442",
  blue: "#0072b2", vermillion: "#d55e00", purple: "#cc79a7", grey: "#8a8a8a",
};

const theme = {
  chosen: null,
  printing: false,
  dark() {
    if (this.printing) return false;
    if (this.chosen !== null) return this.chosen;
    return matchMedia("(prefers-color-scheme: dark)").matches;
  },
  apply() {
    document.documentElement.dataset.theme = this.dark() ? "dark" : "light";
    document.getElementById("theme").textContent = this.dark() ? "light" : "dark";
  },
};

function onTheme(changed) {
  const apply = () => { theme.apply(); changed(); };
  document.getElementById("theme").addEventListener("click", () => { theme.chosen = !theme.dark(); apply(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const each of closed) each.open = true;
    theme.printing = true;
    apply();
  });
  addEventListener("afterprint", () => {
    for (const each of closed) each.open = false;
    theme.printing = false;
    apply();
    // Once more: plotly keeps the room that a legend of several rows had on narrow paper until it draws again.
    requestAnimationFrame(() => requestAnimationFrame(apply));
  });
  theme.apply();
}

const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
};
