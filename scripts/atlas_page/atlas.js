// The page: what is in it, what its controls do, and its state in the address.
// Text from the data reaches the document as textContent or a property's value, never as markup.

const MISSING = 255; // level of a point without a value
const PICK_RADIUS = 14; // how near to a point one must be to point at it, in pixels
const MOST_CORNERS = 96; // of a lasso, so that it fits into the address
const MOST_ZOOM = 400;
const STILL = 160; // milliseconds after which a movement has ended
const LEAST_MOVING = 8000; // points that a movement shows at least

// Light: those of the figures (Okabe and Ito's eight, then sixteen, each the farthest in OKLab from those before it under
// normal vision, deuteranopia and protanopia). Dark: lighter ones of
// the same hues, two by eye, and the rest chosen in the same way.
const CATEGORY_COLOURS = {
  light: [
    '#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#f0e442', '#000000',
    '#840000', '#3c3c6c', '#0000fc', '#6084fc', '#a83c18', '#3018b4', '#3c6c6c', '#78c084',
    '#e4d89c', '#cc0c9c', '#006ce4', '#24e4fc', '#780c48', '#189cd8', '#d8cc48', '#9c183c',
  ],
  dark: [
    '#4ba3e3', '#ff7d3b', '#1fc08f', '#e79ac6', '#f5b53a', '#9ad8ff', '#f0e442', '#f4f4f4',
    '#8a63ff', '#9c7433', '#b400a8', '#c0e4a8', '#9c546c', '#4860cc', '#54c0fc', '#f0fc9c',
    '#9c6cb4', '#8400fc', '#d8606c', '#e4c0cc', '#0cd884', '#fc1800', '#f06ccc', '#6cb454',
  ],
};
// Viridis, less the end that the background would swallow.
const RAMP = {
  light: ['#440154', '#482878', '#3e4989', '#31688e', '#26828e', '#1f9e89', '#35b779', '#6ece58', '#b5de2b'],
  dark: ['#5d4a9c', '#4a63a8', '#3d7ea6', '#2f95a0', '#27ab90', '#44bf79', '#7ad151', '#bddf26', '#fde725'],
};
const OTHER = { light: '#a8a8a8', dark: '#7d828a' };

const element = (id) => document.getElementById(id);
const make = (name, properties = {}, children = []) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const whole = (value) => value.toLocaleString('en');
const short = (value) =>
  value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e6)
    ? value.toExponential(2)
    : String(Number(value.toPrecision(3)));
const rgb = (hex) => [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16));
const isolated = (text) => `\u2068${text}\u2069`; // so that text of either direction leaves its surroundings alone
const plural = (count, word) => `${whole(count)} ${word}${count === 1 ? '' : 's'}`;

// ---- The data --------------------------------------------------------------------------------------------------------

const header = JSON.parse(element('header').textContent);

async function decode() {
  const text = element('data').textContent;
  const packed = Uint8Array.fromBase64
    ? Uint8Array.fromBase64(text)
    : Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
  const buffer = await new Response(stream).arrayBuffer();
  element('data').remove();
  const types = { uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, float64: Float64Array };
  const known = new Map();
  return (place) => {
    if (!place) return null;
    const [type, start, length] = place;
    if (!known.has(start)) known.set(start, new types[type](buffer, start, length));
    return known.get(start);
  };
}

const count = header.points;
const cells = header.cells;
const rowValues = [...new Set(cells.map((cell) => cell.key.n_neighbors))].sort((a, b) => a - b);
const columnValues = [...new Set(cells.map((cell) => cell.key.min_dist))].sort((a, b) => a - b);
const layers = [...new Set(cells.map(layerOf))];
const keyOf = (cell) => [cell.key.n_neighbors, cell.key.min_dist, layerOf(cell)].join('/');
const cellByKey = new Map(cells.map((cell) => [keyOf(cell), cell]));
const nameOf = (cell) => `n_neighbors ${cell.key.n_neighbors} · min_dist ${cell.key.min_dist}`;
const seedsOf = (layer) => {
  const [knnSeed, seed] = layer.split('/');
  return `k-NN seed ${knnSeed} · UMAP seed ${seed}`;
};
const cellAt = (row, column, layer) => cellByKey.get([rowValues[row], columnValues[column], layer].join('/'));

function layerOf(cell) {
  return `${cell.key.knn_seed}/${cell.key.seed}`;
}

let rowNumbers; // of each point, in the data
let neighborPlaces;
let labelCodes; // category of each point, where labels are categories
let labelValues; // where they are on a scale
let labelLevels; // row of the palette
let slots = []; // legend entries: {name, size, special}
const states = new Uint8Array(count).fill(SHOWN);
const unknown = new Uint8Array(count).fill(MISSING);
const single = new Uint8Array(count);

function loadData(array) {
  rowNumbers = array(header.row);
  neighborPlaces = array(header.neighbors.places);
  for (const cell of cells) {
    for (const name of ['points', 'recall', 'instability']) cell[name] = array(cell[name]);
  }
  for (const feature of header.features) feature.levels = array(feature.levels);
  const label = header.label;
  labelLevels = single;
  if (label?.names) {
    labelCodes = array(label.codes);
    labelLevels = new Uint8Array(count);
    const sizes = new Uint32Array(label.names.length + 1);
    for (const code of labelCodes) sizes[code] += 1;
    // The most frequent have a colour of their own; the rest share one.
    const coloured = [...label.names.keys()]
      .sort((a, b) => sizes[b] - sizes[a] || a - b)
      .slice(0, CATEGORY_COLOURS.light.length)
      .sort((a, b) => a - b);
    const rest = label.names.length - coloured.length;
    const slotOf = new Uint8Array(label.names.length + 1).fill(coloured.length);
    coloured.forEach((code, slot) => {
      slotOf[code] = slot;
      slots.push({ name: label.names[code], size: 0 });
    });
    slots.push({ name: `other: ${plural(rest, 'label')}`, size: 0, special: 'other' });
    slots.push({ name: 'no label', size: 0, special: 'none' });
    slotOf[label.names.length] = coloured.length + 1;
    for (let point = 0; point < count; point += 1) {
      labelLevels[point] = slotOf[labelCodes[point]];
      slots[labelLevels[point]].size += 1;
    }
  } else if (label) {
    labelValues = array(label.values);
    labelLevels = array(label.levels);
  }
}

const idOf = (point) => (header.ids ? header.ids[point] : String(rowNumbers[point]));

function labelOf(point) {
  if (labelCodes) return header.label.names[labelCodes[point]] ?? 'no label';
  if (labelValues) return Number.isNaN(labelValues[point]) ? 'no label' : String(labelValues[point]);
  return null;
}

let placeById;
function pointOfId(id) {
  placeById ??= new Map(Array.from({ length: count }, (_, point) => [idOf(point), point]));
  return placeById.get(id) ?? -1;
}

function neighborsOf(point) {
  const size = header.neighbors.count;
  return Array.from(neighborPlaces.subarray(point * size, (point + 1) * size)).filter((place) => place < count);
}

// ---- What a point can be coloured by ---------------------------------------------------------------------------------

const colourings = new Map();

function defineColourings() {
  const { label } = header;
  const name = label ? 'label' : 'one colour';
  colourings.set('label', { name, levels: () => labelLevels, scale: label && !label.names ? label : null });
  if (cells.some((cell) => cell.recall)) {
    colourings.set('recall', {
      name: 'local recall',
      note: 'Share of a point’s nearest neighbours in the data that are its nearest in the cell too. 1 is best.',
      levels: (cell) => cell.recall ?? unknown,
      scale: { low: 0, high: 1 },
    });
  }
  if (header.instability) {
    colourings.set('instability', {
      name: 'seed instability',
      note: 'Share of a point’s nearest points in the cell that another seed exchanges: 0 none, 1 all.',
      levels: (cell) => cell.instability ?? unknown,
      scale: header.instability,
    });
  }
  for (const feature of header.features) {
    colourings.set(`feature:${feature.name}`, { name: feature.name, levels: () => feature.levels, scale: feature });
  }
}

// ---- The state, and the address that holds it ------------------------------------------------------------------------

const start = () => ({
  cell: cells[0],
  colour: 'label',
  metric: header.metrics[0] ?? null,
  hidden: new Set(), // legend entries
  selection: [], // steps: {mode: 'new' | 'add' | 'remove', cell, corners} or {mode, near: point}
  point: -1, // the one kept by a click or a search
  view: { x: 0.5, y: 0.5, zoom: 1 },
  tool: 'move',
  theme: 'auto',
});
let state = start();
let selected = new Uint8Array(count);
let selectedCount = 0;
let visibleCount = count;
let writtenHash = null;
let hashTimer = 0;

const MODES = { n: 'new', a: 'add', r: 'remove' };

function toHash() {
  const parts = [['cell', keyOf(state.cell)]];
  const encode = encodeURIComponent;
  if (state.colour !== 'label') parts.push(['colour', encode(state.colour)]);
  if (state.metric && state.metric !== header.metrics[0]) parts.push(['metric', encode(state.metric)]);
  if (state.hidden.size) {
    const names = [...state.hidden].map((slot) => slots[slot].special ?? `:${encode(slots[slot].name)}`);
    parts.push(['hide', names.join(',')]);
  }
  const { x, y, zoom } = state.view;
  if (zoom !== 1 || x !== 0.5 || y !== 0.5) parts.push(['view', [x, y, zoom].map((v) => +v.toFixed(4)).join(',')]);
  if (state.point >= 0) parts.push(['id', encode(idOf(state.point))]);
  if (state.selection.length) {
    const steps = state.selection.map(({ mode, cell, corners, near }) =>
      cell
        ? [mode[0], 'area', keyOf(cell), corners.map((value) => value.toString(36)).join('.')].join(':')
        : [mode[0], 'near', encode(idOf(near))].join(':'),
    );
    parts.push(['select', steps.join(';')]);
  }
  if (state.tool !== 'move') parts.push(['tool', state.tool]);
  if (state.theme !== 'auto') parts.push(['theme', state.theme]);
  return `#${parts.map((part) => part.join('=')).join('&')}`;
}

// Whatever in an address is not understood is left out.
function fromHash(hash) {
  const read = start();
  const decoded = (text) => {
    try {
      return decodeURIComponent(text);
    } catch {
      return '';
    }
  };
  for (const part of hash.slice(1).split('&')) {
    const [, name, value] = /^(\w+)=(.*)$/.exec(part) ?? [];
    if (name === 'cell') read.cell = cellByKey.get(value) ?? read.cell;
    if (name === 'colour' && colourings.has(decoded(value))) read.colour = decoded(value);
    if (name === 'metric' && header.metrics.includes(decoded(value))) read.metric = decoded(value);
    if (name === 'hide') {
      for (const item of value.split(',')) {
        const slot = slots.findIndex((one) =>
          one.special ? one.special === item : item[0] === ':' && one.name === decoded(item.slice(1)),
        );
        if (slot >= 0) read.hidden.add(slot);
      }
    }
    if (name === 'view') {
      const [x, y, zoom] = value.split(',').map(Number);
      if ([x, y, zoom].every(Number.isFinite)) read.view = boundedView(x, y, zoom);
    }
    if (name === 'id') read.point = pointOfId(decoded(value));
    if (name === 'select') read.selection = value.split(';').map(readStep).filter(Boolean);
    if (name === 'tool' && ['lasso', 'box'].includes(value)) read.tool = value;
    if (name === 'theme' && ['light', 'dark'].includes(value)) read.theme = value;
  }
  return read;

  function readStep(text) {
    const [letter, kind, target, numbers] = text.split(':');
    const mode = MODES[letter];
    if (mode && kind === 'near') {
      const near = pointOfId(decoded(target ?? ''));
      return near >= 0 ? { mode, near } : null;
    }
    const corners = (numbers ?? '').split('.').map((digits) => parseInt(digits, 36));
    const cell = cellByKey.get(target);
    const usable = mode && kind === 'area' && cell && corners.length >= 6 && corners.length <= 2 * MOST_CORNERS;
    return usable && corners.length % 2 === 0 && corners.every(Number.isFinite) ? { mode, cell, corners } : null;
  }
}

function saveState() {
  clearTimeout(hashTimer);
  hashTimer = setTimeout(() => {
    writtenHash = toHash();
    history.replaceState(null, '', writtenHash);
  }, 150);
}

const boundedView = (x, y, zoom) => ({
  x: clamp(x, -0.5, 1.5),
  y: clamp(y, -0.5, 1.5),
  zoom: clamp(zoom, 0.5, MOST_ZOOM),
});

// ---- Selection -------------------------------------------------------------------------------------------------------

// Even-odd rule. `corners` and `points` are x, y, x, y, … in the same units.
function mark(points, corners, value, into) {
  const xs = corners.filter((_, place) => place % 2 === 0);
  const ys = corners.filter((_, place) => place % 2 === 1);
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [bottom, top] = [Math.min(...ys), Math.max(...ys)];
  for (let point = 0; point < count; point += 1) {
    const x = points[2 * point];
    const y = points[2 * point + 1];
    if (x < left || x > right || y < bottom || y > top || x === FULL) continue;
    let inside = false;
    for (let i = 0, j = xs.length - 1; i < xs.length; j = i, i += 1) {
      if (ys[i] > y !== ys[j] > y && x < ((xs[j] - xs[i]) * (y - ys[i])) / (ys[j] - ys[i]) + xs[i]) inside = !inside;
    }
    if (inside) into[point] = value;
  }
}

function select(step) {
  if (step.mode === 'new') state.selection = [];
  state.selection.push(step);
  updateSelection();
  say(selectedCount ? '' : 'No point lies in that area.');
}

function updateSelection() {
  selected.fill(0);
  for (const step of state.selection) {
    const value = step.mode === 'remove' ? 0 : 1;
    if (step.cell) mark(step.cell.points, step.corners, value, selected);
    else for (const point of [step.near, ...neighborsOf(step.near)]) selected[point] = value;
  }
  let any = false;
  for (let point = 0; point < count && !any; point += 1) any = selected[point] === 1;
  if (!any) state.selection = [];
  selectedCount = 0;
  visibleCount = 0;
  for (let point = 0; point < count; point += 1) {
    const hidden = state.hidden.size && state.hidden.has(labelLevels[point]);
    states[point] = hidden ? HIDDEN : any && !selected[point] ? FADED : SHOWN;
    if (!hidden) {
      visibleCount += 1;
      selectedCount += selected[point];
    }
  }
  card?.forget(states);
  showSelection();
  redraw();
  saveState();
}

function showSelection() {
  const of = `${whole(visibleCount)}${visibleCount < count ? ' visible' : ''} points`;
  element('status').textContent = state.selection.length
    ? `${whole(selectedCount)} of ${of} selected, in every cell`
    : `${of}, none selected`;
  element('clear').disabled = !state.selection.length;
  element('save-ids').disabled = !selectedCount;
}

function clearSelection() {
  state.selection = [];
  updateSelection();
}

// ---- Drawing ---------------------------------------------------------------------------------------------------------

let card = null; // where there is one
let colours = {}; // of the present theme
const palette = new Uint8Array(256 * 4);
const panels = []; // {row, column, button, points, marks, cell}
const waiting = new Set(); // panels to draw
let largeWaits = false;
let marksWait = false; // the large picture's rings
let smallMarksWait = false; // those of the panels
let frameAsked = false;
let side = 0; // of the large picture, in CSS pixels
let density = 1; // device pixels in a CSS pixel
let movedAt = -Infinity; // when the view last changed
let framedAt = 0; // when the last frame of a movement was drawn
let movingPoints = count; // how many points a movement shows
let settleTimer = 0;
let hovered = -1;
let drawing = null; // the lasso or box being drawn: [[x, y], …] in CSS pixels

const scheme = matchMedia('(prefers-color-scheme: dark)');
const themeNow = () => (state.theme === 'auto' ? (scheme.matches ? 'dark' : 'light') : state.theme);
const colourOf = (node, property) => getComputedStyle(node)[property].match(/[\d.]+/g).slice(0, 3).map(Number);
const scaleNow = () => colourings.get(state.colour).scale;

function ramp(share) {
  const stops = RAMP[themeNow()];
  const place = clamp(share, 0, 1) * (stops.length - 1);
  const below = Math.min(Math.floor(place), stops.length - 2);
  const [from, to] = [rgb(stops[below]), rgb(stops[below + 1])];
  return from.map((value, channel) => Math.round(value + (to[channel] - value) * (place - below)));
}

function slotColour(slot) {
  if (state.colour !== 'label' || slots[slot].special) return rgb(OTHER[themeNow()]);
  return rgb(CATEGORY_COLOURS[themeNow()][slot]);
}

function updateColours() {
  const { theme } = state;
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  element('theme').textContent = themeNow() === 'dark' ? 'Light theme' : 'Dark theme';
  colours = {
    background: colourOf(element('plot'), 'backgroundColor'),
    faded: colourOf(element('points'), 'color'),
    accent: colourOf(element('marks'), 'color'),
    text: colourOf(element('plot'), 'color'),
  };
  for (let level = 0; level < 256; level += 1) {
    let colour = colours.accent;
    if (scaleNow()) colour = level === MISSING ? colours.faded : ramp(level / (MISSING - 1));
    else if (slots.length) colour = slots[level] ? slotColour(level) : colours.accent;
    palette.set(colour, 4 * level);
  }
  showLegend();
  showHeatmap();
  showPoint();
  redraw();
  redrawMarks();
}

function redraw() {
  panels.forEach((panel) => panel.cell && waiting.add(panel));
  redrawLarge();
}

function redrawLarge() {
  largeWaits = true;
  marksWait = true;
  askFrame();
}

function redrawMarks() {
  marksWait = true;
  smallMarksWait = true;
  askFrame();
}

function askFrame() {
  if (!frameAsked) requestAnimationFrame(frame);
  frameAsked = true;
}

// The view changes: on a machine that draws slowly the movement shows a part of the points, which is a fair sample
// because they are in random order, and the picture is whole again as soon as it rests.
function redrawMoving() {
  movedAt = performance.now();
  clearTimeout(settleTimer);
  settleTimer = setTimeout(redrawLarge, STILL + 10);
  redrawLarge();
}

function adaptMovement(now) {
  const took = now - framedAt;
  framedAt = now;
  if (took > STILL) return; // another movement
  if (took > 40) movingPoints = Math.max(movingPoints * 0.7, LEAST_MOVING);
  else if (took < 22) movingPoints *= 1.15;
  movingPoints = Math.round(Math.min(movingPoints, count));
}

function picture(cell, pixels, view, small, points = count) {
  const crowd = Math.sqrt(points);
  const least = (small ? 1 : 1.8) * density;
  const most = Math.max(0.018 * pixels, 2 * density);
  const closer = Math.sqrt(view.zoom);
  return {
    positions: cell.points,
    levels: colourings.get(state.colour).levels(cell),
    states,
    palette,
    points,
    fading: state.selection.length > 0,
    view,
    size: Math.min(Math.max(((small ? 0.8 : 0.5) * pixels) / crowd, least) * closer, most),
    background: colours.background,
    faded: colours.faded,
    opacity: clamp((count > 20000 ? 0.6 : 0.8) * closer, 0, 0.9),
  };
}

const WHOLE = { x: 0.5, y: 0.5, zoom: 1 };

function frame(now) {
  frameAsked = false;
  const moving = performance.now() - movedAt < STILL;
  if (moving) adaptMovement(now);
  if (largeWaits) {
    const canvas = element('points');
    const shown = picture(state.cell, canvas.width, state.view, false, moving ? movingPoints : count);
    if (card) card.draw(shown);
    else paint(canvas, shown);
  }
  if (marksWait) drawMarks(smallMarksWait);
  largeWaits = marksWait = smallMarksWait = false;
  // While the large picture moves it has the frame to itself; then as many small ones as a frame has time for.
  const began = performance.now();
  for (const panel of moving ? [] : waiting) {
    paint(panel.points, picture(panel.cell, panel.points.width, WHOLE, true));
    waiting.delete(panel);
    if (performance.now() - began > 25 && element('plot').dataset.ready) break;
  }
  if (waiting.size && !moving) askFrame();
  if (!waiting.size && !element('plot').dataset.ready) {
    element('plot').dataset.ready = 'true';
    performance.mark('atlas-ready');
  }
}

// Where a point is in a square picture of `pixels`.
function placeOf(cell, point, view, pixels) {
  const scale = FILL * view.zoom;
  const x = cell.points[2 * point];
  return x === FULL
    ? null
    : [
        ((x / FULL - view.x) * scale + 0.5) * pixels,
        (0.5 - (cell.points[2 * point + 1] / FULL - view.y) * scale) * pixels,
      ];
}

const focusPoint = () => (hovered >= 0 ? hovered : state.point);

function drawMarks(small) {
  const point = focusPoint();
  const around = point >= 0 ? neighborsOf(point) : [];
  for (const panel of small ? panels : []) if (panel.cell) rings(panel.marks, panel.cell, WHOLE, point, around, 2.2);
  const context = rings(element('marks'), state.cell, state.view, point, around, 5);
  if (drawing?.length > 1) {
    context.beginPath();
    outline().forEach(([x, y]) => context.lineTo(x * density, y * density));
    context.closePath();
    context.fillStyle = `rgba(${colours.accent}, 0.12)`;
    context.fill();
    context.lineWidth = 1.5 * density;
    context.strokeStyle = `rgb(${colours.accent})`;
    context.stroke();
  }
}

function rings(canvas, cell, view, point, around, radius) {
  // The processor's: Chromium without a graphics card shows late or never what its graphics process draws on small canvases.
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.clearRect(0, 0, canvas.width, canvas.height);
  const ring = (other, size, width) => {
    const at = placeOf(cell, other, view, canvas.width);
    if (!at) return;
    context.beginPath();
    context.arc(...at, size * density, 0, 2 * Math.PI);
    context.lineWidth = (width + 2) * density;
    context.strokeStyle = `rgb(${colours.background})`;
    context.stroke();
    context.lineWidth = width * density;
    context.strokeStyle = `rgb(${colours.text})`;
    context.stroke();
  };
  around.forEach((other) => ring(other, radius, radius / 3));
  if (point >= 0) ring(point, radius * 1.6, radius / 1.8);
  return context;
}

function outline() {
  if (state.tool === 'lasso') return drawing;
  const [[left, top], [right, bottom]] = [drawing[0], drawing.at(-1)];
  return [[left, top], [right, top], [right, bottom], [left, bottom]];
}

function resize() {
  density = Math.min(window.devicePixelRatio || 1, 2);
  side = element('plot').clientWidth;
  for (const name of ['points', 'marks']) {
    element(name).width = Math.round(side * density);
    element(name).height = Math.round(side * density);
  }
  const pixels = Math.min(Math.round(panels[0].button.clientWidth * density), element('points').width);
  for (const panel of panels) {
    for (const canvas of [panel.points, panel.marks]) {
      canvas.width = pixels;
      canvas.height = pixels;
    }
  }
  redraw();
  redrawMarks();
}

// ---- The parts of the page -------------------------------------------------------------------------------------------

function buildHead() {
  document.title = `${header.dataset}: UMAP atlas`;
  element('dataset').textContent = header.dataset;
  element('facts').textContent = [
    plural(cells.length, 'cell'),
    `${whole(header.rows)} rows`,
    `${header.metric} metric`,
    ...(layers.length === 1 ? [seedsOf(layers[0])] : []),
  ].join(' · ');
  const notes = [];
  if (header.points < header.rows) {
    notes.push(
      `Shown are ${whole(header.points)} of ${whole(header.rows)} rows: a seeded random sample with each label’s share. ` +
        `${header.metrics.length ? 'Metrics are those of the whole cells. ' : ''}Raise atlas.max_points to show more.`,
    );
  }
  if (header.dimensions > 2) notes.push(`Shown are the first 2 of ${header.dimensions} dimensions.`);
  if (header.dimensions === 1) notes.push('The embeddings have one dimension, from left to right; heights are random.');
  element('notes').textContent = notes.join(' ');
  element('notes').hidden = !notes.length;
}

function buildGrid() {
  const grid = element('grid');
  grid.style.setProperty('--columns', columnValues.length);
  grid.append(...columnHeads());
  rowValues.forEach((value, row) => {
    grid.append(make('span', { className: 'row-head', textContent: value }));
    columnValues.forEach((_, column) => {
      const points = make('canvas');
      const marks = make('canvas');
      const button = make('button', { type: 'button', className: 'panel' }, [points, marks]);
      const panel = { row, column, button, points, marks, cell: null };
      button.addEventListener('click', () => openCell(panel.cell));
      button.addEventListener('keydown', (event) => walk(event, panel, (next) => next.button));
      panels.push(panel);
      grid.append(button);
    });
  });
  if (layers.length > 1) {
    const seeds = element('seeds');
    seeds.append(...layers.map((layer) => make('option', { value: layer, textContent: seedsOf(layer) })));
    seeds.addEventListener('change', () => openLayer(seeds.value));
    element('seeds-label').hidden = false;
  }
}

function columnHeads() {
  const corner = make('span', { className: 'corner' });
  corner.append(
    make('span', { textContent: 'n_neighbors ↓' }),
    make('span', { textContent: 'min_dist →' }),
  );
  return [corner, ...columnValues.map((value) => make('span', { className: 'column-head', textContent: value }))];
}

// Arrow keys go to the next cell that is there.
function walk(event, panel, target) {
  const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] ?? [];
  if (down === undefined) return;
  event.preventDefault();
  let [row, column] = [panel.row + down, panel.column + right];
  while (row in rowValues && column in columnValues) {
    const next = panels[row * columnValues.length + column];
    if (next.cell) {
      openCell(next.cell);
      target(next).focus();
      return;
    }
    [row, column] = [row + down, column + right];
  }
}

function openLayer(layer) {
  const same = cells.filter((cell) => layerOf(cell) === layer);
  const { n_neighbors: row, min_dist: column } = state.cell.key;
  openCell(same.find((cell) => cell.key.n_neighbors === row && cell.key.min_dist === column) ?? same[0]);
}

function openCell(cell) {
  if (!cell || cell === state.cell) return;
  state.cell = cell;
  state.view = { ...WHOLE };
  showCell();
  saveState();
}

function showCell() {
  const layer = layerOf(state.cell);
  element('seeds').value = layer;
  element('cell-title').textContent = nameOf(state.cell);
  for (const panel of panels) {
    const cell = cellAt(panel.row, panel.column, layer) ?? null;
    if (cell && cell !== panel.cell) waiting.add(panel);
    panel.cell = cell;
    panel.button.disabled = !cell;
    panel.button.classList.toggle('absent', !cell);
    panel.button.setAttribute('aria-pressed', cell === state.cell);
    panel.button.tabIndex = cell === state.cell ? 0 : -1;
    const name = `n_neighbors ${rowValues[panel.row]}, min_dist ${columnValues[panel.column]}`;
    panel.button.setAttribute('aria-label', cell ? name : `${name}: not in the grid`);
  }
  const { missing } = state.cell;
  element('missing').hidden = !missing;
  element('missing').textContent = `${plural(missing, 'disconnected point')} of this cell ${missing === 1 ? 'has' : 'have'} no place.`;
  showHeatmap();
  redrawLarge();
  redrawMarks();
}

function buildMetrics() {
  if (!header.metrics.length) return;
  element('metrics-part').hidden = false;
  const metric = element('metric');
  const words = (name) => name.replaceAll('_', ' ');
  metric.append(...header.metrics.map((name) => make('option', { value: name, textContent: words(name) })));
  metric.addEventListener('change', () => {
    state.metric = metric.value;
    showHeatmap();
    saveState();
  });
}

function showHeatmap() {
  if (!header.metrics.length) return;
  const place = header.metrics.indexOf(state.metric);
  element('metric').value = state.metric;
  const values = cells.map((cell) => cell.metrics[place]).filter((value) => value !== null);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  // As many decimals for all as give the largest three digits.
  const largest = Math.max(Math.abs(low), Math.abs(high)) || 1;
  const decimals = clamp(2 - Math.floor(Math.log10(largest)), 0, 6);
  const map = element('heatmap');
  const hadFocus = map.contains(document.activeElement);
  map.style.setProperty('--columns', columnValues.length);
  map.replaceChildren(...columnHeads());
  for (const panel of panels) {
    if (!panel.column) map.append(make('span', { className: 'row-head', textContent: rowValues[panel.row] }));
    const value = panel.cell?.metrics[place] ?? null;
    const button = make('button', { type: 'button', className: 'value', disabled: !panel.cell });
    button.textContent = value === null ? '–' : value.toFixed(decimals);
    if (value !== null) {
      const colour = ramp(high > low ? (value - low) / (high - low) : 0.5);
      button.style.backgroundColor = `rgb(${colour})`;
      button.style.color = luminance(colour) > 0.18 ? '#000' : '#fff';
    }
    const chosen = panel.cell === state.cell;
    button.setAttribute('aria-pressed', chosen);
    button.tabIndex = chosen ? 0 : -1;
    button.setAttribute('aria-label', `${panel.button.getAttribute('aria-label')}: ${button.textContent}`);
    button.addEventListener('click', () => openCell(panel.cell));
    button.addEventListener('keydown', (event) => walk(event, panel, (next) => next.value));
    panel.value = button;
    map.append(button);
    if (chosen && hadFocus) button.focus();
  }
}

function luminance(colour) {
  const [red, green, blue] = colour.map((value) => (value / 255) ** 2.2);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function buildColours() {
  const choice = element('colour');
  const plainly = (key) => make('option', { value: key, textContent: colourings.get(key).name });
  const features = [...colourings.keys()].filter((key) => key.startsWith('feature:'));
  choice.append(...[...colourings.keys()].filter((key) => !features.includes(key)).map(plainly));
  if (features.length) choice.append(make('optgroup', { label: 'Features' }, features.map(plainly)));
  choice.addEventListener('change', () => {
    state.colour = choice.value;
    updateColours();
    saveState();
  });
}

function showLegend() {
  const { note, scale } = colourings.get(state.colour);
  element('colour').value = state.colour;
  const bare = !header.label && state.colour === 'label' ? 'This data has no labels.' : '';
  element('colour-note').textContent = note ?? bare;
  element('colour-note').hidden = !(note ?? bare);
  element('scale').hidden = !scale;
  if (scale) {
    element('low').textContent = short(scale.low);
    element('high').textContent = short(scale.high);
    const context = element('ramp').getContext('2d');
    for (let level = 0; level < MISSING; level += 1) {
      context.fillStyle = `rgb(${ramp(level / (MISSING - 1))})`;
      context.fillRect(level, 0, 1, 1);
    }
  }
  const entries = slots.map((slot, place) => [slot, place]).filter(([slot]) => slot.size);
  const focused = document.activeElement?.dataset?.entry;
  element('legend').replaceChildren(
    ...entries.map(([slot, place]) => {
      const swatch = make('i');
      swatch.style.backgroundColor = `rgb(${slotColour(place)})`;
      const shown = !state.hidden.has(place);
      const toggle = make('button', { type: 'button', className: 'entry' }, [
        swatch,
        make('bdi', { textContent: slot.name || '(blank)', title: slot.name }),
        make('span', { textContent: whole(slot.size) }),
      ]);
      toggle.setAttribute('aria-pressed', shown);
      toggle.dataset.entry = place;
      toggle.addEventListener('click', () => {
        if (!state.hidden.delete(place)) state.hidden.add(place);
        changeHidden();
      });
      const alone = entries.every(([, other]) => (other === place) !== state.hidden.has(other));
      const only = make('button', { type: 'button', className: 'only', textContent: alone ? 'all' : 'only' });
      only.setAttribute('aria-label', alone ? 'Show all labels' : `Show only ${isolated(slot.name || '(blank)')}`);
      only.dataset.entry = `only-${place}`;
      only.addEventListener('click', () => {
        state.hidden = new Set(alone ? [] : entries.map(([, other]) => other).filter((other) => other !== place));
        changeHidden();
      });
      return make('div', {}, [toggle, only]);
    }),
  );
  if (focused) element('legend').querySelector(`[data-entry="${focused}"]`)?.focus();
}

function changeHidden() {
  showLegend();
  updateSelection();
}

function showPoint() {
  const point = focusPoint();
  element('card').hidden = point < 0;
  element('no-point').hidden = point >= 0;
  if (point < 0) return;
  element('card-id').textContent = idOf(point);
  const label = labelOf(point);
  element('card-label').textContent = label ?? '';
  element('card-label-name').hidden = label === null;
  element('card-label').hidden = label === null;
  const around = neighborsOf(point);
  const all = header.neighbors.count;
  element('card-note').textContent =
    around.length < all
      ? `Nearest in the data: ${around.length} of ${all} are on this page`
      : `${plural(all, 'nearest point')} in the data`;
  element('neighbors').replaceChildren(
    ...around.map((other) => {
      const dot = make('i');
      const dotted = labelCodes && state.colour === 'label';
      if (dotted) dot.style.backgroundColor = `rgb(${slotColour(labelLevels[other])})`;
      const text = make('bdi', { textContent: idOf(other) });
      const chip = make('button', { type: 'button', title: labelOf(other) ?? '' }, [...(dotted ? [dot] : []), text]);
      chip.addEventListener('click', () => keepPoint(other));
      return chip;
    }),
  );
}

function valueOf(point) {
  const { name, levels, scale } = colourings.get(state.colour);
  const level = levels(state.cell)[point];
  if (!scale || state.colour === 'label' || level === MISSING) return null;
  return `${isolated(name)} ≈ ${short(scale.low + (level / (MISSING - 1)) * (scale.high - scale.low))}`;
}

function showTooltip(at) {
  const tooltip = element('tooltip');
  tooltip.hidden = hovered < 0;
  if (hovered < 0) return;
  const label = labelOf(hovered);
  const lines = [['id', idOf(hovered)], ...(label === null ? [] : [['label', label]])].map(([name, text]) =>
    make('div', {}, [`${name} `, make('bdi', { textContent: text })]),
  );
  const value = valueOf(hovered);
  if (value) lines.push(make('div', { textContent: value }));
  tooltip.replaceChildren(...lines);
  const [x, y] = at;
  tooltip.style.left = `${clamp(x + 14, 4, Math.max(side - tooltip.offsetWidth - 4, 4))}px`;
  tooltip.style.top = `${y + 18 + tooltip.offsetHeight > side ? y - tooltip.offsetHeight - 14 : y + 18}px`;
}

function hover(point, at) {
  if (point !== hovered) {
    hovered = point;
    showPoint();
    redrawMarks();
  }
  showTooltip(at);
}

function keepPoint(point) {
  state.point = point;
  hovered = -1;
  showTooltip();
  showPoint();
  redrawMarks();
  saveState();
}

function say(text) {
  element('done').textContent = text;
}

// ---- Pointing, drawing, moving ---------------------------------------------------------------------------------------

let dragging = null; // {pointers: Map of id to [x, y], moved, mode}

function pick([x, y], radius = PICK_RADIUS) {
  const { points } = state.cell;
  const scale = (FILL * state.view.zoom * side) / FULL; // pixels in a unit
  const middleX = (x / side - 0.5) / (FILL * state.view.zoom) + state.view.x;
  const middleY = (0.5 - y / side) / (FILL * state.view.zoom) + state.view.y;
  const [unitX, unitY] = [middleX * FULL, middleY * FULL];
  let [best, least] = [-1, (radius / scale) ** 2];
  for (let point = 0; point < count; point += 1) {
    if (points[2 * point] === FULL || states[point] === HIDDEN) continue;
    const away = (points[2 * point] - unitX) ** 2 + (points[2 * point + 1] - unitY) ** 2;
    if (away < least) [best, least] = [point, away];
  }
  return best;
}

function zoomBy(factor, [x, y] = [side / 2, side / 2]) {
  const { view } = state;
  const zoom = clamp(view.zoom * factor, 0.5, MOST_ZOOM);
  // What is under the pointer stays there.
  const share = (1 / view.zoom - 1 / zoom) / FILL;
  state.view = boundedView(view.x + (x / side - 0.5) * share, view.y + (0.5 - y / side) * share, zoom);
  redrawMoving();
  saveState();
}

function moveBy(x, y) {
  const scale = FILL * state.view.zoom * side;
  state.view = boundedView(state.view.x - x / scale, state.view.y + y / scale, state.view.zoom);
  redrawMoving();
  saveState();
}

function fit() {
  state.view = { ...WHOLE };
  redrawLarge();
  saveState();
}

function setTool(tool) {
  state.tool = tool;
  showTool();
  saveState();
}

function showTool() {
  for (const name of ['move', 'lasso', 'box']) element(name).setAttribute('aria-pressed', name === state.tool);
  element('plot').dataset.tool = state.tool;
}

// The area just drawn, in the units of the cell's coordinates.
function finishArea(mode) {
  let path = outline();
  while (path.length > MOST_CORNERS) path = path.filter((_, place) => place % 2 === 0);
  const scale = FILL * state.view.zoom * side;
  const unit = (share) => Math.round(clamp(share, -1, 2) * FULL);
  const corners = path.flatMap(([x, y]) => [
    unit((x - side / 2) / scale + state.view.x),
    unit((side / 2 - y) / scale + state.view.y),
  ]);
  select({ mode, cell: state.cell, corners });
}

function watchPlot() {
  const plot = element('plot');
  const at = (event) => {
    const box = plot.getBoundingClientRect();
    return [event.clientX - box.left - plot.clientLeft, event.clientY - box.top - plot.clientTop];
  };
  let waitingMove = null;
  plot.addEventListener('pointerdown', (event) => {
    if (event.button) return;
    plot.setPointerCapture(event.pointerId);
    dragging ??= { pointers: new Map(), travelled: 0 };
    dragging.pointers.set(event.pointerId, at(event));
    drawing = state.tool !== 'move' && dragging.pointers.size === 1 ? [at(event)] : null;
    hover(-1);
  });
  plot.addEventListener('pointermove', (event) => {
    if (!dragging) {
      if (!waitingMove) requestAnimationFrame(() => {
        if (!dragging && waitingMove) hover(pick(waitingMove), waitingMove);
        waitingMove = null;
      });
      waitingMove = at(event);
      return;
    }
    const before = dragging.pointers.get(event.pointerId);
    if (!before) return;
    const now = at(event);
    dragging.travelled += Math.hypot(now[0] - before[0], now[1] - before[1]);
    if (dragging.pointers.size === 2) {
      const other = [...dragging.pointers].find(([id]) => id !== event.pointerId)[1];
      const spread = (one) => Math.max(Math.hypot(one[0] - other[0], one[1] - other[1]), 10);
      zoomBy(spread(now) / spread(before), [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2]);
      moveBy((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
    } else if (drawing) {
      const last = drawing.at(-1);
      if (Math.hypot(now[0] - last[0], now[1] - last[1]) >= 3) drawing.push(now);
      marksWait = true;
      askFrame();
    } else {
      moveBy(now[0] - before[0], now[1] - before[1]);
    }
    dragging.pointers.set(event.pointerId, now);
  });
  const end = (event) => {
    if (!dragging?.pointers.delete(event.pointerId) || dragging.pointers.size) return;
    const clicked = dragging.travelled < 5 && event.type === 'pointerup';
    const area = drawing;
    dragging = null;
    if (clicked) {
      const finger = event.pointerType !== 'mouse';
      keepPoint(pick(at(event), finger ? 2 * PICK_RADIUS : PICK_RADIUS));
      if (finger) hover(state.point, at(event));
    } else if (area?.length > (state.tool === 'lasso' ? 2 : 1) && event.type === 'pointerup') {
      drawing = area;
      finishArea(event.shiftKey ? 'add' : event.altKey ? 'remove' : 'new');
    }
    drawing = null;
    redrawMarks();
  };
  plot.addEventListener('pointerup', end);
  plot.addEventListener('pointercancel', end);
  plot.addEventListener('pointerleave', (event) => {
    waitingMove = null;
    // A finger leaves as soon as it is lifted; what it has tapped stays.
    if (!dragging && event.pointerType === 'mouse') hover(-1);
  });
  plot.addEventListener(
    'wheel',
    (event) => {
      event.preventDefault();
      zoomBy(2 ** (-event.deltaY * (event.deltaMode ? 0.05 : 0.0025)), at(event));
    },
    { passive: false },
  );
  plot.addEventListener('keydown', (event) => {
    const step = side / 10;
    const [x, y] = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key] ?? [];
    if (x !== undefined) moveBy(x, y);
    else if (event.key === 'Enter') keepPoint(pick([side / 2, side / 2], side));
    else return;
    event.preventDefault();
  });
}

function watchKeys() {
  const actions = {
    m: () => setTool('move'),
    l: () => setTool('lasso'),
    b: () => setTool('box'),
    '+': () => zoomBy(1.5),
    '=': () => zoomBy(1.5),
    '-': () => zoomBy(1 / 1.5),
    0: fit,
    '/': () => element('id').focus(),
    '?': () => element('keys').showModal(),
    Escape: () => (state.point >= 0 ? keepPoint(-1) : clearSelection()),
  };
  document.addEventListener('keydown', (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

function watchControls() {
  const click = (id, action) => element(id).addEventListener('click', action);
  for (const tool of ['move', 'lasso', 'box']) click(tool, () => setTool(tool));
  click('zoom-in', () => zoomBy(1.5));
  click('zoom-out', () => zoomBy(1 / 1.5));
  click('reset', fit);
  click('clear', clearSelection);
  click('help', () => element('keys').showModal());
  click('theme', () => {
    state.theme = themeNow() === 'dark' ? 'light' : 'dark';
    updateColours();
    saveState();
  });
  click('select-neighbors', () => select({ mode: 'new', near: focusPoint() }));
  click('save-ids', saveIds);
  click('save-cell', saveCell);
  click('save-grid', saveGrid);
  click('copy', copyConfiguration);
  element('search').addEventListener('submit', (event) => {
    event.preventDefault();
    find(element('id').value);
  });
  element('id').addEventListener('input', suggest);
  scheme.addEventListener('change', updateColours);
  window.addEventListener('hashchange', () => {
    if (location.hash !== writtenHash) restore();
  });
  new ResizeObserver(resize).observe(element('plot'));
  new ResizeObserver(resize).observe(element('grid'));
}

// ---- Search ----------------------------------------------------------------------------------------------------------

function find(id) {
  if (!id) return;
  const exact = pointOfId(id);
  const point = exact >= 0 ? exact : pointOfId(id.trim());
  if (point >= 0) keepPoint(point);
  const note = element('search-note');
  if (point >= 0) note.textContent = states[point] === HIDDEN ? 'Found, but its label is hidden.' : '';
  else note.textContent = `No point has the id ${isolated(id)}${count < header.rows ? ' in this sample' : ''}.`;
}

function suggest() {
  element('search-note').textContent = '';
  const typed = element('id').value;
  const found = [];
  for (let point = 0; typed && point < count && found.length < 10; point += 1) {
    if (idOf(point).startsWith(typed)) found.push(make('option', { value: idOf(point) }));
  }
  element('ids').replaceChildren(...found);
}

// ---- Taking things away ----------------------------------------------------------------------------------------------

function download(blob, name) {
  const link = make('a', { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  say(`Saved ${name}.`);
}

// RFC 4180; in the data's row order.
function saveIds() {
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const chosen = [];
  for (let point = 0; point < count; point += 1) if (selected[point] && states[point] === SHOWN) chosen.push(point);
  chosen.sort((a, b) => rowNumbers[a] - rowNumbers[b]);
  const none = (point) => (labelCodes ? labelCodes[point] === header.label.names.length : Number.isNaN(labelValues[point]));
  const line = (point) => [idOf(point), ...(header.label ? [none(point) ? '' : labelOf(point)] : [])].map(quoted).join(',');
  const lines = [header.label ? 'id,label' : 'id', ...chosen.map(line)];
  download(new Blob([`${lines.join('\r\n')}\r\n`], { type: 'text/csv' }), `${header.dataset}-selected.csv`);
}

function stamp(context, cell, view, pixels, x, y, small) {
  const canvas = make('canvas', { width: pixels, height: pixels });
  paint(canvas, picture(cell, pixels, view, small));
  context.drawImage(canvas, x, y);
}

function savePicture(width, height, name, draw) {
  const sheet = make('canvas', { width, height });
  const context = sheet.getContext('2d');
  context.fillStyle = `rgb(${colours.background})`;
  context.fillRect(0, 0, width, height);
  context.fillStyle = `rgb(${colours.text})`;
  const before = density;
  density = 2;
  draw(context);
  density = before;
  sheet.toBlob((blob) => download(blob, name), 'image/png');
}

const FONT = 'system-ui, sans-serif';

// The legend in lines of at most `width`; returns its height, and draws it where `y` is given.
function writeLegend(context, x, y, width) {
  context.font = `26px ${FONT}`;
  context.textBaseline = 'middle';
  const scale = scaleNow();
  if (scale) {
    const { name } = colourings.get(state.colour);
    const [from, to] = [`${isolated(name)}  ${short(scale.low)}`, short(scale.high)];
    if (y !== null) {
      const indent = context.measureText(from).width + 16;
      context.fillText(from, x, y + 20);
      context.drawImage(element('ramp'), x + indent, y + 8, 360, 24);
      context.fillText(to, x + indent + 376, y + 20);
    }
    return 44;
  }
  let [left, line] = [0, 0];
  slots.forEach((slot, place) => {
    if (!slot.size || state.hidden.has(place) || state.colour !== 'label') return;
    const text = isolated(slot.name.length > 40 ? `${slot.name.slice(0, 39)}…` : slot.name || '(blank)');
    const needed = context.measureText(text).width + 60;
    if (left && left + needed > width) [left, line] = [0, line + 1];
    if (y !== null) {
      const ink = context.fillStyle;
      context.fillStyle = `rgb(${slotColour(place)})`;
      context.beginPath();
      context.arc(x + left + 10, y + line * 40 + 19, 9, 0, 2 * Math.PI);
      context.fill();
      context.fillStyle = ink;
      context.fillText(text, x + left + 28, y + line * 40 + 20);
    }
    left += needed;
  });
  return left ? (line + 1) * 40 + 4 : 0;
}

function saveCell() {
  const legend = writeLegend(make('canvas').getContext('2d'), 0, null, 1600);
  const { n_neighbors: row, min_dist: column, knn_seed: knnSeed, seed } = state.cell.key;
  const name = `${header.dataset}-n_neighbors=${row}-min_dist=${column}-knn_seed=${knnSeed}-seed=${seed}.png`;
  savePicture(1680, 1780 + legend, name, (context) => {
    context.font = `600 36px ${FONT}`;
    context.fillText(`${header.dataset} · ${nameOf(state.cell)}`, 40, 64);
    context.font = `26px ${FONT}`;
    context.fillText(seedsOf(layerOf(state.cell)), 40, 108);
    stamp(context, state.cell, state.view, 1600, 40, 140, false);
    writeLegend(context, 40, 1754, 1600);
  });
}

function saveGrid() {
  const panel = clamp(Math.floor(6000 / Math.max(columnValues.length, rowValues.length)), 60, 480);
  const width = Math.max(columnValues.length * panel + 140, 900);
  const legend = writeLegend(make('canvas').getContext('2d'), 0, null, width - 80);
  const height = rowValues.length * panel + 220 + legend;
  const layer = layerOf(state.cell);
  savePicture(width, height, `${header.dataset}-grid.png`, (context) => {
    context.font = `600 36px ${FONT}`;
    context.fillText(`${header.dataset} · n_neighbors ↓ · min_dist →`, 40, 64);
    context.font = `26px ${FONT}`;
    context.fillText(seedsOf(layer), 40, 108);
    context.textAlign = 'center';
    columnValues.forEach((value, column) => context.fillText(value, 100 + (column + 0.5) * panel, 160));
    rowValues.forEach((value, row) => {
      context.fillText(value, 50, 180 + (row + 0.5) * panel);
      columnValues.forEach((_, column) => {
        const cell = cellAt(row, column, layer);
        const [left, top] = [100 + column * panel, 180 + row * panel];
        if (cell) stamp(context, cell, WHOLE, panel - 12, left + 6, top + 6, true);
        else context.fillText('not in the grid', left + panel / 2, top + panel / 2);
        context.strokeStyle = `rgb(${colours.faded})`;
        context.lineWidth = 2;
        context.strokeRect(left + 4, top + 4, panel - 8, panel - 8);
      });
    });
    context.textAlign = 'left';
    writeLegend(context, 40, 190 + rowValues.length * panel, width - 80);
  });
}

async function copyConfiguration() {
  const text = state.cell.configuration;
  try {
    await navigator.clipboard.writeText(text);
    say('Copied. Save it as mine.yaml and run: snakemake --configfile mine.yaml');
  } catch {
    // Some browsers refuse a page opened from disk.
    element('yaml').value = text;
    element('configuration').showModal();
    element('yaml').select();
  }
}

// ---- Start -----------------------------------------------------------------------------------------------------------

function restore() {
  state = fromHash(location.hash);
  hovered = -1;
  showTool();
  showCell();
  updateColours();
  updateSelection();
  if (state.point >= 0) element('id').value = idOf(state.point);
}

function fail(text) {
  element('failure').textContent = text;
  element('failure').hidden = false;
}

async function open() {
  buildHead();
  if (!('DecompressionStream' in window)) {
    fail('This browser is too old for the atlas. Any browser from 2024 on will do.');
    return;
  }
  loadData(await decode());
  card = GraphicsCard.of(element('points'));
  defineColourings();
  buildGrid();
  buildMetrics();
  buildColours();
  restore();
  resize();
  watchPlot();
  watchKeys();
  watchControls();
  element('points').addEventListener('webglcontextlost', (event) => event.preventDefault());
  element('points').addEventListener('webglcontextrestored', () => {
    card = new GraphicsCard(card.gl);
    redrawLarge();
  });
}

open().catch((error) => {
  fail(`The atlas could not be opened: ${error.message}.`);
  throw error;
});
