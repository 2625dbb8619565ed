import { describe } from 'vitest';
import { conv2dUnrolledKernel } from '../../src/kernels/conv2d-unrolled.ts';
import { testConv2d, testStores } from '../support/conv2d.ts';

describe('conv2d-unrolled', () => {
  // Without subgroups that may be used, every convolution of such an adapter takes this kernel.
  testConv2d('swiftshader', {}, { subgroupSize: 0 });
  testStores(conv2dUnrolledKernel, 2, {});
});
