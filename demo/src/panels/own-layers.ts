import { h, select } from '../dom.ts';
import type { OwnRow } from '../protocol.ts';
import { decibels, many, rowLabel } from '../text.ts';
import { bar } from './compare-table.ts';

type Layer = OwnRow['layers'][number];

const HEADS = ['Layer', 'Operator', 'Computed in', 'By itself', 'Cosine', 'In the network', 'Cosine'];
const FULL_BAR_DB = 50;
/** More lines would hold up the page's own thread. */
const AT_ONCE = 100;

/** The error of every layer at one precision, the worst marked. */
export function ownLayers() {
  const which = select('Precision', []);
  const holder = h('div', { class: 'stack' });
  const element = h(
    'section',
    { class: 'stack', hidden: true },
    h('h2', {}, 'Error of each layer'),
    which.field,
    holder,
  );
  let rows: OwnRow[] = [];

  const draw = () => {
    const row = rows.find(({ name }) => name === which.input.value);
    holder.replaceChildren(...(row ? [tableOf(row)] : []));
  };
  which.input.addEventListener('change', draw);
  return {
    element,
    clear() {
      rows = [];
      element.hidden = true;
      which.input.replaceChildren();
      holder.replaceChildren();
    },
    add(row: OwnRow) {
      if (row.layers.length === 0) return;
      rows = [...rows.filter(({ name }) => name !== row.name), row];
      const chosen = which.input.value;
      which.input.replaceChildren(...rows.map(({ name }) => h('option', { value: name }, rowLabel(name))));
      if (chosen) which.input.value = chosen;
      element.hidden = false;
      if (!chosen || chosen === row.name) draw();
    },
  };
}

function tableOf({ name, layers }: OwnRow): HTMLElement {
  const measured = layers.filter(({ own }) => own);
  const ranked = measured.filter(({ own }) => own!.sqnrDb < Infinity);
  const worst = ranked.sort((a, b) => a.own!.sqnrDb - b.own!.sqnrDb)[0];
  const body = h('tbody');
  const more = h('button', { type: 'button' });
  let shown = 0;
  const grow = () => {
    body.append(
      ...measured.slice(shown, shown + AT_ONCE).map((layer) => lineOf(layer, name, layer === worst)),
    );
    shown = Math.min(shown + AT_ONCE, measured.length);
    more.hidden = shown === measured.length;
    more.textContent = `Show more of ${many(measured.length, 'layer')}`;
  };
  more.addEventListener('click', grow);
  grow();
  const note = worst
    ? `${worst.layer} suffers most by itself: ${decibels(worst.own!.sqnrDb)}.`
    : 'No layer loses anything.';
  return h(
    'div',
    { class: 'stack' },
    h('p', { class: 'worst' }, note),
    h(
      'table',
      { class: 'results layers stacks', role: 'table' },
      h('caption', { class: 'hidden' }, `SQNR and cosine of each layer at ${rowLabel(name)}`),
      h('thead', {}, h('tr', {}, ...HEADS.map((head) => h('th', { scope: 'col' }, head)))),
      body,
    ),
    more,
  );
}

function lineOf(
  { layer, op, dtype, bits, own, total }: Layer,
  name: OwnRow['name'],
  isWorst: boolean,
): HTMLElement {
  const cell = (label: string, ...content: (HTMLElement | string)[]) =>
    h('td', { 'data-label': label }, ...content);
  const sqnr = (db: number) => [h('span', { class: 'number' }, decibels(db)), bar(db / FULL_BAR_DB)];
  return h(
    'tr',
    { class: `${name.split('-')[0]}${isWorst ? ' chosen' : ''}`, 'data-layer': layer },
    h('th', { scope: 'row' }, layer),
    cell(HEADS[1], op),
    cell(HEADS[2], `${dtype}${bits ? `, ${bits} bit weights` : ''}`),
    cell('SQNR by itself', ...sqnr(own!.sqnrDb)),
    cell('Cosine by itself', own!.cosine.toFixed(6)),
    cell('SQNR in the network', ...sqnr(total!.sqnrDb)),
    cell('Cosine in the network', total!.cosine.toFixed(6)),
  );
}
