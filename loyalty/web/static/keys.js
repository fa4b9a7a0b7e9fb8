/* The counter without a mouse. Every key is written beside what it does: data-key="F2" on a link, a button or a field. */
"use strict";
(() => {
  const WRITES = "input:not([type=checkbox]):not([type=radio]):not([type=button]):not([type=submit]):not([type=file]), textarea, select, [contenteditable]";

  function visible(element) {
    return element.getClientRects().length > 0 && !element.disabled && !element.closest("[inert]");
  }

  // An open dialog takes the keys for itself.
  function bound(key) {
    const scope = document.querySelector("dialog[open]:modal") || document;
    for (const element of scope.querySelectorAll("[data-key]")) {
      if (element.dataset.key === key && visible(element)) return element;
    }
    return null;
  }

  function act(element) {
    if (element.matches(WRITES)) {
      element.focus();
      if (element.select) element.select();
    } else {
      element.focus({ preventScroll: true });
      element.click();
    }
  }

  document.addEventListener("keydown", (event) => {
    // While an input method composes, Enter and Esc belong to it.
    if (event.isComposing || event.keyCode === 229 || event.defaultPrevented) return;
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const typing = event.target.matches && event.target.matches(WRITES);
    if (event.key === "Escape") {
      if (document.querySelector("dialog[open]:modal")) return;
      // Esc first empties the lookup, then goes back.
      if (event.target.matches && event.target.matches("[data-lookup]") && event.target.value) {
        event.target.value = "";
        event.preventDefault();
        return;
      }
      const back = bound("Escape");
      if (back) {
        event.preventDefault();
        act(back);
      }
      return;
    }
    // Letters, digits and Enter belong to a field that is being written in; on a button or link Enter is its own.
    const named = /^F\d+$|^Page/.test(event.key);
    if (!named && (typing || event.repeat)) return;
    if (event.key === "Enter" && event.target.closest && event.target.closest("a, button, summary, label, [role=button]")) return;
    const element = bound(event.key);
    if (!element) return;
    event.preventDefault();
    if (!event.repeat) act(element);
  });

  // After a swap the focus goes where the reader goes on: the first fault, else what asks for it, else the new content itself.
  document.addEventListener("htmx:afterSettle", (event) => {
    const fresh = event.detail.elt;
    if (!fresh || !fresh.querySelector) return;
    // A field that was kept as it was, filled, has its turn behind one that is still empty.
    const asking = [...fresh.querySelectorAll("[autofocus]")];
    const next = fresh.querySelector("[aria-invalid=true]") || asking.find((field) => !field.value) || asking[0];
    if (next) {
      next.focus();
      if (next.select && next.matches("[aria-invalid=true]")) next.select();
    } else if (document.activeElement === document.body && fresh.matches("main, [tabindex]")) {
      fresh.focus({ preventScroll: true });
    }
  });

  // A chosen card number is replaced by the next scan, not appended to.
  document.addEventListener("focusin", (event) => {
    if (event.target.matches("[data-lookup]")) event.target.select();
  });
})();
