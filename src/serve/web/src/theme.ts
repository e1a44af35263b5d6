// Light or dark: as the system has it, unless the person has said otherwise.

export type Theme = "light" | "dark";

const KEY = "theme";
const system = matchMedia("(prefers-color-scheme: dark)");

export function theme(): Theme {
  const chosen = localStorage.getItem(KEY);
  return chosen === "dark" || (chosen === null && system.matches) ? "dark" : "light";
}

/** Writes it down for the style sheet. */
export function apply() {
  document.documentElement.dataset.theme = theme();
}

export function toggle() {
  const next = theme() === "dark" ? "light" : "dark";
  // what the system wants anyway need not be remembered
  if ((next === "dark") === system.matches) localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, next);
}

export const onSystemChange = (act: () => void) => system.addEventListener("change", act);
