import type { CompareRow } from 'lloyd';
import uPlot from 'uplot';
import { cssColor, h } from '../dom.ts';
import { colorOf, published, shortLabel } from '../text.ts';
import { onTheme } from '../theme.ts';
import { placeLabels } from './place-labels.ts';

export interface Point {
  name: string;
  label: string;
  /** MiB. */
  size: number;
  /** Percent, with its interval. */
  accuracy: number;
  low: number;
  high: number;
}

const TICKS = [2.2, 4.4, 8.8, 17.6, 35.2];
const HEIGHT = 340;

/** Accuracy against size on a logarithmic axis: what this tab measured, over what the lab published. */
export function tradeoffChart() {
  const holder = h('div', { class: 'chart', role: 'img', 'aria-label': describe([]) });
  const legend = h(
    'p',
    { class: 'legend' },
    h('span', { class: 'key fp32' }, 'fp32'),
    h('span', { class: 'key kmeans' }, 'k-means'),
    h('span', { class: 'key linear' }, 'linear'),
    h('span', { class: 'key lab' }, 'k-means as the MIT 6.5940 lab published it, 10,000 images'),
  );
  let points: Point[] = [];
  const options: uPlot.Options = {
    width: 600,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { time: false, distr: 3, log: 2, range: () => [1.05, 52] },
      y: { range: () => [0, 104] },
    },
    axes: [
      axis('size, MiB', TICKS, (value) => value.toFixed(1)),
      axis('accuracy, %', [0, 20, 40, 60, 80, 100], String),
    ],
    series: [{}, { paths: () => null, points: { show: false } }],
    hooks: { draw: [(plot) => draw(plot, points)] },
  };
  // The real points are drawn by hand, for their whiskers and shapes; uPlot keeps the scales and axes.
  const plot = new uPlot(options, [TICKS, TICKS.map(() => 50)], holder);
  new ResizeObserver(([entry]) => {
    const width = Math.floor(entry.contentRect.width);
    if (width > 0) plot.setSize({ width, height: HEIGHT });
  }).observe(holder);
  onTheme(() => plot.redraw());
  return {
    element: h('figure', { class: 'plain' }, holder, legend),
    measured(now: Point[]) {
      points = now;
      holder.setAttribute('aria-label', describe(points));
      plot.redraw();
    },
  };
}

function axis(label: string, splits: number[], format: (value: number) => string): uPlot.Axis {
  return {
    label,
    labelSize: 22,
    font: '12px system-ui',
    labelFont: '12px system-ui',
    stroke: () => cssColor('muted'),
    grid: { stroke: () => cssColor('line'), width: 1 },
    ticks: { show: false },
    splits: () => splits,
    filter: (_, values) => values,
    values: (_, values) => values.map(format),
    size: 44,
  };
}

function draw(plot: uPlot, points: readonly Point[]): void {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  const x = (value: number) => plot.valToPos(value, 'x', true);
  const y = (value: number) => plot.valToPos(value, 'y', true);
  const narrow = plot.width < 420;
  const marks = [
    ...published.map(({ name, size, accuracy }) => {
      const text = shortLabel(name).replace(/k-means (\d)/, narrow ? '$1' : '$1 bit');
      return { x: x(size), y: y(accuracy), text, color: 'muted', font: 11, optional: true };
    }),
    // Where several precisions have one size, linear stands a little to the right of k-means.
    ...points.map(({ name, label, size, accuracy }) => {
      const side = name.startsWith('linear') ? 9 : name === 'fp32' ? 0 : -9;
      const shift = side * (name.endsWith('qat') ? 1.6 : 1) * ratio;
      return {
        x: x(size) + shift,
        y: y(accuracy),
        text: label,
        color: colorOf(name),
        font: 12,
        optional: false,
      };
    }),
  ];
  ctx.save();
  ctx.textBaseline = 'middle';
  ctx.textAlign = 'left';
  ctx.lineWidth = 1.5 * ratio;
  const whiskers = points.map(({ low, high }, i) => {
    const left = marks[published.length + i].x - ratio;
    return { left, top: y(high), width: 2 * ratio, height: y(low) - y(high) };
  });
  for (const [i, { low, high }] of points.entries()) {
    const mark = marks[published.length + i];
    ctx.fillStyle = ctx.strokeStyle = cssColor(mark.color);
    ctx.globalAlpha = 0.55;
    ctx.beginPath();
    ctx.moveTo(mark.x, y(low));
    ctx.lineTo(mark.x, y(high));
    ctx.stroke();
    ctx.globalAlpha = 1;
    ctx.beginPath();
    ctx.arc(mark.x, mark.y, 5 * ratio, 0, 7);
    ctx.fill();
  }
  ctx.strokeStyle = cssColor('muted');
  for (const mark of marks.slice(0, published.length)) diamond(ctx, mark.x, mark.y, 6 * ratio);
  const labels = marks.map(({ text, font, ...mark }) => {
    ctx.font = `${font * ratio}px system-ui`;
    return { ...mark, text, font: ctx.font, width: ctx.measureText(text).width, height: 14 * ratio };
  });
  // The page's own points choose first.
  const own = labels.splice(published.length);
  for (const { text, font, color, left, top } of placeLabels(
    [...own, ...labels],
    bbox,
    9 * ratio,
    whiskers,
  )) {
    ctx.font = font;
    // A halo of the background keeps grid lines out of the letters.
    ctx.strokeStyle = cssColor('bg');
    ctx.lineWidth = 3 * ratio;
    ctx.strokeText(text, left, top + 7 * ratio);
    ctx.fillStyle = cssColor(color);
    ctx.fillText(text, left, top + 7 * ratio);
  }
  ctx.restore();
}

function diamond(ctx: CanvasRenderingContext2D, x: number, y: number, r: number): void {
  ctx.beginPath();
  ctx.moveTo(x, y - r);
  ctx.lineTo(x + r, y);
  ctx.lineTo(x, y + r);
  ctx.lineTo(x - r, y);
  ctx.closePath();
  ctx.stroke();
}

/** The rows that ran, as points of the chart. */
export function pointsOf(rows: readonly CompareRow[]): Point[] {
  return rows
    .filter((row) => row.accuracy !== undefined)
    .map((row) => ({
      name: row.name,
      label: shortLabel(row.name),
      size: row.sizeBytes / 2 ** 20,
      accuracy: row.accuracy! * 100,
      low: row.accuracyLow! * 100,
      high: row.accuracyHigh! * 100,
    }));
}

function describe(points: readonly Point[]): string {
  const lab = published
    .map(({ name, accuracy, size }) => `${shortLabel(name)} ${accuracy} % at ${size} MiB`)
    .join('; ');
  const own = points.map(
    ({ label, accuracy, size }) => `${label} ${accuracy.toFixed(1)} % at ${size.toFixed(2)} MiB`,
  );
  return `Accuracy against size. Measured: ${own.join('; ') || 'nothing yet'}. Published by the lab: ${lab}.`;
}
