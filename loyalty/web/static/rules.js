/* Rules: fields that follow a choice, lists that narrow while one types, and an order by keys. Everything works without it by buttons. */
"use strict";
(() => {
  // A choice that decides which fields there are sends the form with its own button; nothing is kept by that.
  document.addEventListener("change", (event) => {
    const field = event.target;
    if (!field.matches || !field.matches("form [data-reload]")) return;
    const button = field.form.querySelector("[data-reloads]");
    // A click, not requestSubmit: htmx sends a button's value and leaves out its validation only where it was clicked.
    if (button) button.click();
  });

  document.addEventListener("input", (event) => {
    if (!event.target.matches || !event.target.matches("[data-narrow]")) return;
    const wanted = event.target.value.trim().toLowerCase();
    for (const label of event.target.parentElement.querySelectorAll(".picks label")) {
      label.hidden = wanted !== "" && !label.textContent.toLowerCase().includes(wanted);
    }
  });
  // Enter in a search narrows; it must not send the rule.
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches && event.target.matches("[data-narrow]")) event.preventDefault();
  });

  // What is chosen stands in the closed list.
  document.addEventListener("change", (event) => {
    const picker = event.target.closest && event.target.closest(".picker");
    if (!picker || !event.target.matches("[type=checkbox]")) return;
    const chosen = [...picker.querySelectorAll("input:checked")].map((box) => box.parentElement.textContent.trim());
    const summary = picker.querySelector("summary");
    if (!summary.dataset.all) summary.dataset.all = summary.querySelector(".dim") ? summary.textContent : "—";
    summary.textContent = chosen.length ? chosen.slice(0, 4).join(", ") + (chosen.length > 4 ? " +" + (chosen.length - 4) : "") : summary.dataset.all;
  });

  // The order of rules: j and k walk, Alt+↑ and Alt+↓ move, as the buttons beside each do.
  function walk(step) {
    const stops = [...document.querySelectorAll("[data-member]")];
    const place = stops.indexOf(document.activeElement.closest("[data-member]"));
    const next = stops[place < 0 ? 0 : Math.max(0, Math.min(stops.length - 1, place + step))];
    if (next) next.focus();
  }
  document.addEventListener("keydown", (event) => {
    if (!document.querySelector("[data-member]") || event.isComposing || event.ctrlKey || event.metaKey) return;
    if (event.target.matches("input, textarea, select")) return;
    if (!event.altKey && (event.key === "j" || event.key === "k")) {
      event.preventDefault();
      walk(event.key === "j" ? 1 : -1);
    }
    const member = event.target.closest && event.target.closest("[data-member]");
    if (!member) return;
    if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      event.preventDefault();
      const button = member.querySelector(event.key === "ArrowUp" ? "[data-earlier]" : "[data-later]");
      if (button && !button.disabled) button.click();
    } else if (event.key === "Enter" && event.target === member) {
      const link = member.querySelector("a");
      if (link) link.click();
    }
  });

  // After a move the one that moved keeps the focus.
  document.addEventListener("htmx:afterSettle", () => {
    const moved = document.querySelector("[data-moved]");
    if (!moved) return;
    delete moved.dataset.moved;
    moved.focus();
  });
})();
