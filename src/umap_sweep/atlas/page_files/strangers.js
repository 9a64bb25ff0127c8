// New rows over a cell: what is known of them beside their places, and those of them that are strangers.

const [STRANGER, STORED] = [1, 2]; // codes of the kind of a point
const MOST_STRANGEST = 100; // in the list

let kindField = null;
const measuredOf = {}; // by what is measured, the field of it
const strangers = []; // points
const buttonOf = new Map(); // by point, its button in the list

function loadNewRows(array) {
  kindField = readField(array, KIND, 'kind of row', 'kind', added.kind);
  const names = ['distance', 'strangeness', 'p-value'];
  names.forEach((name, place) => {
    const given = added.measured[place];
    measuredOf[name] = readField(array, `new:${name}`, given.name, 'value', given);
  });
  for (const field of [kindField, ...Object.values(measuredOf)]) fields.push(Object.assign(field, { ofNew: true }));
  for (let point = firstNew; point < count; point += 1) {
    if (kindField.codes[point] === STRANGER) strangers.push(point);
  }
}

const isStranger = (point) => kindField.codes[point] === STRANGER;
const valueOf = (name, point) => measuredOf[name].values[point];

// How far from its neighbours, by what is usual there. Stored rows that are all the same have no distance.
function timesUsual(point) {
  const times = valueOf('strangeness', point);
  if (Number.isNaN(times)) return 'no distance';
  return times === Infinity ? 'beyond the usual, which is 0' : `${short(times)} times the usual`;
}

// [name, text] of what is measured of a point.
function linesOfNew(point) {
  const kind = ['kind', textOf(kindField, point)];
  if (!isNew(point)) return [kind];
  const [distance, strangeness] = [valueOf('distance', point), valueOf('strangeness', point)];
  const usual = distance / strangeness;
  const there = Number.isFinite(usual) && Number.isFinite(distance) ? `; usual there ${short(usual)}` : '';
  return [
    kind,
    ['distance', Number.isFinite(distance) ? `${short(distance)}${there}` : 'beyond what is counted'],
    ['strangeness', timesUsual(point)],
    ['p-value', short(valueOf('p-value', point))],
  ];
}

function showMeasured(point) {
  element('card-measured').replaceChildren(
    ...(added ? linesOfNew(point) : []).flatMap(([name, text]) => [
      make('dt', { textContent: name }),
      make('dd', { textContent: text, className: text === 'stranger' ? 'strange' : '' }),
    ]),
  );
  for (const [listed, button] of buttonOf) button.setAttribute('aria-pressed', listed === state.point);
}

const noteOfCounts = (pane) =>
  added && colouringOf(pane) && listedField(pane) ? 'Behind each entry: new rows + stored rows on this page.' : '';

function buildNewRows() {
  for (const id of ['grid-head', 'save-grid']) element(id).hidden = true;
  element('grid').parentElement.hidden = true;
  element('new-part').hidden = false;
  element('no-point').textContent =
    'Point at the picture: nearest stored rows, by their distances in the data, are ringed. A click keeps them.';
  const are = added.strangers === 1 ? 'is a stranger' : 'are strangers';
  element('new-note').textContent =
    `${whole(added.strangers)} of ${plural(added.rows, 'new row')} ${are}, ringed in the picture: farther from ` +
    `${added.neighbors === 1 ? 'the nearest stored row' : `the ${added.neighbors} nearest stored rows`}, by what is ` +
    'usual there, than 99 in 100 of the stored rows are (p-value up to 0.01). UMAP places them among the others all ' +
    'the same: where a stranger lies says nothing.';
  element('select-strangers').disabled = !strangers.length;
  const order = Array.from({ length: count - firstNew }, (_, place) => firstNew + place).sort(
    (a, b) =>
      valueOf('p-value', a) - valueOf('p-value', b) ||
      (valueOf('strangeness', b) || 0) - (valueOf('strangeness', a) || 0) ||
      rowNumbers[a] - rowNumbers[b],
  );
  element('strangest').append(...order.slice(0, MOST_STRANGEST).map(entryOfNew));
  element('strangest-more').hidden = order.length <= MOST_STRANGEST;
  element('strangest-more').textContent = `and ${whole(order.length - MOST_STRANGEST)} more, less strange`;
}

function entryOfNew(point) {
  const parts = [make('bdi', { className: 'name', textContent: idOf(point) })];
  if (isStranger(point)) parts.unshift(make('span', { className: 'group', textContent: 'stranger' }));
  const label = labelField && hasValue(labelField, point) ? [isolated(written(textOf(labelField, point)))] : [];
  const placed = state.cell.points[2 * point] === FULL ? ['without a place'] : [];
  const reason = [...label, timesUsual(point), `p ${short(valueOf('p-value', point))}`, ...placed].join(' · ');
  const button = make('button', { type: 'button', className: 'listed' }, [
    ...parts,
    make('span', { className: 'reason', textContent: reason }),
  ]);
  button.addEventListener('click', () => keepPoint(point));
  buttonOf.set(point, button);
  return make('li', {}, [button]);
}

function colourStored(coloured) {
  state.coloured = coloured;
  updateColours();
  saveState();
}

// Of new points, by that of stored ones.
const sizeOfNew = (size) => Math.max(1.25 * size, 5 * density);

// The radius of the ring around a stranger, in CSS pixels.
function ringOfStrangers(pixels, view) {
  const { parts } = pictureOf(mainPane, state.cell, pixels, view, false);
  return parts[1].size / density / 2 + 2;
}
