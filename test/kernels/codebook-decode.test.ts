import { expect, test } from 'vitest';
import { codebookDecode } from '../../src/kernels/codebook-decode.ts';
import { codebookDecode as twin } from '../../src/reference/codebook-decode.ts';
import { guardedOutput, seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

test.each([
  [1, 2, 1, 1],
  [255, 16, 1, 255],
  [256, 16, 1, 256],
  [257, 256, 1, 257],
  [1000, 5, 32, 32],
  [6 * 7 * 9, 3, 7, 9],
  [70_001, 12, 1, 70_001],
])(
  'equals its twin: %i codes, %i clusters, %i groups, stride %i',
  async (count, clusters, groups, groupStride) => {
    const { runtime } = gpu;
    const random = seeded(count);
    const codes = Uint8Array.from({ length: count }, () => random.integer(0, clusters - 1));
    const codebook = random.floats(groups * clusters);
    codebook.set([-0, 2 ** -149], 0);
    const expected = twin(codes, codebook, { clusters, groups, groupStride });
    const actual = await runtime.scope(async (scope) => {
      const kernel = await codebookDecode.create(runtime.device);
      const output = guardedOutput(runtime, count * 4);
      const buffers = { codes: scope.upload(codes), codebook: scope.upload(codebook), output: output.slice };
      runtime.submit([scope.keep(kernel.bind(buffers, { count, clusters, groups, groupStride }))]);
      return output.read();
    });
    expect(new Uint32Array(actual)).toEqual(new Uint32Array(expected.buffer));
  },
);
