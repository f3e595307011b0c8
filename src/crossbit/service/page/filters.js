// The filters beside the results: the values of the collection's columns, with how many items have each.

import { byId, element } from "./element.js";

/** Show the facets; chosen: {column: [value, ...]}; changed(filters) is called with what was chosen. */
export function showFilters(facets, chosen, changed) {
  const place = byId("filters");
  const shown = facets.filter((facet) => facet.values.length > 1 || chosen[facet.column]);
  place.replaceChildren();
  for (const facet of shown) {
    const kept = new Set(chosen[facet.column] || []);
    const known = new Set(facet.values.map(({ value }) => String(value)));
    const extra = [...kept].filter((value) => !known.has(value)).map((value) => ({ value, count: null }));
    const group = element("div", { role: "group", "aria-label": facet.column });
    for (const { value, count } of [...facet.values, ...extra]) {
      group.append(choice(facet.column, value, count, kept.has(String(value)), chosen, changed));
    }
    place.append(element("h3", {}, words(facet.column)), group);
    if (facet.more) place.append(element("p", { class: "more" }, "and further values"));
  }
  const any = shown.length > 0;
  place.hidden = !any;
  byId("below").classList.toggle("filtered", any);
  byId("show-filters").hidden = !any;
  const number = Object.values(chosen).reduce((sum, values) => sum + values.length, 0);
  byId("filters-count").hidden = number === 0;
  byId("filters-count").textContent = number;
}

function choice(column, value, count, checked, chosen, changed) {
  const box = element("input", { type: "checkbox", checked });
  box.addEventListener("change", () => {
    const others = (chosen[column] || []).filter((one) => one !== String(value));
    const values = box.checked ? [...others, String(value)] : others;
    const { [column]: _, ...rest } = chosen;
    changed(values.length ? { ...rest, [column]: values } : rest);
  });
  const label = value === null || value === "" ? "none" : String(value);
  return element("label", { title: label }, box, element("span", { class: "value" }, label),
    count === null ? null : element("span", { class: "number" }, count.toLocaleString("en")));
}

/** A column's name as words: "sub_group" reads "Sub group". */
export function words(column) {
  const plain = column.replaceAll("_", " ").trim();
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}
