// The parts of the page. Text from the data reaches them as textContent or a property's value, never as markup.

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
      `Shown are ${whole(header.points)} of ${whole(header.rows)} rows: a seeded sample with each label’s share. ` +
        `${header.metrics.length ? 'Metrics are those of the whole cells. ' : ''}` +
        `${header.full ? 'A page with more would open slowly.' : 'Raise atlas.max_points to show more.'}`,
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
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  const [down, right] = steps[event.key] ?? [];
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
    if (!cell) waiting.delete(panel);
    else if (cell !== panel.cell) waiting.add(panel);
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
  element('missing').textContent = `Without a place in this cell: ${plural(missing, 'disconnected point')}.`;
  showHeatmap();
  redrawLarge();
  redrawMarks();
}

function buildMetrics() {
  if (!header.metrics.length) return;
  element('metrics-part').hidden = false;
  const metric = element('metric');
  const option = (name, place) => make('option', { value: name, textContent: header.titles[place][0] });
  metric.append(...header.metrics.map(option));
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
  element('metric-note').textContent = header.titles[place][1];
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
        make('bdi', { textContent: written(slot.name), title: slot.name }),
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
      only.setAttribute('aria-label', alone ? 'Show all labels' : `Show only ${isolated(written(slot.name))}`);
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
  element('card-label').textContent = label === null ? '' : written(label);
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
  const lines = [['id', idOf(hovered)], ...(label === null ? [] : [['label', written(label)]])].map(([name, text]) =>
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
