import uPlot from 'uplot';
import { cssColor, h } from '../dom.ts';
import type { Inspection } from '../protocol.ts';
import { onTheme } from '../theme.ts';

const HEIGHT = 280;

/** Bars of how many weights there are of each value, with a line at every value that quantization leaves. */
export function histogramChart() {
  const holder = h('div', { class: 'chart', role: 'img', 'aria-label': 'Histogram of the weights' });
  let shown: Inspection | undefined;
  const axis = { stroke: () => cssColor('muted'), font: '12px system-ui', ticks: { show: false } };
  const grid = { stroke: () => cssColor('line'), width: 1 };
  const plot = new uPlot(
    {
      width: 600,
      height: HEIGHT,
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { time: false, range: () => extentOf(shown) },
        y: { range: (_, __, high) => [0, high * 1.05 || 1] },
      },
      axes: [
        { ...axis, grid: { show: false }, size: 30 },
        {
          ...axis,
          grid,
          size: 60,
          values: (_, values) => values.map((v) => (v >= 1000 ? `${v / 1000}k` : v)),
        },
      ],
      series: [
        {},
        {
          paths: uPlot.paths.bars!({ size: [1, 100] }),
          fill: () => cssColor('bars'),
          width: 0,
          points: { show: false },
        },
      ],
      hooks: { draw: [(drawn) => shown && drawLevels(drawn, shown)] },
    },
    [[0], [0]],
    holder,
  );
  new ResizeObserver(([entry]) => {
    const width = Math.floor(entry.contentRect.width);
    if (width > 0) plot.setSize({ width, height: HEIGHT });
  }).observe(holder);
  onTheme(() => plot.redraw());
  return {
    element: holder,
    show(found: Inspection) {
      shown = found;
      const width = (found.high - found.low) / found.counts.length;
      const middles = Array.from(found.counts, (_, i) => found.low + (i + 0.5) * width);
      const { layer, levels, weights, method } = found;
      const what = method === 'kmeans' ? 'centroids' : 'grid levels';
      const lines = levels.length ? `${levels.length} ${what} drawn over it` : 'unquantized';
      holder.setAttribute(
        'aria-label',
        `Histogram of the ${weights} weights of ${layer}, from ${found.low.toFixed(3)} to ${found.high.toFixed(3)}; ${lines}`,
      );
      plot.setData([middles, [...found.counts]]);
    },
  };
}

/** Of the weights and of the values left to them: a grid of two's complement reaches beyond the weights. */
function extentOf(shown: Inspection | undefined): [number, number] {
  if (!shown) return [0, 1];
  const { low, high, levels } = shown;
  const ends = [levels.reduce((a, b) => Math.min(a, b), low), levels.reduce((a, b) => Math.max(a, b), high)];
  const margin = (ends[1] - ends[0]) / 50;
  return [ends[0] - margin, ends[1] + margin];
}

function drawLevels({ ctx, bbox, valToPos }: uPlot, { levels, method }: Inspection): void {
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = cssColor(method);
  ctx.lineWidth = (levels.length > 64 ? 0.75 : 1.5) * ratio;
  ctx.globalAlpha = levels.length > 64 ? 0.45 : 0.9;
  for (const level of levels) {
    const x = valToPos(level, 'x', true);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    if (levels.length > 64) continue;
    ctx.beginPath();
    ctx.arc(x, bbox.top + bbox.height, 3.5 * ratio, Math.PI, 0);
    ctx.fill();
  }
  ctx.restore();
}
