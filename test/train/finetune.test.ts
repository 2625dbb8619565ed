import { describe, expect, test } from 'vitest';
import { readSafetensors } from '../../src/io/safetensors.ts';
import type { ImageModel } from '../../src/model/graph.ts';
import { type QuantizedModel } from '../../src/model/quantized-model.ts';
import { readModelFile, writeModelFile } from '../../src/run/file.ts';
import { agreement, topOne } from '../../src/run/metrics.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { createFinetuner, type FinetuneOptions, finetune } from '../../src/train/finetune.ts';
import { DivergedError, train } from '../../src/train/train.ts';
import { preactivationGraph, withParameters } from '../support/branching-models.ts';
import { relativeL2 } from '../support/gradients.ts';
import { SLOW, sampled, useRuntime } from '../support/runtime.ts';
import { depthwiseModel, normModel, residualModel, smallModel, stripes } from '../support/small-model.ts';

const gpu = useRuntime();

describe('finetune', () => {
  test('linear: the integer model agrees with the fake-quantized one on 99 % of images', async () => {
    const { runtime } = gpu;
    const data = stripes(200);
    const start = await train(runtime, smallModel(), data, { epochs: 2, batch: 20, augment: false, seed: 1 });
    const quantized = await quantizeModel(runtime, start.model, {
      method: 'linear',
      bits: 4,
      calibration: data.images,
    });
    for (const learnedStep of sampled('learned steps', [false, true], 2)) {
      const options = { steps: 20, batch: 20, augment: false, seed: 2, learnedStep };
      const tuned = await finetune(runtime, quantized, data, options);
      expect(tuned.log.at(-1)!.loss).toBeLessThan(tuned.log[0].loss + 0.5);
      const held = stripes(200, 9);
      const { trainer } = await createFinetuner(runtime, quantized, options);
      const settingsOf = readSafetensors(tuned.checkpoint).metadata.settings;
      await trainer.restore(tuned.checkpoint, settingsOf);
      const rounded = await trainer.logits(held.images);
      trainer.destroy();
      const session = await compile(runtime, tuned.model, { batch: 50 });
      const integer = await session.run(held.images);
      session.destroy();
      expect(agreement(integer, rounded, 5), `learnedStep ${learnedStep}`).toBeGreaterThanOrEqual(0.99);
    }
  });

  const models = [
    ['sums', residualModel, 'r1'],
    ['depthwise convolutions', depthwiseModel, 'r1'],
  ] as const;
  if (SLOW) console.log('models with integer sums: 0 of 2 on a slow adapter (npm run test:all runs both)');
  test.each(SLOW ? [] : models)(
    'linear: %s are rounded as the integer model rounds them',
    async (_, build, observed) => {
      const { runtime } = gpu;
      const data = stripes(200);
      const start = await train(runtime, build(), data, {
        epochs: 6,
        batch: 20,
        augment: false,
        seed: 1,
      });
      const quantized = await quantizeModel(runtime, start.model, {
        method: 'linear',
        bits: 8,
        calibration: data.images,
      });
      const options = { steps: 20, batch: 20, augment: false, seed: 2, observe: 0.05 };
      const tuned = await finetune(runtime, quantized, data, options);
      expect(tuned.model.activations.get(observed)).not.toEqual(quantized.activations.get(observed));
      const held = stripes(200, 9);
      const { trainer } = await createFinetuner(runtime, quantized, options);
      await trainer.restore(tuned.checkpoint, readSafetensors(tuned.checkpoint).metadata.settings);
      const rounded = await trainer.logits(held.images);
      trainer.destroy();
      const session = await compile(runtime, tuned.model, { batch: 50 });
      const integer = await session.run(held.images);
      session.destroy();
      expect(agreement(integer, rounded, 5)).toBeGreaterThanOrEqual(0.99);
    },
  );

  test('linear: batch norms that fold into nothing are layers that are tuned, saved and evaluated', async () => {
    const { runtime } = gpu;
    const data = stripes(200);
    const start = await train(runtime, normModel(), data, { epochs: 4, batch: 20, augment: false, seed: 1 });
    const quantized = await quantizeModel(runtime, start.model, {
      method: 'linear',
      bits: 8,
      calibration: data.images,
    });
    const options = { steps: 20, batch: 20, augment: false, seed: 2, observe: 0.05, learnedStep: true };
    const tuned = await finetune(runtime, quantized, data, options);
    const parameter = (model: ImageModel, name: string) => model.parameters.get(name)!.data;
    for (const norm of ['n0', 'n1', 'n2']) {
      for (const field of ['running_mean', 'running_var']) {
        const name = `${norm}.${field}`;
        expect(parameter(tuned.model.model as ImageModel, name), name).toEqual(parameter(start.model, name));
      }
      for (const field of ['weight', 'bias']) {
        const name = `${norm}.${field}`;
        expect(parameter(tuned.model.model as ImageModel, name), name).not.toEqual(
          parameter(start.model, name),
        );
      }
    }
    expect([...tuned.model.activations.keys()].sort()).toEqual([...quantized.activations.keys()].sort());
    expect(tuned.model.activations.get('r2')).not.toEqual(quantized.activations.get('r2'));

    const held = stripes(200, 9);
    const { trainer } = await createFinetuner(runtime, quantized, options);
    await trainer.restore(tuned.checkpoint, readSafetensors(tuned.checkpoint).metadata.settings);
    const rounded = await trainer.logits(held.images);
    trainer.destroy();
    const run = async (model: QuantizedModel) => {
      const session = await compile(runtime, model, { batch: 50 });
      const logits = await session.run(held.images);
      session.destroy();
      return logits;
    };
    const integer = await run(tuned.model);
    expect(agreement(integer, rounded, 5)).toBeGreaterThanOrEqual(0.99);
    expect(relativeL2(integer, rounded)).toBeLessThan(0.03);
    const right = topOne(integer, 5).filter((c, i) => c === held.labels[i]).length;
    expect(right).toBeGreaterThan(160);

    const { graph } = normModel();
    const read = readModelFile(writeModelFile(tuned.model), (parameters) => ({ graph, parameters }));
    expect(await run(read as QuantizedModel)).toEqual(integer);
    const resumed = await finetune(runtime, read as QuantizedModel, data, { ...options, steps: 1 });
    expect(resumed.log[0].loss).toBeLessThan(tuned.log[0].loss + 0.5);
  });

  test('linear: untrained, what a batch norm by itself computes stays as it was, to the bit', async () => {
    const { runtime } = gpu;
    const data = stripes(40);
    const quantized = await quantizeModel(runtime, normModel(), {
      method: 'linear',
      bits: 8,
      calibration: data.images,
    });
    const { model } = await finetune(runtime, quantized, data, { steps: 1, batch: 20, rate: 1e-30 });
    expect(layersOf(model)).toEqual(layersOf(quantized));
    const run = async (each: QuantizedModel) => {
      const session = await compile(runtime, each, { batch: 40 });
      const logits = await session.run(data.images);
      session.destroy();
      return logits;
    };
    expect(await run(model)).toEqual(await run(quantized));
  });

  test('k-means: batch norms by themselves are tuned, and their statistics estimated again', async () => {
    const { runtime } = gpu;
    const data = stripes(100);
    const quantized = await quantizeModel(runtime, normModel(), { method: 'kmeans', bits: 4 });
    const { model } = await finetune(runtime, quantized, data, { steps: 3, batch: 20, reestimate: 100 });
    const parameter = (name: string) => model.model.parameters.get(name)!.data as Float32Array;
    // What the first one normalizes is the images themselves.
    for (const channel of [0, 1, 2]) {
      const values = Array.from(
        data.images.filter((_, i) => i % 3 === channel),
        (byte) => byte / 255,
      );
      const mean = values.reduce((a, b) => a + b) / values.length;
      const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (values.length - 1);
      expect(parameter('n0.running_mean')[channel]).toBeCloseTo(mean, 5);
      expect(parameter('n0.running_var')[channel]).toBeCloseTo(variance, 5);
    }
    for (const name of ['n1.weight', 'n2.bias', 'n6.weight', 'n6.running_var']) {
      const before = quantized.model.parameters.get(name)!.data as Float32Array;
      expect(relativeL2(parameter(name), before), name).toBeGreaterThan(1e-4);
    }
  });

  test('what cannot be trained is refused by name before any step', async () => {
    const { runtime } = gpu;
    const model = withParameters(preactivationGraph);
    const { height, width, channels } = model.graph.input;
    const images = new Uint8Array(20 * height * width * channels).map((_, i) => (i * 37) % 251);
    const labels = new Uint8Array(20);
    let steps = 0;
    for (const method of ['linear', 'kmeans'] as const) {
      const quantized = await quantizeModel(runtime, model, { method, bits: 8, calibration: images });
      const options = { steps: 1, batch: 20, onStep: () => steps++ };
      await expect(finetune(runtime, quantized, { images, labels }, options)).rejects.toThrow(
        /dense: concat cannot be trained/,
      );
    }
    expect(steps).toBe(0);
  });

  test('k-means: the session computes what a tuned depthwise network stands for', async () => {
    const { runtime } = gpu;
    const data = stripes(60);
    const quantized = await quantizeModel(runtime, depthwiseModel(), { method: 'kmeans', bits: 2 });
    const options = { steps: 6, batch: 20, seed: 1, augment: false, reassignEvery: 3 };
    const { model } = await finetune(runtime, quantized, data, options);
    const layer = model.layers.get('d0');
    if (layer?.method !== 'kmeans') throw new Error('a k-means layer');
    const weights = model.model.parameters.get('d0.weight')!;
    expect(weights.dims).toEqual([18, 1, 3, 3]);
    expect([...weights.data]).toEqual([...layer.codes].map((code) => layer.codebook[code]));
    const run = async (each: typeof model | typeof model.model) => {
      const session = await compile(runtime, each, { batch: 20 });
      const logits = await session.run(data.images);
      session.destroy();
      return logits;
    };
    expect(relativeL2(await run(model), await run(model.model))).toBeLessThan(1e-5);
    expect(relativeL2(await run(model), await run(quantized))).toBeGreaterThan(1e-3);
  });

  for (const centroids of ['gradient', 'mean'] as const) {
    test(`k-means by centroid ${centroids}: weights stay codebook[codes], and the loss falls`, async () => {
      const { runtime } = gpu;
      const data = stripes(200);
      const start = await train(runtime, smallModel(), data, {
        epochs: 3,
        batch: 20,
        augment: false,
        seed: 1,
      });
      const quantized = await quantizeModel(runtime, start.model, { method: 'kmeans', bits: 2 });
      const reassignEvery = centroids === 'mean' ? 5 : 0;
      const tuned = await finetune(runtime, quantized, data, {
        steps: 30,
        batch: 20,
        augment: false,
        seed: 2,
        centroids,
        reassignEvery,
      });
      for (const [name, layer] of tuned.model.layers) {
        if (layer.method !== 'kmeans') throw new Error('a k-means layer');
        expect(layer.codebook.length).toBe(4);
        const weights = tuned.model.model.parameters.get(`${name}.weight`)!.data;
        expect([...weights]).toEqual([...layer.codes].map((code) => layer.codebook[code]));
      }
      const mean = (log: readonly { loss: number }[]) =>
        log.reduce((sum, { loss }) => sum + loss / log.length, 0);
      expect(mean(tuned.log.slice(-5))).toBeLessThan(mean(tuned.log.slice(0, 5)));
    });
  }

  test('re-assignment needs weights that move', async () => {
    const quantized = await quantizeModel(gpu.runtime, smallModel(), { method: 'kmeans', bits: 2 });
    await expect(
      finetune(gpu.runtime, quantized, stripes(40), { batch: 20, reassignEvery: 3, centroids: 'gradient' }),
    ).rejects.toThrow(/centroids 'mean'/);
  });

  const modes: [string, 'kmeans' | 'linear', FinetuneOptions][] = [
    ['centroids by their gradient', 'kmeans', { centroids: 'gradient', rate: 1e-4 }],
    ['centroids by their mean, re-assigned', 'kmeans', { centroids: 'mean', reassignEvery: 2 }],
    ['linear with learned steps', 'linear', { learnedStep: true }],
  ];
  test.each(modes)(
    '%s: a resumed run ends with the bits of an uninterrupted one',
    async (_, method, mode) => {
      const { runtime } = gpu;
      const data = stripes(60);
      const quantized = await quantizeModel(runtime, smallModel(), {
        method,
        bits: 4,
        calibration: data.images,
      });
      const saved = new Map<number, Uint8Array>();
      const options: FinetuneOptions = {
        ...mode,
        ...{ steps: 9, batch: 20, seed: 3, checkpointEvery: 5 },
        onCheckpoint: (checkpoint, step) => void saved.set(step, checkpoint),
      };
      const whole = await finetune(runtime, quantized, data, options);
      const resumed = await finetune(runtime, quantized, data, { ...options, resume: saved.get(5) });
      expect(resumed.log.map(({ step }) => step)).toEqual([6, 7, 8, 9]);
      expect(resumed.checkpoint).toEqual(whole.checkpoint);
      expect(layersOf(resumed.model)).toEqual(layersOf(whole.model));
      expect(resumed.checkpoint).not.toEqual(saved.get(5));
    },
  );

  test('stops at a NaN loss; the checkpoint it kept resumes at a lower rate only as a new run', async () => {
    const data = stripes(60);
    const quantized = await quantizeModel(gpu.runtime, smallModel(), { method: 'kmeans', bits: 2 });
    const options = { steps: 9, batch: 20, rate: 1e30, schedule: 'constant' as const };
    const error = await finetune(gpu.runtime, quantized, data, options).catch((e) => e);
    expect(error).toBeInstanceOf(DivergedError);
    expect(error.message).toMatch(/finite.*at step \d+.*lower the learning rate/);
    await expect(
      finetune(gpu.runtime, quantized, data, { ...options, rate: 0.01, resume: error.checkpoint }),
    ).rejects.toThrow(/settings it began with/);
  });

  test('refuses an empty data set, too many classes, and a checkpoint of another precision', async () => {
    const { runtime } = gpu;
    const data = stripes(40);
    const [two, four] = await Promise.all(
      [2, 4].map((bits) => quantizeModel(runtime, smallModel(), { method: 'kmeans', bits })),
    );
    const options = { steps: 1, batch: 20 };
    const none = { images: new Uint8Array(0), labels: new Uint8Array(0) };
    await expect(finetune(runtime, two, none, options)).rejects.toThrow(/empty data set/);
    const high = { ...data, labels: data.labels.map(() => 5) };
    await expect(finetune(runtime, two, high, options)).rejects.toThrow(/5 outputs.*received 5/);
    const { checkpoint } = await finetune(runtime, two, data, options);
    await expect(finetune(runtime, four, data, { ...options, resume: checkpoint })).rejects.toThrow(
      /same network and precision.*kmeans 2 bit.*kmeans 4 bit/,
    );
  });
});

/** Codes and codebooks or scales of every layer, as plain data. */
function layersOf(model: QuantizedModel) {
  return [...model.layers].map(([name, layer]) => [
    name,
    [...layer.codes],
    [...(layer.method === 'kmeans' ? layer.codebook : layer.scale)],
  ]);
}
