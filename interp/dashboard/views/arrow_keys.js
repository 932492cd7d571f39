// Arrow keys over a grid of cells: what has the focus is the map itself, so that a click on it and the keys go together.

export default function ({ data, parentElement, setTriggerValue }) {
  const map = document.querySelector(`.st-key-${data.target}`);
  if (!map) return;
  const kept = (map._cell ??= { at: data.at, sent: 0, timer: 0 });
  if (Date.now() - kept.sent > 600) kept.at = data.at; // an answer to an earlier key must not undo a later one
  map.tabIndex = 0;
  map.setAttribute('role', 'group');
  map.setAttribute('aria-label', data.label);
  const colour = getComputedStyle(parentElement.host ?? parentElement).getPropertyValue('--st-primary-color');
  map.onfocus = () => { if (map.matches(':focus-visible')) map.style.outline = `2px solid ${colour}`; };
  map.onblur = () => { map.style.outline = 'none'; };
  map.style.outlineOffset = '2px';
  map.onpointerdown = () => setTimeout(() => map.focus({ preventScroll: true })); // plotly keeps the press for itself
  map.onkeydown = event => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    kept.at = kept.at.map((place, axis) => Math.min(Math.max(place + step[axis], 0), data.size[axis] - 1));
    kept.sent = Date.now();
    clearTimeout(kept.timer);
    const cell = kept.at;
    kept.timer = setTimeout(() => setTriggerValue('cell', cell), 60);
  };
}
