import type { CompareRow, CompareRowName } from 'lloyd';
import { h } from '../dom.ts';
import { colorOf, decibels, mib, percent, rate, rowLabel } from '../text.ts';

const HEADS = ['Precision', 'Accuracy', 'Size', 'Images/s', 'GPU memory', 'Same as fp32'];

/** The live table: a line a precision, with a bar beside each figure. */
export function resultTable() {
  const body = h('tbody');
  const caption = h('caption', {}, 'Each precision on the same images');
  const element = h(
    'table',
    { class: 'results stacks', role: 'table' },
    caption,
    h('thead', {}, h('tr', {}, ...HEADS.map((head) => h('th', { scope: 'col' }, head)))),
    body,
  );
  let lines = new Map<string, HTMLTableRowElement>();
  let done: CompareRow[] = [];
  body.append(h('tr', { class: 'waiting' }, h('td', { colspan: HEADS.length }, 'Nothing has run yet.')));

  const redraw = () => {
    const largest = (of: (row: CompareRow) => number | undefined) =>
      Math.max(...done.map((row) => of(row) ?? 0));
    const most = {
      size: largest((row) => row.sizeBytes),
      speed: largest((row) => row.imagesPerSecond),
      memory: largest((row) => row.gpuBytes),
    };
    for (const row of done) lines.get(row.name)?.replaceChildren(head(row.name), ...cells(row, most));
  };
  return {
    element,
    start(rows: readonly CompareRowName[]) {
      done = [];
      lines = new Map(
        rows.map((name) => [
          name,
          h('tr', { class: `waiting ${colorOf(name)}` }, head(name), cell('', 'waiting', 5)),
        ]),
      );
      body.replaceChildren(...lines.values());
    },
    running(name: string, at: number, total: number) {
      const line = lines.get(name);
      if (!line) return;
      line.classList.replace('waiting', 'running');
      line.cells[1].textContent = `image ${at} of ${total}`;
    },
    fill(row: CompareRow) {
      done.push(row);
      lines.get(row.name)?.setAttribute('class', colorOf(row.name));
      redraw();
    },
    /** Lines that will not be filled any more. */
    stop() {
      for (const [name, line] of lines) {
        if (!done.some((row) => row.name === name)) line.cells[1].textContent = 'not run';
      }
    },
  };
}

function head(name: string) {
  return h(
    'th',
    { scope: 'row', 'data-row': name },
    h('span', { class: 'dot', 'aria-hidden': true }),
    rowLabel(name),
  );
}

function cell(label: string, content: string | HTMLElement, span = 1, ...more: (HTMLElement | false)[]) {
  return h('td', { 'data-label': label, colspan: span > 1 ? span : undefined }, content, ...more);
}

function cells(row: CompareRow, most: { size: number; speed: number; memory: number }): HTMLElement[] {
  const size = cell('Size', mib(row.sizeBytes), 1, bar(row.sizeBytes / most.size));
  if (row.accuracy === undefined) {
    return [cell('Accuracy', 'not trained'), size, cell('Train it with', h('code', {}, row.train ?? ''), 3)];
  }
  const { accuracy, accuracyLow = 0, accuracyHigh = 1, agreement = 1, logitSqnrDb } = row;
  const interval = `${(accuracyLow * 100).toFixed(1)}–${(accuracyHigh * 100).toFixed(1)}`;
  return [
    cell(
      'Accuracy',
      percent(accuracy),
      1,
      h('small', {}, interval),
      bar(accuracy, [accuracyLow, accuracyHigh]),
    ),
    size,
    cell('Images/s', rate(row.imagesPerSecond!), 1, bar(row.imagesPerSecond! / most.speed)),
    cell('GPU memory', mib(row.gpuBytes!), 1, bar(row.gpuBytes! / most.memory)),
    cell(
      'Same as fp32',
      percent(agreement),
      1,
      logitSqnrDb !== null &&
        h('small', { title: 'signal to quantization noise of the logits' }, decibels(logitSqnrDb!)),
      bar(agreement),
    ),
  ];
}

/** A bar of a fraction, with a whisker where there is an interval; the figure beside it says the same in words. */
export function bar(fraction: number, interval?: [number, number]): HTMLElement {
  const width = (x: number) => `${(Math.max(0, Math.min(1, x)) * 100).toFixed(1)}%`;
  return h(
    'span',
    { class: 'bar', 'aria-hidden': true },
    h('span', { class: 'fill', style: `width:${width(fraction)}` }),
    interval &&
      h('span', {
        class: 'whisker',
        style: `left:${width(interval[0])};width:${width(interval[1] - interval[0])}`,
      }),
  );
}
