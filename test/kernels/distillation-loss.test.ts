import { describe, expect, test } from 'vitest';
import { distillationLossKernel } from '../../src/kernels/distillation-loss.ts';
import { distillationLoss } from '../../src/reference/distillation-loss.ts';
import {
  centralDifferences,
  padChannels,
  relativeL2,
  runInPlace,
  stripChannels,
} from '../support/gradients.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

describe('distillation-loss', () => {
  for (const [batch, classes, share, temperature, scale] of [
    [1, 2, 1, 1, 1],
    [33, 10, 0.7, 4, 6],
    [40, 7, 0.25, 2, 150],
  ]) {
    test(`${batch} rows of ${classes} classes, share ${share}, temperature ${temperature}`, async () => {
      const random = seeded(batch);
      const logits = random.floats(batch * classes, scale);
      const teacher = random.floats(batch * classes, scale);
      const stride = Math.ceil(classes / 4) * 4;
      const before = padChannels(random.floats(batch * classes, 0.1), classes);
      const pairs = random.floats(batch * 2, 1);
      const part = Math.fround(share);
      const got = await runInPlace(
        gpu.runtime,
        distillationLossKernel,
        {
          logits: padChannels(logits, classes),
          teacher: padChannels(teacher, classes),
          gradient: before,
          results: pairs,
        },
        { batch, classes, stride, share: part, temperature },
      );
      const want = distillationLoss(logits, teacher, batch, temperature);
      const mixed = stripChannels(before, classes).map((g, i) => g + part * (want.gradient[i] - g));
      expect(relativeL2(stripChannels(got.gradient, classes), mixed)).toBeLessThan(1e-5);
      const after = got.results;
      const losses = Array.from(want.losses, (loss, n) => pairs[2 * n] + part * (loss - pairs[2 * n]));
      expect(
        relativeL2(
          losses.map((_, n) => after[2 * n]),
          losses,
        ),
      ).toBeLessThan(1e-5);
      expect(losses.map((_, n) => after[2 * n + 1])).toEqual(losses.map((_, n) => pairs[2 * n + 1]));
    });
  }

  test('the twin is within 1e-7 of central differences, and zero where it agrees with its teacher', () => {
    const random = seeded(6);
    const [logits, teacher] = [random.floats(50, 2), random.floats(50, 3)];
    const loss = (at: Float64Array) => distillationLoss(at, teacher, 5, 3).losses.reduce((a, b) => a + b) / 5;
    const { gradient } = distillationLoss(logits, teacher, 5, 3);
    expect(relativeL2(gradient, centralDifferences(loss, logits, 1e-5))).toBeLessThan(1e-7);
    const same = distillationLoss(teacher, teacher, 5, 3);
    expect(Math.max(...same.losses, ...same.gradient.map(Math.abs))).toBe(0);
  });
});
