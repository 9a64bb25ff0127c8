// Which points move most between two cells: those whose nearest points in the picture change most.

const NEAR = 15; // nearest points that are compared
const MOVED_SHARE = 0.02; // of the points that are marked
const LEAF = 8; // points of a branch of the tree that are looked at one by one

const nearIn = new WeakMap(); // by cell
let lastMoved = null;

// A k-d tree of a cell's points: `order` holds them so that the middle of each stretch halves it along `axes[middle]`.
function treeOf({ points }) {
  const placed = [];
  for (let point = 0; point < count; point += 1) if (points[2 * point] !== FULL) placed.push(point);
  const order = Uint32Array.from(placed);
  const axes = new Uint8Array(order.length);
  const stretches = [[0, order.length]];
  while (stretches.length) {
    const [from, to] = stretches.pop();
    if (to - from <= LEAF) continue;
    const [least, most] = [[FULL, FULL], [0, 0]];
    for (let place = from; place < to; place += 1) {
      for (const way of [0, 1]) {
        const value = points[2 * order[place] + way];
        if (value < least[way]) least[way] = value;
        if (value > most[way]) most[way] = value;
      }
    }
    const axis = most[1] - least[1] > most[0] - least[0] ? 1 : 0;
    const middle = (from + to) >> 1;
    halve(order, points, axis, from, to - 1, middle);
    axes[middle] = axis;
    stretches.push([from, middle], [middle + 1, to]);
  }
  return { order, axes };
}

// Hoare's selection: afterwards the point at `middle` has none before it that lies beyond it along the axis.
function halve(order, points, axis, first, last, middle) {
  let [low, high] = [first, last];
  while (low < high) {
    const pivot = points[2 * order[(low + high) >> 1] + axis];
    let [left, right] = [low, high];
    while (left <= right) {
      while (points[2 * order[left] + axis] < pivot) left += 1;
      while (points[2 * order[right] + axis] > pivot) right -= 1;
      if (left <= right) {
        [order[left], order[right]] = [order[right], order[left]];
        left += 1;
        right -= 1;
      }
    }
    if (middle <= right) high = right;
    else if (middle >= left) low = left;
    else return;
  }
}

// The nearest points of each point in a cell, `NEAR` for each; `count` stands where there is none.
function nearestIn(cell) {
  if (nearIn.has(cell)) return nearIn.get(cell);
  const { points } = cell;
  const { order, axes } = treeOf(cell);
  const found = new Uint32Array(count * NEAR).fill(count);
  const near = new Uint32Array(NEAR);
  const away = new Float64Array(NEAR);
  let [point, x, y, known] = [0, 0, 0, 0];
  const look = (other) => {
    if (other === point) return;
    const distance = (points[2 * other] - x) ** 2 + (points[2 * other + 1] - y) ** 2;
    if (known === NEAR && distance >= away[NEAR - 1]) return;
    let place = known < NEAR ? known : NEAR - 1;
    for (; place > 0 && away[place - 1] > distance; place -= 1) {
      away[place] = away[place - 1];
      near[place] = near[place - 1];
    }
    away[place] = distance;
    near[place] = other;
    if (known < NEAR) known += 1;
  };
  const search = (from, to) => {
    if (to - from <= LEAF) {
      for (let place = from; place < to; place += 1) look(order[place]);
      return;
    }
    const middle = (from + to) >> 1;
    const beyond = (axes[middle] ? y : x) - points[2 * order[middle] + axes[middle]];
    if (beyond < 0) search(from, middle);
    else search(middle + 1, to);
    look(order[middle]);
    if (known === NEAR && beyond * beyond >= away[NEAR - 1]) return;
    if (beyond < 0) search(middle + 1, to);
    else search(from, middle);
  };
  for (point of order) {
    [x, y, known] = [points[2 * point], points[2 * point + 1], 0];
    search(0, order.length);
    found.set(near.subarray(0, known), point * NEAR);
  }
  nearIn.set(cell, found);
  return found;
}

// {points, exchanged, mean}: the points that move most between two cells, the most of them first; how many of its
// nearest points each of them exchanges; and how many a point exchanges on average. Where points exchange as many, those
// whose places lie farther apart come first.
function movedBetween(one, other) {
  if (lastMoved?.cells.includes(one) && lastMoved.cells.includes(other)) return lastMoved;
  const [nearOne, nearOther] = [nearestIn(one), nearestIn(other)];
  const exchanged = new Uint8Array(count);
  const score = new Float64Array(count);
  const placed = [];
  const owner = new Int32Array(count + 1).fill(-1); // the point whose nearest were marked last
  let sum = 0;
  for (let point = 0; point < count; point += 1) {
    if (one.points[2 * point] === FULL || other.points[2 * point] === FULL) continue;
    placed.push(point);
    let [known, kept] = [0, 0];
    for (let place = point * NEAR; place < (point + 1) * NEAR; place += 1) {
      owner[nearOne[place]] = point;
      if (nearOne[place] < count) known += 1;
    }
    for (let place = point * NEAR; place < (point + 1) * NEAR; place += 1) {
      if (nearOther[place] < count && owner[nearOther[place]] === point) kept += 1;
    }
    exchanged[point] = known - kept;
    sum += exchanged[point];
    const [x, y] = [0, 1].map((axis) => one.points[2 * point + axis] - other.points[2 * point + axis]);
    score[point] = exchanged[point] + Math.hypot(x, y) / (2 * FULL);
  }
  const most = placed.sort((a, b) => score[b] - score[a] || a - b).slice(0, Math.ceil(MOVED_SHARE * placed.length));
  lastMoved = {
    cells: [one, other],
    points: most,
    exchanged: most.map((point) => exchanged[point]),
    mean: placed.length ? sum / placed.length : 0,
  };
  return lastMoved;
}
