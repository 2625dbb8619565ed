import { describe, expect, test } from 'vitest';
import { LloydError } from '../../src/gpu/errors.ts';
import { readSafetensors } from '../../src/io/safetensors.ts';
import type { ImageModel } from '../../src/model/graph.ts';
import { vgg } from '../../src/model/vgg.ts';
import { topOne } from '../../src/run/metrics.ts';
import { compile } from '../../src/run/session.ts';
import { initialize } from '../../src/train/initialize.ts';
import { DivergedError, train } from '../../src/train/train.ts';
import { relativeL2 } from '../support/gradients.ts';
import { useRuntime } from '../support/runtime.ts';
import { normModel, smallModel, stripes } from '../support/small-model.ts';

const gpu = useRuntime();

async function accuracyOf(model: ImageModel, images: Uint8Array, labels: Uint8Array) {
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

  test('a bias before a batch norm stays, and evaluation sees the sums that training saw', async () => {
    const data = stripes(100);
    const biased = normModel();
    const parameters = new Map(biased.parameters);
    for (const [conv, norm] of [
      ['c2', 'n3'],
      ['fc', 'n7'],
    ]) {
      const bias = parameters.get(`${conv}.bias`)!.data as Float32Array;
      const mean = parameters.get(`${norm}.running_mean`)!.data as Float32Array;
      const plain = (values: Float32Array) =>
        ({ dtype: 'float32', dims: [values.length], data: values }) as const;
      parameters.set(`${conv}.bias`, plain(bias.map(() => 0)));
      parameters.set(`${norm}.running_mean`, plain(mean.map((value, c) => value - bias[c])));
    }
    const options = { ...settings, epochs: 2, rate: 0.02 };
    const logits = async (start: ImageModel) => {
      const { model } = await train(gpu.runtime, start, data, options);
      expect(model.parameters.get('c2.bias')).toEqual(start.parameters.get('c2.bias'));
      const session = await compile(gpu.runtime, model, { batch: 50 });
      const result = await session.run(data.images);
      session.destroy();
      return result;
    };
    const plain = await logits({ ...biased, parameters });
    expect(relativeL2(await logits(biased), plain)).toBeLessThan(1e-4);
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
