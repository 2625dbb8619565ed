import type { App, Panel } from '../app.ts';
import { h, isAbort } from '../dom.ts';
import type { BenchRow } from '../protocol.ts';
import { ms } from '../text.ts';
import { bar } from './compare-table.ts';

/** The same work by lloyd and by tfjs-webgpu, on one device in this tab. */
export const tensorPanel: Panel = { id: 'bench', title: 'Tensor bench', build };

function build(app: App): HTMLElement {
  const run = h('button', { type: 'button', class: 'primary' }, 'Load tfjs and run');
  const status = h('p', { class: 'status', role: 'status' }, 'tfjs is not part of the page until this runs.');
  const rows = h('div', { class: 'bench' });
  run.addEventListener('click', async () => {
    run.disabled = true;
    rows.replaceChildren();
    status.textContent = 'Loading tfjs, then three tasks…';
    try {
      const all = await app.client.call(
        'tensorBench',
        {},
        {
          onWait: () => (status.textContent = 'Waiting for what is running now…'),
          onProgress: (row) => rows.append(duel(row)),
        },
      );
      const faster = all.filter((row) => row.lloydMs < row.tfjsMs).length;
      status.textContent = `lloyd was faster in ${faster} of ${all.length} tasks on ${app.opened.adapter.name}.`;
    } catch (error) {
      if (!isAbort(error)) status.textContent = `It failed: ${(error as Error).message}`;
    } finally {
      run.disabled = false;
      run.textContent = 'Run again';
    }
  });
  return h(
    'div',
    { class: 'stack' },
    h(
      'p',
      { class: 'lead' },
      'Three tasks, each done by this library and by TensorFlow.js on WebGPU, on one device in this tab. Shorter bars are faster.',
    ),
    h('div', { class: 'toolbar' }, run),
    status,
    rows,
    h(
      'p',
      { class: 'note' },
      'Medians of up to seven runs by the wall clock, after one that compiles; every run waits for its result. ',
      'Both libraries use the same GPUDevice and data.',
    ),
  );
}

function duel({ name, note, lloydMs, tfjsMs }: BenchRow): HTMLElement {
  const most = Math.max(lloydMs, tfjsMs);
  const line = (who: string, time: number) =>
    h(
      'p',
      { class: who === 'lloyd' ? 'linear' : 'fp32' },
      h('span', {}, who),
      bar(time / most),
      h('span', { class: 'number' }, ms(time)),
    );
  const ratio = tfjsMs / lloydMs;
  const verdict =
    ratio >= 1 ? `is ${ratio.toFixed(1)} times as fast` : `takes ${(1 / ratio).toFixed(1)} times as long`;
  return h(
    'section',
    { class: 'duel' },
    h('h3', {}, name),
    line('lloyd', lloydMs),
    line('tfjs', tfjsMs),
    h('p', { class: 'note' }, `lloyd ${verdict}; ${note}.`),
  );
}
