import { type CompareRowName, topOne } from 'lloyd';
import type { App, Panel } from '../app.ts';
import { h, select } from '../dom.ts';
import { classes, count, percent, rowLabel, shortLabel, softmax } from '../text.ts';
import { confusionTable } from './confusion.ts';
import { dropZone } from './drop.ts';
import { picture } from './picture.ts';

const PAGE = 24;

/** What each precision sees in each image, disagreements first; your own picture; confusion matrices. */
export const imagesPanel: Panel = { id: 'images', title: 'Images', build };

function build(app: App): HTMLElement {
  const grid = h('div', { class: 'grid' });
  const summary = h('p', { role: 'status' });
  const more = h('button', { type: 'button', hidden: true }, 'Show more');
  const confusion = h('div');
  const which = select('Confusion matrix (a row a true class, a column an answer) of', []);
  let shown = PAGE;

  const update = async () => {
    const { images, logits } = app.results;
    which.field.hidden = images === 0;
    if (images === 0) {
      summary.textContent =
        'Run a comparison first: this panel shows what each precision said about each image.';
      return;
    }
    const { pixels, labels } = await app.client.call('images', { count: images });
    const answers = new Map([...logits].map(([name, own]) => [name, topOne(own, classes.length)]));
    const order = byDisagreement([...answers.values()], labels);
    const differing = order.filter(({ kinds }) => kinds > 1).length;
    summary.textContent = `${count(logits.size)} precisions disagree about ${count(differing)} of ${count(images)} images${differing ? '; those come first' : ''}.`;
    const tiles = order.slice(0, shown).map(({ index }) =>
      h(
        'figure',
        { class: 'tile' },
        picture(
          pixels.subarray(index * 3072, (index + 1) * 3072),
          `test image ${index}, ${classes[labels[index]]}`,
        ),
        h('figcaption', {}, `${classes[labels[index]]} `, h('small', {}, `#${index}`)),
        answerList(
          [...logits].map(([name, own]) => [name, own.subarray(index * 10, (index + 1) * 10)]),
          labels[index],
        ),
      ),
    );
    grid.replaceChildren(...tiles);
    more.hidden = order.length <= shown;
    const chosen = which.input.value;
    which.input.replaceChildren(
      ...[...logits.keys()].map((name) => h('option', { value: name }, rowLabel(name))),
    );
    if (logits.has(chosen as CompareRowName)) which.input.value = chosen;
    const row = which.input.value as CompareRowName;
    confusion.replaceChildren(confusionTable(answers.get(row)!, labels, row));
  };
  more.addEventListener('click', () => {
    shown += PAGE * 2;
    void update();
  });
  which.input.addEventListener('change', () => void update());
  app.results.onChange.add(() => void update());
  void update();

  const own = h('div', { class: 'own' });
  const said = h('p', { role: 'status', class: 'status' });
  const zone = dropZone(
    'Drop a picture here, or choose one. A CIFAR-10 batch file (.bin) replaces the test images.',
    async (file) => {
      try {
        if (file.name.endsWith('.bin')) {
          const { images } = await app.client.call('useImages', {
            bytes: new Uint8Array(await file.arrayBuffer()),
          });
          app.opened.testImages = images;
          app.results.images = 0;
          app.results.logits.clear();
          grid.replaceChildren();
          confusion.replaceChildren();
          said.textContent = `${count(images)} test images from ${file.name}; compare again.`;
          for (const tell of app.results.onChange) tell();
          return;
        }
        said.textContent = `Looking at ${file.name}…`;
        const pixels = await shrink(file);
        const rows: CompareRowName[] = app.results.logits.size
          ? [...app.results.logits.keys()]
          : ['fp32', 'linear-8'];
        const list = answerList([]);
        own.replaceChildren(
          h(
            'figure',
            { class: 'tile' },
            picture(pixels, `${file.name} at 32 x 32`),
            h('figcaption', {}, file.name),
            list,
          ),
        );
        await app.client.call(
          'classify',
          { pixels, rows },
          {
            onProgress: ({ name, logits }) => list.append(...answerList([[name, logits]]).childNodes),
          },
        );
        said.textContent = 'The network knows ten classes only, and sees 32 x 32 pixels.';
      } catch (error) {
        said.textContent = `${file.name} could not be read: ${(error as Error).message}`;
      }
    },
  );
  return h(
    'div',
    { class: 'stack' },
    h('div', { class: 'panel-row' }, zone, h('div', {}, own, said)),
    summary,
    grid,
    h('div', {}, more),
    which.field,
    confusion,
  );
}

/** Images in the order of how many answers they get, then of how many are wrong. */
function byDisagreement(answers: readonly number[][], labels: Uint8Array) {
  return [...labels]
    .map((label, index) => ({
      index,
      kinds: new Set(answers.map((own) => own[index])).size,
      wrong: answers.filter((own) => own[index] !== label).length,
    }))
    .sort((a, b) => b.kinds - a.kinds || b.wrong - a.wrong || a.index - b.index);
}

function answerList(rows: readonly (readonly [string, Float32Array])[], label?: number): HTMLElement {
  return h(
    'ul',
    { class: 'answers' },
    ...rows.map(([name, logits]) => {
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

/** The middle square of a picture at 32 x 32, RGB. */
async function shrink(file: File): Promise<Uint8Array<ArrayBuffer>> {
  const bitmap = await createImageBitmap(file);
  const side = Math.min(bitmap.width, bitmap.height);
  const context = new OffscreenCanvas(32, 32).getContext('2d', { willReadFrequently: true })!;
  context.imageSmoothingQuality = 'high';
  const [left, top] = [(bitmap.width - side) / 2, (bitmap.height - side) / 2];
  context.drawImage(bitmap, left, top, side, side, 0, 0, 32, 32);
  const { data } = context.getImageData(0, 0, 32, 32);
  return Uint8Array.from({ length: 3072 }, (_, i) => data[Math.floor(i / 3) * 4 + (i % 3)]);
}
