import { describe, expect, test } from 'vitest';
import type { ImageModel } from '../../src/model/graph.ts';
import { type QuantizedModel } from '../../src/model/quantized-model.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { type CompileOptions, compile } from '../../src/run/session.ts';
import { seeded, testUnlessSlow, useRuntime } from '../support/runtime.ts';
import { smallModel } from '../support/small-model.ts';

const gpu = useRuntime();
const images = Uint8Array.from(
  { length: 5 * 8 * 8 * 3 },
  (() => {
    const r = seeded(4);
    return () => r.integer(0, 255);
  })(),
);

/** Logits and the kernels that made them; `hardware` presents the adapter as a graphics card. */
async function run(model: ImageModel | QuantizedModel, options: CompileOptions, hardware = false) {
  const { runtime } = gpu;
  const adapter = hardware
    ? { ...runtime.adapter, software: null, profile: 'gpu' as const }
    : runtime.adapter;
  const session = await compile({ ...runtime, adapter }, model, { batch: 2, ...options });
  try {
    const kernels = session.plan().map(({ kernel }) => kernel);
    return { kernels, logits: await session.run(images) };
  } finally {
    session.destroy();
  }
}

/** Root mean square of the difference over that of `expected`. */
function distance(actual: Float32Array, expected: Float32Array): number {
  const squares = (values: Float32Array) => values.reduce((sum, value) => sum + value * value, 0);
  return Math.sqrt(squares(actual.map((value, i) => value - expected[i])) / squares(expected));
}

describe('kernels chosen for a session', () => {
  test('a graphics card gets the tiled ones, and integers stay the same bits', async () => {
    const int8 = await quantizeModel(gpu.runtime, smallModel(), {
      method: 'linear',
      bits: 8,
      calibration: images,
    });
    const registers = await run(int8, { kernels: 'registers' });
    const tiled = await run(int8, {}, true);
    expect(registers.kernels.filter((name) => name.includes('tiled'))).toEqual([]);
    expect(tiled.kernels.filter((name) => name === 'conv2d-int8-tiled')).toHaveLength(2);
    expect(tiled.kernels).toContain('matvec-int8');
    expect(tiled.logits).toEqual(registers.logits);
    expect(new Set(tiled.logits).size).toBeGreaterThan(20);
    // Without tensor cores, asking for them is asking for what the adapter gets anyway.
    if (!gpu.runtime.device.features.has('chromium-experimental-subgroup-matrix' as GPUFeatureName)) {
      const tensor = await run(int8, { kernels: 'tensor' }, true);
      expect(tensor.kernels).toEqual(tiled.kernels);
    }
  });

  testUnlessSlow('floats agree within rounding, codebooks without being expanded first', async () => {
    const model = smallModel();
    const palette = await quantizeModel(gpu.runtime, model, { method: 'kmeans', bits: 4, init: 'linear' });
    for (const [network, own] of [
      [model, 'conv2d-tiled'],
      [palette, 'conv2d-tiled-codebook'],
    ] as const) {
      const registers = await run(network, { kernels: 'registers' });
      const tiled = await run(network, { kernels: 'tiled' });
      expect(tiled.kernels).toContain(own);
      expect(tiled.kernels).not.toContain('codebook-expand');
      expect(distance(tiled.logits, registers.logits)).toBeLessThan(1e-5);
    }
  });

  test('float16 rounds products, and is refused where it cannot be had', async () => {
    const model = smallModel();
    const float16 = true;
    await expect(run(model, { kernels: 'registers', float16 })).rejects.toThrow(/float16/);
    if (!gpu.runtime.device.features.has('shader-f16')) {
      console.log('1 test skipped: the adapter lacks shader-f16');
      return;
    }
    const full = await run(model, { kernels: 'tiled' });
    const half = await run(model, { kernels: 'tiled', float16 });
    expect(half.kernels).toContain('conv2d-tiled-f16');
    const error = distance(half.logits, full.logits);
    expect(error).toBeLessThan(5e-3);
    expect(error).toBeGreaterThan(1e-6);
  });
});
