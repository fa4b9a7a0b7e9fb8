/* The counter: the screen locks when nobody touches it, a swiped card moves on to the PIN, amounts follow what is chosen. */
"use strict";
(() => {
  const locks = document.querySelector("meta[name=lock-after]");
  const token = () => {
    const meta = document.querySelector("meta[name=form-token]");
    return meta ? meta.content : "";
  };

  // Touches keep the screen awake on both sides: told to the server once a minute at most, for it locks by its own clock too.
  if (locks) {
    const after = Number(locks.content) * 1000;
    let touched = performance.now();
    let told = touched;
    for (const kind of ["keydown", "pointerdown", "touchstart"]) {
      document.addEventListener(kind, () => { touched = performance.now(); }, { passive: true, capture: true });
    }
    setInterval(() => {
      if (document.getElementById("lockscreen")) return;
      const now = performance.now();
      if (now - touched >= after) {
        if (window.htmx && navigator.onLine) window.htmx.ajax("POST", "/cashier/lock", { target: "#problem", swap: "innerHTML", values: { csrf_token: token() } });
      } else if (touched > told && now - told >= 60000) {
        told = now;
        fetch("/cashier/here", { method: "POST", body: new URLSearchParams({ csrf_token: token() }) }).catch(() => {});
      }
    }, 5000);
  }

  // Behind the lock nothing takes keys; opened again, the page is as it was.
  function veil() {
    const over = document.getElementById("lockscreen");
    const page = document.getElementById("main");
    for (const piece of [...(page ? page.children : []), ...document.querySelectorAll(".rail")]) {
      if (!piece.contains(over)) piece.inert = Boolean(over);
    }
    if (over) {
      const field = over.querySelector("input[type=password]");
      if (field && !over.contains(document.activeElement)) field.focus();
    }
  }
  document.addEventListener("htmx:afterSettle", veil);
  document.addEventListener("unlocked", () => setTimeout(() => {
    veil();
    const first = document.querySelector("main [autofocus]");
    if (first) first.focus();
  }, 50));

  // A card reader ends with Enter: that moves on along data-next to the first field that is still empty; where none is, Enter sends.
  const following = (field) => (field.dataset && field.dataset.next && document.getElementById(field.dataset.next)) || null;
  // A code that was scanned off a phone spares the field that data-spares names: it need not be filled.
  const sparing = (field) => {
    const spared = field.dataset && field.dataset.spares && document.getElementById(field.dataset.spares);
    if (!spared) return null;
    const scanned = /^[A-Za-z0-9_-]{60,}$/.test(field.value.trim());
    if (spared.required) spared.dataset.wanted = "1";
    spared.required = !scanned && spared.dataset.wanted === "1";
    return scanned ? spared : null;
  };
  document.addEventListener("input", (event) => sparing(event.target));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    const spared = sparing(event.target);
    let next = following(event.target);
    while (next && (next.value || next === spared)) next = following(next);
    if (next && event.target.value) {
      event.preventDefault();
      next.focus();
    }
  });

  // A figure of the pad fills the field; what the counter counts (notes and coins) is summed as it is typed.
  document.addEventListener("click", (event) => {
    const quick = event.target.closest("[data-fill]");
    if (!quick) return;
    const field = document.getElementById(quick.dataset.fill);
    if (!field) return;
    field.value = quick.dataset.value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.focus();
  });

  // The cell of a fill is the way to pay it: chosen by touch, the PIN is next.
  document.addEventListener("change", (event) => {
    if (event.target.matches("input[type=radio][data-then]")) {
      const next = document.getElementById(event.target.dataset.then);
      if (next && event.target.dataset.touched) next.focus();
    }
  });
  document.addEventListener("pointerdown", (event) => {
    const chip = event.target.closest("label");
    const radio = chip && chip.querySelector("input[type=radio][data-then]");
    if (radio) radio.dataset.touched = "1";
  });

  // Among the fills digits choose the nozzle, as they do in the card field.
  document.addEventListener("keydown", (event) => {
    const group = event.target.closest && event.target.closest(".fills");
    if (!group || !/^\d$/.test(event.key) || event.ctrlKey || event.altKey || event.metaKey) return;
    const fits = [...group.querySelectorAll("[data-nozzle]:not(:disabled)")].filter((radio) => radio.dataset.nozzle.startsWith(event.key));
    const next = fits[(fits.indexOf(event.target) + 1) % fits.length];
    if (!next) return;
    event.preventDefault();
    next.checked = true;
    next.focus();
    next.dispatchEvent(new Event("change", { bubbles: true }));
  });

  // Paper: the receipt's page prints itself once where the till is set up so, and always at the key.
  if (document.querySelector("[data-print-now]")) window.print();
})();
