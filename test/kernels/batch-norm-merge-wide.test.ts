import { describe } from 'vitest';
import { batchNormMergeWideKernel } from '../../src/kernels/batch-norm-merge-wide.ts';
import { testMerge } from '../support/batch-norm-merge.ts';

describe('batch-norm-merge-wide', () =>
  testMerge(batchNormMergeWideKernel, [
    [1, 1, 1],
    [65, 3, 16],
    [255, 2, 1],
    [513, 17, 2],
    [3000, 5, 4],
  ]));
