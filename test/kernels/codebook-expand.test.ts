import { describe, expect, test } from 'vitest';
import { packDense } from '../../src/conv/weight-layout.ts';
import { codebookExpandKernel } from '../../src/kernels/codebook-expand.ts';
import { codebookExpand } from '../../src/reference/codebook-expand.ts';
import { firstDifference } from '../support/dispatch.ts';
import { guardedOutput, seeded, useRuntime } from '../support/runtime.ts';

const context = useRuntime();

describe('codebook-expand', () => {
  test.each([1, 2, 4, 8] as const)('%i-bit codes, ragged lengths', async (bits) => {
    const { runtime } = context;
    const r = seeded(bits);
    const codebook = r.floats(2 ** bits);
    codebook[0] = -0;
    for (const count of [4, 60, 64 * 4, 64 * 4 + 4, 10_000]) {
      const codes = Uint8Array.from({ length: count }, () => r.integer(0, 2 ** bits - 1));
      const words = packDense(codes, bits);
      const kernel = await codebookExpandKernel.create(runtime.device, { CODE_BITS: `${bits}u` });
      const output = guardedOutput(runtime, count * 4);
      const buffers = {
        codes: runtime.upload(words),
        codebook: runtime.upload(codebook),
        output: output.slice,
      };
      runtime.submit([kernel.bind(buffers, { vectorCount: count / 4 })]);
      const expanded = new Float32Array(await output.read());
      expect(firstDifference(expanded, codebookExpand(words, codebook, bits, count))).toBe(-1);
      expect(
        firstDifference(
          expanded,
          Float32Array.from(codes, (c) => codebook[c]),
        ),
      ).toBe(-1);
      // The comparator sees codes read from the wrong end of a word.
      const reversed = Float32Array.from(codes, (_, i) => codebook[codes[i ^ 1]]);
      expect(firstDifference(expanded, reversed)).not.toBe(-1);
    }
  });
});
