// Small help with the document.

export function find<E extends Element = HTMLElement>(selector: string, root: ParentNode = document): E {
  const element = root.querySelector<E>(selector);
  if (!element) throw new Error(`the page has no ${selector}`);
  return element;
}

/** Shows all of the page. */
export const unveil = () => document.body.classList.remove("blank");

interface Item {
  value: string;
  text: string;
  title: string;
}

/** More than that are a list to open, not a row of buttons. */
const MOST_BUTTONS = 9;

/** One of several: as buttons in a row, or as a list where there are many. */
export function choose(box: HTMLElement, name: string, items: Item[], current: string, pick: (value: string) => void) {
  const state = JSON.stringify([items, current]);
  if (box.dataset.state === state) return;
  box.dataset.state = state;
  if (items.length > MOST_BUTTONS) {
    const select = document.createElement("select");
    select.setAttribute("aria-label", name);
    select.append(...items.map(({ value, text, title }) => Object.assign(new Option(text, value), { title })));
    select.value = current;
    select.addEventListener("change", () => pick(select.value));
    box.replaceChildren(select);
    return;
  }
  const focused = box.contains(document.activeElement);
  const buttons = items.map(({ value, text, title }) => {
    const label = Object.assign(document.createElement("label"), { title });
    const input = Object.assign(document.createElement("input"), {
      type: "radio",
      name,
      value,
      checked: value === current,
    });
    input.addEventListener("change", () => pick(value));
    label.append(input, Object.assign(document.createElement("span"), { textContent: text }));
    return label;
  });
  box.replaceChildren(...buttons);
  const checked = box.querySelector<HTMLInputElement>("input:checked");
  if (focused) checked?.focus();
  checked?.parentElement?.scrollIntoView({ block: "nearest", inline: "center" });
}

/** Fills a list, only when it has changed: it may be open. */
export function fill(select: HTMLSelectElement, items: Item[], current: string) {
  const state = JSON.stringify(items);
  if (select.dataset.state !== state) {
    select.dataset.state = state;
    select.replaceChildren(...items.map(({ value, text, title }) => Object.assign(new Option(text, value), { title })));
  }
  select.value = current;
  select.disabled = items.length === 0;
}
