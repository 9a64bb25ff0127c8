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
  const types = { uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, float64: Float64Array };
  const known = new Map();
  return (place) => {
    if (!place) return null;
    const [type, first, length] = place;
    if (!known.has(first)) known.set(first, new types[type](buffer, first, length));
    return known.get(first);
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
  // The seed of a k-NN made elsewhere is not known.
  return `${header.imported ? 'imported k-NN' : `k-NN seed ${knnSeed}`} · UMAP seed ${seed}`;
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
const slots = []; // legend entries: {name, size, special}
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

function hasLabel(point) {
  return labelCodes ? labelCodes[point] < header.label.names.length : !Number.isNaN(labelValues[point]);
}

// Null where the data has no labels at all.
function labelOf(point) {
  if (!header.label) return null;
  if (!hasLabel(point)) return 'no label';
  return labelCodes ? header.label.names[labelCodes[point]] : String(labelValues[point]);
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
