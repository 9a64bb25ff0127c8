// What the reader has chosen, the address that holds it, and the points that are selected.

const MOST_CORNERS = 96; // of a lasso, so that it fits into the address
const MOST_ZOOM = 400;

// The cell of an entry of the short list, of this layer where it has one.
const cellOfEntry = (entry, layer) => {
  const same = cells.filter(({ key }) => isSame(key, entry));
  return same.find((cell) => layerOf(cell) === layer) ?? same[0];
};

const start = () => ({
  cell: (header.shortlist.length && cellOfEntry(header.shortlist[0], layers[0])) || cells[0],
  second: null, // the cell beside it, where it is another
  colour: added && !added.labelled ? KIND : 'label',
  coloured: false, // whether stored points have their colours under new ones
  beside: null, // what the picture beside the large one is coloured by
  metric: header.metrics[0] ?? null,
  hidden: new Map(), // by field, the levels of legend entries
  // Steps: {mode: 'new' | 'add' | 'remove', cell, corners}, {mode, near: point}, {mode, moved: cells} or {mode, strange: true}.
  selection: [],
  point: -1, // the one kept by a click or a search
  view: { x: 0.5, y: 0.5, zoom: 1 },
  tool: 'move',
  theme: 'auto',
});
let state = start();
const selected = new Uint8Array(count);
let selectedCount = 0;
let visibleCount = count;
let writtenHash = null;
let hashTimer = 0;

const MODES = { n: 'new', a: 'add', r: 'remove' };

function toHash() {
  const parts = [['cell', keyOf(state.cell)]];
  const encode = encodeURIComponent;
  if (state.second) parts.push(['second', keyOf(state.second)]);
  if (state.colour !== start().colour) parts.push(['colour', encode(state.colour)]);
  if (state.beside) parts.push(['beside', encode(state.beside)]);
  if (state.coloured) parts.push(['stored', 'coloured']);
  if (state.metric && state.metric !== header.metrics[0]) parts.push(['metric', encode(state.metric)]);
  const items = (field) => hiddenSlots(field).map((slot) => slot.special ?? `:${encode(slot.name)}`);
  if (state.hidden.has(labelField)) parts.push(['hide', items(labelField).join(',')]);
  const annotations = filteringFields().filter((field) => field !== labelField);
  const filters = annotations.map((field) => [encode(nameOfFilter(field)), ...items(field)].join(','));
  if (filters.length) parts.push(['filter', filters.join(';')]);
  const { x, y, zoom } = state.view;
  if (zoom !== 1 || x !== 0.5 || y !== 0.5) parts.push(['view', [x, y, zoom].map((v) => +v.toFixed(4)).join(',')]);
  if (state.point >= 0) parts.push(['id', addressOf(state.point)]);
  if (state.selection.length) {
    const steps = state.selection.map(({ mode, cell, corners, near, moved, strange }) => {
      if (strange) return [mode[0], 'strange'].join(':');
      if (moved) return [mode[0], 'moved', ...moved.map(keyOf)].join(':');
      return cell
        ? [mode[0], 'area', keyOf(cell), corners.map((value) => value.toString(36)).join('.')].join(':')
        : [mode[0], 'near', addressOf(near)].join(':');
    });
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
    if (name === 'second') read.second = cellByKey.get(value) ?? null;
    if (name === 'colour' && colourings.has(decoded(value))) read.colour = decoded(value);
    if (name === 'metric' && header.metrics.includes(decoded(value))) read.metric = decoded(value);
    if (name === 'beside' && colourings.has(decoded(value))) read.beside = decoded(value);
    if (name === 'hide') readHidden(labelField, value.split(','));
    if (name === 'filter') {
      for (const [annotation, ...items] of value.split(';').map((filter) => filter.split(','))) {
        readHidden(fieldOfFilter(decoded(annotation)), items);
      }
    }
    if (name === 'view') {
      const [x, y, zoom] = value.split(',').map(Number);
      if ([x, y, zoom].every(Number.isFinite)) read.view = boundedView(x, y, zoom);
    }
    if (name === 'id') read.point = pointAt(value);
    if (name === 'stored') read.coloured = added !== null && value === 'coloured';
    if (name === 'select') read.selection = value.split(';').map(readStep).filter(Boolean);
    if (name === 'tool' && ['lasso', 'box'].includes(value)) read.tool = value;
    if (name === 'theme' && ['light', 'dark'].includes(value)) read.theme = value;
  }
  if (read.second === read.cell) read.second = null;
  return read;

  // Ids of new rows have a plus before them, which in an id itself would be written otherwise.
  function pointAt(text) {
    return text[0] === '+' ? pointOfId(decoded(text.slice(1)), true) : pointOfId(decoded(text));
  }

  function readHidden(field, items) {
    const slotOf = (item) =>
      field?.slots.find((slot) =>
        slot.special ? slot.special === item : item[0] === ':' && slot.name === decoded(item.slice(1)),
      );
    const found = items.map(slotOf).filter(Boolean);
    if (found.length) read.hidden.set(field, new Set(found.map((slot) => slot.level)));
  }

  function readStep(text) {
    const [letter, kind, target, numbers] = text.split(':');
    const mode = MODES[letter];
    if (mode && kind === 'near') {
      const near = pointAt(target ?? '');
      return near >= 0 ? { mode, near } : null;
    }
    if (mode && kind === 'strange' && added) return { mode, strange: true };
    if (mode && kind === 'moved') {
      const moved = [cellByKey.get(target), cellByKey.get(numbers)];
      return moved[0] && moved[1] && moved[0] !== moved[1] ? { mode, moved } : null;
    }
    const corners = (numbers ?? '').split('.').map((digits) => parseInt(digits, 36));
    const cell = cellByKey.get(target);
    const usable = mode && kind === 'area' && cell && corners.length >= 6 && corners.length <= 2 * MOST_CORNERS;
    return usable && corners.length % 2 === 0 && corners.every(Number.isFinite) ? { mode, cell, corners } : null;
  }
}

const addressOf = (point) => (isNew(point) ? '+' : '') + encodeURIComponent(idOf(point));

const nameOfFilter = ({ key, name }) => (key.startsWith('annotation:') ? name : key);
const fieldOfFilter = (name) => fields.find((field) => field !== labelField && nameOfFilter(field) === name);

const hiddenSlots = (field) => field.slots.filter((slot) => state.hidden.get(field)?.has(slot.level));

const filteringFields = () => fields.filter((field) => state.hidden.has(field));

// Hide these entries of the legend, and no others of the same field.
function hide(field, slots) {
  if (slots.length) state.hidden.set(field, new Set(slots.map((slot) => slot.level)));
  else state.hidden.delete(field);
}

function saveState() {
  clearTimeout(hashTimer);
  hashTimer = setTimeout(() => {
    writtenHash = toHash();
    window.history.replaceState(null, '', writtenHash);
  }, 150);
}

const boundedView = (x, y, zoom) => ({
  x: clamp(x, -0.5, 1.5),
  y: clamp(y, -0.5, 1.5),
  zoom: clamp(zoom, 0.5, MOST_ZOOM),
});

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
    else if (step.moved) for (const point of movedBetween(...step.moved).points) selected[point] = value;
    else if (step.strange) for (const point of strangers) selected[point] = value;
    else for (const point of [step.near, ...neighborsOf(step.near)]) selected[point] = value;
  }
  let any = false;
  for (let point = 0; point < count && !any; point += 1) any = selected[point] === 1;
  if (!any) state.selection = [];
  selectedCount = 0;
  visibleCount = 0;
  const filters = [...state.hidden].map(([field, levels]) => [field.levels, levels]);
  for (let point = 0; point < count; point += 1) {
    const hidden = filters.some(([levelOf, levels]) => levels.has(levelOf[point]));
    states[point] = hidden ? HIDDEN : any && !selected[point] ? FADED : SHOWN;
    if (!hidden) {
      visibleCount += 1;
      selectedCount += selected[point];
    }
  }
  panes.forEach((pane) => pane.card?.forget(states));
  showSelection();
  showFilters();
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
