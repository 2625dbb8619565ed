// What the embed page's camera loop records, on pixels that a test knows.
import { recordCalls } from 'lloyd';
import { expect, test } from 'vitest';
import { prepareEdges } from '../../demo/embed/edges.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

test('edges are what JavaScript makes of the same bytes, as often as they are recorded', async () => {
  const [width, height] = [64, 10];
  const { device } = gpu.runtime;
  const { pixels, edges, calls, destroy } = await prepareEdges(device, width, height);
  for (const seed of [1, 2]) {
    const bytes = Uint8Array.from(seeded(seed).int8s(width * height * 4));
    for (let i = 3; i < bytes.length; i += 4) bytes[i] = 255;
    device.queue.writeBuffer(pixels, 0, bytes as Uint8Array<ArrayBuffer>);
    const encoder = device.createCommandEncoder();
    recordCalls(encoder, calls);
    device.queue.submit([encoder.finish()]);
    const at = (y: number, x: number, c: number) =>
      y < 0 || x < 0 || y >= height || x >= width ? 0 : bytes[(y * width + x) * 4 + c];
    const want = bytes.map((value, i) => {
      const [c, x, y] = [i % 4, Math.floor(i / 4) % width, Math.floor(i / 4 / width)];
      if (c === 3) return value;
      const sum = 4 * value - at(y - 1, x, c) - at(y + 1, x, c) - at(y, x - 1, c) - at(y, x + 1, c);
      return Math.min(Math.max(sum, -128), 127) + 128;
    });
    expect(new Set(want).size).toBeGreaterThan(100);
    expect(new Uint8Array(await gpu.runtime.read(edges))).toEqual(want);
  }
  destroy();
});
