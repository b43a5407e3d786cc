/* What the widget manager needs on a static page. Loaded before it, on pages with widgets only. */
(() => {
  /* RequireJS reads its settings from this global before it starts: where the manager's own fonts lie. */
  const vendor = document.currentScript.dataset.vendor;
  if (vendor) {
    const manager = "@jupyter-widgets/html-manager";
    window.require = { paths: { [manager]: `${vendor}${manager}` } };
  }

  /* The manager typesets with MathJax 2's queue; MathJax 3 has none. */
  let math = window.MathJax;
  const queue = (task) => math.typesetPromise?.([task[2]]);
  Object.defineProperty(window, "MathJax", {
    get: () => math,
    set: (value) => {
      math = value;
      math.Hub ??= { Queue: queue };
    },
  });

  /* The manager draws a slider's handle without a name: give it the slider's label, and its readout as the value. */
  const name = (slider) => {
    const label = slider.querySelector(".widget-label");
    const readout = slider.querySelector(".widget-readout");
    for (const handle of slider.querySelectorAll(".noUi-handle")) {
      if (label && handle.ariaLabel !== label.textContent) handle.ariaLabel = label.textContent;
      if (readout && handle.ariaValueText !== readout.textContent) handle.ariaValueText = readout.textContent;
    }
  };
  const all = () => document.querySelectorAll(".widget-slider, .widget-hslider").forEach(name);
  new MutationObserver(all).observe(document, { childList: true, subtree: true, characterData: true });
})();
