import { h } from '../dom.ts';
import type { RowLogits } from '../protocol.ts';
import { classes, percent, shortLabel, softmax } from '../text.ts';

/** What each precision says of an image, and how sure it is. */
export function answerList(rows: readonly RowLogits[], label?: number): HTMLElement {
  return h(
    'ul',
    { class: 'answers' },
    ...rows.map(({ name, logits }) => {
      const odds = softmax(logits);
      const answer = odds.indexOf(Math.max(...odds));
      const verdict = label === undefined ? '' : answer === label ? 'right' : 'wrong';
      return h(
        'li',
        { class: verdict, 'data-row': name },
        h('span', {}, shortLabel(name)),
        h('b', {}, `${verdict === 'wrong' ? '✗ ' : ''}${classes[answer]}`),
        h('span', { class: 'number' }, percent(odds[answer], 0)),
      );
    }),
  );
}
