import { describe, expect, test } from 'vitest';
import { LloydError } from '../../src/gpu/errors.ts';
import { readSafetensors } from '../../src/io/safetensors.ts';
import type { Model } from '../../src/model/graph.ts';
import { agreement, topOne } from '../../src/model/metrics.ts';
import { type QuantizedModel, quantizeModel } from '../../src/model/precision.ts';
import { compile } from '../../src/model/session.ts';
import { vgg } from '../../src/model/vgg.ts';
import { createFinetuner, finetune } from '../../src/train/finetune.ts';
import { DivergedError, initialize, train } from '../../src/train/train.ts';
import { seeded, useRuntime } from '../support/runtime.ts';
import { smallModel } from '../support/small-model.ts';

const gpu = useRuntime();

/** Images whose class is the brightest of their five columns: learnable in a few steps. */
function stripes(count: number, seed = 5) {
  const random = seeded(seed);
  const labels = Uint8Array.from({ length: count }, () => random.integer(0, 4));
  const images = Uint8Array.from({ length: count * 192 }, (_, i) => {
    const column = Math.floor(i / 3) % 8;
    return random.integer(0, 90) + (column === labels[Math.floor(i / 192)] ? 150 : 0);
  });
  return { images, labels };
}

async function accuracyOf(model: Model | QuantizedModel, images: Uint8Array, labels: Uint8Array) {
  const session = await compile(gpu.runtime, model, { batch: 50 });
  const logits = await session.run(images);
  session.destroy();
  return topOne(logits, session.classes).filter((c, i) => c === labels[i]).length / labels.length;
}

describe('train', () => {
  const settings = { epochs: 6, batch: 20, rate: 0.1, seed: 4, augment: false, checkpointEvery: 7 };

  test('learns, and resumed runs end with the bits of uninterrupted ones', async () => {
    const data = stripes(100);
    const whole = await train(gpu.runtime, smallModel(), data, settings);
    expect(whole.step).toBe(30);
    expect(await accuracyOf(whole.model, stripes(100, 6).images, stripes(100, 6).labels)).toBeGreaterThan(
      0.8,
    );

    const saved: Uint8Array[] = [];
    const stop = new AbortController();
    await train(gpu.runtime, smallModel(), data, {
      ...settings,
      signal: stop.signal,
      onCheckpoint: (checkpoint, step) => {
        saved.push(checkpoint);
        if (step === 14) stop.abort();
      },
    });
    const resumed = await train(gpu.runtime, smallModel(), data, { ...settings, resume: saved[1] });
    expect(resumed.log[0].step).toBe(15);
    expect(resumed.checkpoint).toEqual(whole.checkpoint);
    expect(readSafetensors(resumed.checkpoint).metadata.step).toBe('30');
  });

  test('stops at a NaN loss, names the step and keeps the last good checkpoint', async () => {
    const data = stripes(100);
    const run = train(gpu.runtime, smallModel(), data, { ...settings, rate: 1e30, schedule: 'constant' });
    const error = await run.then(
      () => null,
      (e) => e,
    );
    expect(error).toBeInstanceOf(DivergedError);
    expect(error.message).toMatch(/finite.*at step \d+.*lower the learning rate/);
    expect(readSafetensors(error.checkpoint).metadata.step).toBe(String(error.checkpointStep));
  });

  test('refuses bad input, naming it', async () => {
    const { runtime } = gpu;
    const data = stripes(40);
    const none = { images: new Uint8Array(0), labels: new Uint8Array(0) };
    await expect(train(runtime, smallModel(), none, settings)).rejects.toThrow(/empty data set/);
    const high = { ...data, labels: data.labels.map((_, i) => (i ? 0 : 9)) };
    await expect(train(runtime, smallModel(), high, settings)).rejects.toThrow(/5 outputs.*9/);
    await expect(train(runtime, smallModel(), data, { ...settings, batch: 50 })).rejects.toThrow(
      /lower batch/,
    );
    await expect(train(runtime, smallModel(), data, { ...settings, rate: Number.NaN })).rejects.toThrow(
      LloydError,
    );
    const { checkpoint } = await train(runtime, smallModel(), data, { ...settings, steps: 1 });
    const other = initialize(vgg({ widthDivisor: 64 }));
    const pixels = { images: new Uint8Array(20 * 3072), labels: new Uint8Array(20) };
    await expect(train(runtime, other, pixels, { ...settings, resume: checkpoint })).rejects.toThrow(
      /same network.*small/,
    );
    await expect(
      train(runtime, smallModel(), data, { ...settings, seed: 9, resume: checkpoint }),
    ).rejects.toThrow(/settings it began with/);
  });
});

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
    for (const learnedStep of [false, true]) {
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
});
