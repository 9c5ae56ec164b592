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
