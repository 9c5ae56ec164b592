/**
 * The test of a curve for a jump, put to a curve whose jump its reader moves.
 *
 * An anywidget module without dependencies.  The model holds `jump` (its size, in units of the range of the
 * smooth curve), `place` (the α at which it is), `scatter` (standard deviation of the noise) and `seed`.
 *
 * The test is that of `nrp.analysis.transition.jumps.weigh` for points with equal errors: the same shapes, the
 * same leave-one-out likelihoods, the same parametric bootstrap.  Only the random numbers are others.
 */

import { add, prepared, root, signed, slider, watched } from "./common.js";

const DEGREES = [1, 2, 3, 4, 5];
const MARGIN = 3; // points that must lie on either side of a change
const WIDTHS = [1, 1.5, 2.5, 4, 7]; // of the steep change, in steps of α
const DRAWS = 500;
const LEVEL = 0.01; // a p value below this is an alarm
const AT_ONCE = 8; // milliseconds of drawing before the page may do something else

/** The values of α: 1, 1.1, …, 4. */
export const ALPHAS = Array.from({ length: 31 }, (_, k) => (10 + k) / 10);

const dot = (one, other) => one.reduce((sum, each, k) => sum + each * other[k], 0);

/** Return the part of a vector across some orthonormal ones. */
function across(vector, basis) {
  let rest = Float64Array.from(vector);
  for (let again = 0; again < 2; again++) {
    // Twice, for the first time leaves rounding errors where hardly anything is left.
    for (const each of basis) {
      const along = dot(rest, each);
      rest = rest.map((value, k) => value - along * each[k]);
    }
  }
  return rest;
}

/**
 * Return all shapes by which a curve at evenly spaced x is described, by description, in the order of Python.
 *
 * A shape is a polynomial of some degree, and perhaps a change: a steep step (smooth), a kink, or a jump.  Each is
 * `{degree, unit, length, scale, place, width, free}`: the part of the change that no polynomial of this degree
 * describes, as a unit vector (or null) and its length; by what a residual is multiplied to become that of a
 * point left out; and the number of fitted numbers.
 */
export function makeShapes(x = ALPHAS) {
  const count = x.length, step = x[1] - x[0];
  const middles = x.slice(1).map((each, k) => (each + x[k]) / 2);
  const between = middles.slice(MARGIN - 1, count - MARGIN);
  const anywhere = [...x.slice(MARGIN - 1, count + 1 - MARGIN), ...between].sort((one, other) => one - other);
  const basis = [];
  for (let power = 0; power <= 5; power++) {
    const rest = across(x.map((each) => ((2 * (each - x[0])) / (x[count - 1] - x[0]) - 1) ** power), basis);
    const length = Math.sqrt(dot(rest, rest));
    basis.push(rest.map((each) => each / length));
  }

  function described(changes, free) {
    return DEGREES.flatMap((degree) => {
      const powers = basis.slice(0, degree + 1);
      const left = x.map((_, k) => 1 - powers.reduce((sum, each) => sum + each[k] ** 2, 0));
      return changes.map(({ place, width, values }) => {
        const rest = values && across(values, powers), length = rest && Math.sqrt(dot(rest, rest));
        const unit = rest && rest.map((each) => each / length);
        const scale = Float64Array.from(left, (each, k) => 1 / Math.max(each - (unit ? unit[k] ** 2 : 0), 1e-6));
        return { degree, unit, length, scale, place, width, free: degree + 1 + free };
      });
    });
  }

  const steep = WIDTHS.flatMap((width) => anywhere.map((place) =>
    ({ place, width, values: x.map((each) => Math.tanh((each - place) / (width * step)) / 2) })));
  const kinks = anywhere.map((place) => ({ place, values: x.map((each) => Math.abs(each - place)) }));
  const jumps = between.map((place) => ({ place, values: x.map((each) => Math.sign(each - place) / 2) }));
  return {
    basis,
    smooth: [...described([{ place: NaN, values: null }], 0), ...described(steep, 3)],
    kinked: described(kinks, 2),
    jumping: described(jumps, 2),
  };
}

/** Return what polynomials of degree 0, 1, …, 5 leave of a curve. */
function remainders(curve, shapes) {
  let rest = Float64Array.from(curve);
  return shapes.basis.map((each) => {
    const along = dot(rest, each);
    return (rest = rest.map((value, k) => value - along * each[k]));
  });
}

/**
 * Weigh the three descriptions of a curve: the leave-one-out log-likelihood and the best shape of each.
 *
 * The statistic is by how much the jumping description is more likely than the better of the two others.
 */
export function weigh(y, shapes) {
  const count = y.length, mean = y.reduce((sum, each) => sum + each, 0) / count;
  const curve = Float64Array.from(y, (each) => each - mean), rests = remainders(curve, shapes);
  const floor = (1e-14 * dot(curve, curve)) / count; // of the rounding
  const likelihood = {}, best = {};
  for (const name of ["smooth", "kinked", "jumping"]) {
    let least = Infinity;
    shapes[name].forEach(({ degree, unit, scale }, at) => {
      const rest = rests[degree];
      let along = 0, sum = 0;
      if (unit) for (let k = 0; k < count; k++) along += unit[k] * rest[k];
      for (let k = 0; k < count; k++) {
        const missed = (unit ? rest[k] - along * unit[k] : rest[k]) * scale[k];
        sum += missed * missed;
      }
      if (sum < least) [least, best[name]] = [sum, at];
    });
    likelihood[name] = (-count / 2) * Math.log(Math.max(least / count, floor) + Number.MIN_VALUE);
  }
  const continuous = likelihood.smooth >= likelihood.kinked ? "smooth" : "kinked";
  return { likelihood, best, continuous, statistic: likelihood.jumping - likelihood[continuous] };
}

/** Return a curve as a shape describes it, the standard deviation about that, and the size of its change. */
export function fit(y, shapes, shape) {
  const mean = y.reduce((sum, each) => sum + each, 0) / y.length;
  const rest = remainders(y.map((each) => each - mean), shapes)[shape.degree];
  const along = shape.unit ? dot(rest, shape.unit) : 0;
  const left = shape.unit ? rest.map((each, k) => each - along * shape.unit[k]) : rest;
  return {
    values: Array.from(y, (each, k) => each - left[k]),
    noise: Math.sqrt(dot(left, left) / (y.length - shape.free)),
    size: shape.unit ? along / shape.length : 0,
  };
}

/** Return a function that draws standard normal numbers, always the same for a seed. */
export function normals(seed) {
  let state = Math.imul(seed + 1, 0x9e3779b9) >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** Return the p value: the share of draws that reach the statistic, the curve itself among them. */
export const pValue = (statistic, draws) =>
  (1 + draws.filter((each) => each >= statistic).length) / (1 + draws.length);

/** Return the curve of the widget: a smooth one whose range is 1, with a jump and noise. */
export function makeCurve({ jump, place, scatter, seed }, x = ALPHAS) {
  const smooth = x.map((each) => (each - 1) / 3 + 0.12 * Math.sin(2.1 * (each - 1)));
  const low = Math.min(...smooth), span = Math.max(...smooth) - low, draw = normals(seed);
  return x.map((each, k) => (smooth[k] - low) / span + (each > place ? jump : 0) + scatter * draw());
}

const BLUE = "#2f86d1", ORANGE = "#d96b00";

/** Draw a line through points. */
function line(g, points, colour, width, dashes = []) {
  Object.assign(g, { strokeStyle: colour, lineWidth: width, lineJoin: "round" });
  g.setLineDash(dashes);
  g.beginPath();
  points.forEach((point) => g.lineTo(...point));
  g.stroke();
  g.setLineDash([]);
}

/** Draw the points, and the two descriptions of them. */
function drawCurve(canvas, { y, continuous, jumping, place, ink }) {
  const { g, width, height } = prepared(canvas, 290), left = 34, top = 8, right = width - 10, bottom = height - 34;
  const all = [...y, ...continuous, ...jumping, 0, 1], low = Math.min(...all), high = Math.max(...all);
  const at = (alpha, value) =>
    [left + ((alpha - 0.93) / 3.14) * (right - left), bottom - 6 - ((value - low) / (high - low)) * (bottom - top - 12)];
  const through = (values, from, to) => values.slice(from, to).map((value, k) => at(ALPHAS[from + k], value));
  const split = ALPHAS.findIndex((each) => each > place);
  line(g, [[left, top], [left, bottom], [right, bottom], [right, top], [left, top]], ink, 1);
  line(g, [at(place, low), at(place, high)], ORANGE, 1, [1, 5]);
  line(g, through(continuous, 0, 31), BLUE, 2.5);
  line(g, through(jumping, 0, split), ORANGE, 2.5, [8, 4]);
  line(g, through(jumping, split, 31), ORANGE, 2.5, [8, 4]);
  Object.assign(g, { fillStyle: ink, textAlign: "center" });
  y.forEach((value, k) => {
    g.beginPath();
    g.arc(...at(ALPHAS[k], value), 3, 0, 2 * Math.PI);
    g.fill();
  });
  for (let alpha = 1; alpha <= 4; alpha += 0.5) g.fillText(alpha.toFixed(1), at(alpha, 0)[0], bottom + 14);
  g.fillText("anisotropy α", (left + right) / 2, bottom + 29);
  g.textAlign = "right";
  for (const value of [0, 1]) g.fillText(value, left - 5, at(1, value)[1] + 4);
}

/** Draw the statistic of the curve, and those of curves without a jump as a histogram. */
function drawDraws(canvas, { statistic, draws, ink }) {
  const { g, width, height } = prepared(canvas, 170), left = 10, top = 22, right = width - 10, bottom = height - 34;
  const values = [statistic, ...draws, -5, 3], low = Math.min(...values), high = Math.max(...values) + 0.01;
  const bins = 40, counts = new Array(bins).fill(0), x = (value) => left + ((value - low) / (high - low)) * (right - left);
  draws.forEach((each) => counts[Math.floor(((each - low) / (high - low)) * bins)]++);
  const most = Math.max(...counts, 1), wide = (right - left) / bins;
  Object.assign(g, { fillStyle: BLUE, strokeStyle: ink, lineWidth: 1, textAlign: "center" });
  counts.forEach((count, k) => g.fillRect(left + k * wide, bottom, wide - 1, (-count / most) * (bottom - top)));
  line(g, [[left, bottom], [right, bottom]], ink, 1);
  line(g, [[x(statistic), top - 4], [x(statistic), bottom]], ORANGE, 3);
  g.fillStyle = ink;
  const step = [1, 2, 5, 10, 20, 50, 100, 200].find((each) => (high - low) / each < 9) || 500;
  for (let tick = Math.ceil(low / step) * step; tick <= high; tick += step) {
    line(g, [[x(tick), bottom], [x(tick), bottom + 4]], ink, 1);
    g.fillText(signed(tick, 0), x(tick), bottom + 16);
  }
  g.fillText("by how much the jump is more likely (log)", (left + right) / 2, bottom + 31);
  g.textAlign = x(statistic) > (left + right) / 2 ? "right" : "left";
  g.fillText(`this curve: ${signed(statistic, 1)}`, x(statistic) + (g.textAlign === "left" ? -3 : 3), 12);
}

/** Build the widget inside an element; the return value takes it away again. */
function render({ model, el }) {
  const shapes = makeShapes(), body = root(el);
  const first = add(body, "div"), second = add(body, "div"), curve = add(first, "canvas"), legend = add(first, "p");
  legend.textContent = "Points: the curve. Solid: the best description without a jump. Dashed: the best one with a " +
    "jump, whose place is dotted. Each is chosen by points that it has not seen.";
  const set = (name) => (value) => {
    model.set(name, value);
    model.save_changes();
  };
  const sliders = [["jump", "size of the jump", [0, 1, 0.01]], ["place", "place of it, α", [1.25, 3.75, 0.1]],
    ["scatter", "scatter", [0.005, 0.2, 0.005]]]
    .map(([name, text, range]) => [name, slider(second, text, range, set(name))]);
  const button = add(second, "button", { type: "button", textContent: "Draw other noise" });
  button.addEventListener("click", () => set("seed")(model.get("seed") + 1));
  const histogram = add(second, "canvas"), note = add(second, "p"), words = add(second, "p", { className: "nrp-words" });
  note.textContent = `Bars: ${DRAWS} curves without a jump. Upright line: this curve.`;
  [curve, histogram].forEach((canvas) => canvas.setAttribute("role", "img"));
  words.setAttribute("aria-live", "polite");
  let now = null, asked = 0, waiting = 0;

  /** Weigh the curve as it is, draw it, and begin to draw curves without a jump. */
  function begin() {
    asked = 0;
    clearTimeout(waiting);
    const began = performance.now(), state = {};
    for (const [name, show] of sliders) show((state[name] = model.get(name)));
    const y = makeCurve({ ...state, seed: model.get("seed") }), found = weigh(y, shapes);
    const continuous = fit(y, shapes, shapes[found.continuous][found.best[found.continuous]]);
    const shape = shapes.jumping[found.best.jumping], jumping = fit(y, shapes, shape);
    now = { ...found, y, state, fitted: continuous, estimate: jumping.size, place: shape.place, draws: [], draw: normals(0),
      jumping: jumping.values };
    showCurve();
    showDraws();
    el.dataset.drawn = (performance.now() - began).toFixed(1);
    waiting = setTimeout(more, 30);
  }

  /** Draw for some milliseconds, then let the page go on. */
  function more() {
    const until = performance.now() + AT_ONCE, { values, noise } = now.fitted;
    while (now.draws.length < DRAWS && performance.now() < until) {
      now.draws.push(weigh(values.map((value) => value + noise * now.draw()), shapes).statistic);
    }
    if (now.draws.length < DRAWS) waiting = setTimeout(more, 0);
    if (now.draws.length === DRAWS || performance.now() - (now.shown || 0) > 150) showDraws();
  }

  function showCurve() {
    const { y, fitted, jumping, place, continuous, estimate } = now;
    drawCurve(curve, { y, continuous: fitted.values, jumping, place, ink: getComputedStyle(body).color });
    curve.setAttribute("aria-label", `A curve of 31 points over α from 1 to 4, from ${signed(y[0])} to ${signed(y[30])}. ` +
      `Its best description without a jump is ${continuous}; the best one with a jump has it at α = ${signed(place)}, by ${signed(estimate)}.`);
  }

  function showDraws() {
    const { statistic, draws, estimate, place, state, continuous } = now, done = draws.length === DRAWS;
    now.shown = performance.now();
    drawDraws(histogram, { statistic, draws, ink: getComputedStyle(body).color });
    Object.assign(el.dataset, { statistic: statistic.toFixed(6), p: "", position: place.toFixed(2), size: estimate.toFixed(4), draws: draws.length });
    if (!done) {
      histogram.setAttribute("aria-label", "Curves without a jump are being drawn.");
      if (!draws.length) words.textContent = "p = …: curves without a jump are being drawn.";
      return;
    }
    const p = pValue(statistic, draws), reach = draws.filter((each) => each >= statistic).length;
    const alarm = p < LEVEL, there = state.jump > 0;
    const verdict = alarm ? (there ? "An alarm, and there is a jump." : "A false alarm: there is no jump.")
      : there ? "No alarm: this jump is lost in the scatter, or taken for something steep." : "No alarm, and there is no jump.";
    words.textContent = `p = ${p.toFixed(p < 0.02 ? 4 : p < 0.1 ? 3 : 2)}: of ${DRAWS} curves without a jump, ${reach || "none"} ` +
      `speak${reach === 1 || !reach ? "s" : ""} for one as much as this curve does. ${verdict} ` +
      `(An alarm is a p below ${LEVEL}.) Found: a jump of ${signed(estimate)} at α = ${signed(place)}; ` +
      `put in: ${there ? `${signed(state.jump)} at ${signed(state.place)}` : "none"}. ` +
      `Without a jump, ${continuous === "smooth" ? "a smooth curve" : "a curve with a kink"} describes the points best.`;
    histogram.setAttribute("aria-label", `Histogram of the statistic of ${DRAWS} curves without a jump, from ` +
      `${signed(Math.min(...draws), 1)} to ${signed(Math.max(...draws), 1)}; this curve has ${signed(statistic, 1)}. p = ${p.toFixed(3)}.`);
    el.dataset.p = p.toFixed(4);
  }

  const change = () => (asked ||= requestAnimationFrame(begin));
  const redraw = () => now && [showCurve(), showDraws()];
  ["jump", "place", "scatter", "seed"].forEach((name) => model.on(`change:${name}`, change));
  const stopWatching = watched(body, redraw);
  begin();
  return () => {
    clearTimeout(waiting);
    cancelAnimationFrame(asked);
    stopWatching();
    body.remove();
  };
}

export default { render };
