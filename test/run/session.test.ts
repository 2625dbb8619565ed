import { describe, expect, test } from 'vitest';
import type { Tensor } from '../../src/gpu/tensor.ts';
import { vgg } from '../../src/model/vgg.ts';
import { labSizeBytes } from '../../src/run/compare.ts';
import { readModelFile, writeModelFile } from '../../src/run/file.ts';
import { logitSqnrDb, topOne, wilson } from '../../src/run/metrics.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const context = useRuntime();

/** A small VGG with seeded weights of the size He's initialisation gives, and batch norm away from the identity. */
function smallVgg(widthDivisor = 8) {
  const r = seeded(3);
  const parameters = new Map<string, Tensor>();
  for (const [name, tensor] of vgg({ widthDivisor }).parameters) {
    const fan = tensor.dims.slice(1).reduce((a, b) => a * b, 1);
    const data = r.floats(tensor.data.length, Math.sqrt(2 / fan));
    if (/running_var|bn\d+\.weight/.test(name)) for (const i of data.keys()) data[i] = 0.5 + r.next();
    parameters.set(name, { ...tensor, data });
  }
  return vgg({ parameters, widthDivisor });
}

const images = new Uint8Array(9 * 3072);
const pixels = seeded(9);
for (let i = 0; i < images.length; i++) images[i] = pixels.integer(0, 255);

describe('compile', () => {
  test('fp32 logits do not depend on the batch, a ragged last batch included', async () => {
    const model = smallVgg();
    const whole = await compile(context.runtime, model, { batch: 9 });
    const parts = await compile(context.runtime, model, { batch: 4 });
    const expected = await whole.run(images);
    expect(expected.every(Number.isFinite)).toBe(true);
    const got = await parts.run(images);
    // The same sums in the same order; only an adapter that fuses differently by tile shape may move the last bits.
    expect(logitSqnrDb(got, expected)).toBeGreaterThan(100);
    const floats = Float32Array.from(images, (p) => p / 255);
    expect(logitSqnrDb(await parts.run(floats), expected)).toBeGreaterThan(100);
    whole.destroy();
    parts.destroy();
  });

  test('integer logits are the same bits for every batch and twice in a row', async () => {
    const quantized = await quantizeModel(context.runtime, smallVgg(), {
      method: 'linear',
      bits: 8,
      calibration: images,
    });
    const a = await compile(context.runtime, quantized, { batch: 9 });
    const b = await compile(context.runtime, quantized, { batch: 2 });
    const expected = await a.run(images);
    expect(await a.run(images)).toEqual(expected);
    expect(await b.run(images)).toEqual(expected);
    expect(await a.run(Float32Array.from(images, (p) => p / 255))).toEqual(expected);
    const float = await compile(context.runtime, quantized.model, { batch: 9 });
    expect(logitSqnrDb(expected, await float.run(images))).toBeGreaterThan(15);
    for (const session of [a, b, float]) session.destroy();
  });

  test('running allocates no buffer and makes no bind group; int8 VGG is at most 16 dispatches', async () => {
    const { device } = context.runtime;
    const quantized = await quantizeModel(context.runtime, smallVgg(), {
      method: 'linear',
      bits: 4,
      calibration: images,
    });
    const session = await compile(context.runtime, quantized, { batch: 4 });
    const made: string[] = [];
    const { createBuffer, createBindGroup, createComputePipeline } = device;
    const spy = <F extends (...a: never[]) => unknown>(name: string, original: F) =>
      ((...a: never[]) => {
        made.push(name);
        return original.apply(device, a);
      }) as unknown as F;
    device.createBuffer = spy('buffer', createBuffer);
    device.createBindGroup = spy('bind group', createBindGroup);
    device.createComputePipeline = spy('pipeline', createComputePipeline);
    try {
      await session.run(images);
    } finally {
      Object.assign(device, { createBuffer, createBindGroup, createComputePipeline });
    }
    expect(made).toEqual([]);
    expect(session.plan().length).toBeLessThanOrEqual(16);
    session.destroy();
  });

  test('a file round trip keeps every bit of the result, for k-means and linear models', async () => {
    const model = smallVgg();
    for (const options of [
      { method: 'kmeans', bits: 3 },
      { method: 'linear', bits: 2, calibration: images },
      { method: 'linear', bits: 8, calibration: images, requantize: 'tflite-double' },
    ] as const) {
      const quantized = await quantizeModel(context.runtime, model, options);
      const again = readModelFile(writeModelFile(quantized));
      const [a, b] = await Promise.all(
        [quantized, again].map((m) => compile(context.runtime, m, { batch: 9 })),
      );
      expect(await b.run(images)).toEqual(await a.run(images));
      a.destroy();
      b.destroy();
    }
  });

  test('bad input is one clear error', async () => {
    const { runtime } = context;
    const model = smallVgg();
    await expect(quantizeModel(runtime, model, { method: 'linear', bits: 8 })).rejects.toThrow(/calibration/);
    await expect(quantizeModel(runtime, model, { method: 'kmeans', bits: 9 })).rejects.toThrow(
      /1 to 8.*received 9/,
    );
    await expect(
      quantizeModel(runtime, model, { method: 'kmeans', bits: 4, layers: { 'backbone.conv99': 8 } }),
    ).rejects.toThrow(/backbone\.conv0.*"backbone\.conv99"/);
    await expect(compile(runtime, model, { batch: 0 })).rejects.toThrow(/batch/);
    const session = await compile(runtime, model, { batch: 1 });
    await expect(session.run(new Uint8Array(5))).rejects.toThrow(/whole images/);
    session.destroy();
    const bad = new Map(model.parameters);
    const weight = bad.get('backbone.conv1.weight')!;
    bad.set('backbone.conv1.weight', {
      ...weight,
      data: Float32Array.from(weight.data, (w, i) => (i === 7 ? NaN : w)),
    });
    const nan = { ...model, parameters: bad };
    await expect(quantizeModel(runtime, nan, { method: 'kmeans', bits: 4 })).rejects.toThrow(/NaN|finite/);
    await expect(
      quantizeModel(runtime, nan, { method: 'linear', bits: 8, calibration: images }),
    ).rejects.toThrow(/NaN|finite/);
    expect(() => vgg({ parameters: new Map() })).toThrow(/backbone\.conv0\.weight/);
    // The input's int8 words alone are past the limit.
    const batch = Math.ceil(runtime.device.limits.maxStorageBufferBindingSize / (32 * 32 * 4)) + 1;
    const huge = await compile(runtime, model, { batch }).catch((error: Error) => error);
    expect((huge as Error).message).toMatch(/limit/);
  });
});

describe('metrics', () => {
  test("sizes by the lab's count are the lab's", () => {
    const mebibytes = [32, 8, 4, 2].map((bits) => (labSizeBytes(vgg(), bits) / 2 ** 20).toFixed(2));
    expect(mebibytes).toEqual(['35.20', '8.80', '4.40', '2.20']);
  });

  test("Wilson's interval of published examples, and ties go to the first class", () => {
    const [low, high] = wilson(15, 20);
    expect(low).toBeCloseTo(0.5313, 4);
    expect(high).toBeCloseTo(0.8881, 4);
    expect(wilson(0, 10)[0]).toBe(0);
    expect(topOne(Float32Array.of(1, 1, 0, 0, 2, 2), 3)).toEqual([0, 1]);
  });
});
