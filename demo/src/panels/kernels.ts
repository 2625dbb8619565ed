import { type CompareRowName, compareRowNames, type PlanEntry } from 'lloyd';
import type { App, Panel } from '../app.ts';
import { h, isAbort, select } from '../dom.ts';
import type { Profiled } from '../protocol.ts';
import { count, many, mib, ms, rowLabel } from '../text.ts';
import { bar } from './compare-table.ts';
import { kernelSource } from './kernel-source.ts';

/** The dispatches of one forward pass, with what each cost. */
export const kernelsPanel: Panel = { id: 'kernels', title: 'Kernels', build };

function build(app: App): HTMLElement {
  const names = compareRowNames.filter((name) => !name.endsWith('-qat') || app.opened.trained.includes(name));
  const row = select(
    'Precision',
    names.map((name) => [name, rowLabel(name)]),
  );
  const source = kernelSource(app);
  row.input.value = 'linear-8';
  const sizes = app.opened.adapter.profile === 'cpu' ? ['1', '2', '8'] : ['1', '8', '32', '128'];
  const batch = select(
    'Images a batch',
    sizes.map((n) => [n, n]),
  );
  if (sizes.includes('32')) batch.input.value = '32';
  const run = h('button', { type: 'button', class: 'primary' }, 'Profile');
  const status = h(
    'p',
    { class: 'status', role: 'status' },
    'Each dispatch is timed by the GPU’s own clock. A shader’s name shows its source.',
  );
  const table = h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Dispatches' });
  run.addEventListener('click', async () => {
    run.disabled = true;
    status.textContent = 'Quantizing, compiling and running two passes…';
    source.clear();
    try {
      const name = row.input.value as CompareRowName;
      const profiled = await app.client.call(
        'profile',
        { row: name, batch: Number(batch.input.value) },
        { onWait: () => (status.textContent = 'Waiting for what is running now…') },
      );
      status.textContent = summary(profiled, name);
      table.replaceChildren(planTable(profiled, (step) => void source.show(step)));
    } catch (error) {
      if (!isAbort(error)) status.textContent = `It failed: ${(error as Error).message}`;
    } finally {
      run.disabled = false;
    }
  });
  return h(
    'div',
    { class: 'stack' },
    h(
      'p',
      { class: 'lead' },
      'A forward pass is a list of dispatches. Each line is one: the layer it computes, the shader that does it, and what it cost on this GPU.',
    ),
    h('div', { class: 'toolbar' }, row.field, batch.field, run),
    status,
    table,
    source.element,
    h(
      'p',
      { class: 'note' },
      'Browsers may round these clocks to 0.1 ms, to keep pages from spying on each other; Chrome started with ',
      h('code', {}, '--enable-webgpu-developer-features'),
      ' does not. Each dispatch is a pass of its own here; a normal run puts all of them in one.',
    ),
  );
}

function summary({ plan, milliseconds, batch, gpuBytes }: Profiled, name: string): string {
  const macs = plan.reduce((sum, step) => sum + step.macs, 0) * batch;
  const memory = `${mib(gpuBytes.weights)} weights, ${mib(gpuBytes.activations)} activations on the GPU`;
  const what = `${rowLabel(name)}: ${count(plan.length)} dispatches for ${many(batch, 'image')}`;
  if (!milliseconds)
    return `${what}; ${memory}. This adapter has no timestamp queries, so the plan stands without times.`;
  const total = milliseconds.reduce((a, b) => a + b, 0);
  return `${what} in ${ms(total)}, ${(macs / total / 1e6).toFixed(1)} G multiply-adds a second; ${memory}.`;
}

function planTable({ plan, milliseconds, batch }: Profiled, onPick: (step: PlanEntry) => void): HTMLElement {
  const longest = Math.max(...(milliseconds ?? [1]));
  const heads = ['Layer', 'Kernel', 'Output', 'Workgroups', 'Multiply-adds', 'Time'];
  return h(
    'table',
    { class: 'plan stacks', role: 'table' },
    h('caption', { class: 'hidden' }, 'Dispatch plan'),
    h('thead', {}, h('tr', {}, ...heads.map((head) => h('th', { scope: 'col' }, head)))),
    h(
      'tbody',
      {},
      ...plan.map((step, i) => {
        const { height, width, channels } = step.shape;
        const time = milliseconds?.[i];
        return h(
          'tr',
          {},
          h('th', { scope: 'row' }, step.layer.replace('backbone.', '')),
          h(
            'td',
            { 'data-label': heads[1] },
            h(
              'button',
              { type: 'button', class: 'link', onClick: () => onPick(step) },
              h('code', {}, step.kernel),
            ),
          ),
          h('td', { class: 'number', 'data-label': heads[2] }, `${height} × ${width} × ${channels}`),
          h(
            'td',
            { class: 'number', 'data-label': heads[3] },
            count(step.workgroups.reduce((a, b) => a * b, 1)),
          ),
          h('td', { class: 'number', 'data-label': heads[4] }, step.macs ? macsText(step.macs * batch) : '–'),
          h(
            'td',
            { class: 'number', 'data-label': heads[5] },
            time === undefined ? '–' : ms(time),
            time !== undefined ? bar(time / longest) : null,
          ),
        );
      }),
    ),
  );
}

function macsText(macs: number): string {
  return macs < 1e5 ? `${(macs / 1e3).toFixed(1)} k` : `${(macs / 1e6).toFixed(1)} M`;
}
