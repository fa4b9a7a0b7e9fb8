/* One form, one effect. A form marked data-once carries a key made by the server; when the network drops, the same form with the same key
   is sent again by itself until an answer comes. Pressing Enter three times, or a lost reply, changes nothing: the server counts the key once. */
"use strict";
(() => {
  const FIRST = 1000;
  const LONGEST = 15000;
  const waiting = new Map();

  function once(event) {
    // htmx names the target in some events; the one who asked always stands in the request.
    const asked = event.detail.requestConfig;
    const element = (asked && asked.elt) || event.detail.elt;
    return element && element.matches && element.matches("form[data-once]") ? element : null;
  }

  function banner(show, attempt) {
    let shown = document.querySelector("body > .offline");
    if (!show) {
      if (shown) shown.remove();
      return;
    }
    if (!shown) {
      const copy = document.getElementById("offline-banner").content.cloneNode(true);
      document.body.prepend(copy);
      shown = document.querySelector("body > .offline");
      shown.querySelector("[data-retry]").addEventListener("click", sendAll);
    }
    shown.querySelector("[data-attempt]").textContent = attempt > 1 ? "(" + attempt + ")" : "";
  }

  function send(form) {
    const state = waiting.get(form);
    if (!state || state.inFlight) return;
    clearTimeout(state.timer);
    if (!form.isConnected) {
      waiting.delete(form);
      banner(waiting.size > 0, 0);
      return;
    }
    state.inFlight = true;
    window.htmx.trigger(form, "submit");
  }

  function sendAll() {
    for (const form of waiting.keys()) send(form);
  }

  // Nobody changes a form whose first sending may have arrived: the same key must carry the same words.
  function hold(form) {
    const state = waiting.get(form) || { attempt: 0, timer: 0, inFlight: false };
    state.attempt += 1;
    state.inFlight = false;
    state.timer = setTimeout(() => send(form), Math.min(LONGEST, FIRST * 2 ** (state.attempt - 1)));
    waiting.set(form, state);
    form.classList.add("waiting");
    form.setAttribute("aria-busy", "true");
    banner(true, state.attempt);
  }

  function settle(form) {
    const state = waiting.get(form);
    if (state) clearTimeout(state.timer);
    waiting.delete(form);
    form.classList.remove("waiting");
    form.removeAttribute("aria-busy");
    banner(waiting.size > 0, 0);
  }

  // A held form is sent by us alone.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const form = once(event);
    const state = form && waiting.get(form);
    if (state && !state.inFlight) event.preventDefault();
  });

  for (const kind of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(kind, (event) => {
      const form = once(event);
      if (form && form.isConnected) hold(form);
    });
  }

  // 502 to 504 say "unknown", not "no": the server may have done it, so the same key asks again.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const form = once(event);
    if (!form) return;
    if ([502, 503, 504].includes(event.detail.xhr.status)) {
      event.detail.shouldSwap = false;
      hold(form);
    } else {
      settle(form);
    }
  });

  window.addEventListener("online", sendAll);
  window.addEventListener("beforeunload", (event) => {
    if (waiting.size > 0) event.preventDefault();
  });
})();
