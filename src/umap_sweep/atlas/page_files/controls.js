// Pointing, drawing and moving, keys, search; and the start of it all.

const PICK_RADIUS = 14; // how near to a point one must be to point at it, in pixels

let dragging = null; // {plot, pointers: Map of id to [x, y], travelled: pixels}

function pick([x, y], pane, radius = PICK_RADIUS) {
  const { points } = cellOf(pane);
  const scale = (FILL * state.view.zoom * side) / FULL; // pixels in a unit
  const middleX = (x / side - 0.5) / (FILL * state.view.zoom) + state.view.x;
  const middleY = (0.5 - y / side) / (FILL * state.view.zoom) + state.view.y;
  const [unitX, unitY] = [middleX * FULL, middleY * FULL];
  const reach = (radius / scale) ** 2;
  let [best, least] = [-1, reach];
  for (let point = 0; point < count; point += 1) {
    if (points[2 * point] === FULL || states[point] === HIDDEN) continue;
    const away = (points[2 * point] - unitX) ** 2 + (points[2 * point + 1] - unitY) ** 2;
    // New points are larger, and lie over the stored ones: one of these must be half as far to be meant.
    const counted = isNew(point) ? away / 4 : away;
    if (away < reach && counted < least) [best, least] = [point, counted];
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
  for (const pane of panes) pane.part('plot').dataset.tool = state.tool;
}

// The area just drawn, in the units of the cell's coordinates.
function finishArea(mode, pane) {
  let path = outline();
  while (path.length > MOST_CORNERS) path = path.filter((_, place) => place % 2 === 0);
  const scale = FILL * state.view.zoom * side;
  const unit = (share) => Math.round(clamp(share, -1, 2) * FULL);
  const corners = path.flatMap(([x, y]) => [
    unit((x - side / 2) / scale + state.view.x),
    unit((side / 2 - y) / scale + state.view.y),
  ]);
  select({ mode, cell: cellOf(pane), corners });
}

function watchPlot(pane) {
  const plot = pane.part('plot');
  const at = (event) => {
    const box = plot.getBoundingClientRect();
    return [event.clientX - box.left - plot.clientLeft, event.clientY - box.top - plot.clientTop];
  };
  let waitingMove = null; // where the mouse was last, until the next frame looks for a point there
  const pointAt = () => {
    if (!dragging && waitingMove) hover(pick(waitingMove, pane), waitingMove, pane);
    waitingMove = null;
  };
  plot.addEventListener('pointerdown', (event) => {
    // What has begun in one picture, a second finger does not go on with in the other.
    if (event.button || (dragging && dragging.plot !== plot)) return;
    plot.setPointerCapture(event.pointerId);
    dragging ??= { plot, pointers: new Map(), travelled: 0 };
    dragging.pointers.set(event.pointerId, at(event));
    drawnIn = pane;
    drawing = state.tool !== 'move' && dragging.pointers.size === 1 ? [at(event)] : null;
    hover(-1);
  });
  plot.addEventListener('pointermove', (event) => {
    if (!dragging) {
      if (!waitingMove) requestAnimationFrame(pointAt);
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
      keepPoint(pick(at(event), pane, finger ? 2 * PICK_RADIUS : PICK_RADIUS));
      if (finger) hover(state.point, at(event), pane);
    } else if (area?.length > (state.tool === 'lasso' ? 2 : 1) && event.type === 'pointerup') {
      drawing = area;
      finishArea(event.shiftKey ? 'add' : event.altKey ? 'remove' : 'new', pane);
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
    const steps = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    const [x, y] = steps[event.key] ?? [];
    if (x !== undefined) moveBy(x, y);
    else if (event.key === 'Enter') keepPoint(pick([side / 2, side / 2], pane, side));
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
  click('select-strangers', () => select({ mode: 'new', strange: true }));
  element('coloured').addEventListener('change', () => colourStored(element('coloured').checked));
  click('select-moved', () => select({ mode: 'new', moved: [state.cell, state.second] }));
  element('second').addEventListener('change', () => openSecond(cellByKey.get(element('second').value)));
  click('show-all', () => showAgain(filteringFields()));
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
    if (window.location.hash !== writtenHash) restore();
  });
  new ResizeObserver(resize).observe(element('plot'));
  new ResizeObserver(resize).observe(element('grid'));
}

// ---- Search --------------------------------------------------------------------------------------------------------

function find(id) {
  if (!id) return;
  const tried = [id, id.trim()].flatMap((one) => (added ? [pointOfId(one, true)] : []).concat(pointOfId(one)));
  const point = tried.find((one) => one >= 0) ?? -1;
  if (point >= 0) keepPoint(point);
  const note = element('search-note');
  if (point >= 0) note.textContent = states[point] === HIDDEN ? 'Found, but a filter hides it.' : '';
  else note.textContent = `No point has the id ${isolated(id)}${count < header.rows ? ' in this sample' : ''}.`;
}

function suggest() {
  element('search-note').textContent = '';
  const typed = element('id').value;
  const most = typed ? 10 : 0;
  const found = [];
  for (let place = 0; place < count && found.length < most; place += 1) {
    const point = (firstNew + place) % count; // new ones first
    if (idOf(point).startsWith(typed)) found.push(make('option', { value: idOf(point) }));
  }
  element('ids').replaceChildren(...found);
}

// ---- Start ---------------------------------------------------------------------------------------------------------

function restore() {
  state = fromHash(window.location.hash);
  hovered = -1;
  showTool();
  showCell();
  updateColours();
  updateSelection();
  element('coloured').checked = state.coloured;
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
  mainPane.card = GraphicsCard.of(element('points'));
  defineColourings();
  buildList();
  if (added) buildNewRows();
  else buildGrid();
  buildMetrics();
  buildNumbers();
  buildColours();
  restore();
  resize();
  panes.forEach(watchPlot);
  watchKeys();
  watchControls();
  for (const pane of panes) {
    pane.part('points').addEventListener('webglcontextlost', (event) => event.preventDefault());
    pane.part('points').addEventListener('webglcontextrestored', () => {
      pane.card = new GraphicsCard(pane.card.gl);
      redrawLarge();
    });
  }
}

open().catch((error) => {
  fail(`The atlas could not be opened: ${error.message}.`);
  throw error;
});
