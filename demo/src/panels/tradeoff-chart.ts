import uPlot from 'uplot';
import { cssColor, h } from '../dom.ts';
import { colorOf, published, shortLabel } from '../text.ts';
import { onTheme } from '../theme.ts';

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
    h('span', { class: 'key lab' }, 'published by the lab, 10,000 images'),
  );
  let points: Point[] = [];
  const options: uPlot.Options = {
    width: 600,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { time: false, distr: 3, log: 2, range: () => [1.2, 52] },
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
  const { ctx } = plot;
  const ratio = devicePixelRatio;
  const x = (value: number) => plot.valToPos(value, 'x', true);
  const y = (value: number) => plot.valToPos(value, 'y', true);
  ctx.save();
  ctx.font = `${12 * ratio}px system-ui`;
  ctx.textBaseline = 'middle';
  ctx.textAlign = 'left';
  ctx.lineWidth = 1.5 * ratio;
  ctx.strokeStyle = cssColor('muted');
  for (const { size, accuracy } of published) {
    const [cx, cy, r] = [x(size), y(accuracy), 6 * ratio];
    ctx.beginPath();
    ctx.moveTo(cx, cy - r);
    ctx.lineTo(cx + r, cy);
    ctx.lineTo(cx, cy + r);
    ctx.lineTo(cx - r, cy);
    ctx.closePath();
    ctx.stroke();
  }
  // Where several precisions have one size, linear stands a little to the right of k-means.
  const taken: { x: number; y: number }[] = [];
  for (const { name, label, size, accuracy, low, high } of points) {
    const shift = name.startsWith('linear') ? 8 : name === 'fp32' ? 0 : -8;
    const [cx, cy] = [x(size) + (shift + (name.endsWith('qat') ? 5 : 0)) * ratio, y(accuracy)];
    ctx.fillStyle = ctx.strokeStyle = cssColor(colorOf(name));
    ctx.globalAlpha = 0.55;
    ctx.beginPath();
    ctx.moveTo(cx, y(low));
    ctx.lineTo(cx, y(high));
    ctx.stroke();
    ctx.globalAlpha = 1;
    ctx.beginPath();
    ctx.arc(cx, cy, 5 * ratio, 0, 7);
    ctx.fill();
    const left = shift <= 0;
    let ty = cy;
    while (taken.some((other) => Math.abs(other.x - cx) < 90 * ratio && Math.abs(other.y - ty) < 13 * ratio))
      ty += 14 * ratio;
    taken.push({ x: cx, y: ty });
    const width = ctx.measureText(label).width;
    const start = left
      ? Math.max(plot.bbox.left + 2, cx - width - 9 * ratio)
      : Math.min(cx + 9 * ratio, plot.bbox.left + plot.bbox.width - width);
    ctx.fillText(label, start, ty);
  }
  ctx.restore();
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
