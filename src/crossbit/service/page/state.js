// What is being searched for, and its one-to-one form in the address bar.

export const SIZES = [12, 24, 48, 96, 240, 1000, 5000];

export const EMPTY = Object.freeze({
  text: "", item: "", code: "", by: "", among: "image", k: 24, confidence: 0, distance: null, filters: Object.freeze({}),
});

/** The search of an address such as ?q=red+car&k=48&min=0.5&f.group=Animals. Nonsense in it counts for nothing. */
export function fromAddress(query) {
  const given = new URLSearchParams(query);
  const filters = {};
  for (const [name, value] of given) {
    if (name.startsWith("f.") && name.length > 2) (filters[name.slice(2)] ??= []).push(value);
  }
  const code = given.get("code") || "";
  return {
    text: given.get("q") || "",
    item: given.get("item") || "",
    code: /^[0-9a-f]{2,1024}$/.test(code) ? code : "",
    by: given.get("by") === "image" || given.get("by") === "text" ? given.get("by") : "",
    among: given.get("among") === "text" ? "text" : "image",
    k: SIZES.includes(Number(given.get("k"))) ? Number(given.get("k")) : EMPTY.k,
    confidence: within(given.get("min"), 0, 1) ?? 0,
    distance: within(given.get("max"), 0, 4096),
    filters,
  };
}

/** The address of a search: only what differs from a fresh page is named. */
export function toAddress(search) {
  const named = new URLSearchParams();
  if (search.text) named.set("q", search.text);
  if (search.item) named.set("item", search.item);
  if (search.code) named.set("code", search.code);
  if (search.by && (search.item || search.code)) named.set("by", search.by);
  if (search.among !== "image") named.set("among", search.among);
  if (search.k !== EMPTY.k) named.set("k", search.k);
  if (search.confidence) named.set("min", search.confidence);
  if (search.distance !== null) named.set("max", search.distance);
  for (const [column, values] of Object.entries(search.filters)) {
    for (const value of values) named.append(`f.${column}`, value);
  }
  const query = named.toString();
  return query ? `/?${query}` : "/";
}

export const asksNothing = (search) => !search.text && !search.item && !search.code;

/** The modality that asks: "image", "text", or "" where a code comes from nobody knows where. picture: whether one asks. */
export function asksBy(search, picture) {
  if (picture) return "image";
  if (search.item || search.code) return search.by || (search.item ? "text" : "");
  return "text";
}

/** Whether a search has confidences: they are measured across the modalities. */
export function isSure(search, picture, calibrated) {
  const asking = asksBy(search, picture);
  return Boolean(calibrated) && asking !== "" && asking !== search.among;
}

/** The request body of a search; columns tells the types that filter values had before they stood in an address.
 *  sure: whether confidences are known. alone: nothing else asks; with a picture beside the request, nothing in it may. */
export function toRequest(search, columns, sure, alone = true) {
  const request = { k: search.k, among: search.among };
  if (!alone) { /* the picture asks */ }
  else if (search.item) Object.assign(request, { item: search.item }, search.by ? { by: search.by } : {});
  else if (search.code) Object.assign(request, { code: search.code }, search.by ? { by: search.by } : {});
  else if (search.text) request.text = search.text;
  if (search.confidence && sure) request.min_confidence = search.confidence;
  if (search.distance !== null) request.max_distance = search.distance;
  const filters = Object.entries(search.filters).filter(([column]) => columns.has(column));
  if (filters.length) {
    request.filters = Object.fromEntries(filters.map(([column, values]) => [column, values.map((v) => typed(v, columns.get(column)))]));
  }
  return request;
}

function typed(value, type) {
  if (type === "boolean") return value === "true";
  if (type === "integer" || type === "number") return Number(value);
  return value;
}

function within(value, least, most) {
  if (value === null || value.trim() === "") return null;
  const number = Number(value);
  return Number.isFinite(number) && number >= least && number <= most ? number : null;
}
