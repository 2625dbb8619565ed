import type { App } from '../app.ts';
import { h, isAbort } from '../dom.ts';
import type { Inspection, InspectRequest } from '../protocol.ts';
import { count, decibels } from '../text.ts';
import { bar } from './compare-table.ts';

const WIDTHS = [8, 4, 2];
const FULL_BAR_DB = 50;

type Setting = Pick<InspectRequest, 'method' | 'granularity'>;

/** The error of every layer at 8, 4 and 2 bits, a line a layer; what was measured once stays. */
export function layerErrors(app: App, onPick: (layer: string) => void) {
  const { layers } = app.opened;
  const known = new Map<string, number>();
  const keyOf = (layer: string, bits: number, { method, granularity }: Setting) =>
    [layer, bits, method, granularity].join();
  const caption = h('caption');
  const lines = new Map(
    layers.map(({ name, weights }) => {
      const cells = WIDTHS.map((bits) => h('td', { 'data-label': `${bits} bits` }));
      const pick = h('button', { type: 'button', class: 'link', onClick: () => onPick(name) }, short(name));
      const row = h('tr', {}, h('th', { scope: 'row' }, pick), weightsCell(weights), ...cells);
      return [name, { cells, pick, row }];
    }),
  );
  const table = h(
    'table',
    { class: 'results errors', role: 'table' },
    caption,
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        ...['Layer', 'Weights', ...WIDTHS.map((bits) => `${bits} bits`)].map((head) =>
          h('th', { scope: 'col' }, head),
        ),
      ),
    ),
    h('tbody', {}, ...[...lines.values()].map(({ row }) => row)),
  );
  const all = h('button', { type: 'button' }, 'Measure every layer');
  const said = h('p', { class: 'status', role: 'status' });
  let setting: Setting = { method: 'kmeans', granularity: 'perTensor' };
  let stop: AbortController | undefined;

  const draw = (layer: string) => {
    const { method } = setting;
    for (const [i, bits] of WIDTHS.entries()) {
      const cell = lines.get(layer)!.cells[i];
      const sqnrDb = known.get(keyOf(layer, bits, setting));
      cell.className = method;
      if (sqnrDb === undefined) cell.replaceChildren('–');
      else cell.replaceChildren(h('span', { class: 'number' }, decibels(sqnrDb)), bar(sqnrDb / FULL_BAR_DB));
    }
  };
  const note = (found: Inspection) => {
    if (found.bits === 32) return;
    known.set(keyOf(found.layer, found.bits, found), found.sqnrDb);
    draw(found.layer);
  };
  const measure = async () => {
    stop = new AbortController();
    const { signal } = stop;
    const mine = setting;
    const todo = WIDTHS.flatMap((bits) => layers.map(({ name }) => ({ ...mine, bits, layer: name }))).filter(
      ({ layer, bits }) => !known.has(keyOf(layer, bits, mine)),
    );
    all.textContent = 'Stop measuring';
    try {
      for (const [i, request] of todo.entries()) {
        said.textContent = `Quantizing ${short(request.layer)} to ${request.bits} bits, ${i + 1} of ${todo.length}…`;
        const onWait = () => (said.textContent = 'Waiting for what is running now…');
        note(await app.client.call('inspect', request, { signal, onWait }));
        signal.throwIfAborted();
      }
      said.textContent = worst(mine);
    } catch (error) {
      said.textContent = isAbort(error) ? 'Stopped.' : `It failed: ${(error as Error).message}`;
    } finally {
      all.textContent = 'Measure every layer';
      stop = undefined;
    }
  };
  const worst = (of: Setting) => {
    const ranked = layers
      .map(({ name }) => ({ name, sqnrDb: known.get(keyOf(name, 4, of)) ?? 0 }))
      .sort((a, b) => a.sqnrDb - b.sqnrDb);
    return `At 4 bits ${short(ranked[0].name)} suffers most, with ${decibels(ranked[0].sqnrDb)}, and ${short(ranked.at(-1)!.name)} least, with ${decibels(ranked.at(-1)!.sqnrDb)}.`;
  };
  all.addEventListener('click', () => (stop ? stop.abort() : void measure()));

  return {
    element: h('div', { class: 'stack' }, table, h('div', { class: 'toolbar' }, all), said),
    note,
    /** Shows what is known at a setting, and marks the layer that the histogram shows. */
    show(layer: string, { method, granularity }: Setting) {
      if (setting.method !== method || setting.granularity !== granularity) {
        stop?.abort();
        said.textContent = '';
      }
      setting = { method, granularity };
      const whose = granularity === 'perTensor' ? 'a tensor' : 'a channel';
      caption.textContent = `SQNR with ${method === 'kmeans' ? 'a k-means codebook' : 'a linear scale'} for ${whose}`;
      for (const [name, { pick, row }] of lines) {
        draw(name);
        row.className = name === layer ? 'chosen' : '';
        pick.setAttribute('aria-pressed', String(name === layer));
      }
    },
  };
}

const short = (name: string) => name.replace('backbone.', '');
const weightsCell = (weights: number) =>
  h('td', { 'data-label': 'Weights', class: 'number' }, count(weights));
