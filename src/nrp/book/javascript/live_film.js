/**
 * A live magnetic film: the reader turns the field and watches the pattern form.
 *
 *     dφ/dt = αλ(r)(φ − φ³) − L φ + h,   L(k) = βk² + γ(a₀ − a₁k) = 2k² − 4k + 8/π
 *
 * The equation, the grid, the disorder and the scheme (SBDF4) are those of the package, see
 * `nrp.systems.film` and `nrp.simulation.integrators`.  `Film` holds the numerics and knows nothing of the
 * page; `render` draws it, by the conventions of anywidget.
 */

const POINTS = 128; // of a side of the grid
const HALF = POINTS / 2;
const KEPT = HALF + 1; // waves along y; φ is real, so the others are their mirror images
const SPACING = 0.5; // of the grid, so the box is 64 wide and a unit cell covers 2 × 2 points
const MODES = POINTS * KEPT;
const RINGS = 31; // of the structure factor, up to k = 2.95
const RING_WIDTH = (2 * Math.PI) / (POINTS * SPACING);
const SATURATING_FIELD = 1.5;

/** @returns {number} the cost of a wave of wavenumber k, per amplitude: L(k) of the film. */
export const dispersion = (k) => 2 * k * k - 4 * k + 8 / Math.PI;

/** @returns {number} the length of a time step at an anisotropy, for an error of about 1e-3. */
export const timeStep = (anisotropy) => 0.15 / Math.max(anisotropy, 1);

/**
 * Decode the values of λ on the unit cells.
 * @param {string} base64 little-endian numbers of four bytes each, row by row
 * @returns {Float32Array}
 */
export function decodeCells(base64) {
  const view = new DataView(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)).buffer);
  return Float32Array.from({ length: view.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

/** Discrete Fourier transforms along the first axis of an array (POINTS, batch), by Stockham's method. */
class Fourier {
  constructor(largestBatch) {
    const turn = (2 * Math.PI) / POINTS;
    this.cos = Float64Array.from({ length: POINTS }, (_, i) => Math.cos(turn * i));
    this.sin = Float64Array.from({ length: POINTS }, (_, i) => -Math.sin(turn * i));
    this.work = [0, 1].map(() => new Float64Array(POINTS * largestBatch));
  }

  /** Transform in place, without a factor.  With `re` and `im` exchanged this is the inverse transform. */
  transform(re, im, batch) {
    let from = [re, im], to = this.work;
    let length = POINTS, stride = batch; // the length of the transforms that are left to do
    // 128 = 4 · 4 · 4 · 2: four passes, so that the result lies where the input was.
    for (; length >= 4; length /= 4, stride *= 4) {
      this.#byFour(...from, ...to, length, stride);
      [from, to] = [to, from];
    }
    this.#byTwo(...from, ...to, stride);
  }

  #byFour(re, im, outRe, outIm, length, stride) {
    const jump = (length / 4) * stride;
    for (let p = 0; p < length / 4; p++) {
      const w = (p * POINTS) / length;
      const c1 = this.cos[w], c2 = this.cos[2 * w], c3 = this.cos[3 * w];
      const s1 = this.sin[w], s2 = this.sin[2 * w], s3 = this.sin[3 * w];
      for (let i = stride * p, o = 4 * stride * p, end = i + stride; i < end; i++, o++) {
        const i1 = i + jump, i2 = i1 + jump, i3 = i2 + jump;
        const o1 = o + stride, o2 = o1 + stride, o3 = o2 + stride;
        const evenRe = re[i] + re[i2], evenIm = im[i] + im[i2];
        const otherRe = re[i1] + re[i3], otherIm = im[i1] + im[i3];
        const oddRe = re[i] - re[i2], oddIm = im[i] - im[i2];
        const turnedRe = im[i3] - im[i1], turnedIm = re[i1] - re[i3]; // i times the other difference
        const aRe = oddRe - turnedRe, aIm = oddIm - turnedIm;
        const bRe = evenRe - otherRe, bIm = evenIm - otherIm;
        const cRe = oddRe + turnedRe, cIm = oddIm + turnedIm;
        outRe[o] = evenRe + otherRe;
        outIm[o] = evenIm + otherIm;
        outRe[o1] = aRe * c1 - aIm * s1;
        outIm[o1] = aRe * s1 + aIm * c1;
        outRe[o2] = bRe * c2 - bIm * s2;
        outIm[o2] = bRe * s2 + bIm * c2;
        outRe[o3] = cRe * c3 - cIm * s3;
        outIm[o3] = cRe * s3 + cIm * c3;
      }
    }
  }

  #byTwo(re, im, outRe, outIm, stride) {
    for (let i = 0, j = stride; i < stride; i++, j++) {
      outRe[i] = re[i] + re[j];
      outIm[i] = im[i] + im[j];
      outRe[j] = re[i] - re[j];
      outIm[j] = im[i] - im[j];
    }
  }
}

/**
 * The film on its grid, and its integration in time.
 *
 * A real field is stored as two halves, left and right, each row by row.  To the transform they are the real
 * and the imaginary part of one complex field, of half the size.  Modes are stored by (kx, ky), first all
 * real parts and then all imaginary ones, with the factor 1/POINTS² in them.
 */
export class Film {
  #fourier = new Fourier(KEPT);
  #phi = new Float64Array(POINTS * POINTS);
  #local = new Float64Array(POINTS * POINTS); // αλ
  #rest = new Float64Array(POINTS * POINTS); // what is not linear; the transform overwrites it
  #cost = new Float64Array(MODES); // L(k)
  #ring = new Uint8Array(MODES);
  // The modes of φ, of the rest, of three sums over older steps, and a place for copies.
  #u = new Float64Array(2 * MODES);
  #n = new Float64Array(2 * MODES);
  #sums = [0, 1, 2].map(() => new Float64Array(2 * MODES));
  #copy = new Float64Array(2 * MODES);
  #inverse = new Float64Array(MODES); // of the implicit part of a step
  #target = null; // of a sweep of the field

  /**
   * @param {object} options
   * @param {ArrayLike<number>} options.cells λ on the 64 × 64 unit cells, by rows (y, x)
   * @param {number} [options.anisotropy] α
   * @param {number} [options.field] h, in which the film is saturated at first
   */
  constructor({ cells, anisotropy = 1, field = SATURATING_FIELD }) {
    for (let kx = 0; kx < POINTS; kx++) {
      for (let ky = 0; ky < KEPT; ky++) {
        const k = Math.hypot(Math.min(kx, POINTS - kx), ky);
        this.#cost[kx * KEPT + ky] = dispersion(k * RING_WIDTH);
        this.#ring[kx * KEPT + ky] = Math.round(k);
      }
    }
    this.setMaterial(cells, anisotropy);
    this.saturate(field);
  }

  /** Change the disorder and α.  The state stays. */
  setMaterial(cells, anisotropy) {
    for (let y = 0; y < POINTS; y++) {
      for (let x = 0; x < POINTS; x++) {
        this.#local[place(y, x)] = anisotropy * cells[(y >> 1) * HALF + (x >> 1)];
      }
    }
    this.anisotropy = anisotropy;
    this.timeStep = timeStep(anisotropy);
    this.#inverse = this.#cost.map((cost) => 1 / (25 / 12 + this.timeStep * (cost + anisotropy)));
    this.#beginAnew();
  }

  /** Put the film into the uniform state that a clean one has in a positive field, at time 0. */
  saturate(field) {
    // The largest root of αφ³ + (L(0) − α)φ = h, by Newton's method from above.
    const cubic = this.anisotropy, slope = dispersion(0) - cubic;
    let level = 2;
    for (let i = 0; i < 50; i++) {
      level -= (cubic * level ** 3 + slope * level - field) / (3 * cubic * level ** 2 + slope);
    }
    this.#phi.fill(level);
    this.#u.fill(0);
    this.#u[0] = level;
    this.field = field;
    this.time = 0;
    /** First time at which φ was negative anywhere, and the field then; NaN until it was. */
    this.onset = this.onsetField = NaN;
    this.#target = null;
    this.#beginAnew();
  }

  /** Hold the field at a value from now on. */
  hold(field) {
    this.#target = null;
    this.field = field;
  }

  /** Change the field at a constant rate from now on until it has reached a value. */
  sweep(target, rate) {
    this.#target = target;
    this.sweepRate = rate;
  }

  /** Whether the field is on its way. */
  get sweeping() {
    return this.#target !== null;
  }

  /** The mean magnetization. */
  get mean() {
    return this.#u[0];
  }

  /** Take one time step. */
  step() {
    const dt = this.timeStep, before = this.field, lowest = this.lowest; // lowest φ before the step
    if (this.sweeping) {
      const way = this.#target - before, change = this.sweepRate * dt;
      this.field = Math.abs(way) > change + 1e-9 ? before + Math.sign(way) * change : this.#target;
      if (this.field === this.#target) this.#target = null;
    }
    this.#extrapolate(dt);
    this.#backward();
    this.#react();
    this.time += dt;
    if (Number.isNaN(this.onset) && this.lowest < 0) {
      const since = lowest < 0 ? 0 : this.lowest / (this.lowest - lowest); // in steps
      this.onset = this.time - since * dt;
      this.onsetField = this.field + since * (before - this.field);
    }
  }

  /** @returns {Float64Array} the mean square of φ_k over rings of wavenumber, RING_WIDTH apart. */
  structureFactor() {
    const sum = new Float64Array(RINGS), weight = new Float64Array(RINGS);
    for (let i = 1; i < MODES; i++) {
      const ky = i % KEPT;
      const copies = ky === 0 || ky === HALF ? 1 : 2; // itself and its mirror image
      if (this.#ring[i] >= RINGS) continue;
      sum[this.#ring[i]] += copies * (this.#u[i] ** 2 + this.#u[i + MODES] ** 2);
      weight[this.#ring[i]] += copies;
    }
    return sum.map((value, ring) => (weight[ring] ? value / weight[ring] : 0));
  }

  /** @returns {number} the length of the walls per area, from pairs of neighbours of unlike sign. */
  wallDensity() {
    let pairs = 0;
    for (let y = 0; y < POINTS; y++) {
      for (let x = 0; x < POINTS; x++) {
        const down = this.at(y, x) < 0;
        pairs += down !== this.at((y + 1) % POINTS, x) < 0;
        pairs += down !== this.at(y, (x + 1) % POINTS) < 0;
      }
    }
    return (((Math.PI / 4) * pairs) / POINTS ** 2) / SPACING;
  }

  /** @returns {number} φ at a point of the grid. */
  at(y, x) {
    return this.#phi[place(y, x)];
  }

  /** Forget the past, as if the film had always been as it is now.  What that errs by soon dies away. */
  #beginAnew() {
    this.#react();
    const [s1, s2, s3] = this.#sums;
    for (let i = 0; i < 2 * MODES; i++) {
      const u = this.#u[i], rest = this.timeStep * this.#n[i];
      s3[i] = -u / 4 - rest;
      s2[i] = (4 / 3 - 1 / 4) * u + 3 * rest;
      s1[i] = (4 / 3 - 1 / 4 - 3) * u - 3 * rest;
    }
  }

  /**
   * Find the next modes, and the sums that later steps will need of the older ones.  The field is uniform
   * and known in advance, so it needs no extrapolation: it enters as it will be at the end of the step.
   */
  #extrapolate(dt) {
    const u = this.#u, n = this.#n, inverse = this.#inverse, [s1, s2, s3] = this.#sums;
    s1[0] += dt * this.field;
    for (let i = 0; i < 2 * MODES; i++) {
      const old = u[i], rest = dt * n[i];
      u[i] = (s1[i] + 4 * (old + rest)) * inverse[i < MODES ? i : i - MODES];
      s1[i] = s2[i] - 3 * old - 6 * rest;
      s2[i] = s3[i] + (4 / 3) * old + 4 * rest;
      s3[i] = -old / 4 - rest;
    }
  }

  /**
   * Find the modes of αλ(φ − φ³) + αφ, and what there is to say about φ on the way.  The αφ is taken away
   * again in the implicit part, which keeps the steps stable.
   */
  #react() {
    const phi = this.#phi, local = this.#local, rest = this.#rest, shift = this.anisotropy;
    let lowest = Infinity, negative = 0;
    for (let i = 0; i < phi.length; i++) {
      const p = phi[i];
      rest[i] = p * (local[i] * (1 - p * p) + shift);
      if (p < lowest) lowest = p;
      if (p < 0) negative++;
    }
    this.lowest = lowest;
    this.negativeShare = negative / phi.length;
    this.#forward();
  }

  /** Transform the rest into modes. */
  #forward() {
    const [re, im] = halves(this.#rest), [outRe, outIm] = halves(this.#n);
    this.#fourier.transform(re, im, HALF);
    const factor = 0.5 / POINTS ** 2;
    for (let ky = 0; ky < KEPT; ky++) {
      let i = ky * HALF, mirror = ((POINTS - ky) % POINTS) * HALF;
      for (let left = ky, right = ky + MODES / 2; left < MODES / 2; left += KEPT, right += KEPT, i++, mirror++) {
        outRe[left] = factor * (re[i] + re[mirror]);
        outIm[left] = factor * (im[i] - im[mirror]);
        outRe[right] = factor * (im[i] + im[mirror]);
        outIm[right] = factor * (re[mirror] - re[i]);
      }
    }
    this.#fourier.transform(outRe, outIm, KEPT);
  }

  /** Transform the modes of φ into φ. */
  #backward() {
    this.#copy.set(this.#u);
    const [re, im] = halves(this.#copy), [outRe, outIm] = halves(this.#phi);
    this.#fourier.transform(im, re, KEPT);
    for (let ky = 0; ky < KEPT; ky++) {
      let i = ky * HALF, mirror = ((POINTS - ky) % POINTS) * HALF;
      for (let left = ky, right = ky + MODES / 2; left < MODES / 2; left += KEPT, right += KEPT, i++, mirror++) {
        outRe[mirror] = re[left] + im[right];
        outIm[mirror] = re[right] - im[left];
        outRe[i] = re[left] - im[right];
        outIm[i] = im[left] + re[right];
      }
    }
    this.#fourier.transform(outIm, outRe, HALF);
  }
}

/** The halves of an array. */
const halves = (array) => [array.subarray(0, array.length / 2), array.subarray(array.length / 2)];

/** Where a point of the grid is stored. */
const place = (y, x) => (x < HALF ? 0 : HALF * POINTS) + y * HALF + (x % HALF);

// From here on: the page.

const BUDGET = 12; // milliseconds of a frame for time steps
const LOWEST_POWER = -8; // of ten, on the axis of the structure factor
const RANGE = 1.2; // of φ, from the darkest colour to the brightest, as in the figures of the book
// matplotlib's cividis, the map of the figures: it is told apart by lightness alone.
const CIVIDIS =
  "00224e 002e6a 1a386f 32436d 434e6c 535a6d 61656f 6f7073 7d7c78 8c8878 9b9476 aba072 bcae6c cdbb63 dec958 " +
  "f0d846 fee838";
const STOPS = CIVIDIS.split(" ");
const COLOURS = Uint32Array.from({ length: 256 }, (_, i) => {
  const left = Math.min(Math.floor((i / 255) * (STOPS.length - 1)), STOPS.length - 2);
  const share = (i / 255) * (STOPS.length - 1) - left;
  const part = (stop, byte) => parseInt(STOPS[stop].slice(2 * byte, 2 * byte + 2), 16);
  const mix = (byte) => Math.round((1 - share) * part(left, byte) + share * part(left + 1, byte));
  return (255 << 24) | (mix(2) << 16) | (mix(1) << 8) | mix(0);
});

const SLIDERS = [
  { name: "field", label: "External field h", min: -1.5, max: 1.5, step: 0.01, digits: 2, start: SATURATING_FIELD },
  { name: "anisotropy", label: "Anisotropy α", min: 1, max: 4, step: 0.05, digits: 2, start: 1 },
  { name: "sweep_rate", label: "Sweep rate v", min: 0.005, max: 0.04, step: 0.005, digits: 3, start: 0.01 },
  { name: "sample", label: "Disorder sample", min: 0, max: 0, step: 1, digits: 0, start: 0 },
];

const CSS = `
.live-film { --line: #0072b2; --mark: #c44e00; color: var(--pst-color-text-base, #222); width: 100%;
  container-type: inline-size }
html[data-theme="dark"] .live-film { --line: #56b4e9; --mark: #f0a030 }
.live-film, .live-film * { box-sizing: border-box }
.live-film .lf-row { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; margin: 0 0 .75rem }
.live-film .lf-row span { max-width: 100%; white-space: nowrap }
.live-film select { max-width: calc(100% - 4rem) }
.live-film button, .live-film select { font: inherit; color: inherit; padding: .35rem .75rem; border-radius: .3rem;
  background: var(--pst-color-background, #fff); border: 1px solid currentColor; cursor: pointer }
.live-film button:hover { text-decoration: underline }
.live-film :is(button, select, input):focus-visible { outline: 3px solid var(--line); outline-offset: 2px }
.live-film .lf-sliders { display: grid; grid-template-columns: 1fr 1fr; gap: .25rem 1.5rem; margin: 0 0 .75rem }
.live-film .lf-sliders p { display: flex; justify-content: space-between; margin: 0 }
.live-film input { width: 100%; height: 1.5rem; margin: 0; accent-color: var(--line) }
.live-film .lf-sliders span, .live-film .lf-line { font-variant-numeric: tabular-nums }
.live-film .lf-line { margin: 0 0 .75rem; min-height: 3em }
.live-film .lf-plots { display: grid; grid-template-columns: minmax(0, 1fr); gap: 1rem 1.5rem }
.live-film figure { margin: 0; width: auto }
.live-film canvas { display: block; width: 100% }
.live-film .lf-picture { aspect-ratio: 1; border: 1px solid currentColor }
.live-film .lf-spectrum { height: 17rem }
.live-film .lf-strip { height: 15rem }
.live-film figcaption { font-size: .875rem; margin-top: .4rem; text-align: start }
.live-film .lf-scale { display: flex; gap: .5rem; align-items: center }
.live-film .lf-scale i { flex: 1; height: .8rem; border: 1px solid currentColor;
  background: linear-gradient(to right, ${STOPS.map((stop) => "#" + stop).join()}) }
@container (min-width: 34rem) {
  .live-film .lf-line { min-height: 0 }
  .live-film .lf-plots { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr) }
  .live-film .lf-spectrum { height: auto; aspect-ratio: 1 }
  .live-film .lf-wide { grid-column: 1 / -1 }
}`;

const slider = ({ name, label, min, max, step }, id) => `<div><p><label for="${id}-${name}">${label}</label>
  <span></span></p>
  <input type="range" id="${id}-${name}" name="${name}" min="${min}" max="${max}" step="${step}"></div>`;

const page = (id) => `<div class="lf-row"><button type="button" name="sweep">Run the paper’s sweep</button>
  <button type="button" name="pause">Go on</button><button type="button" name="again">Start again</button>
  <span><label for="${id}-speed">Speed</label> <select id="${id}-speed">
  <option value="5">5 units of time a second</option><option value="15" selected>15 units of time a second</option>
  <option value="50">50 units of time a second</option><option value="10000">as fast as it can</option></select></span></div>
  <div class="lf-sliders">${SLIDERS.map((options) => slider(options, id)).join("")}</div>
  <p class="lf-line" aria-live="off"></p>
  <div class="lf-plots">
  <figure><canvas class="lf-picture" role="img" width="${POINTS}" height="${POINTS}"></canvas>
  <figcaption>Magnetization φ<span class="lf-scale">${minus(-RANGE, 1)}<i></i>${RANGE}</span></figcaption></figure>
  <figure><canvas class="lf-spectrum" role="img"></canvas>
  <figcaption>Structure factor S(k), the mean of |φₖ|²</figcaption></figure>
  <figure class="lf-wide"><canvas class="lf-strip" role="img"></canvas>
  <figcaption>Mean magnetization against the field; the dot is now</figcaption></figure></div>`;

/** A number as text, with a true minus sign. */
function minus(number, digits) {
  return number.toFixed(digits).replace(/^-(?=.*[1-9])/, "−").replace(/^-/, "");
}

/** Clear a canvas, draw two axes, and return what is needed to draw on. */
function axes(canvas, x, y) {
  const left = 52, right = 14, top = 12, bottom = 40; // around the area of the plot
  const width = canvas.clientWidth, height = canvas.clientHeight, sharpness = devicePixelRatio;
  const size = [width, height].map((length) => Math.max(1, Math.round(length * sharpness)));
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  const style = getComputedStyle(canvas), context = canvas.getContext("2d");
  const toX = (value) => left + ((value - x.from) / (x.to - x.from)) * (width - left - right);
  const toY = (value) => height - bottom - ((value - y.from) / (y.to - y.from)) * (height - top - bottom);
  context.setTransform(sharpness, 0, 0, sharpness, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = `13px ${style.fontFamily}`;
  context.strokeStyle = context.fillStyle = style.color;
  context.lineWidth = 1;
  context.setLineDash([]);
  context.strokeRect(left, top, width - left - right, height - top - bottom);
  context.textAlign = "center";
  for (const tick of x.ticks) {
    context.fillText(minus(tick, 1), toX(tick), height - bottom + 17);
    context.fillRect(toX(tick) - 0.5, height - bottom - 5, 1, 5);
  }
  context.fillText(x.label, (left + width - right) / 2, height - 5);
  context.textAlign = "right";
  for (const tick of y.ticks) {
    context.fillText(minus(tick, y.digits), left - 6, toY(tick) + 4);
    context.fillRect(left, toY(tick) - 0.5, 5, 1);
  }
  context.save();
  context.translate(12, (top + height - bottom) / 2);
  context.rotate(-Math.PI / 2);
  context.textAlign = "center";
  context.fillText(y.label, 0, 0);
  context.restore();
  const colour = (name) => style.getPropertyValue(name);
  const line = (points) => {
    context.beginPath();
    for (const [px, py] of points) context.lineTo(toX(px), toY(py));
    context.lineWidth = 2;
    context.strokeStyle = colour("--line");
    context.stroke();
  };
  const dot = (px, py) => {
    context.beginPath();
    context.arc(toX(px), toY(py), 5, 0, 2 * Math.PI);
    context.fillStyle = colour("--line");
    context.fill();
  };
  const mark = (px, text) => {
    const rightHalf = toX(px) > width / 2;
    context.strokeStyle = context.fillStyle = colour("--mark");
    context.lineWidth = 1.5;
    context.setLineDash([6, 4]);
    context.beginPath();
    context.moveTo(toX(px), top);
    context.lineTo(toX(px), height - bottom);
    context.stroke();
    context.setLineDash([]);
    context.textAlign = rightHalf ? "right" : "left";
    context.fillText(text, toX(px) + (rightHalf ? -6 : 6), top + 16);
  };
  return { line, dot, mark };
}

/** Draw φ, with y upwards. */
function drawPicture(canvas, film) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(POINTS, POINTS);
  const pixels = new Uint32Array(image.data.buffer);
  for (let y = 0, i = 0; y < POINTS; y++) {
    for (let x = 0; x < POINTS; x++, i++) {
      const shade = ((film.at(POINTS - 1 - y, x) + RANGE) / (2 * RANGE)) * 255;
      pixels[i] = COLOURS[Math.max(0, Math.min(255, Math.round(shade)))];
    }
  }
  context.putImageData(image, 0, 0);
}

/** Draw the structure factor, and return where it is largest. */
function drawSpectrum(canvas, film) {
  const factor = film.structureFactor();
  const power = (value) => Math.max(LOWEST_POWER, Math.log10(value + 1e-30));
  const x = { from: 0, to: 3, ticks: [0, 0.5, 1, 1.5, 2, 2.5, 3], label: "wavenumber k" };
  const y = { from: LOWEST_POWER, to: -1, ticks: [-8, -6, -4, -2], digits: 0, label: "log₁₀ S(k)" };
  const { line, dot, mark } = axes(canvas, x, y);
  const peak = factor.indexOf(Math.max(...factor));
  line(Array.from(factor, (value, ring) => [ring * RING_WIDTH, power(value)]).slice(1));
  if (!(factor[peak] > 10 ** LOWEST_POWER)) return 0;
  dot(peak * RING_WIDTH, power(factor[peak]));
  mark(peak * RING_WIDTH, `peak: k = ${(peak * RING_WIDTH).toFixed(2)}`);
  return peak * RING_WIDTH;
}

/** Draw the mean magnetization over the field, as far as the film has come. */
function drawStrip(canvas, film, history) {
  const lowest = (index) => history.reduce((low, point) => Math.min(low, point[index]), 0);
  const back = lowest(0) < -1e-9;
  const ticks = back ? [-1.5, -1, -0.5, 0, 0.5, 1, 1.5] : [0, 0.5, 1, 1.5];
  const x = { from: ticks[0] - 0.05, to: 1.55, ticks, label: "external field h" };
  const low = lowest(1) < -0.03 ? -1.1 : -0.05;
  const y = { from: low, to: 1.1, ticks: low < -1 ? [-1, -0.5, 0, 0.5, 1] : [0, 0.5, 1], digits: 1, label: "mean φ" };
  const { line, dot, mark } = axes(canvas, x, y);
  line([...history, [film.field, film.mean]]);
  dot(film.field, film.mean);
  if (!Number.isNaN(film.onset)) mark(film.onsetField, `T_init = ${film.onset.toFixed(1)}`);
}

let widgets = 0;

/**
 * Draw the live film into an element, by the conventions of anywidget.
 * @param {{model: object, el: HTMLElement}} context `model` has get, set, save_changes and on; its state is
 *   `anisotropy`, `field`, `sweep_rate`, `sample`, `running`, and `disorders`, for `decodeCells`
 * @returns {() => void} what ends it
 */
export function render({ model, el }) {
  const id = `live-film-${++widgets}`;
  if (!document.getElementById("live-film-style")) {
    document.head.append(Object.assign(document.createElement("style"), { id: "live-film-style", textContent: CSS }));
  }
  el.classList.add("live-film");
  el.setAttribute("role", "group");
  el.setAttribute("aria-label", "Live magnetic film");
  el.innerHTML = page(id);
  const find = (selector) => el.querySelector(selector);
  const [picture, spectrum, strip] = ["picture", "spectrum", "strip"].map((name) => find(`canvas.lf-${name}`));
  const disorders = model.get("disorders").map(decodeCells);
  const starts = Object.fromEntries(SLIDERS.map(({ name, start }) => [name, start]));
  const value = (name) => model.get(name) ?? starts[name];
  const cells = () => disorders[Math.min(Math.max(value("sample"), 0), disorders.length - 1)];
  const film = new Film({ cells: cells(), anisotropy: value("anisotropy") });
  let history = [[film.field, film.mean]];
  let [frame, lastTick, lastPlot, lastText] = [0, 0, 0, 0];
  let [debt, interval, work, onScreen] = [0, 0, 0, false]; // interval and work are running means

  const save = (changes) => {
    for (const [name, next] of Object.entries(changes)) model.set(name, next);
    model.save_changes();
  };
  const show = (name, number) => {
    const input = find(`input[name="${name}"]`);
    input.value = number;
    const { digits } = SLIDERS.find((options) => options.name === name);
    input.parentElement.querySelector("span").textContent = minus(number, digits);
  };

  function advance(elapsed) {
    debt = Math.min(debt, film.timeStep) + (Number(find("select").value) * Math.min(elapsed, 100)) / 1000;
    const [end, swept] = [performance.now() + BUDGET, film.sweeping];
    while (debt > 0 && performance.now() < end) {
      film.step();
      debt -= film.timeStep;
      const [field, mean] = history.at(-1);
      if (Math.hypot(film.field - field, film.mean - mean) > 0.004) history.push([film.field, film.mean]);
      if (history.length > 5000) history = history.filter((_, i) => i % 2);
    }
    if (swept && !film.sweeping) save({ field: film.field });
  }

  function draw(now, all = false) {
    drawPicture(picture, film);
    if (all || now - lastPlot > 100) {
      lastPlot = now;
      const peak = drawSpectrum(spectrum, film);
      drawStrip(strip, film, history);
      show("field", film.field);
      const share = `${(100 * film.negativeShare).toFixed(1)} % negative`;
      const when = `t = ${film.time.toFixed(1)}, h = ${minus(film.field, 2)}`;
      const state = `${when}, mean magnetization ${minus(film.mean, 3)}`;
      const onset = Number.isNaN(film.onset) ? "" : `, T_init = ${film.onset.toFixed(1)}`;
      find(".lf-line").textContent = `${state}, ${share}${onset}`;
      const { time, mean, field, sweeping, onset: onsetTime, negativeShare: negative } = film;
      const speed = { fps: (interval && 1000 / interval).toFixed(1), work: work.toFixed(1) }; // frames a second, milliseconds of one
      const found = { time, mean, field, sweeping, negative, peak, onset: onsetTime, walls: film.wallDensity() };
      Object.assign(el.dataset, found, speed);
      if (all || now - lastText > 1000) {
        lastText = now;
        const top = peak ? `with its peak at k = ${peak.toFixed(2)}` : "without a peak so far";
        picture.setAttribute("aria-label", `The film at ${state}, ${share}`);
        spectrum.setAttribute("aria-label", `Structure factor over the wavenumber, ${top}`);
        strip.setAttribute("aria-label", `Mean magnetization against the field, up to ${state}${onset}`);
      }
    }
  }

  function tick(now) {
    frame = requestAnimationFrame(tick);
    const elapsed = lastTick ? now - lastTick : 0;
    if (elapsed) interval += (elapsed - interval) * (interval ? 0.05 : 1);
    lastTick = now;
    const start = performance.now();
    advance(elapsed);
    draw(now);
    work += (performance.now() - start - work) * 0.05;
  }

  /** Let time go on if it should, and only where someone can see it. */
  function sync() {
    const running = Boolean(value("running"));
    find("button[name=pause]").textContent = running ? "Pause" : "Go on";
    el.dataset.running = running;
    const go = running && onScreen && !document.hidden;
    if (go && !frame) {
      lastTick = 0;
      frame = requestAnimationFrame(tick);
    } else if (!go && frame) {
      cancelAnimationFrame(frame);
      frame = 0;
      redraw();
    }
  }

  const redraw = () => draw(performance.now(), true);

  function saturate() {
    film.saturate(SATURATING_FIELD);
    history = [[film.field, film.mean]];
  }

  const actions = {
    sweep() {
      saturate();
      film.sweep(0, value("sweep_rate"));
      save({ field: film.field, running: true });
    },
    pause: () => save({ field: film.field, running: !value("running") }),
    again() {
      saturate();
      save({ field: film.field, running: false });
      redraw();
    },
  };
  for (const button of el.querySelectorAll("button")) button.addEventListener("click", actions[button.name]);

  const changed = {
    field: (next) => next !== film.field && film.hold(next),
    anisotropy: (next) => film.setMaterial(cells(), next),
    sample: () => film.setMaterial(cells(), film.anisotropy),
    sweep_rate: (next) => film.sweeping && film.sweep(0, next),
    running: sync,
  };
  const listeners = Object.entries(changed).map(([name, change]) => {
    const listener = () => {
      change(value(name));
      if (name in starts) show(name, value(name));
      if (!frame) redraw();
    };
    model.on(`change:${name}`, listener);
    return [`change:${name}`, listener];
  });
  find('input[name="sample"]').max = disorders.length - 1;
  for (const { name } of SLIDERS) {
    const input = find(`input[name="${name}"]`);
    input.addEventListener("input", () => {
      // A hand on the field ends a sweep, even at the very value that the model had before.
      if (name === "field") film.hold(Number(input.value));
      model.set(name, Number(input.value));
    });
    input.addEventListener("change", () => model.save_changes());
    show(name, value(name));
  }

  // Nothing starts by itself, and a reader who wants less motion is offered less of it.
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) find("select").value = "5";
  save({ field: film.field, running: false });
  const watches = [
    new IntersectionObserver((entries) => {
      onScreen = entries.at(-1).isIntersecting;
      sync();
    }),
    new ResizeObserver(redraw),
    new MutationObserver(redraw), // another theme has other colours
  ];
  watches[0].observe(el);
  watches[1].observe(el);
  watches[2].observe(document.documentElement, { attributeFilter: ["data-theme"] });
  document.addEventListener("visibilitychange", sync);
  sync();
  return () => {
    cancelAnimationFrame(frame);
    for (const watch of watches) watch.disconnect();
    document.removeEventListener("visibilitychange", sync);
    for (const listener of listeners) model.off?.(...listener);
  };
}

export default { render };
