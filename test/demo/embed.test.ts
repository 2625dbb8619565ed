// What the embed page's camera loop records, on pixels that a test knows.
import { recordCalls } from 'lloyd';
import { expect, test } from 'vitest';
import { prepareEdges } from '../../demo/embed/edges.ts';
import { prepareFinder } from '../../demo/embed/finder.ts';
import { textureOf } from '../support/preprocess-image.ts';
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

test('the disc is found and marked in each frame, of a texture and of a buffer', async () => {
  const { runtime } = gpu;
  const size = { width: 128, height: 96 };
  const disc = (middle: number) =>
    Uint8Array.from({ length: 128 * 96 * 4 }, (_, i) => {
      const [x, y] = [Math.floor(i / 4) % 128, Math.floor(i / 512)];
      const inside = Math.hypot(x + 0.5 - middle, y + 0.5 - 48) < 24;
      return (inside ? [0xf0, 0xc0, 0x40, 255] : [0x20, 0x40, 0x60, 255])[i % 4];
    });
  const pixels = runtime.empty(128 * 96 * 4);
  const texture = textureOf(runtime.device, size, disc(64));
  const finder = await prepareFinder(runtime.device, [texture, pixels], pixels, size);
  for (const [source, middle] of [
    [0, 26],
    [1, 62],
    [0, 102],
    [1, 30],
  ]) {
    const bytes = disc(middle);
    runtime.write(pixels, bytes);
    const seen = source === 0 ? bytes : disc(90);
    runtime.device.queue.writeTexture({ texture }, seen, { bytesPerRow: 512 }, [128, 96]);
    const encoder = runtime.device.createCommandEncoder();
    finder.find(encoder, source);
    finder.mark(encoder);
    runtime.device.queue.submit([encoder.finish()]);
    // The picture is a quarter as wide for the network; the middles lie in the middle of one of its columns.
    const column = Math.floor(middle / 4);
    expect(new Int32Array(await runtime.read(finder.column))).toEqual(Int32Array.of(column));
    const want = bytes.map((byte, i) => (Math.floor((Math.floor(i / 4) % 128) / 4) === column ? 255 : byte));
    expect(new Uint8Array(await runtime.read(pixels))).toEqual(want);
  }
  for (const each of [finder, pixels, texture]) each.destroy();
});
