// What training can be asked for beside the plain run: averages, observers, statistics estimated again, centroid rules.
import { describe, expect, test } from 'vitest';
import { readSafetensors } from '../../src/io/safetensors.ts';
import { decodeCodebook } from '../../src/lower/layer-codes.ts';
import { type CodebookLayer } from '../../src/model/quantized-model.ts';
import { conv2d } from '../../src/reference/conv2d.ts';
import { readModelFile, writeModelFile } from '../../src/run/file.ts';
import { agreement } from '../../src/run/metrics.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { createFinetuner, finetune } from '../../src/train/finetune.ts';
import { recoverAccuracy } from '../../src/train/recover.ts';
import { train } from '../../src/train/train.ts';
import { relativeL2 } from '../support/gradients.ts';
import { useRuntime } from '../support/runtime.ts';
import { smallModel, stripes } from '../support/small-model.ts';

const gpu = useRuntime();
const floats = (checkpoint: Uint8Array, name: string) =>
  readSafetensors(checkpoint).tensors.get(name)!.data as Float32Array;

describe('average', () => {
  test('the result is the moving average of every step’s parameters, and resumes', async () => {
    const saved: Uint8Array[] = [];
    const options = { steps: 8, batch: 20, rate: 0.1, average: 0.7, seed: 2, checkpointEvery: 1 };
    const onCheckpoint = (checkpoint: Uint8Array) => void saved.push(checkpoint);
    const data = stripes(60);
    const { model, checkpoint } = await train(gpu.runtime, smallModel(), data, { ...options, onCheckpoint });
    saved.push(checkpoint);
    const average = Float64Array.from(smallModel().parameters.get('fc.bias')!.data as Float32Array);
    for (const [step, each] of saved.entries()) {
      const row = floats(each, 'fc.affine');
      const decay = Math.min(0.7, (1 + step) / (10 + step));
      // The bias is the second row, of eight padded channels.
      for (let c = 0; c < 5; c++) average[c] += (1 - decay) * (row[8 + c] - average[c]);
    }
    const bias = model.parameters.get('fc.bias')!.data as Float32Array;
    expect(relativeL2(bias, average)).toBeLessThan(1e-5);
    expect(relativeL2(floats(checkpoint, 'fc.affine').subarray(8, 13), average)).toBeGreaterThan(1e-3);
    const resumed = await train(gpu.runtime, smallModel(), data, { ...options, resume: saved[3] });
    expect(resumed.checkpoint).toEqual(checkpoint);
  });
});

describe('reestimate', () => {
  test('batch norm has the mean and variance of the images given, at the trained weights', async () => {
    const data = stripes(60);
    const quantized = await quantizeModel(gpu.runtime, smallModel(), { method: 'kmeans', bits: 3 });
    const options = { steps: 4, batch: 20, seed: 1, rate: 0.05 };
    const plain = await finetune(gpu.runtime, quantized, data, options);
    const { model } = await finetune(gpu.runtime, quantized, data, { ...options, reestimate: 40 });
    const { parameters } = model.model;
    const of = (name: string) => parameters.get(name)!.data as Float32Array;
    const ones = new Float32Array(6).fill(1);
    const pixels = Float32Array.from(data.images.subarray(0, 40 * 192), (byte) => byte / 255);
    const sums = conv2d(pixels, of('c0.weight'), ones, new Float32Array(6), [-1e30, 1e30], {
      ...{ batch: 40, height: 8, width: 8, inChannels: 3, outChannels: 6, groups: 1 },
      ...{ kernel: [3, 3], strides: [1, 1], dilations: [1, 1], pads: [1, 1, 1, 1] },
    });
    const count = sums.length / 6;
    const means = Float64Array.from(
      ones,
      (_, c) => sums.reduce((t, v, i) => t + (i % 6 === c ? v : 0), 0) / count,
    );
    const variances = means.map(
      (mean, c) => sums.reduce((t, v, i) => t + (i % 6 === c ? (v - mean) ** 2 : 0), 0) / (count - 1),
    );
    expect(relativeL2(of('b0.running_mean'), means)).toBeLessThan(1e-4);
    expect(relativeL2(of('b0.running_var'), variances)).toBeLessThan(1e-4);
    const before = plain.model.model.parameters.get('b0.running_mean')!.data as Float32Array;
    expect(relativeL2(before, means)).toBeGreaterThan(1e-2);
    await expect(
      quantizeModel(gpu.runtime, smallModel(), { method: 'linear', bits: 4, calibration: data.images }).then(
        (q) => finetune(gpu.runtime, q, data, { ...options, reestimate: 20 }),
      ),
    ).rejects.toThrow(/batch norm is folded/);
  });
});

describe('observe', () => {
  test('activations follow training, and the integer model still agrees with the fake-quantized one', async () => {
    const { runtime } = gpu;
    const data = stripes(200);
    const { model } = await train(runtime, smallModel(), data, {
      epochs: 2,
      batch: 20,
      augment: false,
      seed: 1,
    });
    // Calibrated on dark images, the ranges start too small.
    const dark = data.images.subarray(0, 192 * 40).map((byte) => byte >> 2);
    const quantized = await quantizeModel(runtime, model, { method: 'linear', bits: 8, calibration: dark });
    const options = { steps: 30, batch: 20, augment: false, seed: 2, observe: 0.2, rate: 1e-4 };
    const tuned = await finetune(runtime, quantized, data, options);
    const of = (name: string) => tuned.model.activations.get(name)!;
    for (const name of ['p0', 'r1']) {
      expect(of(name).scale / quantized.activations.get(name)!.scale, name).toBeGreaterThan(1.5);
      expect(Number.isInteger(of(name).zeroPoint)).toBe(true);
    }
    expect(of('p1')).toEqual(of('r1'));
    expect(of('input')).toEqual(quantized.activations.get('input'));

    const held = stripes(200, 9);
    const { trainer } = await createFinetuner(runtime, quantized, options);
    await trainer.restore(tuned.checkpoint, readSafetensors(tuned.checkpoint).metadata.settings);
    const rounded = await trainer.logits(held.images);
    trainer.destroy();
    const session = await compile(runtime, tuned.model, { batch: 50 });
    const integer = await session.run(held.images);
    session.destroy();
    expect(agreement(integer, rounded, 5)).toBeGreaterThanOrEqual(0.99);
    const still = await finetune(runtime, quantized, data, { ...options, observe: 0, steps: 2 });
    expect(still.model.activations).toEqual(quantized.activations);
  });
});

describe('centroids', () => {
  test('mean-gradient moves each centroid by its summed gradient over its members', async () => {
    const { runtime } = gpu;
    const data = stripes(40);
    const quantized = await quantizeModel(runtime, smallModel(), { method: 'kmeans', bits: 2 });
    const moved = async (centroids: 'gradient' | 'mean-gradient') => {
      const rate = 1e-3;
      const options = {
        steps: 1,
        batch: 20,
        seed: 1,
        momentum: 0,
        weightDecay: 0,
        augment: false,
        rate,
        centroids,
      };
      const { model } = await finetune(runtime, quantized, data, options);
      const after = model.layers.get('c1') as CodebookLayer;
      const before = quantized.layers.get('c1') as CodebookLayer;
      return Float64Array.from(before.codebook, (value, k) => (value - after.codebook[k]) / rate);
    };
    const [sums, means] = [await moved('gradient'), await moved('mean-gradient')];
    const { codes } = quantized.layers.get('c1') as CodebookLayer;
    const members = Float64Array.from(means, (_, k) => codes.filter((code) => code === k).length);
    expect(Math.min(...members)).toBeGreaterThan(1);
    expect(
      relativeL2(
        means.map((mean, k) => mean * members[k]),
        sums,
      ),
    ).toBeLessThan(5e-3);
  });
});

describe('several codebooks a layer', () => {
  test.each([
    [{ kind: 'perAxis', axis: 0 } as const, 'mean', 10],
    [{ kind: 'perGroup', groupSize: 50 } as const, 'gradient', 11],
  ] as const)(
    '%o: weights stay codebook[group, code] through training, a file and a session',
    async (granularity, centroids, groups) => {
      const { runtime } = gpu;
      const data = stripes(100);
      const { model } = await train(runtime, smallModel(), data, {
        epochs: 4,
        batch: 20,
        augment: false,
        seed: 1,
      });
      const quantized = await quantizeModel(runtime, model, { method: 'kmeans', bits: 1, granularity });
      const whole = await quantizeModel(runtime, model, { method: 'kmeans', bits: 1 });
      const tuned = await finetune(runtime, quantized, data, {
        ...{ steps: 12, batch: 20, seed: 2, augment: false, centroids },
        ...(centroids === 'mean' ? { reassignEvery: 4 } : { rate: 1e-3 }),
      });
      const layer = tuned.model.layers.get('c1') as CodebookLayer;
      expect([layer.groups, layer.codebook.length]).toEqual([groups, groups * 2]);
      expect(layer.codebook).not.toEqual((quantized.layers.get('c1') as CodebookLayer).codebook);
      const weights = tuned.model.model.parameters.get('c1.weight')!.data as Float32Array;
      const stride = granularity.kind === 'perAxis' ? weights.length / groups : granularity.groupSize;
      for (const [i, weight] of weights.entries()) {
        expect(weight).toBe(layer.codebook[Math.floor(i / stride) * 2 + layer.codes[i]]);
      }
      // More codebooks follow the weights more closely.
      const error = ({ layers }: typeof quantized) =>
        relativeL2(
          decodeCodebook(layers.get('c1') as CodebookLayer),
          model.parameters.get('c1.weight')!.data as Float32Array,
        );
      expect(error(quantized)).toBeLessThan(error(whole));

      const read = readModelFile(writeModelFile(tuned.model), (parameters) => ({
        ...tuned.model.model,
        parameters,
      }));
      const run = async (each: typeof read) => {
        const session = await compile(runtime, each, { batch: 20 });
        const logits = await session.run(data.images);
        session.destroy();
        return logits;
      };
      const logits = await run(read);
      expect(relativeL2(logits, await run(tuned.model.model))).toBeLessThan(1e-5);
      expect(relativeL2(logits, await run(quantized))).toBeGreaterThan(1e-3);
    },
  );
});

describe('recoverAccuracy', () => {
  test('fine-tunes the widths that cost more than the threshold, until they do not', async () => {
    const { runtime } = gpu;
    const data = stripes(200);
    const held = stripes(200, 9);
    const { model } = await train(runtime, smallModel(), data, {
      epochs: 6,
      batch: 20,
      augment: false,
      seed: 1,
    });
    const seen: number[] = [];
    const { float32, widths } = await recoverAccuracy(runtime, model, data, {
      ...{ held, bits: [8, 1], threshold: 0.05, maxEpochs: 4 },
      ...{ batch: 20, augment: false, seed: 1, rate: 0.05 },
      onWidth: ({ bits }) => seen.push(bits),
    });
    expect(float32).toBeGreaterThan(0.8);
    expect(seen).toEqual([8, 1]);
    const [eight, one] = widths;
    expect(eight).toMatchObject({ epochs: [], accuracy: eight.before });
    expect(float32 - one.before).toBeGreaterThan(0.05);
    expect(one.epochs.length).toBeGreaterThanOrEqual(1);
    expect(one.accuracy).toBe(Math.max(one.before, ...one.epochs));
    expect(one.accuracy).toBeGreaterThan(one.before);
    // It stops at the first epoch that is good enough.
    for (const accuracy of one.epochs.slice(0, -1)) expect(float32 - accuracy).toBeGreaterThan(0.05);
    const none = { images: new Uint8Array(0), labels: new Uint8Array(0) };
    await expect(recoverAccuracy(runtime, model, data, { held: none })).rejects.toThrow(/held-out/);
  });
});
