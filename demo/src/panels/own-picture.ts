import type { CompareRowName } from 'lloyd';
import type { App } from '../app.ts';
import { h, isAbort } from '../dom.ts';
import { answerList } from './answers.ts';
import { dropZone, isBatch, takeBatch } from './drop.ts';
import { picture } from './picture.ts';

const FIRST_ROWS: CompareRowName[] = ['fp32', 'kmeans-4'];

/** A place for your own file: a picture is classified at every precision compared so far, a batch replaces the images. */
export function ownPicture(app: App): HTMLElement {
  const shown = h('div', { class: 'own' });
  const said = h('p', { role: 'status', class: 'status' });
  const take = async (file: File) => {
    shown.replaceChildren();
    if (isBatch(file)) {
      said.textContent = `Reading ${file.name}…`;
      said.textContent = await takeBatch(app, file);
      return;
    }
    if (!file.type.startsWith('image/')) {
      said.textContent = `${file.name} is neither a picture nor a CIFAR-10 batch (.bin).`;
      return;
    }
    said.textContent = `Looking at ${file.name}…`;
    const pixels = await shrink(file).catch(() => null);
    if (!pixels) {
      said.textContent = `${file.name} could not be read as a picture. PNG, JPEG and WebP are sure to work.`;
      return;
    }
    const list = answerList([]);
    const label = `${file.name} at 32 x 32 pixels`;
    shown.replaceChildren(
      h('figure', { class: 'tile' }, picture(pixels, label), h('figcaption', {}, file.name), list),
    );
    try {
      const { rows } = app.results;
      await app.client.call(
        'classify',
        { pixels, rows: rows.length ? rows : FIRST_ROWS },
        {
          onWait: () => (said.textContent = 'Waiting for what is running now…'),
          onProgress: (row) => list.append(...answerList([row]).childNodes),
        },
      );
      said.textContent = 'The network knows ten classes only, and sees 32 x 32 pixels.';
    } catch (error) {
      if (!isAbort(error)) said.textContent = `It failed: ${(error as Error).message}`;
    }
  };
  const text = 'Drop a picture here, or choose one. A CIFAR-10 batch file (.bin) replaces the test images.';
  return h(
    'div',
    { class: 'panel-row' },
    dropZone(text, 'image/*,.bin', (file) => void take(file)),
    h('div', { class: 'beside' }, shown, said),
  );
}

/** The middle square of a picture at 32 x 32, RGB. */
async function shrink(file: File): Promise<Uint8Array<ArrayBuffer>> {
  const bitmap = await createImageBitmap(file);
  const side = Math.min(bitmap.width, bitmap.height);
  const context = new OffscreenCanvas(32, 32).getContext('2d', { willReadFrequently: true })!;
  context.imageSmoothingQuality = 'high';
  const [left, top] = [(bitmap.width - side) / 2, (bitmap.height - side) / 2];
  // Transparent pixels would turn black, which says something to the network.
  context.fillStyle = 'white';
  context.fillRect(0, 0, 32, 32);
  context.drawImage(bitmap, left, top, side, side, 0, 0, 32, 32);
  bitmap.close();
  const { data } = context.getImageData(0, 0, 32, 32);
  return Uint8Array.from({ length: 3072 }, (_, i) => data[Math.floor(i / 3) * 4 + (i % 3)]);
}
