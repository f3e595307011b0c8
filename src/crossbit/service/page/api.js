// The page's side of the HTTP interface. /docs describes all of it.

/** What the service answered when it could not do what was asked: problem details of RFC 9457. */
export class Problem extends Error {
  constructor(status, title, detail) {
    super(detail || title);
    this.status = status;
    this.title = title;
  }
}

async function answer(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The service does not answer", "It may have been stopped. Try again in a moment.");
  }
  if (response.ok) return response.status === 204 ? null : response.json();
  const problem = await response.json().catch(() => ({}));
  throw new Problem(response.status, problem.title || response.statusText, problem.detail || "");
}

const asJson = (body) => ({ method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
const bearer = (token) => ({ Authorization: `Bearer ${token}` });

export const info = () => answer("/v1/info");
export const facets = () => answer("/v1/facets?limit=12");
export const sample = () => answer("/v1/sample?n=24");
export const item = (id) => answer(`/v1/items/${encodeURIComponent(id)}`);

/** Search. request: the JSON of the interface; picture: a Blob that asks in place of words, or null. */
export function search(request, picture, signal) {
  if (!picture) return answer("/v1/search", { ...asJson(request), signal });
  const form = new FormData();
  form.append("request", JSON.stringify(request));
  form.append("picture", picture, picture.name || "picture");
  return answer("/v1/search", { method: "POST", body: form, signal });
}

export function addItem(fields, picture, token) {
  const form = new FormData();
  form.append("item", JSON.stringify(fields));
  if (picture) form.append("picture", picture, picture.name || "picture");
  return answer("/v1/items", { method: "POST", body: form, headers: bearer(token) });
}

export const removeItem = (id, token) =>
  answer(`/v1/items/${encodeURIComponent(id)}`, { method: "DELETE", headers: bearer(token) });
