/* What a phone may honour while nobody can be asked: pure, values in and out, so that a test can ask it without a page. */
"use strict";

const HEAD = 8;
const SIGNATURE = 64;
const SKEW = 300;

function bytesOf(text) {
  if (!/^[\w-]*$/.test(text)) throw new Error("not base64url");
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
}

/* Joins parts so that no two lists of parts give the same bytes, as the server does. */
function framed(parts) {
  const out = [];
  for (const part of parts) out.push(0, 0, part.length >> 8, part.length & 255, ...part);
  return new Uint8Array(out);
}

function number(bytes) {
  return bytes.reduce((sum, one) => sum * 256 + one, 0);
}

/* The signed code in what was scanned: what follows the voucher's own code and a point; "" where there is none. */
export function codeIn(scanned) {
  const plain = scanned.trim().replace(/^.*#/, "");
  return plain.includes(".") ? plain.slice(plain.indexOf(".") + 1) : "";
}

/* Reads a signed code: {fault} where it is not believed, else what it says. `keys`: public keys, base64url by key id. */
export async function read(token, keys, subtle) {
  let raw;
  try {
    raw = bytesOf(token);
  } catch {
    return { fault: "tampered" };
  }
  if (raw.length <= HEAD + SIGNATURE || raw[0] !== 1) return { fault: "tampered" };
  const body = raw.slice(0, -SIGNATURE);
  const known = keys[String(number(body.slice(1, 3)))];
  if (!known) return { fault: "unknown_key" };
  const text = new TextEncoder();
  const message = framed([text.encode("loyalty token v1"), text.encode("voucher"), body]);
  const key = await subtle.importKey("raw", bytesOf(known), { name: "Ed25519" }, false, ["verify"]);
  if (!(await subtle.verify({ name: "Ed25519" }, key, raw.slice(-SIGNATURE), message))) return { fault: "tampered" };
  const [voucher, partner, benefit, worth, , plateTail, outlets] = JSON.parse(new TextDecoder().decode(body.slice(HEAD)));
  const id = Array.from(atob(voucher), (one) => one.charCodeAt(0).toString(16).padStart(2, "0")).join("");
  return { voucher: id, partner, benefit, worth, plateTail, outlets, endsAt: number(body.slice(3, HEAD)) };
}

/* What one use of a code comes to by the kit: money that is left on it, or the agreed price. */
export function worthOf(told, kit) {
  if (told.worth !== null) return told.worth;
  const benefit = kit.benefits.find((one) => one.code === told.benefit);
  return benefit ? benefit.price_minor : null;
}

/* Says why a code is not honoured now; "" where it is. `uses`: all that this phone honoured. `worth`: what is to be taken off; `gross`: the bill. */
export function refusal(told, { kit, now, uses, worth, gross }) {
  if (told.fault) return told.fault;
  if (!kit) return "no_lease";
  if (now < kit.given_at - SKEW || now >= kit.until) return "old_list";
  if (told.partner !== kit.partner) return "foreign_partner";
  if (told.outlets.length && !told.outlets.includes(kit.outlet)) return "foreign_outlet";
  if (now >= told.endsAt) return "expired";
  if (uses.some((one) => one.voucher === told.voucher)) return "replayed";
  if (kit.used_up.includes(told.voucher)) return "double";
  const most = worthOf(told, kit);
  if (most === null || most > kit.worth_minor || !kit.benefits.some((one) => one.code === told.benefit)) return "not_offline";
  const takes = worth ?? most;
  if (!Number.isInteger(takes) || takes <= 0 || takes > most) return "amount_not_sound";
  if (gross !== undefined && !(gross >= takes)) return "amount_not_sound";
  const mine = uses.filter((one) => one.lease === kit.lease);
  if (mine.length >= kit.uses) return "budget";
  return mine.reduce((sum, one) => sum + one.worth, takes) > kit.amount_minor ? "budget" : "";
}

/* Seconds until the next try, after so many that failed. */
export function pause(tries) {
  return Math.min(60, 2 ** tries);
}
