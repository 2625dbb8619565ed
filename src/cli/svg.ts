/** A point of {@link scatterPlot}. */
export interface PlotPoint {
  label: string;
  series: string;
  colour: string;
  /** Set apart within its colour: a ring on a broken line. */
  hollow?: boolean;
  x: number;
  y: number;
  /** Ends of a vertical interval. */
  low?: number;
  high?: number;
}

/** Which colour a method has in every picture, and on the page in its light theme. */
export const METHOD_COLOURS = { fp32: '#4b5259', kmeans: '#a64b00', linear: '#0a5fb8' } as const;
/** What is no method of ours. */
export const OTHERS = '#b4bac2';
/** Signs of values, in colours that no method has. */
const SIGNS = { positive: '#176f31', negative: '#8a2be2' };
export const INK = '#222';
export const FAINT = '#d8d8d8';
const FONT = 'font-family="system-ui, sans-serif"';

/** A whole picture with a white ground, readable on a dark page too. */
export function picture(width: number, height: number, title: string, body: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${escapeXml(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...body,
    '</svg>',
    '',
  ].join('\n');
}

/** Points by series over a logarithmic x axis in powers of two, y in percent. */
export function scatterPlot(
  title: string,
  xLabel: string,
  yLabel: string,
  points: readonly PlotPoint[],
): string {
  const [width, height] = [720, 400];
  const [left, right, top, bottom] = [60, 20, 40, 50];
  const exponents = points.map(({ x }) => Math.log2(x));
  const [first, last] = [Math.floor(Math.min(...exponents)), Math.ceil(Math.max(...exponents))];
  const xOf = (x: number) =>
    left + ((Math.log2(x) - first + 0.25) / (last - first + 0.5)) * (width - left - right);
  const yOf = (y: number) => height - bottom - y * (height - top - bottom);
  const body: string[] = [label(left, 22, title, 15, 'start', INK, 600)];
  for (let y = 0; y <= 1.0001; y += 0.2) {
    body.push(
      line(left, yOf(y), width - right, yOf(y), FAINT),
      label(left - 8, yOf(y) + 4, `${Math.round(y * 100)}`, 12, 'end'),
    );
  }
  for (let e = first; e <= last; e++) {
    body.push(
      line(xOf(2 ** e), top, xOf(2 ** e), height - bottom, FAINT),
      label(xOf(2 ** e), height - bottom + 18, `${2 ** e}`, 12),
    );
  }
  body.push(label((left + width) / 2, height - 10, xLabel, 13));
  body.push(`<g transform="rotate(-90 16 ${height / 2})">${label(16, height / 2, yLabel, 13)}</g>`);
  const series = [...new Set(points.map((point) => point.series))];
  for (const [s, name] of series.entries()) {
    const own = points.filter((point) => point.series === name).sort((a, b) => a.x - b.x);
    const path = own.map(({ x, y }) => `${fixed(xOf(x))},${fixed(yOf(y))}`).join(' ');
    const [{ colour, hollow }] = own;
    const dashes = hollow ? ' stroke-dasharray="6 4"' : '';
    const paint = hollow ? `fill="#fff" stroke="${colour}" stroke-width="2"` : `fill="${colour}"`;
    body.push(
      `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"${dashes} opacity="0.5"/>`,
    );
    for (const { x, y, low, high, label: text } of own) {
      if (low !== undefined && high !== undefined)
        body.push(line(xOf(x), yOf(low), xOf(x), yOf(high), colour));
      body.push(
        `<circle cx="${fixed(xOf(x))}" cy="${fixed(yOf(y))}" r="5" ${paint}><title>${escapeXml(text)}</title></circle>`,
      );
    }
    body.push(
      `<circle cx="${width - 190}" cy="${height - bottom - 20 - 20 * (series.length - 1 - s)}" r="5" ${paint}/>`,
      label(width - 178, height - bottom - 16 - 20 * (series.length - 1 - s), name, 13, 'start'),
    );
  }
  return picture(width, height, title, body);
}

/** One histogram a panel, three panels a row; heights are shares of the panel's own maximum. */
export function histogramGrid(
  title: string,
  panels: readonly { title: string; values: Float32Array }[],
  bins = 80,
): string {
  const [panelWidth, panelHeight, columns] = [280, 150, 3];
  const body = [label(12, 22, title, 15, 'start', INK, 600)];
  for (const [i, { title: name, values }] of panels.entries()) {
    const [x0, y0] = [(i % columns) * panelWidth + 12, Math.floor(i / columns) * panelHeight + 36];
    const [w, h] = [panelWidth - 24, panelHeight - 50];
    let extreme = 0;
    for (const value of values) extreme = Math.max(extreme, Math.abs(value));
    const counts = new Uint32Array(bins);
    for (const value of values) {
      counts[Math.min(bins - 1, Math.floor(((value / (extreme || 1) + 1) / 2) * bins))]++;
    }
    const most = counts.reduce((a, b) => Math.max(a, b), 1);
    const bars = [...counts].flatMap((count, bin) => {
      const height = (count / most) * h;
      if (count === 0) return [];
      return [
        `M${fixed(x0 + (bin / bins) * w)} ${fixed(y0 + h)}v${fixed(-height)}h${fixed(w / bins)}V${fixed(y0 + h)}z`,
      ];
    });
    body.push(
      `<path d="${bars.join('')}" fill="${METHOD_COLOURS.fp32}"/>`,
      line(x0, y0 + h, x0 + w, y0 + h, INK),
      label(x0, y0 + h + 14, `${name}, within ±${extreme.toPrecision(3)}`, 11, 'start'),
    );
  }
  const rows = Math.ceil(panels.length / columns);
  return picture(panelWidth * columns, panelHeight * rows + 40, title, body);
}

/** Matrices side by side, each cell coloured by its value and showing it. */
export function matrices(
  title: string,
  panels: readonly { title: string; values: ArrayLike<number>; columns: number; digits: number }[],
): string {
  const cell = 46;
  const body = [label(12, 22, title, 15, 'start', INK, 600)];
  let x0 = 12;
  let height = 0;
  for (const { title: name, values, columns, digits } of panels) {
    const extreme = Array.from(values).reduce((most, value) => Math.max(most, Math.abs(value)), 1e-12);
    body.push(label(x0, 48, name, 12, 'start'));
    for (let i = 0; i < values.length; i++) {
      const [x, y] = [x0 + (i % columns) * cell, 56 + Math.floor(i / columns) * cell];
      const strength = Math.abs(values[i]) / extreme;
      const fill = values[i] < 0 ? SIGNS.negative : SIGNS.positive;
      body.push(
        `<rect x="${x}" y="${y}" width="${cell - 2}" height="${cell - 2}" fill="${fill}" opacity="${fixed(0.08 + 0.5 * strength)}"/>`,
        label(x + cell / 2 - 1, y + cell / 2 + 3, values[i].toFixed(digits), 11),
      );
    }
    height = Math.max(height, 68 + Math.ceil(values.length / columns) * cell);
    x0 += columns * cell + 24;
  }
  return picture(x0, height, title, body);
}

export function label(
  x: number,
  y: number,
  text: string,
  size: number,
  anchor = 'middle',
  fill = INK,
  weight = 400,
): string {
  return `<text x="${fixed(x)}" y="${fixed(y)}" font-size="${size}" font-weight="${weight}" text-anchor="${anchor}" fill="${fill}" ${FONT}>${escapeXml(text)}</text>`;
}

export function line(x1: number, y1: number, x2: number, y2: number, colour: string): string {
  return `<line x1="${fixed(x1)}" y1="${fixed(y1)}" x2="${fixed(x2)}" y2="${fixed(y2)}" stroke="${colour}"/>`;
}

/** Two decimals are finer than a pixel, and keep the file the same from run to run. */
export const fixed = (value: number) => String(Math.round(value * 100) / 100);

function escapeXml(text: string): string {
  return text.replace(
    /[&<>"]/g,
    (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c] as string,
  );
}
