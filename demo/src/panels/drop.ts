import type { App } from '../app.ts';
import { setResults } from '../app.ts';
import { h, newId } from '../dom.ts';
import { many } from '../text.ts';

/** A file input that is also a place to drop a file, or several: the first of them, and all. */
export function dropZone(
  text: string,
  accept: string,
  onFile: (file: File, all: File[]) => void,
  { multiple = false } = {},
): HTMLElement {
  const id = newId('file');
  const input = h('input', { id, type: 'file', accept, multiple });
  const zone = h('div', { class: 'drop' }, h('label', { for: id }, text), input);
  const take = (list: FileList | undefined | null) => {
    const [file, ...more] = list ?? [];
    if (file) onFile(file, [file, ...more]);
  };
  input.addEventListener('change', () => {
    take(input.files);
    // The same file again, changed meanwhile, is a change too.
    input.value = '';
  });
  zone.addEventListener('dragover', () => zone.classList.add('over'));
  zone.addEventListener('dragleave', () => zone.classList.remove('over'));
  zone.addEventListener('drop', (event) => {
    zone.classList.remove('over');
    take(event.dataTransfer?.files);
  });
  return zone;
}

/** Keeps a file that misses its place from replacing the page. */
export function refuseStrayDrops(): void {
  for (const name of ['dragover', 'drop'] as const)
    document.addEventListener(name, (event) => event.preventDefault());
}

/** True for the binary version of a CIFAR-10 batch. */
export const isBatch = ({ name }: File) => /\.bin$/i.test(name);

/** Makes a batch file the test images; says so, or why not. */
export async function takeBatch(app: App, file: File): Promise<string> {
  try {
    const { images } = await app.client.call('useImages', { file });
    app.opened.testImages = images;
    setResults(app, 0, []);
    return `${many(images, 'test image')} from ${file.name}. Compare again to see what each precision makes of them.`;
  } catch (error) {
    return `${file.name} is no CIFAR-10 batch: ${(error as Error).message}.`;
  }
}
