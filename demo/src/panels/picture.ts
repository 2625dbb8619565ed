import { h } from '../dom.ts';

/** A 32 x 32 RGB image with its pixels left square. */
export function picture(pixels: Uint8Array, label: string): HTMLCanvasElement {
  const canvas = h('canvas', { width: 32, height: 32, role: 'img', 'aria-label': label });
  const data = new ImageData(32, 32);
  for (let i = 0; i < 1024; i++) {
    data.data.set(pixels.subarray(i * 3, i * 3 + 3), i * 4);
    data.data[i * 4 + 3] = 255;
  }
  canvas.getContext('2d')!.putImageData(data, 0, 0);
  return canvas;
}
