import type { KmeansInit } from 'lloyd';
import type { App } from '../app.ts';
import { h, isAbort, select, textField } from '../dom.ts';
import type { ClusterSteps } from '../protocol.ts';
import { many } from '../text.ts';
import { clusterLine } from './cluster-line.ts';
import { LAB_MATRIX } from './lab-matrix.ts';

const LAB_INERTIA = 0.2294;
const PLAY_MS = 1100;
const MOST_NUMBERS = 64;
const OWN = '0.1, 0.12, 0.15, 0.4, 0.45, 0.5, 0.9, 5';

/** k-means on a handful of numbers, an iteration at a time. */
export function clusterLesson(app: App): HTMLElement {
  const { layers } = app.opened;
  const numbers = select('Numbers', [
    ['lab', 'the lab’s 5 × 5 matrix'],
    ...[layers[0], layers[4], layers.at(-1)!].map(
      ({ name }) => [name, `25 weights of ${name.replace('backbone.', '')}`] as const,
    ),
    ['own', 'your own'],
  ]);
  const { field: ownField, input: own } = textField('Your numbers', OWN);
  ownField.classList.add('own-numbers');
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
  const play = h('button', { type: 'button' }, 'Play');
  const status = h('p', { class: 'status', role: 'status', id: 'lesson-status' });
  const matrix = h('table', { class: 'matrix' });
  const line = clusterLine();
  const fall = h('ol', { class: 'fall', 'aria-label': 'Inertia after each iteration' });
  let cells: HTMLTableCellElement[] = [];
  let values: Float32Array = LAB_MATRIX;
  let run: ClusterSteps | undefined;
  let at = 0;
  let timer = 0;
  let turn = 0;

  const draw = (glide = false) => {
    const steps = run?.steps ?? [];
    const step = at > 0 ? steps[at - 1] : undefined;
    for (const [i, cell] of cells.entries()) {
      cell.className = step ? `c${step.codes[i] % 8}` : '';
      cell.title = step ? `becomes ${step.codebook[step.codes[i]].toFixed(4)}` : '';
      if (step) cell.dataset.code = String(step.codes[i]);
      else delete cell.dataset.code;
    }
    line.show(values, { codebook: step?.codebook, codes: step?.codes }, glide);
    back.disabled = at === 0;
    forth.disabled = !run || at === steps.length;
    play.disabled = !run;
    fall.replaceChildren(...steps.slice(0, at).map(({ inertia }) => column(inertia, steps[0].inertia)));
    if (run) status.textContent = say(run, at, numbers.input.value === 'lab' && clusters.input.value === '4');
  };
  const stopPlaying = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = 'Play';
  };
  const restart = async () => {
    const mine = ++turn;
    stopPlaying();
    run = undefined;
    at = 0;
    ownField.hidden = numbers.input.value !== 'own';
    const start = init.input.value as KmeansInit;
    seed.field.hidden = start === 'linear' || start === 'quantile';
    status.textContent = 'Preparing…';
    try {
      const chosen = await numbersOf(app, numbers.input.value, own.value);
      if (mine !== turn) return;
      values = chosen;
      const caption =
        numbers.input.value === 'lab'
          ? 'The lab’s 5 × 5 matrix; a colour a cluster'
          : 'The numbers; a colour a cluster';
      cells = fillMatrix(matrix, values, caption);
      const steps = await app.client.call('clusterSteps', {
        values,
        clusters: Number(clusters.input.value),
        init: start,
        seed: Number(seed.input.value),
      });
      if (mine !== turn) return;
      run = steps;
      draw();
    } catch (error) {
      if (mine === turn && !isAbort(error)) status.textContent = (error as Error).message;
    }
  };
  const move = (by: number) => {
    at = Math.max(0, Math.min(run?.steps.length ?? 0, at + by));
    draw(by > 0);
    if (at === run?.steps.length) stopPlaying();
  };
  back.addEventListener('click', () => {
    stopPlaying();
    move(-1);
  });
  forth.addEventListener('click', () => {
    stopPlaying();
    move(1);
  });
  play.addEventListener('click', () => {
    if (timer) return stopPlaying();
    if (at === run?.steps.length) at = 0;
    play.textContent = 'Pause';
    timer = setInterval(() => move(1), PLAY_MS) as unknown as number;
    move(1);
  });
  for (const input of [numbers.input, own, init.input, clusters.input, seed.input])
    input.addEventListener('change', () => void restart());
  cells = fillMatrix(matrix, values, 'The lab’s 5 × 5 matrix; a colour a cluster');
  void restart();
  return h(
    'section',
    { class: 'lesson', 'aria-labelledby': 'lesson-title' },
    h('h2', { id: 'lesson-title' }, 'k-means, step by step'),
    h(
      'p',
      { class: 'note' },
      'To store a weight in 2 bits, let it be one of 4 values. k-means finds the 4: give each number the colour of its nearest centroid, move each centroid to the mean of its colour, and again.',
    ),
    h(
      'div',
      { class: 'toolbar' },
      numbers.field,
      ownField,
      clusters.field,
      init.field,
      seed.field,
      h('div', { class: 'buttons' }, back, forth, play),
    ),
    status,
    h(
      'div',
      { class: 'panel-row' },
      matrix,
      h(
        'div',
        { class: 'wide' },
        line.element,
        h('p', { class: 'note' }, 'Inertia, the sum of squared distances, after each iteration:'),
        fall,
      ),
    ),
  );
}

async function numbersOf(app: App, which: string, own: string): Promise<Float32Array> {
  if (which === 'lab') return LAB_MATRIX;
  if (which !== 'own') return app.client.call('values', { layer: which, count: 25 });
  const values = own
    .split(/[\s,;]+/)
    .filter(Boolean)
    .map(Number);
  if (values.length < 2 || values.length > MOST_NUMBERS || !values.every(Number.isFinite))
    throw new Error(`Give 2 to ${MOST_NUMBERS} numbers with commas between them.`);
  return Float32Array.from(values);
}

function fillMatrix(table: HTMLTableElement, values: Float32Array, caption: string): HTMLTableCellElement[] {
  const width = Math.min(5, Math.ceil(Math.sqrt(values.length)));
  const cells = Array.from(values, (value) => h('td', {}, Number(value.toFixed(4)).toString()));
  const rows = Array.from({ length: Math.ceil(cells.length / width) }, (_, row) =>
    h('tr', {}, ...cells.slice(row * width, (row + 1) * width)),
  );
  table.replaceChildren(h('caption', {}, caption), h('tbody', {}, ...rows));
  return cells;
}

function column(inertia: number, most: number): HTMLElement {
  const height = Math.max(2, (inertia / (most || 1)) * 64);
  return h('li', {}, h('span', { class: 'column', style: `height:${height}px` }), inertia.toPrecision(3));
}

function say({ steps, optimum }: ClusterSteps, at: number, lab: boolean): string {
  if (at === 0) {
    return `${many(steps.length, 'iteration')} to go. Step assigns each number to its nearest centroid and moves the centroids to the mean of their members.`;
  }
  const { inertia } = steps[at - 1];
  const now = inertia.toFixed(4);
  if (at < steps.length) return `Iteration ${at}: inertia ${now}.`;
  const end =
    inertia - optimum > 1e-6
      ? `The best clustering there is has ${optimum.toFixed(4)}: this start led to a local optimum.`
      : 'No clustering does better.';
  const figure = lab ? ` The lab’s figure stopped at ${LAB_INERTIA}.` : '';
  return `Iteration ${at}: nothing moves any more; inertia ${now}. ${end}${figure}`;
}
