import { describe, expect, test } from 'vitest';
import { softmaxCrossEntropyKernel } from '../../src/kernels/softmax-cross-entropy.ts';
import { softmaxCrossEntropy } from '../../src/reference/softmax-cross-entropy.ts';
import { dispatch } from '../support/dispatch.ts';
import { centralDifferences, padChannels, relativeL2, stripChannels } from '../support/gradients.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

describe('softmax-cross-entropy', () => {
  for (const [batch, classes, smoothing, scale] of [
    [1, 2, 0, 1],
    [33, 10, 0.1, 3],
    [40, 7, 0, 200],
  ]) {
    test(`${batch} rows of ${classes} classes, smoothing ${smoothing}, logits to ${scale}`, async () => {
      const random = seeded(batch);
      const logits = random.floats(batch * classes, scale);
      const labels = Uint32Array.from({ length: batch }, () => random.integer(0, classes - 1));
      const stride = Math.ceil(classes / 4) * 4;
      const { gradient, results } = await dispatch(
        gpu.runtime,
        softmaxCrossEntropyKernel,
        { logits: padChannels(logits, classes), labels },
        { gradient: batch * stride * 4, results: batch * 8 },
        { batch, classes, stride, smoothing: Math.fround(smoothing) },
      );
      const want = softmaxCrossEntropy(logits, labels, Math.fround(smoothing));
      expect(relativeL2(stripChannels(new Float32Array(gradient), classes), want.gradient)).toBeLessThan(
        1e-4,
      );
      const pairs = new Float32Array(results);
      expect(
        relativeL2(
          pairs.filter((_, i) => i % 2 === 0),
          want.losses,
        ),
      ).toBeLessThan(1e-4);
      expect([...pairs.filter((_, i) => i % 2 === 1)]).toEqual([...want.correct]);
    });
  }

  test('the twin is within 1e-7 of central differences', () => {
    const random = seeded(6);
    const logits = random.floats(50, 2);
    const labels = Uint32Array.from({ length: 5 }, () => random.integer(0, 9));
    const loss = (at: Float64Array) =>
      softmaxCrossEntropy(at, labels, 0.1).losses.reduce((a, b) => a + b) / 5;
    const { gradient } = softmaxCrossEntropy(logits, labels, 0.1);
    expect(relativeL2(gradient, centralDifferences(loss, logits, 1e-5))).toBeLessThan(1e-7);
  });
});
