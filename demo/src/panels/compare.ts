import {
  type ActivationQparams,
  type CompareRow,
  type CompareRowName,
  type Comparison,
  compareRowNames,
} from 'lloyd';
import type { App, Panel } from '../app.ts';
import { h, isAbort, select } from '../dom.ts';
import { count, percent, rowLabel, shortLabel } from '../text.ts';
import { resultTable } from './compare-table.ts';
import { type Point, tradeoffChart } from './tradeoff-chart.ts';

const COUNTS = [4, 8, 32, 128, 512, 1000, 10_000];
const FIRST_ROWS: CompareRowName[] = ['fp32', 'kmeans-4', 'linear-8'];
const SOFTWARE_IMAGES = 8;
const CALIBRATION = { cpu: 8, gpu: 64 };

/** Pick precisions, run them on the same images, watch the table fill. */
export const comparePanel: Panel = { id: 'compare', title: 'Compare', build };

function build(app: App): HTMLElement {
  const { adapter } = app.opened;
  const cpu = adapter.profile === 'cpu';
  const asked = new URLSearchParams(location.search);
  const calibration = Number(asked.get('calibration')) || CALIBRATION[adapter.profile];
  const boxes = new Map(compareRowNames.map((name) => [name, checkbox(name, cpu)]));
  const images = select('Test images', []);
  const fillCounts = () => {
    const available = COUNTS.filter((n) => n <= app.opened.testImages);
    const chosen = images.input.value || asked.get('images') || String(cpu ? SOFTWARE_IMAGES : 1000);
    images.input.replaceChildren(...available.map((n) => h('option', { value: n }, count(n))));
    images.input.value = chosen;
  };
  fillCounts();
  app.results.onChange.add(fillCounts);
  const run = h('button', { type: 'submit', class: 'primary' }, 'Run');
  const cancel = h('button', { type: 'button', disabled: true }, 'Cancel');
  const save = h('a', { class: 'button', download: 'lloyd-compare.json', hidden: true }, 'Save JSON');
  const status = h('p', { class: 'status', role: 'status' }, 'Pick precisions and press Run.');
  const bar = h('progress', { max: 1, value: 0, 'aria-label': 'Progress of the comparison' });
  const table = resultTable();
  const chart = tradeoffChart();
  const fact = h('p', { class: 'fact' });
  const groups: [string, (name: string) => boolean][] = [
    ['Reference', (name) => name === 'fp32'],
    ['k-means codebooks, float arithmetic', (name) => name.startsWith('kmeans')],
    ['Linear, integer arithmetic', (name) => name.startsWith('linear')],
  ];
  const form = h(
    'form',
    {
      class: 'controls',
      onSubmit: (event: Event) => {
        event.preventDefault();
        void start();
      },
    },
    ...groups.map(([legend, belongs]) =>
      h(
        'fieldset',
        { class: 'rows' },
        h('legend', {}, legend),
        ...[...boxes].filter(([name]) => belongs(name)).map(([, box]) => box.label),
      ),
    ),
    images.field,
    h('div', { class: 'buttons' }, run, cancel, save),
  );

  let stop: AbortController | undefined;
  cancel.addEventListener('click', () => {
    stop?.abort();
    status.textContent = 'Cancelling after the batch that is running…';
  });

  async function start(): Promise<void> {
    const rows = compareRowNames.filter((name) => name === 'fp32' || boxes.get(name)!.input.checked);
    const total = Math.min(Number(images.input.value), app.opened.testImages);
    const finished: CompareRow[] = [];
    const logits = new Map<CompareRowName, Float32Array>();
    let activations: [string, ActivationQparams][] = [];
    stop = new AbortController();
    run.disabled = true;
    cancel.disabled = false;
    save.hidden = true;
    bar.value = 0;
    table.start(rows);
    const started = performance.now();
    const seconds = () => `${((performance.now() - started) / 1000).toFixed(1)} s`;
    status.textContent = 'Compiling fp32…';
    try {
      const comparison = await app.client.call(
        'compare',
        {
          rows,
          images: total,
          calibration,
        },
        {
          signal: stop.signal,
          onProgress(event) {
            if (stop?.signal.aborted) return;
            if (event.kind === 'step') {
              const { row, done } = event;
              bar.value = (finished.length + done / event.total) / rows.length;
              table.running(row, done, event.total);
              return;
            }
            const { row } = event;
            finished.push(row);
            if (event.logits) logits.set(row.name, event.logits);
            if (row.name === 'linear-8') activations = event.activations;
            bar.value = finished.length / rows.length;
            table.fill(row);
            chart.measured(pointsOf(finished));
            const next = rows[finished.length];
            const said = row.accuracy === undefined ? 'not trained' : percent(row.accuracy);
            if (finished.length === 1) fact.textContent = `First precision after ${seconds()}.`;
            status.textContent = `${rowLabel(row.name)}: ${said}.${next ? ` Preparing ${rowLabel(next)}…` : ''}`;
          },
        },
      );
      status.textContent = `${count(rows.length)} precisions on ${count(total)} images in ${seconds()}.`;
      app.results.images = total;
      app.results.logits = logits;
      for (const tell of app.results.onChange) tell();
      offer(save, { ...comparison, activations: Object.fromEntries(activations) }, logits);
      fact.textContent = conclusion(comparison);
    } catch (error) {
      table.stop();
      status.textContent = isAbort(error)
        ? `Cancelled after ${count(finished.length)} of ${count(rows.length)} precisions.`
        : `It failed: ${(error as Error).message}`;
    } finally {
      stop = undefined;
      run.disabled = false;
      cancel.disabled = true;
    }
  }

  return h(
    'div',
    { class: 'split' },
    form,
    h(
      'div',
      { class: 'stack' },
      h('div', { class: 'runline' }, bar, status),
      table.element,
      fact,
      h('h2', {}, 'Accuracy against size'),
      chart.element,
      h(
        'p',
        { class: 'note' },
        'Size counts every parameter at the precision’s width, as the lab does. Whiskers are Wilson’s 95 % intervals; k-means is drawn a little left of its size and linear a little right. ',
        `Activation ranges of the integer rows come from ${calibration} training images.`,
      ),
    ),
  );
}

function checkbox(name: CompareRowName, cpu: boolean) {
  const checked = cpu ? FIRST_ROWS.includes(name) : true;
  const input = h('input', {
    type: 'checkbox',
    name: 'row',
    value: name,
    checked,
    disabled: name === 'fp32',
  });
  const label = h('label', { class: `row-pick ${name.split('-')[0]}` }, input, h('span', {}, rowLabel(name)));
  return { input, label };
}

function pointsOf(rows: readonly CompareRow[]): Point[] {
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

/** What the numbers allow to be said, and no more. */
function conclusion({ rows, images }: Comparison): string {
  const fp32 = rows[0];
  const width = (fp32.accuracyHigh! - fp32.accuracyLow!) * 100;
  const caution =
    images < 1000
      ? `On ${count(images)} images an accuracy is known to within ${width.toFixed(0)} points; `
      : '';
  const kept = rows
    .filter((row) => row.accuracy !== undefined && row !== fp32 && row.agreement! >= 0.98)
    .sort((a, b) => a.sizeBytes - b.sizeBytes)[0];
  if (!kept)
    return `${caution}${caution ? 'n' : 'N'}o precision here agrees with fp32 on 98 % of the images.`;
  const times = (fp32.sizeBytes / kept.sizeBytes).toFixed(0);
  const agree = `${rowLabel(kept.name)} gives fp32’s answer on ${percent(kept.agreement!, 0)} of them in 1/${times} of the size.`;
  return caution + agree;
}

function offer(link: HTMLAnchorElement, comparison: object, logits: Map<string, Float32Array>): void {
  if (link.href) URL.revokeObjectURL(link.href);
  const all = {
    ...comparison,
    logits: Object.fromEntries([...logits].map(([name, own]) => [name, [...own]])),
  };
  link.href = URL.createObjectURL(new Blob([JSON.stringify(all)], { type: 'application/json' }));
  link.hidden = false;
}
