// Lines between words: a word under the mouse, or with the focus, shows where it looks; a word below shows what looks at it.
// Nothing goes back to the server. Every text is set by textContent.

const LEAST = 0.02, AT_REST = 0.1, MOST_AT_REST = 400, MOST_WORDS_AT_REST = 80, SVG = 'http://www.w3.org/2000/svg';

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector('.lines');
  const view = { data, root, weights: numbers(data.weights), chosen: null, pinned: null, sides: {} };
  root.querySelector('.queries-title').textContent = data.titles[0];
  root.querySelector('.keys-title').textContent = data.titles[1];
  for (const side of ['queries', 'keys']) fill(view, side);
  root.onpointerleave = () => choose(view, view.pinned);
  root.onkeydown = event => move(view, event);
  root._observer?.disconnect();
  root._observer = new ResizeObserver(() => choose(view, view.chosen));
  root._observer.observe(root);
  choose(view, null);
  return () => root._observer?.disconnect();
}

function numbers(text) {
  const bytes = Uint8Array.from(atob(text), sign => sign.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

function fill(view, side) {
  const box = view.root.querySelector(`.${side}`);
  const words = view.data[side].map((word, at) => {
    const chip = document.createElement('span');
    chip.className = 'word';
    chip.textContent = word;
    chip.dir = 'auto';
    chip.setAttribute('role', 'option');
    chip.tabIndex = at === 0 ? 0 : -1;
    chip.onpointerenter = () => view.pinned === null && choose(view, [side, at]);
    chip.onfocus = () => choose(view, [side, at]);
    chip.onclick = () => {
      const same = view.pinned && view.pinned[0] === side && view.pinned[1] === at;
      view.pinned = same ? null : [side, at];
      choose(view, [side, at]);
    };
    return chip;
  });
  box.replaceChildren(...words);
  view.sides[side] = words;
}

function move(view, event) {
  if (event.key === 'Escape') {
    view.pinned = null;
    choose(view, null);
    return;
  }
  const [side, at] = view.chosen ?? ['queries', 0];
  const other = side === 'queries' ? 'keys' : 'queries';
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const across = { ArrowDown: 'keys', ArrowUp: 'queries' }[event.key] === other;
  const words = view.sides[across ? other : side];
  if (!step && !across) return;
  event.preventDefault();
  view.pinned = null;
  words[Math.min(Math.max(at + (step ?? 0), 0), words.length - 1)].focus();
}

// The weights of the chosen word: [place on the other side, weight], the largest first.
function row([side, at], view) {
  const n = view.data.keys.length, found = [];
  const count = side === 'queries' ? n : view.data.queries.length;
  for (let other = 0; other < count; other++) {
    const weight = side === 'queries' ? view.weights[at * n + other] : view.weights[other * n + at];
    if (Math.abs(weight) >= LEAST) found.push([other, weight]);
  }
  return found.sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
}

function choose(view, chosen) {
  view.chosen = chosen;
  for (const words of Object.values(view.sides)) for (const word of words) {
    word.classList.remove('chosen');
    word.style.removeProperty('--weight');
    word.classList.remove('negative');
  }
  const svg = view.root.querySelector('svg');
  svg.replaceChildren();
  const frame = view.root.getBoundingClientRect();
  svg.setAttribute('viewBox', `0 0 ${frame.width} ${frame.height}`);
  if (chosen === null) {
    rest(view, svg, frame);
    return;
  }
  const [side, at] = chosen;
  const other = side === 'queries' ? 'keys' : 'queries';
  const found = row(chosen, view);
  view.sides[side][at].classList.add('chosen');
  for (const word of view.sides[side]) word.tabIndex = -1;
  view.sides[side][at].tabIndex = 0;
  for (const [to, weight] of found) {
    const word = view.sides[other][to];
    word.style.setProperty('--weight', `${Math.round(100 * Math.min(1, Math.abs(weight) / view.data.most))}%`);
    word.classList.toggle('negative', weight < 0);
    line(view, svg, frame, side === 'queries' ? [at, to] : [to, at], weight, 1);
  }
  tell(view, side, at, other, found);
}

function rest(view, svg, frame) {
  const { queries, keys } = view.data, found = [];
  const told = view.root.querySelector('.told');
  told.textContent = view.data.hint;
  if (Math.max(queries.length, keys.length) > MOST_WORDS_AT_REST) return;
  for (let at = 0; at < view.weights.length; at++)
    if (Math.abs(view.weights[at]) >= AT_REST * view.data.most) found.push([at, view.weights[at]]);
  found.sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  for (const [at, weight] of found.slice(0, MOST_AT_REST))
    line(view, svg, frame, [Math.floor(at / keys.length), at % keys.length], weight, 0.55);
}

function line(view, svg, frame, [query, key], weight, strength) {
  const from = view.sides.queries[query].getBoundingClientRect(), to = view.sides.keys[key].getBoundingClientRect();
  const share = Math.min(1, Math.abs(weight) / view.data.most);
  const [x0, y0] = [from.left + from.width / 2 - frame.left, from.bottom - frame.top];
  const [x1, y1] = [to.left + to.width / 2 - frame.left, to.top - frame.top];
  const bend = (y1 - y0) / 2;
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', `M${x0} ${y0}C${x0} ${y0 + bend} ${x1} ${y1 - bend} ${x1} ${y1}`);
  path.setAttribute('class', weight < 0 ? 'negative' : '');
  path.setAttribute('stroke-width', (1 + 4 * share).toFixed(2));
  path.setAttribute('stroke-opacity', (strength * (0.25 + 0.75 * share)).toFixed(3));
  svg.append(path);
}

function tell(view, side, at, other, found) {
  const told = view.root.querySelector('.told');
  const place = (which, index) => `${view.data[which][index]} (${view.data.first[which === 'queries' ? 0 : 1] + index})`;
  const listed = found.slice(0, 6).map(([to, weight]) => `${place(other, to)} ${weight.toFixed(2)}`).join('  ·  ');
  const verb = view.data.verbs[side === 'queries' ? 0 : 1];
  told.textContent = `${place(side, at)} ${verb} ${listed || `nothing with ${LEAST} or more`}`;
}
