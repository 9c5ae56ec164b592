// Where an offline book has the fonts of the widgets.  Read by require.js when it starts.
window.requirejs = {
  paths: {
    "@jupyter-widgets/html-manager/dist": new URL("vendor/widgets", document.currentScript.src).href,
  },
};

// Widgets ask for version 2 of MathJax; the pages have version 3.
document.addEventListener("DOMContentLoaded", () => {
  if (window.MathJax && !MathJax.Hub) {
    const set = (element) => MathJax.startup?.promise.then(() => MathJax.typesetPromise([element]));
    MathJax.Hub = { Queue: ([, , element]) => set(element) };
  }
});

// What the theme and the extensions leave unsaid to those who do not see the page, or have no mouse.
const tellAll = () => {
  for (const summary of document.querySelectorAll("summary")) {
    if (!summary.textContent.trim()) summary.setAttribute("aria-label", "Pages below this one");
  }
  // A list must hold items; these entries have the name of a role that is no longer one.
  for (const list of document.querySelectorAll(".citation-list")) {
    list.removeAttribute("role");
    for (const entry of list.querySelectorAll("[role]")) entry.removeAttribute("role");
  }
  for (const head of document.querySelectorAll("table.dataframe thead th.blank")) {
    head.replaceWith(Object.assign(document.createElement("td"), { className: head.className }));
  }
};

// What scrolls must be reached by the keyboard.
const letScroll = () => {
  for (const part of document.querySelectorAll(".bd-article :is(figure, table, pre, div.math, mjx-container)")) {
    if (part.scrollWidth > part.clientWidth + 1) part.tabIndex = 0;
  }
};

document.addEventListener("DOMContentLoaded", tellAll);
window.addEventListener("load", () => (letScroll(), window.MathJax?.startup?.promise.then(letScroll)));
window.addEventListener("resize", letScroll);

// Sliders of ipywidgets appear late, and their handles have no name.
new MutationObserver(() => {
  for (const handle of document.querySelectorAll(".noUi-handle:not([aria-label])")) {
    const label = handle.closest(".widget-inline-hbox, .jupyter-widgets")?.querySelector(".widget-label");
    handle.setAttribute("aria-label", label?.textContent.trim() || "slider");
  }
}).observe(document.documentElement, { childList: true, subtree: true });
