import { describe } from 'vitest';
import { batchNormMergeKernel } from '../../src/kernels/batch-norm-merge.ts';
import { testMerge } from '../support/batch-norm-merge.ts';

describe('batch-norm-merge', () =>
  testMerge(batchNormMergeKernel, [
    [1, 1, 1],
    [65, 3, 16],
    [300, 2, 300],
    [128, 17, 50],
  ]));
