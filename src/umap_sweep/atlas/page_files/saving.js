// What can be taken away: ids, pictures, a configuration.

// What a spreadsheet would take for a formula; a number is none.
const FORMULA = /^(?:[=@\t\r]|[+-](?!\d+(?:[.,]\d+)?(?:e[+-]?\d+)?$))/i;

function download(blob, name, remark = '') {
  const link = make('a', { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  say(`Saved ${name}.${remark}`);
}

// RFC 4180; in the data's row order.
function saveIds() {
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const chosen = [];
  for (let point = 0; point < count; point += 1) if (selected[point] && states[point] === SHOWN) chosen.push(point);
  chosen.sort((a, b) => rowNumbers[a] - rowNumbers[b]);
  const rows = [
    ['id', ...fields.map((field) => field.name)],
    ...chosen.map((point) => [
      idOf(point),
      ...fields.map((field) => (hasValue(field, point) ? textOf(field, point) : '')),
    ]),
  ];
  const lines = rows.map((row) => row.map(quoted).join(','));
  const formulas = rows.flat().filter((text) => FORMULA.test(text)).length;
  const begin = formulas === 1 ? 'value begins like a formula' : 'values begin like formulas';
  download(
    new Blob([`${lines.join('\r\n')}\r\n`], { type: 'text/csv' }),
    `${fileName()}-selected.csv`,
    formulas ? ` ${whole(formulas)} ${begin}: import the columns as text.` : '',
  );
}

function stamp(context, pane, cell, view, pixels, x, y, small) {
  const canvas = make('canvas', { width: pixels, height: pixels });
  paint(canvas, pictureOf(pane, cell, pixels, view, small));
  context.drawImage(canvas, x, y);
  if (!strangers.length) return;
  rings(canvas, cell, view, -1, [], 5, strangers);
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

const fileName = () => (added ? `${header.dataset}-${added.dataset}` : header.dataset);

const FONT = 'system-ui, sans-serif';

// A pane's legend in lines of at most `width`; returns its height, and draws it where `y` is given.
function writeLegend(context, pane, x, y, width) {
  context.font = `26px ${FONT}`;
  context.textBaseline = 'middle';
  const { name, scale, field, classes } = colouringOf(pane);
  if (scale) {
    const [from, to] = [`${isolated(name)}  ${short(scale.low)}`, short(scale.high)];
    if (y !== null) {
      const indent = context.measureText(from).width + 16;
      context.fillText(from, x, y + 20);
      context.drawImage(pane.part('ramp'), x + indent, y + 8, 360, 24);
      context.fillText(to, x + indent + 376, y + 20);
    }
    return 44;
  }
  let [left, line] = [0, 0];
  const cut = (text) => isolated(text.length > 40 ? `${text.slice(0, 39)}…` : written(text));
  const entries = classes ?? (field ? field.slots.filter((slot) => !hiddenSlots(field).includes(slot)) : []);
  // What is written first is the name of an annotation, which has no dot.
  for (const slot of classes || (field && field !== labelField) ? [null, ...entries] : entries) {
    const text = cut(slot ? slot.name : name);
    const indent = slot ? 28 : 0;
    const needed = context.measureText(text).width + indent + 32;
    if (left && left + needed > width) [left, line] = [0, line + 1];
    if (y !== null) {
      const ink = context.fillStyle;
      if (slot) {
        context.fillStyle = `rgb(${slotColour(pane, field, slot)})`;
        context.beginPath();
        context.arc(x + left + 10, y + line * 40 + 19, 9, 0, 2 * Math.PI);
        context.fill();
      }
      context.fillStyle = ink;
      context.fillText(text, x + left + indent, y + line * 40 + 20);
    }
    left += needed;
  }
  return left ? (line + 1) * 40 + 4 : 0;
}

function saveCell() {
  const shown = shownPanes();
  const measuring = make('canvas').getContext('2d');
  const legend = Math.max(...shown.map((pane) => writeLegend(measuring, pane, 0, null, 1600)));
  const axes = [...header.axes, 'n_neighbors', 'min_dist', 'knn_seed', 'seed'];
  const name = `${[fileName(), ...axes.map((axis) => `${axis}=${state.cell.key[axis]}`)].join('-')}.png`;
  savePicture(40 + 1640 * shown.length, 1780 + legend, name, (context) => {
    context.font = `600 36px ${FONT}`;
    const title = element('dataset').textContent;
    context.fillText(state.second ? title : `${title} · ${nameOf(state.cell)}`, 40, 64);
    context.font = `26px ${FONT}`;
    if (!state.second) context.fillText(seedsOf(layerOf(state.cell)), 40, 108);
    shown.forEach((pane, place) => {
      const left = 40 + 1640 * place;
      const cell = cellOf(pane);
      if (state.second) context.fillText(`${nameOf(cell)} · ${seedsOf(layerOf(cell))}`, left, 108);
      stamp(context, pane, cell, state.view, 1600, left, 140, false);
      writeLegend(context, pane, left, 1754, 1600);
    });
  });
}

function saveGrid() {
  const panel = clamp(Math.floor(6000 / Math.max(columnValues.length, rowValues.length)), 60, 480);
  const width = Math.max(columnValues.length * panel + 140, 900);
  const legend = writeLegend(make('canvas').getContext('2d'), mainPane, 0, null, width - 80);
  const height = rowValues.length * panel + 220 + legend;
  const layer = layerOf(state.cell);
  savePicture(width, height, `${header.dataset}-grid.png`, (context) => {
    context.font = `600 36px ${FONT}`;
    context.fillText(`${header.dataset} · ${[...header.axes, 'n_neighbors'].join(' · ')} ↓ · min_dist →`, 40, 64);
    context.font = `26px ${FONT}`;
    context.fillText(seedsOf(layer), 40, 108);
    context.textAlign = 'center';
    columnValues.forEach((value, column) => context.fillText(value, 100 + (column + 0.5) * panel, 160));
    rowValues.forEach((value, row) => {
      context.fillText(value, 50, 180 + (row + 0.5) * panel);
      columnValues.forEach((_, column) => {
        const cell = cellAt(row, column, layer);
        const [left, top] = [100 + column * panel, 180 + row * panel];
        if (cell) stamp(context, mainPane, cell, WHOLE, panel - 12, left + 6, top + 6, true);
        else context.fillText('not in the grid', left + panel / 2, top + panel / 2);
        context.strokeStyle = `rgb(${colours.faded})`;
        context.lineWidth = 2;
        context.strokeRect(left + 4, top + 4, panel - 8, panel - 8);
      });
    });
    context.textAlign = 'left';
    writeLegend(context, mainPane, 40, 190 + rowValues.length * panel, width - 80);
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
