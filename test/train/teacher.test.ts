import { describe, expect, test } from 'vitest';
import type { ImageModel } from '../../src/model/graph.ts';
import { vgg } from '../../src/model/vgg.ts';
import { distillationLoss } from '../../src/reference/distillation-loss.ts';
import { softmaxCrossEntropy } from '../../src/reference/softmax-cross-entropy.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { finetune } from '../../src/train/finetune.ts';
import { foldModel } from '../../src/train/fold.ts';
import { initialize } from '../../src/train/initialize.ts';
import { train } from '../../src/train/train.ts';
import { useRuntime } from '../support/runtime.ts';
import { residualModel, smallModel, stripes } from '../support/small-model.ts';

const gpu = useRuntime();

async function logitsOf(model: ImageModel, images: Uint8Array): Promise<Float32Array> {
  const session = await compile(gpu.runtime, model, { batch: 20 });
  const logits = await session.run(images);
  session.destroy();
  return logits;
}

describe('a teacher', () => {
  test('is run as compile runs it, and is so much of the loss as its share', async () => {
    const data = stripes(20);
    // Without batch norms the student's training pass is its evaluation, so both can be held against sessions.
    const student = foldModel(smallModel()).model;
    const model = initialize(smallModel(), { seed: 9 });
    const [own, wanted] = [await logitsOf(student, data.images), await logitsOf(model, data.images)];
    const mean = (values: Float64Array) => values.reduce((a, b) => a + b) / values.length;
    const fromLabels = mean(softmaxCrossEntropy(own, data.labels, 0).losses);
    const fromTeacher = mean(distillationLoss(own, wanted, 20, 2).losses);
    expect(Math.abs(fromLabels - fromTeacher)).toBeGreaterThan(0.05);
    for (const share of [0.25, 1]) {
      const teacher = { model, share, temperature: 2 };
      const options = { steps: 1, batch: 20, augment: false, labelSmoothing: 0, rate: 1e-6, teacher };
      const { log } = await train(gpu.runtime, student, data, options);
      expect(log[0].loss).toBeCloseTo(share * fromTeacher + (1 - share) * fromLabels, 4);
    }
  });

  test('is what a quantized student comes nearer to', async () => {
    const data = stripes(100);
    const { model } = await train(gpu.runtime, smallModel(), data, { epochs: 4, batch: 20, augment: false });
    const quantized = await quantizeModel(gpu.runtime, model, {
      method: 'linear',
      bits: 2,
      calibration: data.images,
    });
    const options = { steps: 30, batch: 20, augment: false, rate: 0.01, teacher: { model } };
    const { log } = await finetune(gpu.runtime, quantized, data, options);
    const around = (from: number) => log.slice(from, from + 5).reduce((sum, { loss }) => sum + loss, 0);
    expect(around(25)).toBeLessThan(around(0) * 0.5);
  });

  test('of another size, or with a share or temperature that is none, is refused', async () => {
    const data = stripes(20);
    const student = smallModel();
    const refusal = (teacher: object) =>
      train(gpu.runtime, student, data, { steps: 1, batch: 20, teacher: { model: student, ...teacher } });
    await expect(refusal({ model: initialize(vgg({ widthDivisor: 16 })) })).rejects.toThrow(
      /own input and outputs.*received/,
    );
    for (const share of [0, 1.1, Number.NaN]) await expect(refusal({ share })).rejects.toThrow(/share/);
    for (const temperature of [0, -1, Number.POSITIVE_INFINITY, Number.NaN]) {
      await expect(refusal({ temperature })).rejects.toThrow(/temperature/);
    }
  });

  test('may have sums and batch norms of its own', async () => {
    const data = stripes(20);
    const model = residualModel();
    const { log } = await train(gpu.runtime, model, data, { steps: 2, batch: 20, teacher: { model } });
    expect(log.every(({ loss }) => Number.isFinite(loss))).toBe(true);
  });
});
