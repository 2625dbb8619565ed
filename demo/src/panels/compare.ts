import type { CompareRow, Comparison } from 'lloyd';
import { type App, type Panel, setResults } from '../app.ts';
import { h, isAbort } from '../dom.ts';
import { count, many, percent, rowLabel } from '../text.ts';
import { compareForm } from './compare-form.ts';
import { resultTable } from './compare-table.ts';
import { dropZone, isBatch, takeBatch } from './drop.ts';
import { pointsOf, tradeoffChart } from './tradeoff-chart.ts';

/** Pick precisions, run them on the same images, watch the table fill. */
export const comparePanel: Panel = { id: 'compare', title: 'Compare', build };

function build(app: App): HTMLElement {
  const { adapter, calibrationImages, layers } = app.opened;
  const asked = Number(new URLSearchParams(location.search).get('calibration'));
  const calibration = asked || (adapter.profile === 'cpu' ? 8 : 64);
  const weights = layers.reduce((sum, layer) => sum + layer.weights, 0);
  let stop: AbortController | undefined;
  const form = compareForm(
    app,
    () => void start(),
    () => {
      stop?.abort();
      status.textContent = 'Cancelling after the batch that is running…';
    },
  );
  const status = h(
    'p',
    { class: 'status', role: 'status' },
    app.opened.testImages ? 'Pick precisions and press Run.' : 'There is nothing to run on yet.',
  );
  const bar = h('progress', { max: 1, value: 0, 'aria-label': 'Progress of the comparison' });
  const table = resultTable();
  const chart = tradeoffChart();
  const fact = h('p', { class: 'fact' });

  async function start(): Promise<void> {
    const rows = form.chosen();
    const total = form.images();
    const finished: CompareRow[] = [];
    stop = new AbortController();
    const { signal } = stop;
    form.running(true);
    bar.value = 0;
    fact.textContent = '';
    table.start(rows);
    const started = performance.now();
    const seconds = () => `${((performance.now() - started) / 1000).toFixed(1)} s`;
    status.textContent = 'Compiling fp32…';
    const rowDone = (row: CompareRow) => {
      finished.push(row);
      bar.value = finished.length / rows.length;
      table.fill(row);
      chart.measured(pointsOf(finished));
      const next = rows[finished.length];
      const said = row.accuracy === undefined ? 'not trained' : percent(row.accuracy);
      if (finished.length === 1) fact.textContent = `First precision after ${seconds()}.`;
      status.textContent = `${rowLabel(row.name)}: ${said}.${next ? ` Preparing ${rowLabel(next)}…` : ''}`;
    };
    try {
      const { comparison, file } = await app.client.call(
        'compare',
        { rows, images: total, calibration },
        {
          signal,
          onWait: () => (status.textContent = 'Waiting for what is running now…'),
          onProgress(event) {
            if (signal.aborted) return;
            if (event.kind === 'row') return rowDone(event.row);
            bar.value = (finished.length + event.done / event.total) / rows.length;
            table.running(event.row, event.done, event.total);
            const now = `Running ${rowLabel(event.row)}…`;
            if (status.textContent !== now) status.textContent = now;
          },
        },
      );
      status.textContent = `${many(rows.length, 'precision')} on ${many(total, 'image')} in ${seconds()}.`;
      const ran = comparison.rows.filter((row) => row.accuracy !== undefined);
      setResults(
        app,
        total,
        ran.map((row) => row.name),
      );
      form.offer(file);
      fact.textContent = conclusion(comparison);
    } catch (error) {
      table.stop();
      const reached = `after ${count(finished.length)} of ${many(rows.length, 'precision')}`;
      if (signal.aborted) status.textContent = `Cancelled ${reached}.`;
      else if (isAbort(error)) status.textContent = `Stopped ${reached}: the device was lost.`;
      else status.textContent = `It failed: ${(error as Error).message}`;
    } finally {
      form.running(false);
    }
  }

  return h(
    'div',
    { class: 'stack' },
    h(
      'p',
      { class: 'lead' },
      `This network has ${(weights / 1e6).toFixed(1)} million weights of 32 bits each. How few bits does a weight need? `,
      'Every precision below runs here, on the same pictures: see what it costs, and what it saves.',
    ),
    noImages(app),
    // Before the choices, so that it is seen without scrolling.
    h('div', { class: 'runline' }, form.buttons, bar, status),
    h(
      'div',
      { class: 'split' },
      form.element,
      h(
        'div',
        { class: 'stack' },
        table.element,
        fact,
        h('h2', {}, 'Accuracy against size'),
        chart.element,
        h(
          'p',
          { class: 'note' },
          'Size counts every parameter at the precision’s width, as the lab does. Whiskers are Wilson’s 95 % intervals; k-means is drawn a little left of its size and linear a little right. ',
          calibrationImages
            ? `Activation ranges of the integer rows come from ${Math.min(calibration, calibrationImages)} training images.`
            : `Activation ranges of the integer rows come from the first ${calibration} test images, as there are no training images here.`,
          ' Fine-tuned rows are networks of their own: what they say differently from fp32 may be the training.',
        ),
      ),
    ),
  );
}

/** Asks for a batch file for as long as there are no test images. */
function noImages(app: App): HTMLElement {
  const said = h('p', { role: 'status', class: 'status' });
  const zone = dropZone('Drop test_batch.bin here, or choose it.', '.bin', async (file) => {
    said.textContent = isBatch(file)
      ? await takeBatch(app, file)
      : `${file.name} is no CIFAR-10 batch; its name ends in .bin.`;
  });
  const element = h(
    'section',
    { class: 'notice', 'aria-label': 'No test images' },
    h('h2', {}, 'There are no test images here'),
    h(
      'p',
      {},
      'The server that gave you this page could not find or fetch CIFAR-10. Take the binary version from ',
      h('a', { href: 'https://www.cs.toronto.edu/~kriz/cifar.html' }, 'its authors’ page'),
      ' and give its test batch to this page; it stays on your machine. The other panels work without.',
    ),
    zone,
    said,
  );
  const update = () => (element.hidden = app.opened.testImages > 0);
  app.results.onChange.add(update);
  update();
  return element;
}

/** What the numbers allow to be said, and no more. */
function conclusion({ rows, images }: Comparison): string {
  const fp32 = rows[0];
  const width = (fp32.accuracyHigh! - fp32.accuracyLow!) * 100;
  const caution =
    images < 1000
      ? `On ${count(images)} images an accuracy is known to within ${width.toFixed(0)} points; `
      : '';
  const others = rows.filter((row) => row.accuracy !== undefined && row !== fp32);
  const kept = others.filter((row) => row.agreement! >= 0.98).sort((a, b) => a.sizeBytes - b.sizeBytes)[0];
  const times = kept && (fp32.sizeBytes / kept.sizeBytes).toFixed(0);
  const best = kept
    ? `${rowLabel(kept.name)} gives fp32’s answer on ${percent(kept.agreement!, 0)} of them in 1/${times} of the size.`
    : `${caution ? 'n' : 'N'}o precision here agrees with fp32 on 98 % of the images.`;
  // Only where the intervals are apart is a loss more than chance.
  const lost = others
    .filter((row) => row.accuracyHigh! < fp32.accuracyLow!)
    .sort((a, b) => a.accuracy! - b.accuracy!)[0];
  const worst = lost
    ? ` ${upperFirst(rowLabel(lost.name))} is right on ${percent(lost.accuracy!, 0)}: too few bits.`
    : '';
  return caution + best + worst;
}

const upperFirst = (text: string) => text[0].toUpperCase() + text.slice(1);
