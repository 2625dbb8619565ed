import { h } from '../dom.ts';
import { classes, rowLabel } from '../text.ts';

/** Images of each class (a row) by the answer they got (a column). */
export function confusionTable(counts: Uint32Array, row: string): HTMLElement {
  const most = Math.max(1, ...counts);
  const label = `Confusion matrix of ${rowLabel(row)}`;
  const cell = (truth: number, answer: number) => {
    const n = counts[truth * classes.length + answer];
    const kind = n === 0 ? 'zero' : answer === truth ? 'right' : 'wrong';
    return h('td', { class: kind, style: `--heat:${Math.round((n / most) * 45)}%` }, n);
  };
  return h(
    'div',
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': label },
    h(
      'table',
      { class: 'confusion', 'aria-label': label },
      h(
        'thead',
        {},
        h('tr', {}, h('td'), ...classes.map((name) => h('th', { scope: 'col' }, h('span', {}, name)))),
      ),
      h(
        'tbody',
        {},
        ...classes.map((name, truth) =>
          h('tr', {}, h('th', { scope: 'row' }, name), ...classes.map((_, answer) => cell(truth, answer))),
        ),
      ),
    ),
  );
}
