import type { App, Panel } from '../app.ts';
import { choice, h, isAbort, newId, select } from '../dom.ts';
import type { Inspection, InspectRequest } from '../protocol.ts';
import { bytesText, count, decibels } from '../text.ts';
import { clusterLesson } from './cluster-lesson.ts';
import { histogramChart } from './histogram-chart.ts';
import { layerErrors } from './layer-errors.ts';

const BITS = [2, 3, 4, 5, 6, 7, 8, 32];

/** A layer's weights with the values a precision leaves them, and the error of every layer. */
export const insidePanel: Panel = { id: 'inside', title: 'Look inside', build };

function build(app: App): HTMLElement {
  const { layers } = app.opened;
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
  const id = newId('bits');
  const bits = h('input', {
    id,
    type: 'range',
    min: 0,
    max: BITS.length - 1,
    step: 1,
    value: BITS.indexOf(asked.bits),
  });
  const bitsText = h('output', { for: id });
  const chart = histogramChart();
  const facts = h('p', { class: 'status', role: 'status' }, 'Reading the layer…');
  const errors = layerErrors(app, (name) => {
    asked.layer = name;
    void update();
  });
  let turn: AbortController | undefined;

  const update = async () => {
    turn?.abort();
    turn = new AbortController();
    const { signal } = turn;
    layer.input.value = asked.layer;
    bitsText.textContent = `${asked.bits} bits`;
    bits.setAttribute('aria-valuetext', `${asked.bits} bits`);
    errors.show(asked.layer, asked);
    facts.textContent = 'Quantizing the layer…';
    const onWait = () => (facts.textContent = 'Waiting for what is running now…');
    try {
      const found = await app.client.call('inspect', { ...asked }, { signal, onWait });
      if (signal.aborted) return;
      chart.show(found);
      facts.textContent = describe(found);
      errors.note(found);
    } catch (error) {
      if (!isAbort(error)) facts.textContent = `It failed: ${(error as Error).message}`;
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
      'p',
      { class: 'lead' },
      'A weight of b bits can take 2ᵇ values. The histogram shows the weights as trained; the lines are the values left to them. Fewer bits, fewer lines; k-means puts them where the weights are, linear at even distances.',
    ),
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
