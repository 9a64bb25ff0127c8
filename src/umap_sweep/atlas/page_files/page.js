// The parts of the page. Text from the data reaches them as textContent or a property's value, never as markup.

function buildHead() {
  const name = added ? `${isolated(added.dataset)} on ${isolated(header.dataset)}` : header.dataset;
  document.title = `${name}: UMAP atlas`;
  element('dataset').textContent = name;
  element('facts').textContent = [
    added ? plural(added.rows, 'new row') : plural(cells.length, 'cell'),
    `${whole(header.rows)} ${added ? 'stored ' : ''}rows`,
    `${header.metric} metric`,
    ...(layers.length === 1 ? [seedsOf(layers[0])] : []),
  ].join(' · ');
  const notes = [];
  if (count - firstNew < (added?.rows ?? 0)) {
    notes.push(
      `Shown are ${whole(count - firstNew)} of ${whole(added.rows)} new rows: a seeded sample with the share of strangers.`,
    );
  }
  if (firstNew < header.rows) {
    notes.push(
      `Shown are ${whole(firstNew)} of ${whole(header.rows)} ${added ? 'stored ' : ''}rows: a seeded sample with each ` +
        'label’s share. ' +
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
    grid.append(make('span', { className: 'row-head', textContent: beside(value) }));
    columnValues.forEach((_, column) => {
      const points = make('canvas');
      const marks = make('canvas');
      const button = make('button', { type: 'button', className: 'panel' }, [points, marks]);
      const panel = { row, column, button, points, marks, cell: null };
      const entry = header.shortlist.find((one) => lineOf(one) === value && one.min_dist === columnValues[column]);
      panel.group = entry?.group ?? '';
      if (panel.group) button.append(make('span', { className: 'badge', textContent: panel.group }));
      button.addEventListener('click', (event) => openFrom(event, panel.cell));
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
    make('span', { textContent: `${[...header.axes, 'n_neighbors'].join(' · ')} ↓` }),
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
  openCell(same.find((cell) => isSame(cell.key, state.cell.key)) ?? same[0]);
}

function openCell(cell) {
  if (!cell || cell === state.cell) return;
  if (cell === state.second) state.second = state.cell;
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
    const name = `${header.axes.length ? '' : 'n_neighbors '}${rowValues[panel.row]}, min_dist ${columnValues[panel.column]}`;
    panel.button.classList.toggle('second', Boolean(cell) && cell === state.second);
    const listed = panel.group ? `, on the short list, group ${panel.group}` : '';
    panel.button.setAttribute('aria-label', cell ? `${name}${listed}` : `${name}: not in the grid`);
  }
  const { missing } = state.cell;
  element('missing').hidden = !missing;
  element('missing').textContent = `Without a place in this cell: ${plural(missing, 'disconnected point')}.`;
  showHeatmap();
  showList();
  showNumbers();
  showSecond();
  showPanes();
  panes.forEach(showNote);
  redrawLarge();
  redrawMarks();
}

function buildMetrics() {
  if (!header.metrics.length) return;
  element('metrics-part').hidden = false;
  const metric = element('metric');
  const option = (name, place) => make('option', { value: name, textContent: header.titles[place][0] });
  metric.append(...header.metrics.map(option));
  element('metric-error').textContent = errorSentence();
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
  const [, meaning, explanation] = header.titles[place];
  element('metric-note').textContent = meaning || 'What it is';
  element('metric-text').textContent = explanation;
  element('metric-explained').hidden = !meaning && !explanation;
  const values = header.settings.map(({ means }) => means[place]).filter((value) => value !== null);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const decimals = decimalsOfMetric(place);
  const map = element('heatmap');
  const hadFocus = map.contains(document.activeElement);
  map.style.setProperty('--columns', columnValues.length);
  map.replaceChildren(...columnHeads());
  for (const panel of panels) {
    if (!panel.column) map.append(make('span', { className: 'row-head', textContent: beside(rowValues[panel.row]) }));
    const setting = panel.cell && settingOf(panel.cell);
    const value = setting?.means[place] ?? null;
    const half = halfOf(setting?.halves[place] ?? null, decimals);
    const button = make('button', { type: 'button', className: 'value', disabled: !panel.cell });
    const text = value === null ? '–' : value.toFixed(decimals);
    button.append(text, ...(half ? [' ', make('small', { textContent: half })] : []));
    if (value !== null) {
      const colour = ramp(high > low ? (value - low) / (high - low) : 0.5);
      button.style.backgroundColor = `rgb(${colour})`;
      button.style.color = luminance(colour) > 0.18 ? '#000' : '#fff';
    }
    const chosen = panel.cell === state.cell;
    button.setAttribute('aria-pressed', chosen);
    button.tabIndex = chosen ? 0 : -1;
    button.classList.toggle('on-list', Boolean(panel.group));
    button.setAttribute('aria-label', `${panel.button.getAttribute('aria-label')}: ${button.textContent}`);
    button.addEventListener('click', (event) => openFrom(event, panel.cell));
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
  const named = (key) => make('option', { value: key, textContent: colourings.get(key).name });
  const groups = { 'new:': 'New rows', 'annotation:': 'Annotations', 'feature:': 'Features' };
  const groupOf = (key) => Object.keys(groups).find((group) => key.startsWith(group));
  const keys = [...colourings.keys()];
  element('beside-part').hidden = keys.length < 2 && cells.length < 2;
  element('second-label').hidden = cells.length < 2;
  element('beside-colour-label').hidden = keys.length < 2;
  for (const pane of panes) {
    const choice = pane.part('colour');
    if (pane === besidePane) choice.append(make('option', { value: '', textContent: 'none' }));
    choice.append(...keys.filter((key) => !groupOf(key)).map(named));
    for (const [group, label] of Object.entries(groups)) {
      const members = keys.filter((key) => groupOf(key) === group);
      if (members.length) choice.append(make('optgroup', { label }, members.map(named)));
    }
    choice.addEventListener('change', () => chooseColour(pane, choice.value || null));
  }
}

function chooseColour(pane, key) {
  state[pane.chosen] = key;
  updateColours();
  saveState();
}

// One picture, or two with the name of what each is coloured by.
function showPanes() {
  const two = Boolean(colouringOf(besidePane));
  if (two && mainPane.card) besidePane.card ??= GraphicsCard.on(besidePane.part('points'));
  element('beside-pane').hidden = !two;
  for (const pane of panes) {
    pane.part('caption').hidden = !two;
    pane.part('caption-name').textContent = colouringOf(pane)?.name ?? '';
    const cell = cellOf(pane);
    const seeds = state.second && layerOf(state.second) !== layerOf(state.cell) ? ` · ${seedsOf(layerOf(cell))}` : '';
    pane.part('caption-cell').textContent = state.second ? `${nameOf(cell)}${seeds} · ` : '';
    pane.part('caption').title = pane.part('caption').textContent;
  }
  besidePane.part('caption-word').textContent = state.second ? 'Colour' : 'Beside';
  element('beside-colour').options[0].textContent = state.second ? 'as the large one' : 'none';
}

function showNote(pane) {
  const { note, told } = colouringOf(pane) ?? {};
  const bare = !labelField && state[pane.chosen] === 'label' ? 'This data has no labels.' : noteOfCounts(pane);
  const text = [note ?? bare, told?.(cellOf(pane))].filter(Boolean).join(' ');
  pane.part('colour-note').textContent = text;
  pane.part('colour-note').hidden = !text || isRepeated(pane);
}

// Whether a pane has the colours of the large one, whose legend stands already.
const isRepeated = (pane) => pane === besidePane && colouringOf(pane) === colouringOf(mainPane);

// Whose entries a pane's legend lists: those of what it is coloured by, and otherwise the label's, once.
function listedField(pane) {
  const { field } = colouringOf(pane);
  if (field) return field;
  return pane === mainPane && colouringOf(besidePane)?.field !== labelField ? labelField : null;
}

function showLegend(pane) {
  const { scale, classes } = colouringOf(pane) ?? {};
  const repeated = isRepeated(pane);
  pane.part('colour').value = state[pane.chosen] ?? '';
  showNote(pane);
  pane.part('scale').hidden = !scale || repeated;
  if (scale) {
    pane.part('low').textContent = short(scale.low);
    pane.part('high').textContent = short(scale.high);
    const context = pane.part('ramp').getContext('2d');
    for (let level = 0; level < MISSING; level += 1) {
      context.fillStyle = `rgb(${ramp(level / (MISSING - 1))})`;
      context.fillRect(level, 0, 1, 1);
    }
  }
  const legend = pane.part('legend');
  const focused = legend.contains(document.activeElement) && document.activeElement.dataset.entry;
  const field = colouringOf(pane) && !repeated ? listedField(pane) : null;
  legend.setAttribute('aria-label', field ? `Legend of ${isolated(field.name)}` : '');
  legend.replaceChildren(
    ...(classes && !repeated ? classes.map((slot) => classEntry(pane, slot)) : []),
    ...(field ? field.slots.map((slot) => legendEntry(pane, field, slot)) : []),
  );
  if (focused) legend.querySelector(`[data-entry="${focused}"]`)?.focus();
}

function classEntry(pane, slot) {
  const swatch = make('i');
  swatch.style.backgroundColor = `rgb(${slotColour(pane, null, slot)})`;
  return make('div', { className: 'class' }, [swatch, make('span', { textContent: slot.name })]);
}

function legendEntry(pane, field, slot) {
  const hidden = hiddenSlots(field);
  const others = field.slots.filter((other) => other !== slot);
  const swatch = make('i');
  swatch.style.backgroundColor = `rgb(${slotColour(pane, field, slot)})`;
  const toggle = make('button', { type: 'button', className: 'entry' }, [
    swatch,
    make('bdi', { textContent: written(slot.name), title: slot.name }),
    make('span', { textContent: added ? `${whole(slot.ofNew)} + ${whole(slot.size - slot.ofNew)}` : whole(slot.size) }),
  ]);
  toggle.setAttribute('aria-pressed', !hidden.includes(slot));
  toggle.dataset.entry = slot.level;
  toggle.addEventListener('click', () => {
    hide(field, hidden.includes(slot) ? hidden.filter((other) => other !== slot) : [...hidden, slot]);
    changeHidden();
  });
  const alone = field.slots.every((other) => (other === slot) !== hidden.includes(other));
  const only = make('button', { type: 'button', className: 'only', textContent: alone ? 'all' : 'only' });
  only.setAttribute('aria-label', alone ? 'Show all' : `Show only ${isolated(written(slot.name))}`);
  only.dataset.entry = `only-${slot.level}`;
  only.addEventListener('click', () => {
    hide(field, alone ? [] : others);
    changeHidden();
  });
  return make('div', {}, [toggle, only]);
}

function changeHidden() {
  panes.forEach(showLegend);
  updateSelection();
}

const MOST_NAMED = 3; // hidden entries that a filter names

function showFilters() {
  element('filters').hidden = !state.hidden.size;
  element('show-all').hidden = state.hidden.size < 2;
  element('filter-list').replaceChildren(
    ...filteringFields().map((field) => {
      const names = hiddenSlots(field).map((slot) => written(slot.name));
      const more = names.length > MOST_NAMED ? ` and ${whole(names.length - MOST_NAMED)} more` : '';
      const list = `${names.slice(0, MOST_NAMED).map(isolated).join(', ')}${more}`;
      const button = make('button', { type: 'button', title: 'Show them again' }, [
        make('bdi', { textContent: field.name }),
        make('span', { textContent: list }),
        make('span', { textContent: '×', ariaHidden: 'true' }),
      ]);
      button.addEventListener('click', () => showAgain([field]));
      return button;
    }),
  );
}

function showAgain(again) {
  again.forEach((field) => state.hidden.delete(field));
  changeHidden();
  // The button that was pressed is gone.
  (element('filter-list').querySelector('button') ?? element('plot')).focus({ preventScroll: true });
}

function showPoint() {
  const point = focusPoint();
  element('card').hidden = point < 0;
  element('no-point').hidden = point >= 0;
  if (point < 0) return;
  element('card-id').textContent = idOf(point);
  element('card-label').textContent = labelField ? written(textOf(labelField, point)) : '';
  element('card-label-name').hidden = !labelField;
  element('card-label').hidden = !labelField;
  element('card-annotations').replaceChildren(
    ...fields
      .filter((field) => field !== labelField && !field.ofNew)
      .flatMap((field) => [
        make('dt', {}, [make('bdi', { textContent: field.name })]),
        make('dd', { textContent: written(textOf(field, point)) }),
      ]),
  );
  showMeasured(point);
  const around = neighborsOf(point);
  const all = header.neighbors.count;
  element('card-note').textContent =
    around.length < all
      ? `Nearest in the data: ${around.length} of ${all} are on this page`
      : `${plural(all, isNew(point) ? 'nearest stored row' : 'nearest point')} in the data`;
  element('neighbors').replaceChildren(
    ...around.map((other) => {
      const dot = make('i');
      const { field, scale } = colouringOf(mainPane);
      const dotted = field && !scale;
      if (dotted) {
        dot.style.backgroundColor = `rgb(${slotColour(mainPane, field, slotAt(field, field.levels[other]))})`;
      }
      const text = make('bdi', { textContent: idOf(other) });
      const told = field ?? labelField;
      const title = told ? textOf(told, other) : '';
      const chip = make('button', { type: 'button', title }, [...(dotted ? [dot] : []), text]);
      chip.addEventListener('click', () => keepPoint(other));
      return chip;
    }),
  );
}

const MOST_LINES = 10; // of a tooltip; the card has all

// What points are coloured by is told first, after the label.
function tooltipLines(point) {
  const shown = shownPanes().map(colouringOf);
  const ofRow = shown.map(({ field }) => field).filter((field) => !field?.ofNew);
  const told = [...new Set([labelField, ...ofRow, ...fields.filter((field) => !field.ofNew)])].filter(Boolean);
  const first = [['id', idOf(point)], ...(added ? linesOfNew(point) : [])];
  const lines = [...first, ...told.map((field) => [field.name, written(textOf(field, point))])].map(
    ([name, text]) =>
      make('div', {}, [make('bdi', { textContent: name, className: 'name' }), ' ', make('bdi', { textContent: text })]),
  );
  if (lines.length > MOST_LINES + 1) {
    lines.splice(MOST_LINES, Infinity, make('div', { textContent: `and ${lines.length - MOST_LINES} more` }));
  }
  for (const pane of shownPanes()) {
    const { name, levels, scale, field, classes } = colouringOf(pane);
    const level = levels(cellOf(pane))[point];
    if (!(scale || classes) || field || level === MISSING) continue;
    const value = classes
      ? slotAt({ slots: classes }, level).name
      : `≈ ${short(scale.low + (level / (MISSING - 1)) * (scale.high - scale.low))}`;
    const where = state.second ? ` (${shortNameOf(cellOf(pane).key)})` : '';
    lines.push(make('div', { textContent: `${isolated(name)} ${value}${where}` }));
  }
  return lines;
}

// In the picture that is pointed at.
function showTooltip(at, pane) {
  for (const one of panes) one.part('tooltip').hidden = hovered < 0 || one !== pane;
  if (hovered < 0) return;
  const tooltip = pane.part('tooltip');
  tooltip.replaceChildren(...tooltipLines(hovered));
  const [x, y] = at;
  tooltip.style.left = `${clamp(x + 14, 4, Math.max(side - tooltip.offsetWidth - 4, 4))}px`;
  const tall = tooltip.offsetHeight;
  const top = y + 18 + tall > side ? y - tall - 14 : y + 18;
  tooltip.style.top = `${clamp(top, 4, Math.max(side - tall - 4, 4))}px`;
}

function hover(point, at, pane) {
  if (point !== hovered) {
    hovered = point;
    showPoint();
    redrawMarks();
  }
  showTooltip(at, pane);
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
