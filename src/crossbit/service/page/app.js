// The page put together: what is searched, what is shown, and the keys that reach it all.

import { startAdding } from "./add.js";
import * as api from "./api.js";
import { byId, counted, element, toast } from "./element.js";
import { showFacts } from "./facts.js";
import { showFilters } from "./filters.js";
import { openItem } from "./item.js";
import { percent, showResults, startResults } from "./results.js";
import { asksNothing, EMPTY, fromAddress, isSure, SIZES, toAddress, toRequest } from "./state.js";
import { startTheme } from "./theme.js";

let search = fromAddress(location.search);
let picture = null; // the Blob that asks, where a picture does; the address then holds its code
let info = null;
let facets = [];
let columns = new Map();
let answered = null;
let running = null;

async function start() {
  startTheme();
  startResults({ open, like });
  wireControls();
  wirePictures();
  wireKeys();
  window.addEventListener("popstate", () => { search = fromAddress(location.search); picture = null; run({ push: false }); });
  try {
    info = await api.info();
  } catch (problem) {
    failed(problem);
    return;
  }
  document.title = info.name ? `${info.name} · crossbit` : "crossbit";
  byId("collection-name").textContent = info.name || "";
  columns = new Map(info.columns.map(({ name, type }) => [name, type]));
  byId("k").max = String(SIZES.filter((size) => size <= info.limits.k).length - 1);
  byId("choose").hidden = !info.queries.image;
  if (matchMedia("(max-width: 36rem)").matches) byId("words").placeholder = info.queries.image ? "Words, or a picture" : "Words";
  if (!info.queries.text) byId("words").placeholder = info.queries.image ? "Drop a picture, or choose one" : "Open an item and look for more like it";
  else if (!info.queries.image) byId("words").placeholder = "Describe what you look for";
  showFacts(info);
  if (info.writable) startAdding(info.columns, (id) => { like({ id, caption: id }); });
  byId("open-facts").addEventListener("click", () => byId("facts").showModal());
  for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
  if (columns.size) facets = (await api.facets().catch(() => ({ facets: [] }))).facets;
  run({ push: false });
}

/** Search for what `search` says and show it. push: whether the address gets an entry of its own. */
async function run({ push = true } = {}) {
  reflect();
  if (push) history.pushState(null, "", toAddress(search));
  running?.abort();
  const own = running = new AbortController();
  if (asksNothing(search) && !picture) {
    welcome();
    return;
  }
  document.body.classList.remove("fresh");
  document.body.classList.add("busy");
  try {
    const answer = await api.search(toRequest(search, columns, sure(), !picture), picture, own.signal);
    if (own !== running) return;
    answered = answer;
    if (picture) {
      // A picture does not fit into an address; its code does, and finds the same.
      search = { ...search, code: answer.query.code, by: "image" };
      history.replaceState(null, "", toAddress(search));
    }
    show(answer);
  } catch (problem) {
    if (problem.name !== "AbortError" && own === running) failed(problem);
  } finally {
    if (own === running) document.body.classList.remove("busy");
  }
}

const sure = () => isSure(search, picture, info?.calibrated);

function change(changes) {
  search = { ...search, ...changes };
  run();
}

function show(answer) {
  const what = search.among === "text" ? "text" : "picture";
  byId("notice").hidden = true;
  byId("curl").hidden = false;
  showResults(answer.hits, search.among, answer.n_bits);
  if (answer.hits.length) {
    const time = answer.took_ms.total < 1 ? "less than 1 ms" : `${Math.round(answer.took_ms.total)} ms`;
    byId("summary").textContent = `${answer.more ? "The nearest " : ""}${counted(answer.hits.length, what)} in ${time}`;
    return;
  }
  byId("summary").textContent = answer.cut ? "Nothing is close enough" : "Nothing was found";
  const filtered = Object.keys(search.filters).length > 0;
  if (answer.cut && answer.nearest) {
    const best = answer.nearest.confidence !== null && answer.nearest.confidence !== undefined
      ? `a confidence of ${percent(answer.nearest.confidence)}` : `${answer.nearest.distance} of ${answer.n_bits} bits apart`;
    notice("Nothing is close enough", `The nearest ${what} has ${best}, below the bar you set.`, [
      ["Lower the bar to it", () => lowerBar(answer)], ["Show everything", () => change({ confidence: 0, distance: null })]]);
  } else if (filtered) {
    notice("Nothing was found under these filters", "No item has all the values chosen.", [["Clear the filters", () => change({ filters: {} })]]);
  } else {
    notice("Nothing was found", `The collection has no ${what}s to search.`, []);
  }
}

function lowerBar(answer) {
  if (search.confidence && answer.nearest.confidence) change({ confidence: Math.max(0, Math.floor(answer.nearest.confidence * 100) / 100) });
  else change({ distance: answer.nearest.distance, confidence: 0 });
}

async function welcome() {
  answered = null;
  document.body.classList.add("fresh");
  document.body.classList.remove("busy");
  byId("curl").hidden = true;
  byId("summary").textContent = "";
  showResults([], search.among, info.n_bits);
  const kinds = [info.queries.text && "A sentence finds pictures.", info.queries.image && "A picture finds texts, and other pictures."].filter(Boolean);
  notice(`${counted(info.items, "item")}, ready to be searched`, kinds.join(" ") || "Every item finds what is like it.", []);
  const own = running;
  const some = await api.sample().catch(() => ({ items: [] }));
  // A search may have begun while these were on their way.
  if (own === running && asksNothing(search) && !picture) showResults(some.items, search.among, info.n_bits);
}

function failed(problem) {
  showResults([], search.among, info?.n_bits ?? 64);
  byId("summary").textContent = "";
  byId("curl").hidden = true;
  notice(problem.title || "That did not work", problem.message === problem.title ? "" : problem.message, [["Try again", () => (info ? run({ push: false }) : location.reload())]], true);
}

function notice(title, words, choices, bad = false) {
  const place = byId("notice");
  place.classList.toggle("failed", bad);
  place.replaceChildren(element("h3", {}, title), words ? element("p", {}, words) : "", element("div", { class: "choices" },
    choices.map(([label, act], number) => element("button", { type: "button", class: number ? "quiet" : "primary", onclick: act }, label))));
  place.hidden = false;
}

/** Make the controls show what `search` says. */
function reflect() {
  const words = byId("words");
  if (document.activeElement !== words || search.text) words.value = search.text;
  document.querySelector(`input[name=among][value=${search.among}]`).checked = true;
  byId("k").value = String(Math.max(0, SIZES.indexOf(search.k)));
  reflectSliders();
  const chip = byId("chip");
  chip.hidden = !(picture || search.item || search.code);
  words.hidden = !chip.hidden;
  const shown = byId("chip-picture");
  shown.hidden = !picture;
  if (picture && shown.dataset.of !== String(picture.lastModified ?? picture.size)) {
    URL.revokeObjectURL(shown.src);
    shown.src = URL.createObjectURL(picture);
    shown.dataset.of = String(picture.lastModified ?? picture.size);
  }
  byId("chip-text").textContent = picture ? picture.name || "a picture" : search.item ? `Like ${search.item}` : "Like a picture searched before";
  showFilters(facets, search.filters, (filters) => change({ filters }));
}

function reflectSliders() {
  byId("k-value").textContent = SIZES[Number(byId("k").value)].toLocaleString("en");
  const half = Math.floor((info?.n_bits ?? 64) / 2);
  const bar = byId("bar");
  if (sure()) {
    bar.value = String(Math.round(search.confidence * 100));
    bar.max = "99";
  } else {
    bar.max = String(half);
    bar.value = String(search.distance === null ? 0 : Math.max(0, half - search.distance));
  }
  labelBar();
}

function labelBar() {
  const value = Number(byId("bar").value);
  const half = Number(byId("bar").max);
  const words = sure() ? (value ? `At least ${value} % sure` : "Any confidence") : value ? `Within ${half - value} bits` : "Any distance";
  byId("bar-label").textContent = words;
  byId("bar").setAttribute("aria-valuetext", words);
}

function wireControls() {
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    if (byId("chip").hidden) change({ text: byId("words").value.trim(), item: "", code: "", by: "" });
    else run({ push: false });
  });
  for (const radio of document.querySelectorAll("input[name=among]")) {
    radio.addEventListener("change", () => change({ among: radio.value }));
  }
  byId("k").addEventListener("input", () => { byId("k-value").textContent = SIZES[Number(byId("k").value)].toLocaleString("en"); });
  byId("k").addEventListener("change", () => change({ k: SIZES[Number(byId("k").value)] }));
  byId("bar").addEventListener("input", labelBar);
  byId("bar").addEventListener("change", () => {
    const value = Number(byId("bar").value);
    if (sure()) change({ confidence: value / 100, distance: null });
    else change({ distance: value ? Number(byId("bar").max) - value : null });
  });
  byId("chip-clear").addEventListener("click", () => {
    picture = null;
    change({ text: "", item: "", code: "", by: "" });
    byId("words").focus();
  });
  byId("home").addEventListener("click", (event) => {
    event.preventDefault();
    picture = null;
    change({ ...EMPTY });
    byId("words").focus();
  });
  byId("show-filters").addEventListener("click", () => {
    const open = byId("filters").classList.toggle("shown");
    byId("show-filters").setAttribute("aria-expanded", String(open));
  });
  byId("curl").addEventListener("click", copyCurl);
}

function askWith(file) {
  if (!info?.queries.image) {
    toast("Pictures cannot be encoded by this service.");
  } else if (!file.type.startsWith("image/")) {
    toast("That is not a picture.");
  } else if (file.size > info.limits.body_bytes) {
    toast(`That picture is too large; ${Math.round(info.limits.body_bytes / 1e6)} MB are allowed.`);
  } else {
    picture = file;
    change({ text: "", item: "", code: "", by: "" });
  }
}

function wirePictures() {
  byId("choose").addEventListener("click", () => byId("file").click());
  byId("file").addEventListener("change", () => {
    if (byId("file").files[0]) askWith(byId("file").files[0]);
    byId("file").value = "";
  });
  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files || [])].find((one) => one.type.startsWith("image/"));
    if (file && !document.querySelector("dialog[open]")) { event.preventDefault(); askWith(file); }
  });
  let depth = 0;
  const veil = byId("drop-veil");
  const carriesFiles = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
  document.addEventListener("dragenter", (event) => { if (carriesFiles(event)) { depth += 1; veil.hidden = false; } });
  document.addEventListener("dragleave", (event) => { if (carriesFiles(event)) { depth = Math.max(0, depth - 1); veil.hidden = depth > 0 ? false : true; } });
  document.addEventListener("dragover", (event) => { if (carriesFiles(event)) event.preventDefault(); });
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth = 0;
    veil.hidden = true;
    if (event.dataTransfer.files[0]) askWith(event.dataTransfer.files[0]);
  });
}

function wireKeys() {
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName || "") && document.activeElement.type !== "range" && document.activeElement.type !== "radio" && document.activeElement.type !== "checkbox";
    if (event.key === "/" && !typing && !document.querySelector("dialog[open]")) {
      event.preventDefault();
      if (byId("words").hidden) byId("chip-clear").focus();
      else { byId("words").focus(); byId("words").select(); }
    } else if (event.key === "ArrowDown" && document.activeElement === byId("words")) {
      const first = byId("results").querySelector(".open");
      if (first) { event.preventDefault(); first.focus(); }
    }
  });
}

function open(hit) {
  openItem(hit, { queryCode: answered?.query?.code || "", side: search.among, nBits: answered?.n_bits ?? info.n_bits, writable: info.writable, like, removed });
}

function like(hit) {
  picture = null;
  window.scrollTo({ top: 0 });
  change({ text: "", code: "", item: hit.id, by: hit.has_image === false ? "text" : hit.has_image ? "image" : "" });
}

async function removed(hit) {
  info = await api.info().catch(() => info);
  showFacts(info);
  if (search.item === hit.id) change({ item: "", by: "" });
  else run({ push: false });
}

async function copyCurl() {
  const request = JSON.stringify(toRequest(search, columns, sure()), null, 1).replace(/\n\s*/g, " ");
  const quoted = request.replaceAll("'", "'\\''");
  const words = `curl -s ${location.origin}/v1/search -H 'Content-Type: application/json' -d '${quoted}'`;
  try {
    await navigator.clipboard.writeText(words);
    toast("Copied: the same search for the command line.");
  } catch {
    prompt("The same search for the command line:", words);
  }
}

start();
