import type { App, Panel } from '../app.ts';
import { h, isAbort } from '../dom.ts';
import type { OwnNetwork, OwnRow } from '../protocol.ts';
import { count, decibels, many, percent, rowLabel } from '../text.ts';
import { dropZone } from './drop.ts';
import { ownForm } from './own-form.ts';
import { ownLayers } from './own-layers.ts';
import { networkReport } from './own-report.ts';
import { ownTable } from './own-table.ts';

/** A network of the visitor's own: read, run, quantized, checked layer by layer, and saved. */
export const ownNetworkPanel: Panel = { id: 'yours', title: 'Your network', build };

const DROP =
  'Drop an .onnx file here, or choose it. Also .safetensors of lloyd, or model.json of TensorFlow.js; files of weights go with it.';

function build(app: App): HTMLElement {
  const said = h('p', { class: 'status', role: 'status' });
  const bar = h('progress', { max: 1, value: 0, 'aria-label': 'Progress of the check' });
  const report = h('div');
  const fact = h('p', { class: 'fact' });
  const layers = ownLayers();
  const table = ownTable((row, format) => void save(row, format));
  const form = ownForm(app, {
    start: () => void start(),
    cancel: () => {
      stop?.abort();
      say('Cancelling…');
    },
    tell: say,
  });
  const results = h('div', { class: 'stack' }, table.element, fact, layers.element);
  const body = h(
    'div',
    { class: 'stack', hidden: true },
    h('div', { class: 'runline' }, form.buttons, bar, said),
    h('div', { class: 'split' }, form.element, h('div', { class: 'stack' }, report, results)),
  );
  const opening = h('p', { class: 'status', role: 'status' });
  const own = h('button', { type: 'button', onClick: () => void open(null) }, 'Take the VGG of this page');
  let network: OwnNetwork | undefined;
  let stop: AbortController | undefined;
  /** What is opened last counts, whatever is read first. */
  let turn = 0;

  function say(text: string): void {
    if (said.textContent !== text) said.textContent = text;
  }

  async function open(files: File[] | null): Promise<void> {
    const mine = ++turn;
    stop?.abort();
    const what = files ? files.map(({ name }) => name).join(', ') : 'the VGG of this page';
    opening.textContent = `Reading ${what}…`;
    body.hidden = true;
    network = undefined;
    try {
      const onWait = () => (opening.textContent = 'Waiting for what is running now…');
      const found = await app.client.call('openNetwork', { files }, { onWait });
      if (mine !== turn) return;
      network = found;
      opening.textContent = '';
      show(found);
    } catch (error) {
      if (mine === turn && !isAbort(error)) opening.textContent = `${(error as Error).message}.`;
    }
  }

  function show(found: OwnNetwork): void {
    const { total, refused } = found.nodes;
    report.replaceChildren(networkReport(found));
    table.clear();
    layers.clear();
    fact.textContent = '';
    results.hidden = true;
    bar.value = 0;
    form.fit(found);
    const quantized = found.row === 'fp32' ? '' : `, as ${rowLabel(found.row)}`;
    say(
      refused.length > 0
        ? `${refused.length} of ${many(total, 'node')} can’t run here, so the network can’t.`
        : `Press Run: the network runs${quantized}, ${quantized ? 'and can be saved in other forms' : 'is quantized, and every layer is checked'}.`,
    );
    body.hidden = false;
  }

  async function start(): Promise<void> {
    const request = form.request();
    if (!network || !request) return;
    stop = new AbortController();
    const { signal } = stop;
    const mine = turn;
    const names = network.row === 'fp32' ? ['fp32' as const, ...request.precisions] : [network.row];
    const done: OwnRow[] = [];
    form.running(true);
    table.start(names);
    layers.clear();
    fact.textContent = '';
    results.hidden = false;
    bar.value = 0;
    const started = performance.now();
    say('Starting…');
    try {
      const { file } = await app.client.call('checkNetwork', request, {
        signal,
        onWait: () => say('Waiting for what is running now…'),
        onProgress(event) {
          if (signal.aborted || !network) return;
          if (event.kind === 'step') say(event.text);
          else if (event.kind === 'nodes') {
            network = { ...network, nodes: event.nodes };
            report.replaceChildren(networkReport(network));
          } else {
            done.push(event.row);
            bar.value = done.length / names.length;
            table.fill(event.row);
            layers.add(event.row);
          }
        },
      });
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      say(`${many(names.length, 'precision')} in ${seconds} s.`);
      fact.textContent = conclusion(done);
      form.offer(file);
    } catch (error) {
      table.stop();
      if (mine !== turn) return;
      const reached = `after ${count(done.length)} of ${many(names.length, 'precision')}`;
      if (signal.aborted) say(`Cancelled ${reached}.`);
      else if (isAbort(error)) say(`Stopped ${reached}: the device was lost.`);
      else say(`${(error as Error).message}.`);
    } finally {
      form.running(false);
    }
  }

  async function save(row: OwnRow['name'], format: OwnRow['files'][number]['format']): Promise<void> {
    say(`Writing ${rowLabel(row)}…`);
    try {
      const { name, file } = await app.client.call('writeNetwork', { row, format });
      const link = h('a', { href: URL.createObjectURL(file), download: name });
      link.click();
      // The download has the file by then; an address kept would keep the file in memory.
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      say(`Saved ${name}.`);
    } catch (error) {
      if (!isAbort(error)) say(`${(error as Error).message}.`);
    }
  }

  return h(
    'div',
    { class: 'stack' },
    h(
      'p',
      { class: 'lead' },
      'Give this page your own network: it is read, run and quantized in this tab, every layer is held against the original, and you take the quantized file with you. Nothing leaves your machine.',
    ),
    h(
      'div',
      { class: 'panel-row' },
      dropZone(DROP, '.onnx,.safetensors,.json,.bin,.data,.weight', (_, all) => void open(all), {
        multiple: true,
      }),
      h(
        'div',
        { class: 'beside stack' },
        h('p', { class: 'note' }, 'No network at hand?'),
        h('div', {}, own),
        opening,
      ),
    ),
    body,
    h(
      'p',
      { class: 'note' },
      'SQNR is the power of a value over the power of its error, in decibels: of an output, and of each layer’s, by itself (fed with what the float network feeds it) and in the whole network. ',
      'Times are medians of up to seven runs by the wall clock, the result read back. Activation ranges come from the inputs above: noise tells little of real ones.',
    ),
  );
}

/** The smallest that stays close, and the layer that suffers most. */
function conclusion(rows: readonly OwnRow[]): string {
  const [given, ...others] = rows;
  const worst = (row: OwnRow) => Math.min(...row.outputs.map(({ sqnrDb }) => sqnrDb));
  const measured = others.filter(({ failed, outputs }) => !failed && outputs.length > 0);
  if (!given || measured.length === 0) return '';
  const close = measured.filter((row) => worst(row) >= CLOSE_DB).sort((a, b) => a.fileBytes - b.fileBytes)[0];
  if (!close) {
    const best = [...measured].sort((a, b) => worst(b) - worst(a))[0];
    return `None of these keeps ${CLOSE_DB} dB; ${rowLabel(best.name)} comes closest, with ${decibels(worst(best))}.`;
  }
  const share = percent(close.fileBytes / given.fileBytes, 0);
  return `${rowLabel(close.name)} is the smallest that keeps ${CLOSE_DB} dB: ${decibels(worst(close))} in ${share} of the size.`.replace(
    /^./,
    (first) => first.toUpperCase(),
  );
}

/** An error of a tenth of the values' size. */
const CLOSE_DB = 20;
