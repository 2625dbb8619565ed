import { h, newId } from '../dom.ts';

/** A file input that is also a place to drop a file. */
export function dropZone(text: string, onFile: (file: File) => void): HTMLElement {
  const id = newId('file');
  const input = h('input', { id, type: 'file', accept: 'image/*,.bin' });
  const zone = h('div', { class: 'drop' }, h('label', { for: id }, text), input);
  input.addEventListener('change', () => {
    if (input.files?.[0]) onFile(input.files[0]);
  });
  zone.addEventListener('dragover', (event) => {
    event.preventDefault();
    zone.classList.add('over');
  });
  zone.addEventListener('dragleave', () => zone.classList.remove('over'));
  zone.addEventListener('drop', (event) => {
    event.preventDefault();
    zone.classList.remove('over');
    const file = event.dataTransfer?.files[0];
    if (file) onFile(file);
  });
  return zone;
}
