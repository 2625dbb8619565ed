import type { PlanEntry } from 'lloyd';
import type { App } from '../app.ts';
import { h, isAbort } from '../dom.ts';

/** The WGSL of one dispatch, with the constants it was compiled with and the buffers it was bound to. */
export function kernelSource(app: App) {
  const element = h('section', { class: 'source', hidden: true, tabindex: -1, 'aria-label': 'Shader' });
  return {
    element,
    async show(step: PlanEntry) {
      try {
        const { files, bindings } = await app.client.call('source', { kernel: step.kernel });
        const where = step.layer.replace('backbone.', '');
        const libraries = files.slice(0, -1);
        const name = `WGSL of ${step.kernel}`;
        element.replaceChildren(
          h('h2', {}, `${step.kernel}.wgsl, as ${where} runs it`),
          h(
            'dl',
            { class: 'facts' },
            ...fact(
              'Set when compiled',
              Object.entries(step.specialization).map(([key, value]) => `${key} = ${value}`),
            ),
            ...fact('Workgroups', [step.workgroups.join(' × ')]),
            ...fact(
              'Bindings',
              bindings.map(({ name, access, type }) => `${name}: ${access} ${type}`),
            ),
            ...fact('Reads', step.reads),
            ...fact('Writes', step.writes),
          ),
          listing(name, files.at(-1)!),
          libraries.length > 0
            ? h(
                'details',
                {},
                h('summary', {}, `The functions it shares with other shaders, ${libraries.length} of lib/`),
                listing(`${name}, shared functions`, libraries.join('\n')),
              )
            : '',
        );
        element.hidden = false;
        element.focus({ preventScroll: true });
        element.scrollIntoView({ block: 'start' });
      } catch (error) {
        if (!isAbort(error)) throw error;
      }
    },
    clear() {
      element.hidden = true;
      element.replaceChildren();
    },
  };
}

function fact(term: string, values: readonly string[]): HTMLElement[] {
  if (values.length === 0) return [];
  return [h('dt', {}, term), h('dd', {}, ...values.map((value) => h('code', {}, value)))];
}

const listing = (name: string, wgsl: string) =>
  h('pre', { tabindex: 0, 'aria-label': name, role: 'region' }, ...coloured(wgsl));

/** Comments set apart: they are half of what there is to read. */
function coloured(wgsl: string): (HTMLElement | string)[] {
  return wgsl
    .split(/(\/\/[^\n]*)/)
    .map((part) => (part.startsWith('//') ? h('span', { class: 'comment' }, part) : part));
}
