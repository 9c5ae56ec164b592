/** What the widgets of maps and curves share: labelled sliders, sharp canvases, and their style. */

/** Return a number as text, with a true minus sign and without a negative zero. */
export const signed = (number, digits = 2) => (number.toFixed(digits) * 1).toFixed(digits).replace("-", "−");

/** Return a new element inside a parent. */
export function add(parent, tag, properties = {}) {
  return parent.appendChild(Object.assign(document.createElement(tag), properties));
}

/** Return a labelled range input, as a function that shows a value in it. */
export function slider(parent, text, [low, high, step], change) {
  const label = add(parent, "label", { textContent: text });
  const input = add(label, "input", { type: "range", min: low, max: high, step });
  const output = add(label, "output"), digits = step < 0.01 ? 3 : 2;
  input.addEventListener("input", () => change(Number(input.value)));
  return (value) => {
    input.value = value;
    output.textContent = signed(value, digits);
    input.setAttribute("aria-valuetext", signed(value, digits));
  };
}

/** Make a canvas as wide as its place, and return its context in units of the page. */
export function prepared(canvas, height) {
  const scale = Math.min(window.devicePixelRatio || 1, 2), width = canvas.clientWidth || 320;
  Object.assign(canvas, { width: width * scale, height: height * scale });
  canvas.style.height = `${height}px`;
  const g = canvas.getContext("2d");
  g.setTransform(scale, 0, 0, scale, 0, 0);
  g.font = "12px system-ui, sans-serif";
  g.lineJoin = "round";
  return { g, width, height };
}

const CSS = `
.nrp-tool { display: grid; gap: 0.6rem 1.4rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr));
  align-items: start; color: var(--pst-color-text-base, #222); line-height: 1.4; margin: 1rem 0; }
.nrp-tool canvas { display: block; width: 100%; }
.nrp-tool label { display: grid; grid-template-columns: 9.5rem 1fr 3rem; gap: 0.5rem; align-items: center;
  margin-bottom: 0.3rem; }
.nrp-tool input { width: 100%; min-width: 0; }
.nrp-tool :is(button, input):focus-visible { outline: 3px solid currentColor; outline-offset: 2px; }
.nrp-tool output { text-align: right; font-variant-numeric: tabular-nums; }
.nrp-tool button { font: inherit; color: inherit; background: var(--pst-color-background, #fff);
  border: 1px solid currentColor; border-radius: 0.3rem; padding: 0.2rem 0.7rem; margin: 0.2rem 0 0.5rem; cursor: pointer; }
.nrp-tool p { margin: 0.4rem 0 0; font-size: 0.9em; }
.nrp-tool p.nrp-words { min-height: 8.4em; }`;

/** Return a new root with the style of these widgets, which is put into the page once. */
export function root(el) {
  if (!document.getElementById("nrp-tool-style")) {
    add(document.head, "style", { id: "nrp-tool-style", textContent: CSS });
  }
  return add(el, "div", { className: "nrp-tool" });
}

/** Draw again whenever an element has another size or the page another theme; return what ends that. */
export function watched(element, redraw) {
  const size = new ResizeObserver(redraw), theme = new MutationObserver(redraw);
  size.observe(element);
  theme.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  return () => {
    size.disconnect();
    theme.disconnect();
  };
}
