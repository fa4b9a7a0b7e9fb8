/* Small comforts on top of pages that work without them: theme at once, toasts that leave, dialogs, dropped files, filters that send themselves. */
"use strict";
(() => {
  const root = document.documentElement;

  // Theme and density need no reload: apply, then keep the choice in the background. The language does need one.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-preferences]")) return;
    const button = event.submitter;
    if (!button || button.name === "lang") return;
    event.preventDefault();
    if (button.value === "auto") root.removeAttribute("data-" + button.name);
    else root.setAttribute("data-" + button.name, button.value);
    for (const other of document.querySelectorAll(`[data-preferences] [name="${button.name}"]`)) {
      other.setAttribute("aria-pressed", String(other.value === button.value));
    }
    const body = new URLSearchParams({ [button.name]: button.value, back: "/" });
    fetch(form.action, { method: "POST", body, redirect: "manual" }).catch(() => {});
  });

  // A toast leaves after eight seconds, not while it is pointed at or holds the focus.
  const watched = new WeakSet();
  function watchToasts() {
    for (const toast of document.querySelectorAll("#toasts [data-toast]")) {
      if (watched.has(toast)) continue;
      watched.add(toast);
      const leave = () => {
        if (toast.matches(":hover, :focus-within")) return setTimeout(leave, 2000);
        toast.classList.add("leaving");
        setTimeout(() => toast.remove(), 400);
      };
      setTimeout(leave, 8000);
    }
  }

  // Dialogs: a button with data-open shows, data-close hides; the focus goes to what is least harmful.
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-open]");
    if (opener) {
      const dialog = document.getElementById(opener.dataset.open);
      if (dialog && dialog.showModal) {
        event.preventDefault();
        dialog.showModal();
      }
      return;
    }
    const closer = event.target.closest("[data-close]");
    if (closer) {
      const dialog = closer.closest("dialog");
      if (dialog) {
        event.preventDefault();
        dialog.close();
      }
    }
    if (event.target.closest("[data-print]")) window.print();
  });

  // Files may be dropped on the whole area.
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      const area = event.target.closest && event.target.closest("[data-drop]");
      if (!area) return;
      if (kind === "dragover") event.preventDefault();
      area.classList.toggle("over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files.length) {
        event.preventDefault();
        const input = area.querySelector("input[type=file]");
        input.files = event.dataTransfer.files;
        input.dispatchEvent(new Event("change", { bubbles: true }));
      }
    });
  }

  // A table that is wider than its place, with nothing in it to go to, is reached and scrolled by the keyboard too.
  const places = new ResizeObserver((seen) => seen.forEach((one) => reach(one.target)));
  function reach(place) {
    const hidden = place.scrollWidth > place.clientWidth && !place.querySelector("a[href], button, input, select, textarea");
    if (hidden) place.tabIndex = 0;
    else place.removeAttribute("tabindex");
  }
  function watchTables() {
    for (const place of document.querySelectorAll(".scroll:not(.tall)")) {
      reach(place);
      places.observe(place);
    }
  }

  // A filter's choice is sent when made; typed text waits for Enter or the button.
  document.addEventListener("change", (event) => {
    const form = event.target.form;
    if (form && form.matches("[data-autosend]") && event.target.matches("select, input[type=date], input[type=month], input[type=radio], input[type=checkbox]")) {
      form.requestSubmit();
    }
  });

  // Time left for something that ends: data-ends is seconds from the page's birth, so no clock need agree.
  const born = performance.now();
  function tick() {
    const clocks = document.querySelectorAll("[data-ends]");
    for (const clock of clocks) {
      if (clock.dataset.from === undefined) clock.dataset.from = String(clock.dataset.ends - 0 + (performance.now() - born) / 1000);
      const left = Math.max(0, Math.ceil(clock.dataset.from - (performance.now() - born) / 1000));
      clock.textContent = Math.floor(left / 60) + ":" + String(left % 60).padStart(2, "0");
    }
    ticking = clocks.length > 0;
    if (ticking) setTimeout(tick, 500);
  }
  let ticking = false;
  tick();
  document.addEventListener("htmx:afterSettle", () => ticking || tick());

  // An ordinary form is sent once, however often it is asked: the button rests until the next page is there.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post" || form.matches("[data-once], [data-preferences], [data-many], [hx-post]")) return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "1";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });

  for (const watch of [watchToasts, watchTables]) {
    document.addEventListener("htmx:afterSettle", watch);
    watch();
  }
})();
