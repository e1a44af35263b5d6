// Tiles that have been asked for: pictures for the map, values for the cursor. Kept up to a limit, the oldest go first.

import { ask, values } from "./api.js";

const PICTURES = 600;
const VALUE_TILES = 24;

/** What was asked for, by address; `load` makes it. Entries are {ready, failed, content}. */
class Store {
  constructor(limit, load, changed) {
    Object.assign(this, { limit, load, changed, entries: new Map() });
  }

  /** The entry, asked for if it is new. Failed ones are tried again after a while. */
  get(url) {
    let entry = this.entries.get(url);
    if (entry && entry.failed && performance.now() - entry.since > 5000) entry = undefined;
    if (!entry) {
      entry = { ready: false, failed: null, content: null, since: performance.now() };
      this.start(url, entry);
    }
    // a Map keeps the order of insertion: what is used moves to the end
    this.entries.delete(url);
    this.entries.set(url, entry);
    return entry;
  }

  /** The entry if it is there and ready. */
  peek(url) {
    const entry = this.entries.get(url);
    return entry && entry.ready ? entry : null;
  }

  async start(url, entry) {
    try {
      entry.content = await this.load(url);
      entry.ready = true;
    } catch (error) {
      entry.failed = error;
      entry.since = performance.now();
    }
    this.trim();
    this.changed(entry);
  }

  trim() {
    for (const [url, entry] of this.entries) {
      if (this.entries.size <= this.limit) return;
      if (!entry.ready && !entry.failed) continue;
      entry.content?.close?.();
      this.entries.delete(url);
    }
  }
}

const picture = async (url) => createImageBitmap(await (await ask(url)).blob());

export const pictureStore = (changed) => new Store(PICTURES, picture, changed);
export const valueStore = (changed) => new Store(VALUE_TILES, values, changed);
