"""How long a first visit waits for the first picture of a forecast at 1440x900: each time a new browser without a cache.

    python first_picture.py BROWSER LOADS URL [URL …]

Several addresses take turns. `shown`: the field is drawn, with its legend and the time. `presented`: three pictures of the
whole page later, which is when it surely is on the screen.
"""

import statistics
import sys
import time

from browser import Browser
from page import DESK, SHOWN

WATCH = f"""
const timer = setInterval(() => {{
  if (!Boolean({SHOWN})) return;
  clearInterval(timer);
  const next = (left) => requestAnimationFrame(() => left > 0 ? next(left - 1) : (window.presented = performance.now()));
  next(3);
}}, 10);
"""


def visit(program, url):
    page = Browser(program)
    try:
        # the browser itself begins to draw before anything is measured
        page.run("document.createElement('canvas').getContext('webgl2') !== null")
        page.size(*DESK)
        page.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        begin = time.monotonic()
        page.open(url)
        page.until(SHOWN)
        shown = time.monotonic() - begin
        page.until("window.presented")
        return shown, page.run("window.presented") / 1000
    finally:
        page.close()


def load():
    with open("/proc/loadavg") as file:
        return file.read().split()[0]


def main(program, loads, *urls):
    visits = {url: [] for url in urls}
    begin = load()
    for _ in range(int(loads)):
        for url in urls:
            visits[url].append(visit(program, url))
    for url, seconds in visits.items():
        for name, values in zip(["shown", "presented"], zip(*seconds)):
            print(f"{url} {name} after {statistics.median(values):.2f} s ({min(values):.2f} to {max(values):.2f}), {loads} loads")
    print(f"load average {begin} before, {load()} after")


if __name__ == "__main__":
    main(*sys.argv[1:])
