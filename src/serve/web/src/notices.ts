// Telling the person: what happened, what went wrong, that something is on the way.

import { find, unveil } from "./dom.ts";

const NOTE_MS = 4000;
let noteTimer: ReturnType<typeof setTimeout>;

/** A sentence that goes away by itself; with something to do about it, it stays longer. */
export function note(text: string, action?: { text: string; act: () => void }) {
  const box = find("#note");
  const button = find<HTMLButtonElement>("#note button");
  find("#note span").textContent = text;
  button.hidden = !action;
  button.textContent = action?.text ?? "";
  button.onclick = () => {
    box.classList.remove("on");
    action?.act();
  };
  box.classList.add("on");
  clearTimeout(noteTimer);
  noteTimer = setTimeout(() => box.classList.remove("on"), action ? 4 * NOTE_MS : NOTE_MS);
}

/** What keeps the map from being shown; `null` when nothing does. */
export function message(title: string | null, text = "", retry?: () => void) {
  const box = find("#message");
  box.hidden = title === null;
  if (title === null) return;
  unveil();
  find("strong", box).textContent = title;
  find("p", box).textContent = text;
  const button = find<HTMLButtonElement>("button", box);
  button.hidden = !retry;
  button.onclick = retry ?? null;
}

let busyTimer: ReturnType<typeof setTimeout> | undefined;

export function busy(is: boolean) {
  const box = find("#busy");
  if (!is) {
    clearTimeout(busyTimer);
    busyTimer = undefined;
    box.hidden = true;
  } else if (busyTimer === undefined) {
    // what takes less than a blink needs no sign
    busyTimer = setTimeout(() => (box.hidden = false), 250);
  }
}
