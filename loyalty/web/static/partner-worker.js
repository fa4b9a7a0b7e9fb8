/* A partner's portal without a network: a page that does not come is answered by the counter that works offline, with the code that was
   about to be looked at. Served under /partner, since that is what it may answer for. */
"use strict";
const SHELL = "/partner/offline";
const CACHE = "partner-shell";
const PATIENCE = 8000;

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

async function shell() {
  return (await (await caches.open(CACHE)).match(SHELL)) || Response.error();
}

async function navigated(request) {
  if (request.method === "GET") {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), PATIENCE);
    try {
      return await fetch(request, { signal: stop.signal });
    } catch {
      return shell();
    } finally {
      clearTimeout(timer);
    }
  }
  const copy = request.clone();
  try {
    return await fetch(request);
  } catch {
    const path = new URL(request.url).pathname;
    if (!["/partner/codes", "/partner/redemptions"].includes(path)) return shell();
    // The key goes along: if the request arrived and its answer did not, what is told later is the same use.
    const form = await copy.formData();
    const carried = new URLSearchParams();
    for (const field of ["code", "key", "gross", "amount"]) if (form.get(field)) carried.set(field, form.get(field));
    return Response.redirect(`${SHELL}#${carried}`, 303);
  }
}

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const path = new URL(request.url).pathname;
  if (request.mode === "navigate") event.respondWith(navigated(request));
  else if (path.startsWith("/static/") && request.method === "GET") {
    event.respondWith(caches.open(CACHE).then((cache) => cache.match(request)).then((found) => found || fetch(request)));
  }
});
