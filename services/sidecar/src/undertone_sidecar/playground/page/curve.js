// A curve through points that never rises above or falls below its neighbours: a monotone cubic interpolation
// (F. N. Fritsch and R. E. Carlson, Monotone Piecewise Cubic Interpolation, 1980; slopes by M. Steffen, 1990).

/**
 * SVG path data of the curve through points [x, y] with ascending x. The curve is horizontal from `left` to the first
 * point and from the last point to `right`.
 */
export function curve(points, left, right) {
  const slopes = slopesOf(points);
  let path = `M${left} ${round(points[0][1])}H${round(points[0][0])}`;
  for (let i = 1; i < points.length; i++) {
    const [[x0, y0], [x1, y1]] = [points[i - 1], points[i]];
    const third = (x1 - x0) / 3;
    const controls = [x0 + third, y0 + third * slopes[i - 1], x1 - third, y1 - third * slopes[i], x1, y1];
    path += `C${controls.map(round).join(" ")}`;
  }
  return `${path}H${right}`;
}

function slopesOf(points) {
  const secants = points.slice(1).map(([x, y], i) => (y - points[i][1]) / (x - points[i][0]));
  return points.map((_, i) => {
    if (i === 0 || i === points.length - 1) return 0; // as the horizontal ends
    const [before, after] = [secants[i - 1], secants[i]];
    if (before * after <= 0) return 0; // a peak or a valley stays at its point
    const [h0, h1] = [points[i][0] - points[i - 1][0], points[i + 1][0] - points[i][0]];
    const parabola = Math.abs((before * h1 + after * h0) / (h0 + h1));
    return Math.sign(before) * Math.min(2 * Math.abs(before), 2 * Math.abs(after), parabola);
  });
}

function round(value) {
  return Math.round(10 * value) / 10;
}
