/* A signature drawn with finger, pen or mouse: an SVG path in whole units of its box, kept in the form's hidden field. */
"use strict";
(() => {
  function begin(box) {
    const pad = box.querySelector("svg");
    const path = pad.querySelector("path");
    const field = box.querySelector("input[type=hidden]");
    const [, , width, height] = pad.getAttribute("viewBox").split(" ").map(Number);
    let drawn = "";
    let drawing = false;

    function at(event) {
      const frame = pad.getBoundingClientRect();
      const x = Math.round(((event.clientX - frame.left) / frame.width) * width);
      const y = Math.round(((event.clientY - frame.top) / frame.height) * height);
      return `${Math.min(Math.max(x, 0), width)},${Math.min(Math.max(y, 0), height)}`;
    }

    function keep(piece) {
      // The server takes 30,000 characters: whoever goes on beyond that only scribbles.
      if (drawn.length + piece.length > 29000) return;
      drawn += piece;
      path.setAttribute("d", drawn);
      field.value = drawn;
    }

    pad.addEventListener("pointerdown", (event) => {
      drawing = true;
      pad.setPointerCapture(event.pointerId);
      keep(`${drawn ? " " : ""}M${at(event)}`);
      event.preventDefault();
    });
    pad.addEventListener("pointermove", (event) => {
      if (drawing) keep(` L${at(event)}`);
    });
    for (const name of ["pointerup", "pointercancel"]) {
      pad.addEventListener(name, () => {
        drawing = false;
      });
    }
    box.querySelector("[data-signature-clear]").addEventListener("click", () => {
      drawn = "";
      path.setAttribute("d", "");
      field.value = "";
    });
  }

  function look(root) {
    for (const box of root.querySelectorAll("[data-signature]:not([data-ready])")) {
      box.dataset.ready = "";
      begin(box);
    }
  }

  look(document);
  document.addEventListener("htmx:afterSettle", (event) => look(event.target));
})();
