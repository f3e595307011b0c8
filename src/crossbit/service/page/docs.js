// The interface described from /openapi.json, with nothing from another host.

import { byId, element } from "./element.js";

async function start() {
  let schema;
  try {
    schema = await (await fetch("/openapi.json")).json();
  } catch {
    byId("intro").textContent = "The description could not be read.";
    return;
  }
  byId("intro").textContent = schema.info.description || schema.info.summary || "";
  const groups = new Map();
  for (const [path, operations] of Object.entries(schema.paths)) {
    for (const [verb, operation] of Object.entries(operations)) {
      const tag = (operation.tags || ["other"])[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(described(schema, verb, path, operation));
    }
  }
  for (const [tag, parts] of groups) {
    byId("operations").append(element("h2", {}, tag.charAt(0).toUpperCase() + tag.slice(1)), ...parts);
  }
}

function described(schema, verb, path, operation) {
  const [brief, ...rest] = (operation.description || operation.summary || "").split("\n\n");
  const inside = element("div", { class: "inside" }, rest.length ? element("p", {}, rest.join("\n\n")) : null);
  const needsToken = (operation.security || []).length && !(operation.security || []).some((one) => Object.keys(one).length === 0);
  if (needsToken) inside.append(element("p", {}, "Needs a write token: Authorization: Bearer TOKEN."));
  if (operation.parameters?.length) {
    inside.append(element("h3", {}, "Parameters"), table(operation.parameters.map((one) => [one.name, kind(schema, one.schema), one.description || one.in])));
  }
  for (const [media, content] of Object.entries(operation.requestBody?.content || {})) {
    inside.append(element("h3", {}, `Body: ${media}`), fields(schema, content.schema));
  }
  const good = Object.entries(operation.responses).filter(([status]) => status < "400");
  for (const [status, response] of good) {
    const content = Object.entries(response.content || {})[0];
    inside.append(element("h3", {}, `Answer ${status}${content ? `: ${content[0]}` : ""}`), content ? fields(schema, content[1].schema) : "");
  }
  const bad = Object.entries(operation.responses).filter(([status]) => status >= "400");
  if (bad.length) inside.append(element("h3", {}, "Problems"), table(bad.map(([status, response]) => [status, "problem", response.description])));
  return element("details", {}, element("summary", {}, element("span", { class: `verb ${verb}` }, verb.toUpperCase()), element("code", {}, path),
    element("span", { class: "brief" }, brief)), inside);
}

function fields(schema, given) {
  const shape = resolved(schema, given);
  const properties = Object.entries(shape?.properties || {});
  if (!properties.length) return element("p", {}, kind(schema, given));
  const required = new Set(shape.required || []);
  return table(properties.map(([name, one]) => [name, `${kind(schema, one)}${required.has(name) ? ", required" : ""}`, resolved(schema, one)?.description || one.description || ""]));
}

function table(rows) {
  return element("table", {}, element("tbody", {}, rows.map(([name, type, words]) =>
    element("tr", {}, element("th", { scope: "row" }, element("code", {}, name)), element("td", { class: "kind" }, type), element("td", {}, words)))));
}

function kind(schema, one) {
  if (!one) return "anything";
  if (one.$ref) return one.$ref.split("/").pop();
  if (one.const !== undefined) return JSON.stringify(one.const);
  if (one.enum) return one.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (one.anyOf) return one.anyOf.map((part) => kind(schema, part)).join(" | ");
  if (one.type === "array") return `list of ${kind(schema, one.items)}`;
  return one.format === "binary" ? "file" : one.type || "anything";
}

function resolved(schema, one) {
  const name = one?.$ref?.split("/").pop();
  return name ? schema.components.schemas[name] || {} : one || {};
}

start();
