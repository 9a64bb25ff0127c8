// Colours, and when what is drawn.

const STILL = 160; // milliseconds after which a movement has ended
const MOST_LARGE_RINGS = 200;
const LEAST_MOVING = 8000; // points that a movement shows at least

// Light: those of the figures (Okabe and Ito's eight, then sixteen, each the farthest in OKLab from those before it
// under normal vision, deuteranopia and protanopia). Dark: lighter ones of the same hues, two by eye, and the rest
// chosen in the same way.
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
const NONE = { light: '#cbcbc8', dark: '#545a63' }; // where there is no value
if (added) {
  // Stored points are of greys like these.
  Object.assign(OTHER, { light: '#808080', dark: '#a9aeb6' });
  Object.assign(NONE, { light: '#585858', dark: '#d3d7dd' });
}

// The large picture and the one beside it: `chosen` is where the state has what a pane is coloured by, `part` returns one
// of its elements, and `card` is the graphics card that draws it, where there is one.
const makePane = (chosen, prefix) => ({
  chosen,
  part: (id) => element(prefix + id),
  palette: new Uint8Array(256 * 4),
  card: null,
});
const mainPane = makePane('colour', '');
const besidePane = makePane('beside', 'beside-');
const panes = [mainPane, besidePane];
// Which cell a pane shows, and what colours it: with another cell beside the large one, both have its colours unless others
// are chosen.
const cellOf = (pane) => (pane === besidePane && state.second) || state.cell;
const colouringOf = (pane) =>
  colourings.get(state[pane.chosen] ?? (pane === besidePane && state.second ? state.colour : null));
const shownPanes = () => panes.filter(colouringOf);

let colours = {}; // of the present theme
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
let drawnIn = null; // the pane of what is being drawn
let drawing = null; // the lasso or box being drawn: [[x, y], …] in CSS pixels

const scheme = matchMedia('(prefers-color-scheme: dark)');
const themeNow = () => (state.theme === 'auto' ? (scheme.matches ? 'dark' : 'light') : state.theme);
const colourOf = (node, property) => getComputedStyle(node)[property].match(/[\d.]+/g).slice(0, 3).map(Number);

function ramp(share) {
  const stops = RAMP[themeNow()];
  const place = clamp(share, 0, 1) * (stops.length - 1);
  const below = Math.min(Math.floor(place), stops.length - 2);
  const [from, to] = [rgb(stops[below]), rgb(stops[below + 1])];
  return from.map((value, channel) => Math.round(value + (to[channel] - value) * (place - below)));
}

// Grey where the points have other colours than those of the field; a class of a colouring has no field.
function slotColour(pane, field, slot) {
  const theme = themeNow();
  if (field && field === kindField && slot.level === STORED && !state.coloured) return colours.stored;
  if (!field) return rgb(slot.special ? NONE[theme] : CATEGORY_COLOURS[theme][slot.level]);
  if (colouringOf(pane).field !== field || slot.special === 'other') return rgb(OTHER[theme]);
  return rgb(slot.special ? NONE[theme] : CATEGORY_COLOURS[theme][slot.level]);
}

function fillPalette(pane) {
  const { scale, field, classes } = colouringOf(pane);
  for (let level = 0; level < 256; level += 1) {
    const slot = classes ? slotAt({ slots: classes }, level) : field && !scale ? slotAt(field, level) : null;
    let colour = colours.accent;
    if (scale) colour = level === MISSING ? rgb(NONE[themeNow()]) : ramp(level / (MISSING - 1));
    else if (slot) colour = slotColour(pane, field, slot);
    pane.palette.set(colour, 4 * level);
  }
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
    moved: colourOf(element('beside-marks'), 'color'),
    stored: colourOf(element('beside-points'), 'color'),
    text: colourOf(element('plot'), 'color'),
  };
  shownPanes().forEach(fillPalette);
  showPanes();
  panes.forEach(showLegend);
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

function pictureOf(pane, cell, pixels, view, small, points = count) {
  const stored = Math.min(points, firstNew);
  const crowd = Math.sqrt(stored);
  const least = (small ? 1 : 1.8) * density;
  const most = Math.max(0.018 * pixels, 2 * density);
  const closer = Math.sqrt(view.zoom);
  const size = Math.min(Math.max(((small ? 0.8 : 0.5) * pixels) / crowd, least) * closer, most);
  const opacity = clamp((count > 20000 ? 0.6 : 0.8) * closer, 0, 0.9);
  const plain = added && !state.coloured ? colours.stored : null;
  const parts = [{ from: 0, to: stored, size, opacity, plain }];
  if (added) parts.push({ from: firstNew, to: count, size: sizeOfNew(size), opacity: 0.9, plain: null });
  return {
    positions: cell.points,
    levels: colouringOf(pane).levels(cell),
    states,
    palette: pane.palette,
    parts,
    fading: state.selection.length > 0,
    view,
    background: colours.background,
    faded: colours.faded,
  };
}

const WHOLE = { x: 0.5, y: 0.5, zoom: 1 };

function frame(now) {
  frameAsked = false;
  const moving = performance.now() - movedAt < STILL;
  if (moving) adaptMovement(now);
  for (const pane of largeWaits ? shownPanes() : []) {
    const canvas = pane.part('points');
    const shown = pictureOf(pane, cellOf(pane), canvas.width, state.view, false, moving ? movingPoints : count);
    if (pane.card) pane.card.draw(shown);
    else paint(canvas, shown);
  }
  if (marksWait) drawMarks(smallMarksWait);
  largeWaits = marksWait = smallMarksWait = false;
  // While the large picture moves it has the frame to itself; then as many small ones as a frame has time for.
  const began = performance.now();
  for (const panel of moving ? [] : waiting) {
    paint(panel.points, pictureOf(mainPane, panel.cell, panel.points.width, WHOLE, true));
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
  for (const pane of shownPanes()) {
    const cell = cellOf(pane);
    const moved = state.second ? movedBetween(state.cell, state.second).points : strangers;
    const context = rings(pane.part('marks'), cell, state.view, point, around, 5, moved);
    // In two cells the same area holds other points.
    if (drawing?.length > 1 && (!state.second || drawnIn === pane)) drawArea(context);
  }
}

function drawArea(context) {
  context.beginPath();
  outline().forEach(([x, y]) => context.lineTo(x * density, y * density));
  context.closePath();
  context.fillStyle = `rgba(${colours.accent}, 0.12)`;
  context.fill();
  context.lineWidth = 1.5 * density;
  context.strokeStyle = `rgb(${colours.accent})`;
  context.stroke();
}

function rings(canvas, cell, view, point, around, radius, moved = []) {
  // The processor's: without a graphics card Chromium shows late or never what its graphics process draws here.
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.clearRect(0, 0, canvas.width, canvas.height);
  const ring = (other, size, width, colour = colours.text) => {
    const at = placeOf(cell, other, view, canvas.width);
    if (!at) return;
    context.beginPath();
    context.arc(...at, size * density, 0, 2 * Math.PI);
    context.lineWidth = (width + 2) * density;
    context.strokeStyle = `rgb(${colours.background})`;
    context.stroke();
    context.lineWidth = width * density;
    context.strokeStyle = `rgb(${colour})`;
    context.stroke();
  };
  // Points that are hidden have no ring, and many have small ones.
  const small = moved.length > MOST_LARGE_RINGS;
  const wide = added ? ringOfStrangers(canvas.width, view) : small ? 2.5 : 4.5;
  for (const other of moved) if (states[other] !== HIDDEN) ring(other, wide, small ? 1 : 1.6, colours.moved);
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
  if (!side) return; // a page that is being closed has no size
  for (const canvas of panes.flatMap((pane) => [pane.part('points'), pane.part('marks')])) {
    canvas.width = Math.round(side * density);
    canvas.height = Math.round(side * density);
  }
  const pixels = Math.min(Math.round((panels[0]?.button.clientWidth ?? 0) * density), element('points').width);
  for (const panel of panels) {
    for (const canvas of [panel.points, panel.marks]) {
      canvas.width = pixels;
      canvas.height = pixels;
    }
  }
  redraw();
  redrawMarks();
}
