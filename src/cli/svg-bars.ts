import { FAINT, fixed, INK, label, line, picture } from './svg.ts';

/** A bar of {@link barChart}. */
export interface Bar {
  label: string;
  colour: string;
  value: number;
  /** Ends of an interval around the value. */
  low?: number;
  high?: number;
  /** What stands behind the bar. */
  text: string;
}

/** Horizontal bars from zero, one a line, longest labels included in the width. */
export function barChart(title: string, axis: string, bars: readonly Bar[]): string {
  const [width, row, top] = [720, 30, 44];
  const left = 24 + 7.5 * Math.max(...bars.map((bar) => bar.label.length));
  const right = 24 + 7 * Math.max(...bars.map(({ text }) => text.length));
  const most = Math.max(...bars.map(({ value, high = value }) => Math.max(value, high)));
  const step = niceStep(most / 5);
  const bottom = top + bars.length * row;
  const xOf = (value: number) => left + (value / most) * (width - left - right);
  const body = [label(12, 22, title, 15, 'start', INK, 600)];
  for (let at = 0; at <= most; at += step) {
    body.push(
      line(xOf(at), top, xOf(at), bottom, FAINT),
      label(xOf(at), bottom + 18, `${Number(at.toPrecision(6))}`, 12),
    );
  }
  body.push(label((left + width - right) / 2, bottom + 38, axis, 13));
  for (const [i, bar] of bars.entries()) {
    const y = top + i * row;
    const middle = y + row / 2;
    body.push(
      label(left - 8, middle + 4, bar.label, 13, 'end'),
      `<rect x="${fixed(left)}" y="${y + 5}" width="${fixed(xOf(bar.value) - left)}" height="${row - 10}" fill="${bar.colour}" opacity="0.8"/>`,
    );
    const end = xOf(Math.max(bar.value, bar.high ?? bar.value));
    if (bar.low !== undefined && bar.high !== undefined) {
      body.push(line(xOf(bar.low), middle, xOf(bar.high), middle, INK));
      for (const x of [bar.low, bar.high]) body.push(line(xOf(x), middle - 4, xOf(x), middle + 4, INK));
    }
    body.push(label(end + 8, middle + 4, bar.text, 13, 'start'));
  }
  return picture(width, bottom + 50, title, body);
}

/** 1, 2 or 5 times a power of ten, at least `least`. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5].find((factor) => factor * power >= least) ?? 10);
}
