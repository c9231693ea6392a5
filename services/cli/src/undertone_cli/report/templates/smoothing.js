// Nadaraya-Watson regression with a Gaussian kernel, as `smooth` in arcs.py.
const REACH = 4;
const MIN_POINTS = 120;

/** The places of the points of an arc: each group has one at its center. */
function chartPoints(groups) {
  let factor = 1;
  while (groups * factor < MIN_POINTS) factor += 2;
  return groups * factor;
}

/** First index with `values[index] >= limit`; with `above`, with `values[index] > limit`. */
function bisect(values, limit, above) {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < limit || (above && values[middle] === limit)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Weighted means of columns at `points` places. A bandwidth of 0 takes the nearest group. */
function smooth({ center, count }, series, first, span, bandwidth, points) {
  const rows = series.map(() => new Array(points));
  for (let point = 0; point < points; point++) {
    const x = first - 0.5 + (span * (point + 0.5)) / points;
    let low = bisect(center, x - REACH * bandwidth, false);
    let high = bisect(center, x + REACH * bandwidth, true);
    if (low >= high) {
      const before = low > 0 && (low >= center.length || x - center[low - 1] <= center[low] - x);
      low = before ? low - 1 : low;
      high = low + 1;
    }
    let nearest = Infinity;
    const distances = [];
    for (let i = low; i < high; i++) {
      const distance = bandwidth ? ((center[i] - x) / bandwidth) ** 2 / 2 : 0;
      distances.push(distance);
      nearest = Math.min(nearest, distance);
    }
    let total = 0;
    const sums = series.map(() => 0);
    for (let i = low; i < high; i++) {
      const weight = count[i] * Math.exp(nearest - distances[i - low]);
      total += weight;
      for (let row = 0; row < series.length; row++) sums[row] += weight * series[row][i];
    }
    for (let row = 0; row < series.length; row++) rows[row][point] = sums[row] / total;
  }
  return rows;
}
