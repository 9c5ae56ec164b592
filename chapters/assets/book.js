// Where an offline book has the fonts of the widgets; must be known before their script starts.
window.__jupyter_widgets_assets_path__ = new URL("vendor/widgets/", document.currentScript.src).href;

// Widgets ask for version 2 of MathJax; the pages have version 3.
document.addEventListener("DOMContentLoaded", () => {
  if (window.MathJax && !MathJax.Hub) {
    const set = (element) => MathJax.startup?.promise.then(() => MathJax.typesetPromise([element]));
    MathJax.Hub = { Queue: ([, , element]) => set(element) };
  }
});
