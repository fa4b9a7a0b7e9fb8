/* The office: a form that needed the second factor again goes on by itself once the code was right; faults lead to their fields. */
"use strict";
(() => {
  let waiting = null;

  document.addEventListener("htmx:beforeSwap", (event) => {
    const xhr = event.detail.xhr;
    if (xhr.getResponseHeader("X-Step-Up") !== "needed") return;
    const asked = event.detail.requestConfig && event.detail.requestConfig.elt;
    if (asked && asked.matches("form") && !asked.closest("#step-up")) waiting = asked;
  });

  document.addEventListener("stepped-up", () => {
    const form = waiting;
    waiting = null;
    if (form && form.isConnected) window.htmx.trigger(form, "submit");
  });

  document.addEventListener("click", (event) => {
    const link = event.target.closest("#problem a[href^='#f-']");
    if (!link) return;
    const field = document.getElementById(link.getAttribute("href").slice(1));
    if (!field) return;
    event.preventDefault();
    field.focus();
    if (field.select) field.select();
  });
})();
