import type { KmeansInit } from 'lloyd';
import type { App } from '../app.ts';
import { h, isAbort, s, select } from '../dom.ts';
import type { ClusterSteps } from '../protocol.ts';
import { LAB_MATRIX } from './lab-matrix.ts';

const LAB_INERTIA = 0.2294;
const LINE = { width: 560, height: 120, low: -0.55, high: 0.5 };

/** k-means on 25 numbers, an iteration at a time. */
export function clusterLesson(app: App): HTMLElement {
  const init = select('Start from', [
    ['linear', 'evenly spread'],
    ['random', 'random elements'],
    ['quantile', 'quantiles'],
    ['kmeans++', 'k-means++'],
  ]);
  const clusters = select(
    'Clusters',
    ['2', '3', '4', '8'].map((n) => [n, n]),
  );
  clusters.input.value = '4';
  const seed = select(
    'Seed',
    Array.from({ length: 8 }, (_, i) => [String(i), String(i)]),
  );
  const back = h('button', { type: 'button' }, 'Back');
  const forth = h('button', { type: 'button', class: 'primary' }, 'Step');
  const status = h('p', { class: 'status', role: 'status', id: 'lesson-status' });
  const cells = Array.from(LAB_MATRIX, (value) => h('td', {}, value.toFixed(4)));
  const matrix = h(
    'table',
    { class: 'matrix' },
    h('caption', {}, 'The lab’s 5 × 5 matrix; a colour a cluster'),
    h('tbody', {}, ...[0, 5, 10, 15, 20].map((row) => h('tr', {}, ...cells.slice(row, row + 5)))),
  );
  const line = s('svg', { viewBox: `0 0 ${LINE.width} ${LINE.height}`, class: 'numberline', role: 'img' });
  const fall = h('ol', { class: 'fall', 'aria-label': 'Inertia after each iteration' });
  let run: ClusterSteps | undefined;
  let at = 0;

  const draw = () => {
    const steps = run?.steps ?? [];
    const step = at > 0 ? steps[at - 1] : undefined;
    for (const [i, cell] of cells.entries()) {
      cell.className = step ? `c${step.codes[i]}` : '';
      cell.title = step ? `becomes ${step.codebook[step.codes[i]].toFixed(4)}` : '';
      if (step) cell.dataset.code = String(step.codes[i]);
      else delete cell.dataset.code;
    }
    drawLine(line, step?.codebook, step?.codes);
    back.disabled = at === 0;
    forth.disabled = !run || at === steps.length;
    const most = steps[0]?.inertia || 1;
    fall.replaceChildren(
      ...steps
        .slice(0, at)
        .map(({ inertia }) =>
          h(
            'li',
            {},
            h('span', { class: 'column', style: `height:${Math.max(2, (inertia / most) * 64)}px` }),
            inertia.toFixed(4),
          ),
        ),
    );
    if (!run) return;
    if (!step)
      status.textContent = `${steps.length} iterations to go. Step to assign each number to its nearest centroid and move the centroids to the mean of their members.`;
    else if (at < steps.length) status.textContent = `Iteration ${at}: inertia ${step.inertia.toFixed(4)}.`;
    else {
      const gap = step.inertia - run.optimum > 1e-6;
      const lab = clusters.input.value === '4' ? ` The lab’s figure stopped at ${LAB_INERTIA}.` : '';
      status.textContent = `Iteration ${at}: nothing moves any more; inertia ${step.inertia.toFixed(4)}. ${
        gap
          ? `The best clustering there is has ${run.optimum.toFixed(4)}: this start led to a local optimum.`
          : 'No clustering does better.'
      }${lab}`;
    }
  };
  const restart = async () => {
    run = undefined;
    at = 0;
    draw();
    status.textContent = 'Preparing…';
    const request = {
      values: LAB_MATRIX,
      clusters: Number(clusters.input.value),
      init: init.input.value as KmeansInit,
      seed: Number(seed.input.value),
    };
    seed.field.hidden = request.init === 'linear' || request.init === 'quantile';
    try {
      run = await app.client.call('clusterSteps', request);
      draw();
    } catch (error) {
      if (!isAbort(error)) status.textContent = `It failed: ${(error as Error).message}`;
    }
  };
  const move = (by: number) => () => {
    at = Math.max(0, Math.min(run?.steps.length ?? 0, at + by));
    draw();
  };
  back.addEventListener('click', move(-1));
  forth.addEventListener('click', move(1));
  for (const { input } of [init, clusters, seed]) input.addEventListener('change', () => void restart());
  void restart();
  return h(
    'section',
    { class: 'lesson' },
    h('h2', {}, 'k-means, step by step'),
    h('div', { class: 'toolbar' }, init.field, clusters.field, seed.field, back, forth),
    status,
    h(
      'div',
      { class: 'panel-row' },
      matrix,
      h(
        'div',
        { class: 'wide' },
        line,
        h('p', { class: 'note' }, 'Inertia, the sum of squared distances, after each iteration:'),
        fall,
      ),
    ),
  );
}

function drawLine(svg: SVGElement, codebook?: Float32Array, codes?: Uint8Array): void {
  const x = (value: number) => ((value - LINE.low) / (LINE.high - LINE.low)) * LINE.width;
  const y = 78;
  const label = codebook
    ? `Number line with centroids at ${[...codebook].map((c) => c.toFixed(3)).join(', ')}`
    : 'Number line of the 25 values';
  svg.setAttribute('aria-label', label);
  svg.replaceChildren(
    s('line', { x1: 0, x2: LINE.width, y1: y, y2: y, class: 'base' }),
    ...[-0.4, -0.2, 0, 0.2, 0.4].map((tick) =>
      s('text', { x: x(tick), y: y + 34, class: 'tick' }, String(tick)),
    ),
    ...Array.from(LAB_MATRIX, (value, i) => {
      const centroid = codebook && codes ? codebook[codes[i]] : value;
      return s('line', {
        x1: x(value),
        y1: y,
        x2: x(centroid),
        y2: 26,
        class: codes ? `tie c${codes[i]}` : 'tie none',
      });
    }),
    ...Array.from(LAB_MATRIX, (value, i) =>
      s('circle', { cx: x(value), cy: y, r: 6, class: codes ? `c${codes[i]}` : 'none' }),
    ),
    ...(codebook
      ? [...codebook].map((c, i) =>
          s('rect', { x: x(c) - 7, y: 12, width: 14, height: 14, rx: 2, class: `c${i}` }),
        )
      : []),
  );
}
