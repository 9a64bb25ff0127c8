// What the page holds: the data as it was written into it, and what points can be coloured by.

const MISSING = 255; // level of a point without a value

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
const written = (text) => text || '(blank)';
const plural = (number, word) => `${whole(number)} ${word}${number === 1 ? '' : 's'}`;

const header = JSON.parse(element('header').textContent);

async function decode() {
  const text = element('data').textContent;
  const packed = Uint8Array.fromBase64
    ? Uint8Array.fromBase64(text)
    : Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
  const buffer = await new Response(stream).arrayBuffer();
  element('data').remove();
  const types = {
    uint8: Uint8Array,
    uint16: Uint16Array,
    uint32: Uint32Array,
    int64: BigInt64Array,
    float64: Float64Array,
  };
  const known = new Map();
  return (place) => {
    if (!place) return null;
    const [type, first, length] = place;
    if (!known.has(first)) known.set(first, new types[type](buffer, first, length));
    return known.get(first);
  };
}

const count = header.points;
// Of a page that shows new rows over a cell: what is known of them. Their points come after those of the stored rows.
const added = header.new ?? null;
const firstNew = added ? added.first : count;
const KIND = 'new:kind'; // the key of the field that tells new rows and strangers from stored rows
const isNew = (point) => point >= firstNew;
const cells = header.cells;
// A line of the grid is an n_neighbors, and before it what the grid has on further axes, such as a preparation.
const furtherOf = (setting) =>
  header.axes.map((axis) => (typeof setting[axis] === 'number' ? `${axis} ${setting[axis]}` : setting[axis]));
const lineOf = (setting) => [...furtherOf(setting), setting.n_neighbors].join(' · ');
// Beside a row, where the head has the names of the axes: 'dens_lambda 0 · 10' is '0 · 10'.
const beside = (line) => String(line).replace(/[^ ·]+ (?=[^·])/g, '');
const isSame = (one, other) => lineOf(one) === lineOf(other) && one.min_dist === other.min_dist;
const further = [...new Set(cells.map((cell) => furtherOf(cell.key).join(' · ')))];
const rowValues = cells
  .map(({ key }) => ({ key, place: further.indexOf(furtherOf(key).join(' · ')) }))
  .sort((a, b) => a.place - b.place || a.key.n_neighbors - b.key.n_neighbors)
  .map(({ key }) => lineOf(key))
  .filter((line, place, lines) => lines.indexOf(line) === place);
const columnValues = [...new Set(cells.map((cell) => cell.key.min_dist))].sort((a, b) => a - b);
const layers = [...new Set(cells.map(layerOf))];
const keyOf = (cell) => [lineOf(cell.key), cell.key.min_dist, layerOf(cell)].join('/');
const cellByKey = new Map(cells.map((cell) => [keyOf(cell), cell]));
const nameOf = ({ key }) =>
  [...furtherOf(key), `n_neighbors ${key.n_neighbors}`, `min_dist ${key.min_dist}`].join(' · ');
const seedsOf = (layer) => {
  const [knnSeed, seed] = layer.split('/');
  // The seed of a k-NN made elsewhere is not known.
  return `${header.imported ? 'imported k-NN' : `k-NN seed ${knnSeed}`} · UMAP seed ${seed}`;
};
const cellAt = (row, column, layer) => cellByKey.get([rowValues[row], columnValues[column], layer].join('/'));

function layerOf(cell) {
  return `${cell.key.knn_seed}/${cell.key.seed}`;
}

let rowNumbers; // of each point, in the data
let neighborPlaces;
// What describes the points, the label first: {key, name, none, names, codes, values, scale, levels, slots}. Categories
// have names, and of each point the place of its name as its code; numbers have values and a scale. A level is a row of
// the palette. Slots are the legend's entries: {level, name, size, special}.
const fields = [];
let labelField = null; // where there is one
const states = new Uint8Array(count).fill(SHOWN);
const unknown = new Uint8Array(count).fill(MISSING);
const single = new Uint8Array(count);

function loadData(array) {
  rowNumbers = array(header.row);
  neighborPlaces = array(header.neighbors.places);
  for (const cell of cells) {
    for (const name of ['points', 'recall', 'instability', 'trust']) cell[name] = array(cell[name]);
  }
  for (const feature of header.features) feature.levels = array(feature.levels);
  if (header.label) {
    labelField = readField(array, 'label', 'label', 'label', header.label);
    fields.push(labelField);
  }
  for (const given of header.annotations) {
    fields.push(readField(array, `annotation:${given.name}`, given.name, 'value', given));
  }
  if (added) loadNewRows(array);
}

// `word` is what one of its values is called.
function readField(array, key, name, word, given) {
  const field = { key, name, none: `no ${word}`, names: given.names, scale: given.names ? null : given };
  if (given.names) {
    field.codes = array(given.codes);
    Object.assign(field, coloursOfCategories(field, word));
  } else {
    field.values = array(given.values);
    field.levels = array(given.levels);
    field.slots = [{ level: MISSING, name: field.none, special: 'none' }];
  }
  const sizes = new Uint32Array(256);
  const ofNew = new Uint32Array(256);
  field.levels.forEach((level, point) => {
    sizes[level] += 1;
    if (isNew(point)) ofNew[level] += 1;
  });
  field.slots = field.slots
    .map((slot) => ({ ...slot, size: sizes[slot.level], ofNew: ofNew[slot.level] }))
    .filter((slot) => slot.size);
  return field;
}

// The most frequent among stored points have a colour of their own, then those of new ones; the rest share one.
function coloursOfCategories({ names, codes, none }, word) {
  const sizes = new Uint32Array(names.length + 1);
  for (const code of codes.subarray(0, firstNew)) sizes[code] += 1;
  const coloured = [...names.keys()]
    .sort((a, b) => sizes[b] - sizes[a] || a - b)
    .slice(0, CATEGORY_COLOURS.light.length)
    .sort((a, b) => a - b);
  const [other, missing] = [coloured.length, coloured.length + 1];
  const levelOf = new Uint8Array(names.length + 1).fill(other);
  coloured.forEach((code, level) => {
    levelOf[code] = level;
  });
  levelOf[names.length] = missing;
  const levels = new Uint8Array(count);
  for (let point = 0; point < count; point += 1) levels[point] = levelOf[codes[point]];
  const slots = [
    ...coloured.map((code, level) => ({ level, name: names[code] })),
    { level: other, name: `other: ${plural(names.length - other, word)}`, special: 'other' },
    { level: missing, name: none, special: 'none' },
  ];
  return { levels, slots };
}

const slotAt = (field, level) => field.slots.find((slot) => slot.level === level);
const idOf = (point) => (header.ids ? header.ids[point] : String(rowNumbers[point]));

function hasValue(field, point) {
  return field.codes ? field.codes[point] < field.names.length : field.levels[point] !== MISSING;
}

function textOf(field, point) {
  if (!hasValue(field, point)) return field.none;
  return field.codes ? field.names[field.codes[point]] : String(field.values[point]);
}

const placeById = new Map(); // of stored points, and of new ones, which may have the same ids
function pointOfId(id, ofNew = false) {
  if (!placeById.has(ofNew)) {
    const [from, to] = ofNew ? [firstNew, count] : [0, firstNew];
    placeById.set(ofNew, new Map(Array.from({ length: to - from }, (_, place) => [idOf(from + place), from + place])));
  }
  return placeById.get(ofNew).get(id) ?? -1;
}

function neighborsOf(point) {
  const size = header.neighbors.count;
  return Array.from(neighborPlaces.subarray(point * size, (point + 1) * size)).filter((place) => place < count);
}

// What points can be coloured by: {name, note, levels, scale, field, classes, told}. Classes are {level, name, special};
// `told` returns what the note says of one cell.
const colourings = new Map();

function defineColourings() {
  if (!labelField) colourings.set('label', { name: 'one colour', levels: () => single });
  for (const field of fields) {
    colourings.set(field.key, { name: field.name, levels: () => field.levels, scale: field.scale, field });
  }
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
  if (cells.some((cell) => cell.trust)) {
    colourings.set('trust', {
      name: 'trust',
      note:
        'Whether a point keeps more of its neighbours than it would where there is nothing to find: data whose columns ' +
        'are permuted independently (p ≤ 0.05).',
      levels: (cell) => cell.trust ?? unknown,
      classes: [
        { level: 0, name: 'more than chance' },
        { level: 1, name: 'no more than chance' },
        ...(cells.every(({ trust }) => trust && !trust.includes(MISSING))
          ? []
          : [{ level: MISSING, name: 'not known', special: 'none' }]),
      ],
      told: ({ trusted }) =>
        trusted ? `In this cell ${whole(trusted[0])} of ${whole(trusted[1])} points are to be trusted.` : '',
    });
  }
  for (const feature of header.features) {
    colourings.set(`feature:${feature.name}`, { name: feature.name, levels: () => feature.levels, scale: feature });
  }
}
