// One item in full: its picture, its words, its columns, and the bits in which it differs from the query.

import * as api from "./api.js";
import { byId, element, toast } from "./element.js";
import { words } from "./filters.js";
import { percent } from "./results.js";
import { forgetToken, token } from "./token.js";

/** Open the dialog. queryCode: hex, or "". side: the modality that was searched. */
export async function openItem(hit, { queryCode, side, nBits, writable, like, removed }) {
  const dialog = byId("item");
  byId("item-title").textContent = hit.caption || hit.id;
  const body = byId("item-body");
  const about = element("div");
  body.replaceChildren(picture(hit), about);
  dialog.showModal();
  let whole;
  try {
    whole = await api.item(hit.id);
  } catch (problem) {
    about.append(element("p", { class: "problem", role: "alert" }, problem.message));
    return;
  }
  about.replaceChildren(facts(hit, whole, nBits));
  const code = whole.codes?.[side];
  if (code && queryCode && code.length === queryCode.length) about.append(...compared(code, queryCode, nBits));
  about.append(element("div", { class: "item-actions" },
    element("button", { type: "button", class: "quiet", onclick: () => { dialog.close(); like(hit); } }, "More like this"),
    whole.picture ? element("a", { class: "quiet", href: whole.picture, target: "_blank", rel: "noopener" }, "Open the picture") : null,
    writable ? element("button", { type: "button", class: "quiet remove", onclick: () => remove(hit, dialog, removed) }, "Remove") : null));
}

function picture(hit) {
  const source = hit.picture || hit.thumbnail;
  if (!source) return element("div", { class: "large none" }, element("p", { class: "help" }, "This item has no picture."));
  const image = element("img", { class: "large", src: source, alt: hit.caption || `The picture of ${hit.id}` });
  if (hit.thumbnail && source !== hit.thumbnail) {
    image.addEventListener("error", () => { image.src = hit.thumbnail; }, { once: true });
  }
  return image;
}

function facts(hit, whole, nBits) {
  const list = element("dl", { class: "facts-list" });
  const row = (name, value) => list.append(element("dt", {}, name), element("dd", {}, value));
  row("Id", hit.id);
  if (hit.distance !== undefined) row("Distance", `${hit.distance} of ${nBits} bits`);
  if (hit.confidence !== null && hit.confidence !== undefined) row("Confidence", percent(hit.confidence));
  for (const [column, value] of Object.entries(whole.metadata || {})) {
    if (value !== null && value !== "") row(words(column), String(value));
  }
  return list;
}

/** The item's bits as squares; those in which it differs from the query are ringed. */
function compared(code, queryCode, nBits) {
  const own = bitsOf(code, nBits);
  const asked = bitsOf(queryCode, nBits);
  const squares = own.map((bit, place) => element("i", { class: [bit && "one", bit !== asked[place] && "differs"].filter(Boolean).join(" ") }));
  const differing = own.filter((bit, place) => bit !== asked[place]).length;
  return [element("h3", { class: "part" }, "Its code"),
    element("div", { class: "bits", role: "img", "aria-label": `${nBits} bits, of which ${differing} differ from the query's` }, squares),
    element("p", { class: "help" }, differing ? `The ${differing} ringed bits differ from the query's.` : "Every bit is the query's.")];
}

/** Hex to bits, bit i of byte j being bit 8 j + i. */
function bitsOf(hex, nBits) {
  const bytes = hex.match(/../g).map((pair) => Number.parseInt(pair, 16));
  return Array.from({ length: nBits }, (_, place) => (bytes[place >> 3] >> (place & 7)) & 1);
}

async function remove(hit, dialog, removed) {
  const given = token();
  if (!given) {
    toast("Give the token first, in “Add an item”.");
    return;
  }
  if (!confirm(`Remove “${hit.caption || hit.id}” from the collection?`)) return;
  try {
    await api.removeItem(hit.id, given);
  } catch (problem) {
    if (problem.status === 401 || problem.status === 403) forgetToken();
    toast(problem.message);
    return;
  }
  dialog.close();
  toast("Removed.");
  removed(hit);
}

