// The cards of the hits. Thousands are given at once and made as they come into view.

import { byId, element, icon } from "./element.js";

const AT_ONCE = 60;
let waiting = [];
let actions = null;
let among = "image";
let nBits = 64;

const watcher = new IntersectionObserver((entries) => {
  if (entries.some((entry) => entry.isIntersecting)) showMore();
}, { rootMargin: "1200px" });

/** Watch the list's end, and move between cards by arrow keys. open(hit), like(hit): what cards do. */
export function startResults(given) {
  actions = given;
  watcher.observe(byId("end"));
  byId("results").addEventListener("keydown", moved);
}

/** Show hits in place of what was shown. */
export function showResults(hits, shownAmong, bits) {
  among = shownAmong;
  nBits = bits;
  waiting = [...hits];
  const list = byId("results");
  list.replaceChildren();
  list.classList.toggle("texts", among === "text");
  showMore();
}

function showMore() {
  const list = byId("results");
  const now = waiting.splice(0, AT_ONCE);
  list.append(...now.map(card));
  if (now.length && waiting.length) {
    // The observer speaks only when the end comes into view; ask again while it still is.
    watcher.unobserve(byId("end"));
    watcher.observe(byId("end"));
  }
}

function card(hit) {
  const open = element("button", { type: "button", class: "open", onclick: () => actions.open(hit), "aria-label": spoken(hit) },
    among === "image" || hit.thumbnail ? thumbnail(hit) : null,
    element("span", { class: hit.caption ? "words" : "words nothing" }, element("span", {}, hit.caption || "no text")));
  return element("li", { class: "card", "data-id": hit.id }, open,
    element("div", { class: "foot" }, hit.distance === undefined ? null : closeness(hit),
      element("button", { type: "button", class: "like", title: "More like this", "aria-label": `More like ${hit.caption || hit.id}`,
        onclick: () => actions.like(hit) }, icon("like"))));
}

function thumbnail(hit) {
  const source = hit.thumbnail || hit.picture;
  const place = element("span", { class: source ? "picture" : "picture none" }, source ? null : "no picture");
  if (source) {
    const image = element("img", { src: source, alt: "", loading: "lazy", decoding: "async" });
    image.addEventListener("error", () => { place.className = "picture none"; place.replaceChildren("picture not found"); });
    // A drawing of few pixels would be blown up to the card's edges; it gets some air instead.
    image.addEventListener("load", () => { if (Math.max(image.naturalWidth, image.naturalHeight) < 150) place.classList.add("small"); });
    place.append(image);
  }
  return place;
}

/** How close a hit is: the confidence where the hasher is calibrated, and the bits. */
export function closeness(hit) {
  const sure = hit.confidence !== null && hit.confidence !== undefined;
  const share = sure ? hit.confidence : Math.max(0, 1 - hit.distance / (nBits / 2));
  const fill = element("i");
  fill.style.setProperty("width", `${Math.round(share * 100)}%`);
  const bits = `${hit.distance} of ${nBits} bits`;
  return element("div", { class: "closeness", title: sure ? `Confidence ${percent(hit.confidence)}; ${bits} differ` : `${bits} differ` },
    sure ? element("b", {}, percent(hit.confidence)) : element("b", {}, String(hit.distance)), sure ? ` · ${hit.distance} bits` : " bits apart",
    element("span", { class: "track", "aria-hidden": "true" }, fill));
}

/** A probability for a person: "83 %", and never "100 %" for what is not certain. */
export function percent(share) {
  const rounded = Math.round(share * 100);
  if (rounded >= 100) return "> 99\u00a0%";
  return rounded === 0 && share > 0 ? "< 1\u00a0%" : `${rounded}\u00a0%`;
}

function spoken(hit) {
  const sure = hit.confidence === null || hit.confidence === undefined ? "" : `, confidence ${percent(hit.confidence)}`;
  if (hit.distance === undefined) return hit.caption || hit.id;
  return `${hit.rank}. ${hit.caption || hit.id}, ${hit.distance} bits apart${sure}`;
}

function moved(event) {
  const cards = [...byId("results").querySelectorAll(".open")];
  const here = cards.indexOf(document.activeElement);
  if (here < 0) return;
  const columns = getComputedStyle(byId("results")).gridTemplateColumns.split(" ").length;
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
  if (event.key in steps) {
    event.preventDefault();
    cards[Math.min(cards.length - 1, Math.max(0, here + steps[event.key]))].focus();
  } else if (event.key === "Home" || event.key === "End") {
    event.preventDefault();
    cards[event.key === "Home" ? 0 : cards.length - 1].focus();
  } else if (event.key === "m") {
    cards[here].closest(".card").querySelector(".like").click();
  }
}
