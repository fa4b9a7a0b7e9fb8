/* A partner's counter while the network is gone: what is honoured waits on this phone and is told when it is back. What the rules say
   stands in partner-rules.js; the page has the words. Everything that is kept is kept in one place, and changed in one transaction. */
"use strict";
import { codeIn, pause, read, refusal, worthOf } from "./partner-rules.js";

const HOME = "/partner";
const SHELL = "/partner/offline";
const CACHE = "partner-shell";
const FRESH = 600;
const BATCH = 50;
const canVerify = Boolean(window.isSecureContext && window.crypto && crypto.subtle && window.indexedDB);

function opened() {
  return new Promise((done, fail) => {
    const asked = indexedDB.open("partner-offline", 1);
    asked.onupgradeneeded = () => {
      asked.result.createObjectStore("facts");
      asked.result.createObjectStore("uses", { keyPath: "key" });
    };
    asked.onsuccess = () => done(asked.result);
    asked.onerror = () => fail(asked.error);
  });
}

/* Reads all that is kept, lets `change` work on it, and keeps what it leaves: one transaction, whatever other windows do. */
async function kept(change = () => undefined) {
  const base = await opened();
  return new Promise((done, fail) => {
    const work = base.transaction(["facts", "uses"], "readwrite");
    const facts = work.objectStore("facts");
    const rows = work.objectStore("uses");
    const askedFacts = facts.get("all");
    const askedRows = rows.getAll();
    let answer;
    askedRows.onsuccess = () => {
      const state = { facts: askedFacts.result || { kit: null, offset: 0, last: 0, device: crypto.randomUUID() }, uses: askedRows.result };
      const before = new Map(state.uses.map((one) => [one.key, JSON.stringify(one)]));
      answer = change(state) ?? state;
      facts.put(state.facts, "all");
      for (const one of state.uses) if (before.get(one.key) !== JSON.stringify(one)) rows.put(one);
      const left = new Set(state.uses.map((one) => one.key));
      for (const key of before.keys()) if (!left.has(key)) rows.delete(key);
    };
    work.oncomplete = () => {
      base.close();
      done(answer);
    };
    work.onabort = work.onerror = () => fail(work.error);
  });
}

/* The server's clock as this phone knows it; it never goes back. */
function clock(facts) {
  facts.last = Math.max(facts.last, Date.now() / 1000 + facts.offset);
  return facts.last;
}

/* Looks at a code: what it says, and why it is not honoured ("": it is). */
export async function look(scanned) {
  if (!canVerify) return { why: "no_crypto" };
  const { facts } = await kept();
  if (!facts.kit) return { why: "no_lease" };
  let told;
  try {
    told = await read(codeIn(scanned), facts.kit.keys, crypto.subtle);
  } catch {
    return { why: "no_crypto" };
  }
  const why = await kept((state) => refusal(told, { kit: state.facts.kit, now: clock(state.facts), uses: state.uses }) || "ok");
  return { why: why === "ok" ? "" : why, told, kit: facts.kit, worth: told.fault ? null : worthOf(told, facts.kit) };
}

/* Honours a code once: judged and kept in one step. Returns why not ("": it was). */
export async function honour(scanned, { key, amount, gross, servedBy }) {
  const token = codeIn(scanned);
  const { facts } = await kept();
  if (!facts.kit) return "no_lease";
  const told = await read(token, facts.kit.keys, crypto.subtle);
  const why = await kept((state) => {
    const kit = state.facts.kit;
    const now = clock(state.facts);
    const refused = refusal(told, { kit, now, uses: state.uses, worth: amount, gross });
    if (refused) return refused;
    const benefit = kit.benefits.find((one) => one.code === told.benefit);
    state.uses.push({
      key: key || crypto.randomUUID(),
      token,
      voucher: told.voucher,
      lease: kit.lease,
      at: now,
      worth: amount ?? worthOf(told, kit),
      currency: kit.currency,
      names: [benefit.name_zh, benefit.name_en],
      told: { amount_minor: amount ?? null, gross_minor: gross ?? null, served_by: servedBy },
      endsAt: told.endsAt,
      result: null,
    });
    return "ok";
  });
  changed();
  return why === "ok" ? "" : why;
}

function changed() {
  document.dispatchEvent(new CustomEvent("partner-offline"));
}

async function posted(path, fields) {
  const answer = await fetch(path, { method: "POST", body: new URLSearchParams(fields), redirect: "error", keepalive: true });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

/* Tells what waits, then takes a fresh list; the lease that ran is settled by that. Throws where the network, or the session, is gone. */
async function told() {
  const asked = await fetch(`${SHELL}/state`);
  // Led to the log-in: nobody is signed in, what waits goes on waiting.
  if (!asked.ok || asked.redirected) throw new Error(String(asked.status));
  const here = await asked.json();
  for (;;) {
    const waiting = (await kept()).uses.filter((one) => !one.result).slice(0, BATCH);
    if (!waiting.length) break;
    const uses = waiting.map((one) => ({
      key: one.key,
      token: one.token,
      at: new Date(one.at * 1000).toISOString(),
      lease: one.lease,
      ...one.told,
    }));
    const { results } = await posted(`${SHELL}/uses`, { csrf_token: here.csrf, uses: JSON.stringify(uses) });
    const answers = new Map(results.map((one) => [one.key, one]));
    await kept(({ uses: all }) => {
      for (const one of all) if (!one.result && answers.get(one.key)?.status) one.result = answers.get(one.key);
    });
    changed();
    if (results.some((one) => !one.status)) throw new Error("not yet");
  }
  const { facts } = await kept();
  const kit = facts.kit;
  const isFresh = kit && kit.outlet === here.outlet && kit.partner === here.partner && here.now - kit.given_at < FRESH;
  if (isFresh && !(await kept()).uses.some((one) => one.lease === kit.lease)) return;
  // Nothing is honoured under the old list while the new one is on its way: it could not be told within its budget.
  await kept((state) => {
    state.facts.kit = null;
    return true;
  });
  let next = kit;
  try {
    next = here.agreed ? (await posted(`${SHELL}/leases`, { csrf_token: here.csrf, device: facts.device })).kit : null;
  } finally {
    await kept((state) => {
      state.facts.kit = next;
      if (next && next !== kit) {
        state.facts.offset = next.given_at - Date.now() / 1000;
        state.facts.last = next.given_at;
      }
      const now = clock(state.facts);
      state.uses = state.uses.filter((one) => !one.result || one.endsAt > now - 86400);
      return true;
    });
    changed();
  }
}

let tries = 0;
let timer = 0;
export async function sync() {
  clearTimeout(timer);
  try {
    await (navigator.locks ? navigator.locks.request("partner-sync", told) : told());
    tries = 0;
    return true;
  } catch {
    tries += 1;
    if ((await kept()).uses.some((one) => !one.result)) timer = setTimeout(sync, 1000 * pause(tries));
    return false;
  } finally {
    changed();
  }
}

/* Keeps the page that works without a network, as this reader sees it today. */
async function keepShell() {
  const shell = await fetch(SHELL);
  if (!shell.ok || shell.redirected) return;
  const cache = await caches.open(CACHE);
  const files = Array.from((await shell.clone().text()).matchAll(/(?:src|href)="(\/static\/[^"]+)"/g), (one) => one[1]);
  const rules = files.find((one) => one.endsWith("/partner-offline.js")).replace("partner-offline", "partner-rules");
  for (const old of await cache.keys()) if (old.url.includes("/static/") && !files.concat(rules).some((one) => old.url.endsWith(one))) await cache.delete(old);
  await cache.addAll([...new Set([...files, rules])]);
  await cache.put(SHELL, shell);
}

// The pages: the counter says how it stands, the shell does what the counter does.
const tag = document.getElementById("offline-tag");
const shell = document.getElementById("offline");

async function drawTag() {
  const { facts, uses } = await kept();
  const waiting = uses.filter((one) => !one.result).length;
  tag.hidden = !waiting && !facts.kit;
  const name = tag.querySelector("[data-tag]");
  name.textContent = waiting ? tag.dataset.waiting.replace("#", waiting) : tag.dataset.ready;
  name.className = waiting ? "tag warn" : "tag good";
}

async function begin() {
  if (!canVerify) {
    if (shell) shell.querySelector("[data-until]").textContent = said("no_crypto");
    return;
  }
  document.addEventListener("partner-offline", () => (shell ? draw() : tag && drawTag()));
  window.addEventListener("online", sync);
  for (const out of document.querySelectorAll("form[action='/partner/log-out']")) {
    out.addEventListener("submit", () => kept((state) => { state.facts.kit = null; return true; }));
  }
  if ("serviceWorker" in navigator) await navigator.serviceWorker.register("/partner/worker.js", { scope: HOME }).catch(() => undefined);
  if ((await sync()) && window.caches) await keepShell().catch(() => undefined);
  document.documentElement.dataset.offlineReady = (await kept()).facts.kit ? "yes" : "no";
}

function money(minor, currency) {
  const format = new Intl.NumberFormat(document.documentElement.lang, { style: "currency", currency, currencyDisplay: "narrowSymbol" });
  return format.format(minor / 10 ** format.resolvedOptions().maximumFractionDigits);
}

function minorOf(typed, currency) {
  if (!typed.trim()) return undefined;
  const { maximumFractionDigits } = new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions();
  return Math.round(Number(typed.replaceAll(",", "")) * 10 ** maximumFractionDigits);
}

function name(names) {
  return names[document.documentElement.lang.startsWith("zh") ? 0 : 1];
}

function said(code) {
  const words = shell.querySelector(`#says [data-code="${code}"]`) || shell.querySelector('#says [data-code="tampered"]');
  return words.textContent;
}

function show(which) {
  for (const part of shell.querySelectorAll("[data-part]")) part.hidden = part.dataset.part !== which;
}

let current = null;
async function lookAt(scanned, more = {}) {
  const found = await look(scanned);
  current = { scanned, ...more };
  if (found.why) {
    shell.querySelector("[data-why]").textContent = said(found.why);
    show("refused");
    return;
  }
  const benefit = found.kit.benefits.find((one) => one.code === found.told.benefit);
  current.currency = found.kit.currency;
  shell.querySelector("[data-name]").textContent = name([benefit.name_zh, benefit.name_en]);
  shell.querySelector("[data-worth]").textContent = money(found.worth, found.kit.currency);
  shell.querySelector("[data-plate]").hidden = !found.told.plateTail;
  shell.querySelector("[data-plate-tail]").textContent = `•• ${found.told.plateTail || ""}`;
  shell.querySelector("[data-money]").hidden = found.told.worth === null;
  shell.querySelector("[name=gross]").value = more.gross || "";
  shell.querySelector("[name=amount]").value = more.amount || "";
  show("verdict");
  shell.querySelector("#use").focus();
}

async function use() {
  const button = shell.querySelector("#use");
  button.disabled = true;
  const amount = minorOf(shell.querySelector("[name=amount]").value, current.currency);
  const gross = minorOf(shell.querySelector("[name=gross]").value, current.currency);
  const why = await honour(current.scanned, { key: current.key, amount, gross, servedBy: shell.dataset.who });
  button.disabled = false;
  if (why) {
    shell.querySelector("[data-why]").textContent = said(why);
    show("refused");
  } else {
    show("done");
    sync();
  }
}

function again() {
  current = null;
  shell.querySelector("#f-code").value = "";
  show("ask");
  shell.querySelector("#f-code").focus();
}

async function draw() {
  const { facts, uses } = await kept();
  const waiting = uses.filter((one) => !one.result).length;
  const name_ = shell.querySelector("[data-tag]");
  name_.textContent = waiting ? shell.dataset.waiting.replace("#", waiting) : facts.kit ? shell.dataset.ready : shell.dataset.none;
  name_.className = `tag ${waiting || !facts.kit ? "warn" : "good"}`;
  if (!facts.kit) {
    shell.querySelector("[data-until]").textContent = said("no_lease");
  } else {
    const until = new Date((facts.kit.until - facts.offset) * 1000).toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
    shell.querySelector("[data-until]").textContent = shell.dataset.until.replace("#", until);
  }
  const list = shell.querySelector("[data-list]");
  const rows = uses.sort((one, other) => other.at - one.at).map((one) => {
    const row = shell.querySelector("template").content.cloneNode(true).firstElementChild;
    row.querySelector("[data-what]").textContent = name(one.names);
    const when = new Date(one.at * 1000).toLocaleTimeString(document.documentElement.lang, { timeStyle: "short" });
    row.querySelector("[data-note]").textContent = `${when} · ${one.told.served_by} · ${one.result ? said(one.result.code) : shell.dataset.queued}`;
    row.querySelector("[data-sum]").textContent = money(one.worth, one.currency);
    row.dataset.status = one.result ? one.result.status : "queued";
    return row;
  });
  list.replaceChildren(...rows);
  shell.querySelector("[data-list-card]").hidden = !rows.length;
}

if (shell) {
  shell.querySelector("#code-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const typed = shell.querySelector("#f-code").value;
    if (typed.trim()) lookAt(typed);
  });
  shell.querySelector("#use").addEventListener("click", use);
  for (const one of shell.querySelectorAll("[data-again]")) one.addEventListener("click", again);
  shell.querySelector("#sync").addEventListener("click", sync);
  if (canVerify) draw();
  const brought = new URLSearchParams(location.hash.includes("code=") ? location.hash.slice(1) : "");
  if (brought.get("code")) {
    lookAt(brought.get("code"), { key: brought.get("key") || undefined, gross: brought.get("gross"), amount: brought.get("amount") });
  } else if (location.hash.includes(".")) {
    lookAt(location.hash);
  }
  if (location.pathname === SHELL) history.replaceState(null, "", location.pathname);
} else if (location.pathname === HOME && location.hash.includes(".")) {
  // An ordinary camera opened the code's address: the counter looks at it.
  const form = document.getElementById("code-form");
  if (form) {
    form.elements.code.value = location.hash.slice(1);
    form.requestSubmit();
  }
}
begin();
