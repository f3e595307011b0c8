// Adding an item from the page.

import * as api from "./api.js";
import { byId, element, toast } from "./element.js";
import { words } from "./filters.js";
import { forgetToken, keepToken, token } from "./token.js";

/** Make the form ready. columns: [{name, type}] of the collection; added(id): called when an item stands. */
export function startAdding(columns, added) {
  const form = byId("add-form");
  byId("add-columns").replaceChildren(...columns.map(({ name, type }) => element("label", { class: "field" }, `${words(name)} `,
    element("input", { name: `column:${name}`, type: type === "integer" || type === "number" ? "number" : "text",
      step: type === "number" ? "any" : null, maxlength: "500" }))));
  byId("open-add").hidden = false;
  byId("open-add").addEventListener("click", () => {
    form.elements.token.value = token();
    byId("add-problem").hidden = true;
    byId("add").showModal();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const submit = form.querySelector("[type=submit]");
    submit.disabled = true;
    try {
      await send(form, columns, added);
    } catch (problem) {
      if (problem.status === 401 || problem.status === 403) forgetToken();
      byId("add-problem").textContent = problem.message;
      byId("add-problem").hidden = false;
    } finally {
      submit.disabled = false;
    }
  });
}

async function send(form, columns, added) {
  const picture = form.elements.picture.files[0] || null;
  const text = form.elements.text.value.trim();
  const id = form.elements.id.value.trim();
  if (!picture && !text) throw new Error("An item needs a text, a picture or both.");
  const metadata = {};
  for (const { name, type } of columns) {
    const value = form.elements[`column:${name}`].value.trim();
    if (value === "") continue;
    metadata[name] = type === "integer" || type === "number" ? Number(value) : type === "boolean" ? value === "true" : value;
  }
  const given = form.elements.token.value;
  const answer = await api.addItem({ id, text: text || null, metadata }, picture, given);
  keepToken(given);
  byId("add").close();
  form.reset();
  toast(answer.unchanged ? "It stood there already, unchanged." : answer.replaced ? "Replaced." : "Added.");
  added(id);
}
