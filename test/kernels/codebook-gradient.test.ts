import { describe, expect, test } from 'vitest';
import { codebookGradientKernel } from '../../src/kernels/codebook-gradient.ts';
import { codebookGradient } from '../../src/reference/codebook-gradient.ts';
import { sumSplits } from '../../src/reference/sum-splits.ts';
import { dispatch } from '../support/dispatch.ts';
import { centralDifferences, dot, relativeL2 } from '../support/gradients.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

describe('codebook-gradient', () => {
  for (const [count, segments, splits, mean] of [
    [5, 4, 1, 0],
    [3000, 4, 32, 0],
    [3000, 16, 5, 1],
    // Entries of one member, whose mean is that member.
    [20, 16, 3, 1],
    [999, 256, 8, 0],
  ]) {
    test(`${count} codes of ${segments} entries in ${splits} splits${mean ? ', means' : ''}`, async () => {
      const random = seeded(count);
      // The last entry stays empty.
      const codes = Uint8Array.from({ length: count }, () => random.integer(0, segments - 2));
      const values = random.floats(count);
      const members = Uint32Array.from(codes.keys()).sort((a, b) => codes[a] - codes[b] || a - b);
      const offsets = new Uint32Array(segments + 1);
      for (const code of codes) offsets[code + 1]++;
      for (let k = 0; k < segments; k++) offsets[k + 1] += offsets[k];
      const { partial } = await dispatch(
        gpu.runtime,
        codebookGradientKernel,
        { members, offsets, values },
        { partial: splits * segments * 4 },
        { segments, splits, mean },
      );
      const want = codebookGradient(codes, values, segments, mean === 1);
      expect(relativeL2(sumSplits(new Float32Array(partial), splits), want)).toBeLessThan(1e-4);
    });
  }

  test('the twin is within 1e-7 of central differences through codebook[codes]', () => {
    const random = seeded(9);
    const codes = Uint8Array.from({ length: 60 }, () => random.integer(0, 3));
    const [codebook, dw] = [random.floats(4), random.floats(60)];
    const loss = (at: Float64Array) =>
      dot(
        Float64Array.from(codes, (k) => at[k]),
        dw,
      );
    const numeric = centralDifferences(loss, codebook, 1e-3);
    expect(relativeL2(codebookGradient(codes, dw, 4), numeric)).toBeLessThan(1e-7);
  });
});
