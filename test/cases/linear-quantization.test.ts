// Reported situations of linear quantization, packing and calibration.
import { createObserver, linearDequantize, linearQuantize, pack, unpack } from 'lloyd';
import { describe, expect, test } from 'vitest';
import { useRuntime } from '../support/runtime.ts';
import { uniform } from './networks.ts';

const gpu = useRuntime();

// bitsandbytes-foundation/bitsandbytes#1884: the last, shorter block got a scale from uninitialized padding.
describe('a last group that is shorter', () => {
  const random = uniform(7);
  const weights = Float32Array.from({ length: 210 }, () => random() - 0.5);
  test.each([
    [1, 4],
    [2, 3],
    [0, 2],
    [-1, 5],
    [undefined, 64],
    [undefined, 1000],
  ])('axis %s in groups of %i', async (axis, groupSize) => {
    const q = await linearQuantize(gpu.runtime, weights, { bits: 4, shape: [3, 10, 7], axis, groupSize });
    const back = await linearDequantize(gpu.runtime, q);
    const groupOf = (i: number) => {
      if (axis === undefined) return String(Math.floor(i / groupSize));
      const at = [Math.floor(i / 70), Math.floor(i / 7) % 10, i % 7];
      const along = axis < 0 ? axis + 3 : axis;
      at[along] = Math.floor(at[along] / groupSize);
      return at.join();
    };
    const most = new Map<string, number>();
    for (const [i, v] of weights.entries())
      most.set(groupOf(i), Math.max(most.get(groupOf(i)) ?? 0, Math.abs(v)));
    expect(q.scale.length).toBe(most.size);
    const steps = weights.map((v, i) => Math.abs(back[i] - v) / (most.get(groupOf(i))! / 7));
    expect(Math.max(...steps)).toBeLessThanOrEqual(0.5001);
  });
});

// apple/coremltools#2853: a pruned channel gave scale 0 and 0/0.
test.each(['symmetric', 'asymmetric'] as const)('%s: a channel of zeros stays zeros', async (scheme) => {
  const weights = Float32Array.of(0, 0, 0, 0.5, -1, 0.25);
  const q = await linearQuantize(gpu.runtime, weights, { bits: 8, shape: [2, 3], axis: 0, scheme });
  const back = await linearDequantize(gpu.runtime, q);
  expect(q.scale[0]).toBeGreaterThan(0);
  expect([...back.subarray(0, 3)].every((v) => v === 0)).toBe(true);
  expect(Math.abs(back[4] + 1)).toBeLessThanOrEqual(0.01);
});

// onnx/onnx#6160, pytorch/ao#2939: sign and order of nibbles, and an odd count.
test('the first of two 4-bit codes is the low nibble, and any width and count comes back', () => {
  const bytes = new Uint8Array(pack(Int8Array.of(-4, 1, 7), 4).buffer);
  expect([bytes[0], bytes[1]]).toEqual([0x1c, 0x07]);
  for (const bits of [1, 2, 3, 4, 5, 6, 7, 8]) {
    for (const count of [1, 2, 3, 5, 31, 33]) {
      const codes = Int8Array.from({ length: count }, (_, i) => ((i * 7) % 2 ** bits) - 2 ** (bits - 1));
      expect([...unpack(pack(codes, bits), bits, count, true)]).toEqual([...codes]);
    }
  }
});

// NVIDIA/TensorRT#2628, #3112: NaN in calibration data gave NaN scales.
test.each(['minMax', 'movingAverage', 'percentile', 'mse', 'entropy'] as const)(
  'the %s observer refuses NaN and has 3/255 of a constant batch',
  (method) => {
    const observer = createObserver(method);
    observer.observe(Float32Array.of(3, 3, 3));
    expect(() => observer.observe(Float32Array.of(1, Number.NaN))).toThrow(/NaN/);
    const { scale, zeroPoint } = observer.qparams({ bits: 8, scheme: 'asymmetric' });
    expect([scale, zeroPoint]).toEqual([Math.fround(3 / 255), -128]);
  },
);
