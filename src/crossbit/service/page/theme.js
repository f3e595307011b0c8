// Light, dark, or as the system says; a choice is remembered in this browser.

import { byId } from "./element.js";

const NAME = "crossbit-theme";
const ORDER = ["system", "light", "dark"];
const SIGNS = { system: "◐", light: "☀", dark: "☾" };

export function startTheme() {
  show(stored());
  byId("theme").addEventListener("click", () => {
    const next = ORDER[(ORDER.indexOf(stored()) + 1) % ORDER.length];
    if (next === "system") localStorage.removeItem(NAME);
    else localStorage.setItem(NAME, next);
    show(next);
  });
}

function stored() {
  const kept = localStorage.getItem(NAME);
  return ORDER.includes(kept) ? kept : "system";
}

function show(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  const words = theme === "system" ? "as the system" : theme;
  byId("theme").textContent = SIGNS[theme];
  byId("theme").setAttribute("aria-label", `Theme: ${words}`);
  byId("theme").title = `Theme: ${words}`;
}
