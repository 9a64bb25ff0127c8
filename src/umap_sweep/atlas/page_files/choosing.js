// What one chooses by: the short list, the numbers of a cell with their errors, and a second cell beside the first.

const halfOf = (value, decimals) => (value === null ? '' : `± ${value.toFixed(decimals)}`);
const shortNameOf = (entry) => `${lineOf(entry)} · ${entry.min_dist}`;
const settingOf = ({ key }) => header.settings.find((one) => isSame(one, key));
const entryOf = ({ key }) => header.shortlist.find((one) => isSame(one, key));
const alike = (one, other) => [...one.group].some((letter) => other.group.includes(letter));

// As many decimals for all values as give the largest three digits.
function decimalsOf(values) {
  const largest = Math.max(...values.map(Math.abs)) || 1;
  return clamp(2 - Math.floor(Math.log10(largest)), 0, 6);
}

const decimalsOfMetric = (place) =>
  decimalsOf(cells.map((cell) => cell.metrics[place]).filter((value) => value !== null));

// ---- The short list ------------------------------------------------------------------------------------------------

function listSentence() {
  const { shortlist } = header;
  const settings = new Set(cells.map((cell) => shortNameOf(cell.key))).size;
  if (!shortlist[0].group) {
    return (
      'One seed: what another seed changes is unknown, so that it cannot be told which settings are better. ' +
      '“snakemake choose” adds seeds where they decide. Listed are all, by their mean rank.'
    );
  }
  const of = `${shortlist.length} of ${plural(settings, 'setting')}`;
  if (shortlist.length === 1) return `${of}: it beats or equals every other, beyond the noise of seeds and sample.`;
  const beaten = `${of}, which no other beats beyond the noise of seeds and sample.`;
  const common = shortlist[0].group.length === 1 && new Set(shortlist.map(({ group }) => group)).size === 1;
  const tied = shortlist.some((one) => shortlist.some((other) => one !== other && alike(one, other)));
  if (common) return `${beaten} These cannot be told apart by this data: take the one whose picture you like.`;
  if (!tied) return `${beaten} Each is better than the others in something: what the picture is for decides.`;
  return (
    `${beaten} Those with a letter in common cannot be told apart by this data: ` +
    'of them take the one whose picture you like.'
  );
}

function buildList() {
  if (!header.shortlist.length) return;
  element('list-part').hidden = false;
  element('list-note').textContent = listSentence();
  element('list-names').textContent = [...header.axes, 'n_neighbors', 'min_dist'].join(' · ');
  const told = Boolean(header.shortlist[0].group);
  element('list').classList.toggle('told', told);
  element('list').append(
    ...header.shortlist.map((entry) => {
      const parts = [make('span', { className: 'name', textContent: shortNameOf(entry) })];
      if (told) {
        parts.unshift(make('span', { className: 'group', textContent: entry.group }));
        parts.push(make('span', { className: 'reason', textContent: entry.reason }));
      }
      const button = make('button', { type: 'button', className: 'listed' }, parts);
      const name = nameOf({ key: entry }).replaceAll(' · ', ', ');
      button.setAttribute('aria-label', told ? `${name}, group ${entry.group}: ${entry.reason}` : name);
      button.addEventListener('click', (event) => openFrom(event, cellOfEntry(entry, layerOf(state.cell))));
      entry.button = button;
      return make('li', {}, [button]);
    }),
  );
}

function showList() {
  const opened = entryOf(state.cell);
  const tied = [];
  for (const entry of header.shortlist) {
    const isTied = Boolean(opened) && entry !== opened && alike(entry, opened);
    if (isTied) tied.push(shortNameOf(entry));
    entry.button.setAttribute('aria-pressed', entry === opened);
    entry.button.classList.toggle('tied', isTied);
  }
  element('tied').hidden = !tied.length;
  element('tied').textContent = tied.length ? `Not told apart from ${shortNameOf(opened)}: ${tied.join(', ')}.` : '';
}

// ---- Numbers -------------------------------------------------------------------------------------------------------

function errorSentence() {
  const most = Math.max(...header.settings.map(({ seeds }) => seeds));
  return most > 1
    ? `Means over ${most} seeds; ± is half of the 95 % interval of the mean, from seeds and sample.`
    : '± is half of the 95 % interval, from the sample alone, and not there where all rows were looked at: ' +
        'what another seed changes is unknown.';
}

function explained(title, text) {
  return text ? make('details', {}, [make('summary', { textContent: title }), make('p', { textContent: text })]) : title;
}

function buildNumbers() {
  if (!header.metrics.length) return;
  element('numbers-part').hidden = false;
  element('numbers-part').open = matchMedia('(min-width: 721px)').matches; // where it pushes nothing out of sight
  element('numbers-note').textContent = errorSentence();
  element('numbers').append(
    ...header.titles.map(([title, meaning, text]) =>
      make('tr', {}, [make('th', { scope: 'row' }, [explained(title, [meaning, text].filter(Boolean).join('. '))])]),
    ),
  );
}

// Columns of numbers: {name, text} with what stands in the line of each metric.
function numberColumns() {
  const { cell, second } = state;
  const said = (value, place) => (value === null ? '–' : value.toFixed(decimalsOfMetric(place)));
  const own = (name, one) => ({ name, text: (place) => said(one.metrics[place], place) });
  const mean = (name, one) => ({
    name,
    text: (place) => {
      const setting = settingOf(one);
      const half = halfOf(setting?.halves[place] ?? null, decimalsOfMetric(place));
      return [said(setting?.means[place] ?? null, place), half].filter(Boolean).join(' ');
    },
  });
  const several = header.settings.some(({ seeds }) => seeds > 1);
  if (second && settingOf(second) !== settingOf(cell)) {
    return [mean(shortNameOf(cell.key), cell), mean(shortNameOf(second.key), second)];
  }
  if (!several) return [mean('Value', cell)];
  return [own('This cell', cell), ...(second ? [own('Beside', second)] : []), mean('All seeds', cell)];
}

function showNumbers() {
  if (!header.metrics.length) return;
  const columns = numberColumns();
  const heads = ['Metric', ...columns.map(({ name }) => name)];
  element('numbers-head').replaceChildren(...heads.map((textContent) => make('th', { scope: 'col', textContent })));
  [...element('numbers').rows].forEach((row, place) => {
    const [title] = row.cells;
    row.replaceChildren(title, ...columns.map(({ text }) => make('td', { textContent: text(place) })));
  });
}

// ---- A second cell beside the first --------------------------------------------------------------------------------

// With Shift the cell is opened beside the one that is there.
function openFrom(event, cell) {
  if (event.shiftKey) openSecond(cell);
  else openCell(cell);
}

function openSecond(cell) {
  const second = cell === state.cell ? null : (cell ?? null);
  if (second === state.second) return;
  state.second = second;
  updateColours();
  showCell();
  saveState();
}

function showSecond() {
  const layer = layerOf(state.cell);
  const option = (cell, textContent) => make('option', { value: keyOf(cell), textContent });
  const group = (label, members) => (members.length ? [make('optgroup', { label }, members)] : []);
  const others = cells.filter((cell) => cell !== state.cell && layerOf(cell) === layer);
  const seeds = cells.filter((cell) => cell !== state.cell && layerOf(cell) !== layer);
  const same = seeds.filter((cell) => shortNameOf(cell.key) === shortNameOf(state.cell.key));
  const known = [...others, ...same];
  const choice = element('second');
  choice.replaceChildren(
    make('option', { value: '', textContent: 'the same cell' }),
    ...group('Other settings', others.map((cell) => option(cell, shortNameOf(cell.key)))),
    ...group('The same under other seeds', same.map((cell) => option(cell, seedsOf(layerOf(cell))))),
  );
  if (state.second && !known.includes(state.second)) {
    choice.append(option(state.second, `${shortNameOf(state.second.key)} · ${seedsOf(layerOf(state.second))}`));
  }
  choice.value = state.second ? keyOf(state.second) : '';
  showMoved();
}

function showMoved() {
  element('moved-part').hidden = !state.second;
  if (!state.second) return;
  const { points, exchanged, mean } = movedBetween(state.cell, state.second);
  const near = Math.min(NEAR, count - 1);
  const [least, most] = [Math.min(...exchanged), Math.max(...exchanged)];
  const range = least === most ? `${most}` : `${least} to ${most}`;
  element('moved-note').textContent = points.length
    ? `Ringed: the ${plural(points.length, 'point')} (2 %) that move most from one cell to the other: of their ${near} ` +
      `nearest points in the picture they exchange ${range}. A point exchanges ${mean.toFixed(1)} on average. ` +
      `${count < header.rows ? 'Nearest are points on this page. ' : ''}` +
      'Where points exchange as many, those whose places lie farthest apart are ringed.'
    : 'No point has a place in both cells.';
  element('select-moved').disabled = !points.length;
}
