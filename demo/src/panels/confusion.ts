import { h } from '../dom.ts';
import { classes, rowLabel } from '../text.ts';

/** Images of each class by the answer they got. */
export function confusionTable(answers: readonly number[], labels: Uint8Array, row: string): HTMLElement {
  const counts = classes.map(() => classes.map(() => 0));
  for (const [i, label] of labels.entries()) counts[label][answers[i]]++;
  const most = Math.max(1, ...counts.flat());
  const short = (name: string) => h('abbr', { title: name }, name.slice(0, 4));
  return h(
    'div',
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': `Confusion matrix of ${rowLabel(row)}` },
    h(
      'table',
      { class: 'confusion', 'aria-label': `Confusion matrix of ${rowLabel(row)}` },
      h('thead', {}, h('tr', {}, h('td'), ...classes.map((name) => h('th', { scope: 'col' }, short(name))))),
      h(
        'tbody',
        {},
        ...counts.map((line, label) =>
          h(
            'tr',
            {},
            h('th', { scope: 'row' }, classes[label]),
            ...line.map((n, answer) =>
              h(
                'td',
                {
                  class: n === 0 ? 'zero' : answer === label ? 'right' : 'wrong',
                  style: `--heat:${Math.round((n / most) * 45)}%`,
                },
                n,
              ),
            ),
          ),
        ),
      ),
    ),
  );
}
