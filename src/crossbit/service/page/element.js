// Building parts of the page. Text is always set as text, never as markup.

/** An element: element("p", {class: "help", onclick: f}, "words", child, ...). False and null children are left out. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) made.append(child);
  }
  return made;
}

/** One of the line drawings, by name. */
export function icon(name) {
  const paths = {
    like: "M4 7.5h7M4 12h4M4 16.5h5|M17 19.2l-3.9-3.7a2.6 2.6 0 0 1 3.9-3.4 2.6 2.6 0 0 1 3.9 3.4z",
    remove: "M5 7h14M10 7V4.8h4V7M7 7l.8 12.2h8.4L17 7",
  };
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  for (const d of paths[name].split("|")) {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}

export const byId = (id) => document.getElementById(id);

let hiding = 0;

/** Say something in passing. */
export function toast(words) {
  const place = byId("toast");
  place.textContent = words;
  place.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { place.hidden = true; }, 3500);
}

/** "1 picture", "12 pictures". */
export function counted(n, one, many = `${one}s`) {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}
