import { h } from '../dom.ts';
import type { FileFormat, OwnRow, OwnRowName } from '../protocol.ts';
import { bytesText, colorOf, decibels, ms, percent, rowLabel } from '../text.ts';
import { bar } from './compare-table.ts';

const HEADS = ['Precision', 'Output SQNR', 'Cosine', 'Largest error', 'Size', 'Time a run', 'Save as'];
const FORMATS: Record<FileFormat, string> = {
  float: '.onnx',
  qdq: 'QDQ .onnx',
  qoperator: 'QOperator .onnx',
  codebook: 'codebook .onnx',
  safetensors: '.safetensors',
};
const FULL_BAR_DB = 50;

/** A line a precision: how close its outputs are, what it takes, and the files that it can be saved as. */
export function ownTable(onSave: (row: OwnRowName, format: FileFormat) => void) {
  const body = h('tbody');
  const firsts = h('tbody');
  const firstTable = h(
    'table',
    { class: 'results firsts', role: 'table', hidden: true },
    h('caption', {}, 'What each makes of the first input'),
    firsts,
  );
  const table = h(
    'table',
    { class: 'results own stacks', role: 'table' },
    h('caption', {}, 'Each precision against the network as it came'),
    h('thead', {}, h('tr', {}, ...HEADS.map((name) => h('th', { scope: 'col' }, name)))),
    body,
  );
  let lines = new Map<string, HTMLTableRowElement>();
  let done: OwnRow[] = [];

  const redraw = () => {
    const size = Math.max(...done.map(({ fileBytes }) => fileBytes));
    const time = Math.max(...done.map(({ milliseconds }) => milliseconds));
    for (const row of done)
      lines.get(row.name)?.replaceChildren(head(row.name), ...cells(row, done[0], { size, time }, onSave));
    firsts.replaceChildren(...done.filter(({ failed }) => !failed).map(firstLine));
    firstTable.hidden = false;
  };
  const clear = () => {
    done = [];
    lines = new Map();
    body.replaceChildren();
    firstTable.hidden = true;
  };
  return {
    element: h('div', { class: 'stack' }, table, firstTable),
    clear,
    start(names: readonly OwnRowName[]) {
      clear();
      lines = new Map(
        names.map((name) => [
          name,
          h('tr', { class: `waiting ${colorOf(name)}` }, head(name), cell('', HEADS.length - 1, 'waiting')),
        ]),
      );
      body.replaceChildren(...lines.values());
    },
    fill(row: OwnRow) {
      done = [...done.filter(({ name }) => name !== row.name), row];
      lines.get(row.name)?.setAttribute('class', colorOf(row.name));
      redraw();
    },
    /** Lines that will not be filled any more. */
    stop() {
      for (const [name, line] of lines)
        if (!done.some((row) => row.name === name)) line.cells[1].textContent = 'not run';
    },
  };
}

const head = (name: OwnRowName) =>
  h(
    'th',
    { scope: 'row', 'data-row': name },
    h('span', { class: 'dot', 'aria-hidden': true }),
    rowLabel(name),
  );

const cell = (label: string, span: number, ...content: (HTMLElement | string | false)[]) =>
  h('td', { 'data-label': label, colspan: span > 1 ? span : undefined }, ...content);

function cells(
  { name, failed, outputs, fileBytes, milliseconds, files }: OwnRow,
  given: OwnRow,
  most: { size: number; time: number },
  onSave: (row: OwnRowName, format: FileFormat) => void,
): HTMLElement[] {
  if (failed !== undefined) return [cell('', HEADS.length - 1, `${failed}.`)];
  // Of several outputs the one that suffers most.
  const worst = [...outputs].sort((a, b) => a.sqnrDb - b.sqnrDb)[0];
  const which = outputs.length > 1 && h('small', {}, worst.name);
  const share = name !== given.name && h('small', {}, percent(fileBytes / given.fileBytes, 0));
  const errors = worst
    ? [
        cell(HEADS[1], 1, decibels(worst.sqnrDb), which, bar(worst.sqnrDb / FULL_BAR_DB)),
        cell(HEADS[2], 1, worst.cosine.toFixed(6)),
        cell(HEADS[3], 1, worst.largestError.toPrecision(3)),
      ]
    : [1, 2, 3].map((i) => cell(HEADS[i], 1, '–'));
  return [
    ...errors,
    cell(HEADS[4], 1, bytesText(fileBytes), share, bar(fileBytes / most.size)),
    cell(HEADS[5], 1, ms(milliseconds), bar(milliseconds / most.time)),
    cell(HEADS[6], 1, h('div', { class: 'saves' }, ...files.map((file) => saveButton(name, file, onSave)))),
  ];
}

function saveButton(
  row: OwnRowName,
  { format, fileBytes, refused }: OwnRow['files'][number],
  onSave: (row: OwnRowName, format: FileFormat) => void,
): HTMLElement {
  if (refused !== undefined) return h('small', {}, `no ${FORMATS[format]}: ${refused}`);
  const button = h(
    'button',
    {
      type: 'button',
      class: 'link',
      'data-format': format,
      'aria-label': `Save ${rowLabel(row)} as ${FORMATS[format]}`,
      onClick: () => onSave(row, format),
    },
    FORMATS[format],
  );
  return h('span', {}, button, h('small', {}, bytesText(fileBytes)));
}

function firstLine({ name, first }: OwnRow): HTMLElement {
  const [{ name: output, dims, values }] = first;
  const shown = values.map((value) => value.toPrecision(4)).join(', ');
  const more = dims.reduce((a, b) => a * b, 1) > values.length ? ', …' : '';
  return h(
    'tr',
    { class: colorOf(name) },
    head(name),
    h('td', {}, h('code', {}, `${output} [${dims.join(', ')}] = ${shown}${more}`)),
  );
}
