// Moving the map: mouse, wheel, fingers, keys.

const CLICK_DISTANCE = 5;
const WHEEL_PIXELS = 420;
const PAN_STEP = 120;

/** `click(x, y)` is called for a click or tap that does not move. */
export function attach(map, click) {
  const { canvas } = map;
  const pointers = new Map();
  let travelled = 0;

  const position = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const spread = () => {
    const [a, b] = [...pointers.values()];
    return { distance: Math.hypot(a.x - b.x, a.y - b.y), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    if (pointers.size === 0) travelled = 0;
    pointers.set(event.pointerId, position(event));
    canvas.classList.add("dragging");
  });

  canvas.addEventListener("pointermove", (event) => {
    const now = position(event);
    const before = pointers.get(event.pointerId);
    if (!before) {
      if (event.pointerType === "mouse") map.hover(now.x, now.y);
      return;
    }
    if (pointers.size === 2) {
      const old = spread();
      pointers.set(event.pointerId, now);
      const current = spread();
      travelled = Infinity;
      map.pan(current.x - old.x, current.y - old.y);
      if (old.distance > 0 && current.distance > 0) map.zoomBy(Math.log2(current.distance / old.distance), current.x, current.y);
      return;
    }
    pointers.set(event.pointerId, now);
    travelled += Math.hypot(now.x - before.x, now.y - before.y);
    if (travelled > CLICK_DISTANCE) map.pan(now.x - before.x, now.y - before.y);
    if (event.pointerType === "mouse") map.hover(now.x, now.y);
  });

  const release = (event) => {
    const there = pointers.delete(event.pointerId);
    if (pointers.size === 0) canvas.classList.remove("dragging");
    if (there && event.type === "pointerup" && pointers.size === 0 && travelled <= CLICK_DISTANCE) {
      const { x, y } = position(event);
      click(x, y);
    }
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => map.hover(null, null));

  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const { x, y } = position(event);
      const lines = event.deltaMode === 1 ? 33 : 1;
      // a pinch on a touchpad arrives as small steps with the control key
      const speed = event.ctrlKey ? 4 : 1;
      map.zoomBy(Math.max(-1, Math.min(1, (-event.deltaY * lines * speed) / WHEEL_PIXELS)), x, y);
    },
    { passive: false },
  );

  canvas.addEventListener("dblclick", (event) => {
    const { x, y } = position(event);
    map.zoomBy(1, x, y);
  });
}

const PANS = { ArrowLeft: [PAN_STEP, 0], ArrowRight: [-PAN_STEP, 0], ArrowUp: [0, PAN_STEP], ArrowDown: [0, -PAN_STEP] };

/** Handles a key that moves the map; whether it was one. */
export function moveByKey(map, event) {
  if (event.shiftKey && PANS[event.key]) map.pan(...PANS[event.key]);
  else if (event.key === "+" || event.key === "=") map.zoomBy(0.5);
  else if (event.key === "-") map.zoomBy(-0.5);
  else return false;
  return true;
}
