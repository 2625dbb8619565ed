import type { App, Panel } from '../app.ts';
import { choice, h, isAbort, newId, select } from '../dom.ts';
import type { Inspection, InspectRequest } from '../protocol.ts';
import { bytesText, count, decibels } from '../text.ts';
import { clusterLesson } from './cluster-lesson.ts';
import { bar } from './compare-table.ts';
import { histogramChart } from './histogram-chart.ts';

const BITS = [2, 3, 4, 5, 6, 7, 8, 32];
const FULL_BAR_DB = 50;

/** A layer's weights with the values a precision leaves them, and the error of every layer. */
export const insidePanel: Panel = { id: 'inside', title: 'Look inside', build };

function build(app: App): HTMLElement {
  const { layers, adapter } = app.opened;
  const asked: InspectRequest = {
    layer: layers[1].name,
    method: 'kmeans',
    bits: 4,
    granularity: 'perTensor',
  };
  const layer = select(
    'Layer',
    layers.map(({ name, dims }) => [name, `${name.replace('backbone.', '')} (${dims.join(' × ')})`]),
  );
  layer.input.value = asked.layer;
  const id = newId('bits');
  const bits = h('input', {
    id,
    type: 'range',
    min: 0,
    max: BITS.length - 1,
    step: 1,
    value: BITS.indexOf(4),
  });
  const bitsText = h('output', { for: id }, '4 bits');
  const chart = histogramChart();
  const facts = h('p', { class: 'status', role: 'status' }, 'Reading the layer…');
  const measureAll = h('button', { type: 'button' }, 'Measure every layer');
  const errors = errorTable(app);
  let turn: AbortController | undefined;

  const update = async () => {
    turn?.abort();
    turn = new AbortController();
    const { signal } = turn;
    const setting = `${asked.bits} bits`;
    bitsText.textContent = setting;
    bits.setAttribute('aria-valuetext', setting);
    errors.clear();
    facts.textContent = 'Quantizing the layer…';
    try {
      const found = await app.client.call('inspect', { ...asked }, { signal });
      if (signal.aborted) return;
      chart.show(found);
      facts.textContent = describe(found);
      errors.fill(found);
      // On a software adapter the whole network takes a while: only when asked.
      if (adapter.profile === 'gpu') await everyLayer(signal);
    } catch (error) {
      if (!isAbort(error)) facts.textContent = `It failed: ${(error as Error).message}`;
    }
  };
  const everyLayer = async (signal?: AbortSignal) => {
    for (const { name } of layers) {
      if (signal?.aborted) return;
      const found = await app.client.call('inspect', { ...asked, layer: name }, { signal });
      if (!signal?.aborted) errors.fill(found);
    }
  };
  layer.input.addEventListener('change', () => {
    asked.layer = layer.input.value;
    void update();
  });
  bits.addEventListener('input', () => {
    bitsText.textContent = `${BITS[bits.valueAsNumber]} bits`;
  });
  bits.addEventListener('change', () => {
    asked.bits = BITS[bits.valueAsNumber];
    void update();
  });
  measureAll.addEventListener('click', async () => {
    measureAll.disabled = true;
    await everyLayer(turn?.signal).catch(() => undefined);
    measureAll.disabled = false;
  });
  const set =
    <K extends 'method' | 'granularity'>(key: K) =>
    (value: InspectRequest[K]) => {
      asked[key] = value;
      void update();
    };
  void update();
  return h(
    'div',
    { class: 'stack' },
    h(
      'div',
      { class: 'toolbar' },
      layer.field,
      choice(
        'Method',
        [
          ['kmeans', 'k-means'],
          ['linear', 'linear'],
        ],
        asked.method,
        set('method'),
      ),
      choice(
        'One codebook or scale for',
        [
          ['perTensor', 'a tensor'],
          ['perChannel', 'a channel'],
        ],
        asked.granularity,
        set('granularity'),
      ),
      h('div', { class: 'field' }, h('label', { for: id }, 'Bits ', bitsText), bits),
    ),
    h('h2', {}, 'Weights and the values left to them'),
    chart.element,
    facts,
    h('h2', {}, 'Error of each layer'),
    errors.element,
    adapter.profile === 'cpu' && h('div', {}, measureAll),
    h(
      'p',
      { class: 'note' },
      'SQNR is the power of the weights over the power of the error, in decibels: 6 dB more is half the error’s size. ',
      'Weights are shown as trained; the integer rows of Compare fold batch norm into them first.',
    ),
    clusterLesson(app),
  );
}

function describe({ method, bits, levels, channel, channels, sqnrDb, bytes, weights }: Inspection): string {
  if (bits === 32) return `${count(weights)} weights as trained, ${bytesText(bytes)}.`;
  const what =
    method === 'kmeans'
      ? `${count(levels.length)} centroids`
      : `${count(levels.length)} evenly spaced levels`;
  const whose = channel === null ? '' : ` a channel (drawn: the widest, ${channel} of ${channels})`;
  return `${what}${whose} for ${count(weights)} weights: SQNR ${decibels(sqnrDb)}, ${bytesText(bytes)} with ${method === 'kmeans' ? 'codebooks' : 'scales'}.`;
}

function errorTable(app: App) {
  const cells = new Map<string, HTMLElement>();
  const list = h(
    'ul',
    { class: 'errors' },
    ...app.opened.layers.map(({ name }) => {
      const cell = h('span', { class: 'cell' }, '–');
      cells.set(name, cell);
      return h('li', {}, h('span', {}, name.replace('backbone.', '')), cell);
    }),
  );
  return {
    element: list,
    clear() {
      for (const cell of cells.values()) cell.replaceChildren('–');
    },
    fill({ layer, sqnrDb, method }: Inspection) {
      const share = Number.isFinite(sqnrDb) ? sqnrDb / FULL_BAR_DB : 1;
      const cell = cells.get(layer)!;
      cell.className = `cell ${method}`;
      cell.replaceChildren(h('span', { class: 'number' }, decibels(sqnrDb)), bar(share));
    },
  };
}
