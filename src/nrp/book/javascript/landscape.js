/**
 * A reduced potential V(z, α, h) in two coordinates, drawn as a map while its reader turns α and h.
 *
 * An anywidget module without dependencies.  The model holds
 *
 * - `anisotropy`, `field`: the two numbers that the sliders set;
 * - `weights`: the arrays of a `GrowingPotential` of the form "linear", by name, each as
 *   `{shape, data}` with the data as base64 of little-endian Float32;
 * - `runs`: encoded films, each `{anisotropy, sweep_rate, interval, sample, z: [[z1, z2], …], h: […]}`;
 * - `ends`: where films end that are held in a field, each `{anisotropy, h, way, z}` with the way
 *   "above" or "below" (may be left out);
 * - `extent`: `[[z1 low, z1 high], [z2 low, z2 high]]` of the map.
 */

import { add, prepared, root, signed, slider, watched } from "./common.js";

const GAIN = 3; // the network sees z so many times larger
const LONGEST_STEP = 1.5; // of the flow in time, as in `ReducedModel`
const POINTS = 64; // of the grid along either axis
const BLOCK = 4; // points that go through the network together
const BANDS = 13;
const HIGHEST = 1.3; // V above the lowest value at which the colours end
const LETTERS = "ABCDEFGHIJ";
// Thirteen colours of viridis, evenly spaced; low values are dark.
const COLOURS = ["#440154", "#481d6f", "#453781", "#3c4f8a", "#32648e", "#29788e", "#218f8d", "#20a386",
  "#3dbc74", "#6ece58", "#a5db36", "#d0e11c", "#fde725"];
const RGB = COLOURS.map((each) => [1, 3, 5].map((at) => parseInt(each.slice(at, at + 2), 16)));

/** The levels between the colours, in V above the lowest value: dense near the floor, where barriers are low. */
export const LEVELS = Array.from({ length: BANDS - 1 }, (_, k) => HIGHEST * ((k + 1) / BANDS) ** 2);

/** Return the numbers of an array that is stored as base64 of Float32. */
export function unpack({ data }) {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  return Float64Array.from(new Float32Array(bytes.buffer));
}

/** V = U(z, α) − h·M(z, α): a residual network with two outputs, a parabola and a slope. */
export class Potential {
  /** @param {Object<string, {shape: number[], data: string}>} weights by the names that PyTorch gives them */
  constructor(weights) {
    const of = (name) => unpack(weights[name]);
    this.layers = ["first", "second", "third", "last"].map((name) => [of(`${name}.weight`), of(`${name}.bias`)]);
    this.width = this.layers[0][1].length;
    this.stiffness = Math.log1p(Math.exp(of("growth")[0]));
    this.slope = of("slope");
  }

  /** Return U and M of many points, given as z1, z2, z1, z2, …; every field shares them. */
  parts(points, alpha) {
    const count = points.length / 2, U = new Float64Array(count), M = new Float64Array(count);
    const [one, two, three, four] = this.layers, n = this.width;
    const input = new Float64Array(3 * BLOCK).fill(alpha), end = new Float64Array(2 * BLOCK);
    const [first, second, third] = [0, 1, 2].map(() => new Float64Array(n * BLOCK));
    for (let begin = 0; begin < count; begin += BLOCK) {
      const many = Math.min(BLOCK, count - begin);
      for (let p = 0; p < many; p++) {
        input[p] = GAIN * points[2 * (begin + p)];
        input[BLOCK + p] = GAIN * points[2 * (begin + p) + 1];
      }
      dense(one, input, 3, first);
      for (let i = 0; i < first.length; i++) first[i] = tanh(first[i]);
      dense(two, first, n, second);
      for (let i = 0; i < first.length; i++) second[i] = first[i] + tanh(second[i]);
      dense(three, second, n, third);
      for (let i = 0; i < first.length; i++) third[i] = second[i] + tanh(third[i]);
      dense(four, third, n, end);
      for (let p = 0; p < many; p++) {
        const x = points[2 * (begin + p)], y = points[2 * (begin + p) + 1];
        U[begin + p] = end[p] + (this.stiffness / 2) * (x * x + y * y);
        M[begin + p] = end[BLOCK + p] + this.slope[0] * x + this.slope[1] * y;
      }
    }
    return { U, M };
  }

  /** Return V at one state. */
  value(z, alpha, field) {
    const { U, M } = this.parts(z, alpha);
    return U[0] - field * M[0];
  }

  /** Return ∂V/∂z at one state, by the chain rule backwards through the network. */
  gradient([x, y], alpha, field) {
    const n = this.width, [[w1, b1], [w2, b2], [w3, b3], [w4]] = this.layers;
    const [t1, t2, t3] = [0, 1, 2].map(() => new Float64Array(n)), sum = new Float64Array(n);
    for (let o = 0; o < n; o++) {
      t1[o] = Math.tanh(b1[o] + w1[3 * o] * GAIN * x + w1[3 * o + 1] * GAIN * y + w1[3 * o + 2] * alpha);
    }
    const through = (weight, bias, input, output) => {
      for (let o = 0; o < n; o++) {
        let total = bias[o];
        for (let i = 0; i < n; i++) total += weight[o * n + i] * input[i];
        output[o] = Math.tanh(total);
      }
    };
    through(w2, b2, t1, t2);
    for (let i = 0; i < n; i++) sum[i] = t1[i] + t2[i];
    through(w3, b3, sum, t3);
    const back = Float64Array.from({ length: n }, (_, i) => w4[i] - field * w4[n + i]);
    for (const [weight, t] of [[w3, t3], [w2, t2]]) {
      const inner = back.map((each, o) => (1 - t[o] * t[o]) * each);
      for (let o = 0; o < n; o++) {
        for (let i = 0; i < n; i++) back[i] += inner[o] * weight[o * n + i];
      }
    }
    const g = [this.stiffness * x - field * this.slope[0], this.stiffness * y - field * this.slope[1]];
    for (let o = 0; o < n; o++) {
      const inner = GAIN * (1 - t1[o] * t1[o]) * back[o];
      g[0] += inner * w1[3 * o];
      g[1] += inner * w1[3 * o + 1];
    }
    return g;
  }
}

/** Send a block of points through one linear layer; unit i of point p lies at place i·BLOCK + p. */
function dense([weight, bias], input, inputs, output) {
  for (let o = 0; o < bias.length; o += 2) {
    // Two units at once, for every layer has an even number of them: each input is read half as often.
    let a = bias[o], b = a, c = a, d = a, e = bias[o + 1], f = e, g = e, h = e;
    for (let i = 0, at = o * inputs, from = 0; i < inputs; i++, at++, from += BLOCK) {
      const v = weight[at], w = weight[at + inputs];
      const p = input[from], q = input[from + 1], r = input[from + 2], s = input[from + 3];
      a += v * p; b += v * q; c += v * r; d += v * s;
      e += w * p; f += w * q; g += w * r; h += w * s;
    }
    const to = o * BLOCK;
    output[to] = a; output[to + 1] = b; output[to + 2] = c; output[to + 3] = d;
    output[to + 4] = e; output[to + 5] = f; output[to + 6] = g; output[to + 7] = h;
  }
}

/** Return tanh, as exact as Math.tanh but for the last digits, and faster. */
const tanh = (x) => 1 - 2 / (Math.exp(2 * x) + 1);

/** Return the points of the grid on an extent as z1, z2, z1, z2, …, row by row from the lowest z2. */
export function gridPoints([[left, right], [low, high]], count = POINTS) {
  const points = new Float64Array(2 * count * count);
  for (let j = 0, at = 0; j < count; j++) {
    for (let i = 0; i < count; i++) {
      points[at++] = left + ((right - left) * i) / (count - 1);
      points[at++] = low + ((high - low) * j) / (count - 1);
    }
  }
  return points;
}

/** Return the minimum that Newton's method reaches from a state, or null; uphill or far it steps downhill. */
export function refine(potential, start, alpha, field) {
  const eps = 1e-4;
  let z = [...start];
  for (let turn = 0; turn < 60; turn++) {
    const slope = (x, y) => potential.gradient([x, y], alpha, field);
    const g = slope(...z);
    const [right, left] = [slope(z[0] + eps, z[1]), slope(z[0] - eps, z[1])];
    const [up, down] = [slope(z[0], z[1] + eps), slope(z[0], z[1] - eps)];
    const a = (right[0] - left[0]) / (2 * eps), c = (up[1] - down[1]) / (2 * eps);
    const b = (right[1] - left[1] + up[0] - down[0]) / (4 * eps);
    const determinant = a * c - b * b, convex = determinant > 0 && a > 0;
    if (Math.hypot(...g) < 1e-9) return convex ? z : null;
    let step = convex ? [(b * g[1] - c * g[0]) / determinant, (b * g[0] - a * g[1]) / determinant] : [-g[0], -g[1]];
    const length = Math.hypot(...step), longest = 0.15;
    if (length > longest) step = step.map((each) => (each * longest) / length);
    z = [z[0] + step[0], z[1] + step[1]];
  }
  return null;
}

/** Return the minima on an extent, the deepest first, each as `{z, value}`, from V on the grid. */
export function findMinima(potential, values, extent, alpha, field, further = []) {
  const points = gridPoints(extent), starts = [...further];
  for (let j = 1; j < POINTS - 1; j++) {
    for (let i = 1; i < POINTS - 1; i++) {
      const at = j * POINTS + i, around = [-POINTS - 1, -POINTS, -POINTS + 1, -1, 1, POINTS - 1, POINTS, POINTS + 1];
      if (around.every((by) => values[at] < values[at + by])) starts.push([points[2 * at], points[2 * at + 1]]);
    }
  }
  const found = [];
  for (const start of starts) {
    const z = refine(potential, start, alpha, field);
    const inside = z && extent.every(([low, high], axis) => z[axis] >= low && z[axis] <= high);
    if (inside && found.every((other) => distance(other.z, z) > 0.01)) {
      found.push({ z, value: potential.value(z, alpha, field) });
    }
  }
  return found.sort((one, other) => one.value - other.value);
}

/** Return the state some time later on ż = −∂V/∂z, by the Runge–Kutta method; `fieldAt` is h of the time. */
export function flow(potential, z, alpha, fieldAt, time) {
  const steps = Math.ceil(time / LONGEST_STEP), dt = time / steps;
  const velocity = (at, t) => potential.gradient(at, alpha, fieldAt(t)).map((each) => -each);
  const ahead = (from, by, k) => [from[0] + by * k[0], from[1] + by * k[1]];
  for (let i = 0; i < steps; i++) {
    const t = i * dt, k1 = velocity(z, t), k2 = velocity(ahead(z, dt / 2, k1), t + dt / 2);
    const k3 = velocity(ahead(z, dt / 2, k2), t + dt / 2), k4 = velocity(ahead(z, dt, k3), t + dt);
    z = z.map((each, axis) => each + (dt / 6) * (k1[axis] + 2 * k2[axis] + 2 * k3[axis] + k4[axis]));
  }
  return z;
}

/** Return the states of a flow that starts at a frame of a run, one for each frame from there to the last. */
export function roll(potential, run, frame, alpha) {
  const path = [run.z[frame]];
  for (let at = frame; at + 1 < run.z.length; at++) {
    const rate = (run.h[at + 1] - run.h[at]) / run.interval;
    path.push(flow(potential, path.at(-1), alpha, (t) => run.h[at] + rate * t, run.interval));
  }
  return path;
}

/**
 * Return where a state ends if the field stays: the number of a minimum, or −1 with the place it has reached
 * when it leaves the extent, or has not come to rest.
 */
export function basin(potential, minima, start, alpha, field, extent) {
  let z = start;
  for (let turn = 0; turn < 900; turn++) {
    const inside = minima.findIndex((each) => distance(each.z, z) < 0.05);
    if (inside >= 0) return { inside, z };
    const g = potential.gradient(z, alpha, field);
    z = [z[0] - g[0], z[1] - g[1]];
    if (extent.some(([low, high], axis) => z[axis] < low || z[axis] > high)) break;
  }
  return { inside: -1, z };
}

/** Return the lines on which values on a square grid have a level, as x0, y0, x1, y1, … (marching squares). */
export function contour(values, level, count = POINTS) {
  const lines = [];
  for (let j = 0; j < count - 1; j++) {
    for (let i = 0; i < count - 1; i++) {
      const at = j * count + i;
      const a = values[at] - level, b = values[at + 1] - level;
      const c = values[at + count + 1] - level, d = values[at + count] - level;
      if (a > 0 === b > 0 && b > 0 === c > 0 && c > 0 === d > 0) continue;
      if (a > 0 !== b > 0) lines.push(i + a / (a - b), j);
      if (b > 0 !== c > 0) lines.push(i + 1, j + b / (b - c));
      if (c > 0 !== d > 0) lines.push(i + d / (d - c), j + 1);
      if (d > 0 !== a > 0) lines.push(i, j + a / (a - d));
    }
  }
  return lines;
}

/** Return the number of the frame whose field is nearest; of frames with the same field the last. */
export function nearestFrame(run, field) {
  return run.h.reduce((best, h, at) => (Math.abs(h - field) <= Math.abs(run.h[best] - field) ? at : best), 0);
}

const distance = (one, other) => Math.hypot(one[0] - other[0], one[1] - other[1]);
const place = (z) => `(${signed(z[0])}, ${signed(z[1])})`;

/** Draw a path in a colour on a dark edge, so that it is seen on every colour of the map. */
function line(g, points, colour, width, dashes = []) {
  g.setLineDash(dashes);
  for (const [style, wide] of [["#000", width + 2], [colour, width]]) {
    Object.assign(g, { strokeStyle: style, lineWidth: wide });
    g.beginPath();
    points.forEach(([x, y]) => g.lineTo(x, y));
    g.stroke();
  }
  g.setLineDash([]);
}

/** Draw a symbol: a closed shape, given by its corners, or a ring. */
function symbol(g, [x, y], corners, fill) {
  g.beginPath();
  if (corners) corners.forEach(([dx, dy]) => g.lineTo(x + dx, y + dy));
  else g.arc(x, y, 6, 0, 2 * Math.PI);
  g.closePath();
  for (const [style, width] of [["#000", 4], ["#fff", 2]]) {
    Object.assign(g, { strokeStyle: style, lineWidth: width });
    g.stroke();
  }
  Object.assign(g, { fillStyle: fill });
  if (fill) g.fill();
}
const DIAMOND = [[0, -6], [6, 0], [0, 6], [-6, 0]], SQUARE = [[-7, -7], [7, -7], [7, 7], [-7, 7]];
const DOWN = [[-4, -3], [4, -3], [0, 4]], UP = [[-4, 3], [4, 3], [0, -4]];

/** Write a short text that is seen on every colour. */
function write(g, text, x, y) {
  Object.assign(g, { lineWidth: 3, strokeStyle: "#000", fillStyle: "#fff" });
  g.strokeText(text, x, y);
  g.fillText(text, x, y);
}

/** Draw the map: bands, contour lines, films, minima, and the state. */
function drawMap(canvas, scene) {
  const { extent, values, floor, runs, ends, minima, film, rolled, rolledFrame, section } = scene;
  const [[left, right], [low, high]] = extent, margin = 34, top = 6;
  const wide = (canvas.clientWidth || 320) - margin - 8;
  const tall = Math.round((wide * (high - low)) / (right - left));
  const { g } = prepared(canvas, tall + top + 34);
  const at = ([x, y]) => [margin + ((x - left) / (right - left)) * wide, top + ((high - y) / (high - low)) * tall];

  // The bands, in a picture with one pixel for each of the page, between whose grid points V is bilinear.
  const picture = new ImageData(wide, tall);
  for (let row = 0, to = 0; row < tall; row++) {
    const y = (1 - row / (tall - 1)) * (POINTS - 1), j = Math.min(Math.floor(y), POINTS - 2), v = y - j;
    for (let column = 0; column < wide; column++, to += 4) {
      const x = (column / (wide - 1)) * (POINTS - 1), i = Math.min(Math.floor(x), POINTS - 2), u = x - i;
      const from = j * POINTS + i;
      const below = values[from] * (1 - u) + values[from + 1] * u;
      const above = values[from + POINTS] * (1 - u) + values[from + POINTS + 1] * u;
      const share = Math.max(below * (1 - v) + above * v - floor, 0) / HIGHEST;
      picture.data.set(RGB[Math.min(Math.floor(Math.sqrt(share) * BANDS), BANDS - 1)], to);
      picture.data[to + 3] = 255;
    }
  }
  const sheet = Object.assign(document.createElement("canvas"), { width: wide, height: tall });
  sheet.getContext("2d").putImageData(picture, 0, 0);
  g.drawImage(sheet, margin, top, wide, tall);

  g.save();
  g.beginPath();
  g.rect(margin, top, wide, tall);
  g.clip();
  LEVELS.forEach((level, k) => {
    const lines = contour(values, floor + level), unit = POINTS - 1;
    g.beginPath();
    for (let i = 0; i < lines.length; i += 4) {
      g.moveTo(margin + (lines[i] / unit) * wide, top + (1 - lines[i + 1] / unit) * tall);
      g.lineTo(margin + (lines[i + 2] / unit) * wide, top + (1 - lines[i + 3] / unit) * tall);
    }
    Object.assign(g, { strokeStyle: k < 8 ? "#ffffff90" : "#00000080", lineWidth: 0.8 });
    g.stroke();
  });
  line(g, section.map(at), "#ffffffb0", 1, [2, 5]);
  runs.slice(1).forEach((each) => line(g, each.z.map(at), "#bbb", 0.7));
  line(g, runs[0].z.map(at), "#fff", 2);
  ends.forEach((each) => symbol(g, at(each.z), each.way === "above" ? DOWN : UP, each.way === "above" ? "#fff" : "#000"));
  if (rolled) line(g, rolled.map(at), "#ffb454", 2.5, [7, 5]);
  minima.forEach(({ z }) => symbol(g, at(z)));
  if (rolledFrame) symbol(g, at(rolledFrame), SQUARE, "#ffb454");
  symbol(g, at(film), DIAMOND, "#fff");
  g.font = "bold 13px system-ui, sans-serif";
  minima.forEach(({ z, value }, k) => {
    const [x, y] = at(z), text = k ? `${LETTERS[k]} +${(value - minima[0].value).toFixed(3)}` : "A";
    const width = g.measureText(text).width;
    write(g, text, x + 12 + width > margin + wide ? x - 12 - width : x + 12, Math.max(y - 8, top + 14));
  });
  g.restore();

  Object.assign(g, { fillStyle: scene.ink, font: "12px system-ui, sans-serif", textAlign: "center" });
  for (let z = Math.ceil(left); z <= right; z++) g.fillText(signed(z, 0), at([z, 0])[0], top + tall + 14);
  g.fillText("z₁", margin + wide / 2, top + tall + 29);
  g.textAlign = "right";
  for (let z = Math.ceil(low); z <= high; z++) g.fillText(signed(z, 0), margin - 5, at([0, z])[1] + 4);
  g.fillText("z₂", 13, top + tall / 2 + 16);
}

/** Draw V along the dotted line of the map. */
function drawSection(canvas, scene) {
  const { potential, section, alpha, field, floor, marks, ink } = scene, margin = 44, top = 18, count = 160;
  const { g, width, height } = prepared(canvas, 150);
  const [from, to] = section, right = width - 8, bottom = height - 22;
  const points = new Float64Array(2 * count).map((_, k) => {
    const share = Math.floor(k / 2) / (count - 1);
    return from[k % 2] + share * (to[k % 2] - from[k % 2]);
  });
  const { U, M } = potential.parts(points, alpha), values = U.map((u, k) => u - field * M[k] - floor);
  const [least, most] = [Math.min(...values), Math.max(...values)], span = most - least || 1;
  const x = (share) => margin + share * (right - margin), y = (value) => bottom - ((value - least) / span) * (bottom - top);
  Object.assign(g, { strokeStyle: ink, fillStyle: ink, lineWidth: 1 });
  g.strokeRect(margin, top - 6, right - margin, bottom - top + 12);
  g.lineWidth = 2;
  g.beginPath();
  values.forEach((value, k) => g.lineTo(x(k / (count - 1)), y(value)));
  g.stroke();
  g.textAlign = "center";
  for (const [share, name] of marks) {
    g.setLineDash([2, 4]);
    g.lineWidth = 1;
    g.beginPath();
    g.moveTo(x(share), top - 6);
    g.lineTo(x(share), bottom + 6);
    g.stroke();
    g.fillText(name, x(share), top - 8);
  }
  g.setLineDash([]);
  g.fillText("along the dotted line of the map", (margin + right) / 2, height - 3);
  g.textAlign = "right";
  g.fillText(signed(most, 2), margin - 4, top + 4);
  g.fillText(signed(least, 2), margin - 4, bottom + 4);
  g.fillText("V", margin - 16, (top + bottom) / 2 + 4);
}

/** Build the widget inside an element; the return value takes it away again. */
function render({ model, el }) {
  const potential = new Potential(model.get("weights")), extent = model.get("extent"), allRuns = model.get("runs");
  const points = gridPoints(extent), cache = new Map(), body = root(el);
  const first = add(body, "div"), second = add(body, "div");
  const map = add(first, "canvas"), legend = add(first, "p");
  legend.textContent = "◆ the film (solid; thin: two other samples). ■ followed in V (dashed). ○ minima, A the deepest. " +
    "▼ △ where films held near this field end, reached from above and from below. Dark is low; lines lie closer near the floor.";
  const set = (name) => (value) => {
    stop();
    model.set(name, value);
    model.save_changes();
  };
  const showAlpha = slider(second, "anisotropy α", [1, 4, 0.1], set("anisotropy"));
  const showField = slider(second, "external field h", [-0.2, 1.5, 0.01], set("field"));
  const button = add(second, "button", { type: "button", textContent: "Let the state roll" });
  const plot = add(second, "canvas"), words = add(second, "p", { className: "nrp-words" });
  [map, plot].forEach((canvas) => canvas.setAttribute("role", "img"));
  words.setAttribute("aria-live", "polite");
  let rolled = null, playing = 0, frame = 0, asked = 0, waiting = 0;

  /** Return U and M on the grid, which every field shares. */
  function parts(alpha) {
    const key = alpha.toFixed(2);
    if (!cache.has(key)) cache.set(key, potential.parts(points, Number(key)));
    return cache.get(key);
  }

  /** Compute the neighbours of α, too, once nothing else is to do: where the slider goes next. */
  function prepare() {
    clearTimeout(waiting);
    if (playing) return;
    const missing = [0.1, -0.1, 0.2, -0.2].map((by) => model.get("anisotropy") + by)
      .find((alpha) => alpha > 0.95 && alpha < 4.05 && !cache.has(alpha.toFixed(2)));
    if (missing) waiting = setTimeout(() => [parts(missing), prepare()], 120);
  }

  function draw() {
    asked = 0;
    const began = performance.now(), alpha = model.get("anisotropy"), field = model.get("field");
    const { U, M } = parts(alpha), values = U.map((u, k) => u - field * M[k]);
    const nearest = Math.min(...allRuns.map((run) => Math.abs(run.anisotropy - alpha)));
    const runs = allRuns.filter((run) => Math.abs(run.anisotropy - alpha) < nearest + 1e-6);
    const one = runs.filter((run) => run.anisotropy === runs[0].anisotropy); // of two that are as near the lower
    if (!playing) frame = nearestFrame(one[0], field);
    if (rolled && rolled.alpha !== alpha) rolled = null;
    const film = one[0].z[frame];
    let minima = findMinima(potential, values, extent, alpha, field);
    let sits = basin(potential, minima, film, alpha, field, extent);
    if (sits.inside < 0 && extent.every(([low, high], axis) => sits.z[axis] >= low && sits.z[axis] <= high)) {
      // A minimum too shallow for the grid?
      minima = findMinima(potential, values, extent, alpha, field, [sits.z]);
      sits = basin(potential, minima, film, alpha, field, extent);
    }
    const floor = minima.length ? minima[0].value : Math.min(...values);
    const [a, b] = minima.length > 1 ? [minima[0].z, minima[1].z] : [minima.length ? minima[0].z : sits.z, film];
    const names = minima.length > 1 ? ["A", "B"] : [minima.length ? "A" : "", "◆"], close = distance(a, b) < 0.3;
    // A line through two places that lie too close to show anything goes along z₁ instead.
    const ahead = close ? [0.8, 0] : [b[0] - a[0], b[1] - a[1]], more = 0.35;
    const ends2 = [[a, -more], [close ? a : b, more]].map(([z, by]) => [z[0] + by * ahead[0], z[1] + by * ahead[1]]);
    const marks = close ? [[0.5, names.join("")]] : names.map((name, k) => [(more + k) / (1 + 2 * more), name]);
    const ends = (model.get("ends") || []).filter((each) =>
      Math.abs(each.anisotropy - alpha) < 0.21 && Math.abs(each.h - field) < 0.051);
    const ink = getComputedStyle(body).color;
    const rolledFrame = rolled && frame >= rolled.frame ? rolled.path[frame - rolled.frame] : null;
    const scene = { potential, extent, values, floor, runs: one, ends, minima, film, alpha, field, ink, marks,
      section: ends2, rolled: rolled && rolled.path, rolledFrame };
    drawMap(map, scene);
    drawSection(plot, scene);
    showAlpha(alpha);
    showField(field);

    const count = ["no minimum", "one minimum", "two minima", "three minima"][minima.length] || `${minima.length} minima`;
    const list = minima.map(({ z, value }, k) => `${LETTERS[k]} at ${place(z)}` +
      (k ? `, ${(value - floor).toFixed(3)} higher` : minima.length > 1 ? ", the deepest" : ""));
    const text = [`At α = ${alpha.toFixed(1)} and h = ${signed(field)} the map has ${count}${list.length ? `: ${list.join("; ")}` : ""}.`];
    const off = Math.abs(one[0].anisotropy - alpha) > 0.04 ? ` (which has α = ${one[0].anisotropy.toFixed(1)})` : "";
    text.push(`The film${off} is at ${place(film)}` + (sits.inside >= 0
      ? `, in the basin of ${LETTERS[sits.inside]}${sits.inside ? ", not the deepest" : ""}.`
      : "; from there the state slides off, to no minimum on the map."));
    if (field < 0) text.push("No film was ever in a field below zero: here V is a guess.");
    if (rolledFrame) text.push(`Followed in V from h = ${signed(one[0].h[rolled.frame])} on, the state is at ${place(rolledFrame)}, ` +
      `${distance(rolledFrame, film).toFixed(2)} from the film.`);
    words.textContent = text.join(" ");
    map.setAttribute("aria-label", `Map of V over z₁ and z₂. ${words.textContent}`);
    plot.setAttribute("aria-label", `V along a straight line through ${names.join(" and ")} of the map.`);
    Object.assign(el.dataset, {
      minima: minima.length, depths: minima.map(({ value }) => (value - floor).toFixed(4)).join(" "),
      deepest: minima.length ? minima[0].z.map((each) => each.toFixed(3)).join(" ") : "",
      sits: sits.inside < 0 ? "" : LETTERS[sits.inside], frame, rolled: rolled ? rolled.path.length : 0,
      missed: rolledFrame ? distance(rolledFrame, film).toFixed(3) : "", drawn: (performance.now() - began).toFixed(1),
    });
    prepare();
  }
  const redraw = () => (asked ||= requestAnimationFrame(draw));

  function stop() {
    if (playing) cancelAnimationFrame(playing);
    playing = 0;
    words.setAttribute("aria-live", "polite");
  }

  button.addEventListener("click", () => {
    stop();
    const alpha = model.get("anisotropy");
    const run = allRuns.reduce((best, each) =>
      Math.abs(each.anisotropy - alpha) < Math.abs(best.anisotropy - alpha) - 1e-6 ? each : best);
    // Where the field has come to rest there is nothing left to follow: then from the start.
    const begin = frame = run.h[frame] > run.h.at(-1) ? frame : 0;
    rolled = { alpha, frame: begin, path: roll(potential, run, begin, alpha) };
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches, started = performance.now();
    words.setAttribute("aria-live", "off");
    const show = (now) => {
      frame = calm ? run.h.length - 1 : Math.min(begin + Math.max(0, Math.floor((now - started) / 60)), run.h.length - 1);
      model.set("field", run.h[frame]);
      redraw(); // once a frame at most, even if the field has changed, too
      if (frame < run.h.length - 1) playing = requestAnimationFrame(show);
      else {
        stop();
        model.save_changes();
      }
    };
    playing = requestAnimationFrame(show);
  });
  ["anisotropy", "field"].forEach((name) => model.on(`change:${name}`, redraw));
  const stopWatching = watched(body, redraw);
  draw();
  return () => {
    stop();
    clearTimeout(waiting);
    cancelAnimationFrame(asked);
    stopWatching();
    body.remove();
  };
}

export default { render };
