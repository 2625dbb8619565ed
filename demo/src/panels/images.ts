import type { App, Panel } from '../app.ts';
import { h, isAbort, select } from '../dom.ts';
import type { Review } from '../protocol.ts';
import { classes, count, many, rowLabel } from '../text.ts';
import { answerList } from './answers.ts';
import { confusionTable } from './confusion.ts';
import { ownPicture } from './own-picture.ts';
import { picture } from './picture.ts';

const PAGE = 24;

/** What each precision sees in each image, disagreements first; your own picture; confusion matrices. */
export const imagesPanel: Panel = { id: 'images', title: 'Images', build };

function build(app: App): HTMLElement {
  const grid = h('div', { class: 'grid' });
  const summary = h('p', { role: 'status' });
  const more = h('button', { type: 'button', hidden: true }, 'Show more');
  const confusion = h('div');
  const which = select('Precision', []);
  const matrices = h(
    'section',
    { class: 'stack' },
    h('h2', {}, 'Confusion matrix'),
    which.field,
    h('p', { class: 'note' }, 'A row a true class, a column the answer: what is right lies on the diagonal.'),
    confusion,
  );
  let tiles = PAGE;
  let found: Review | undefined;

  const showMatrix = () => {
    const chosen = found?.confusion.find(({ name }) => name === which.input.value);
    confusion.replaceChildren(...(chosen ? [confusionTable(chosen.counts, chosen.name)] : []));
  };
  const update = async () => {
    const any = app.results.images > 0;
    matrices.hidden = !any;
    if (!any) {
      found = undefined;
      grid.replaceChildren();
      more.hidden = true;
      summary.textContent =
        'Run a comparison first: this panel then shows what each precision said about each image.';
      return;
    }
    try {
      found = await app.client.call('review', { tiles });
    } catch (error) {
      if (!isAbort(error)) summary.textContent = `It failed: ${(error as Error).message}`;
      return;
    }
    const { images, confusion: rows } = found;
    summary.textContent = summaryOf(found);
    grid.replaceChildren(...found.tiles.map(tile));
    more.hidden = images <= tiles;
    const chosen = which.input.value;
    which.input.replaceChildren(...rows.map(({ name }) => h('option', { value: name }, rowLabel(name))));
    if (rows.some(({ name }) => name === chosen)) which.input.value = chosen;
    showMatrix();
  };
  more.addEventListener('click', () => {
    tiles += PAGE * 2;
    void update();
  });
  which.input.addEventListener('change', showMatrix);
  app.results.onChange.add(() => {
    tiles = PAGE;
    void update();
  });
  void update();
  return h('div', { class: 'stack' }, ownPicture(app), summary, grid, h('div', {}, more), matrices);
}

function summaryOf({ images, differing, disagreeing, confusion }: Review): string {
  const others = confusion.length - 1;
  if (others === 0) return 'Only fp32 has run: nothing disagrees with it.';
  const about = `with fp32 about ${differing ? `${count(differing)} of ` : ''}${many(images, 'image')}`;
  if (differing === 0) return `${many(others, 'precision')} agree${others === 1 ? 's' : ''} ${about}.`;
  const which = `${count(disagreeing)} of ${many(others, 'precision')} disagree${disagreeing === 1 ? 's' : ''}`;
  return `${which} ${about}; those come first.`;
}

function tile({ index, label, pixels, rows }: Review['tiles'][number]): HTMLElement {
  const name = classes[label];
  return h(
    'figure',
    { class: 'tile' },
    picture(pixels, `test image ${index}, ${name}`),
    h('figcaption', {}, `${name} `, h('small', {}, `#${index}`)),
    answerList(rows, label),
  );
}
