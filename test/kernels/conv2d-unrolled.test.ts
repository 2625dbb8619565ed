import { describe } from 'vitest';
import { testConv2d } from '../support/conv2d.ts';

// Without subgroups that may be used, every convolution of such an adapter takes this kernel.
describe('conv2d-unrolled', () => testConv2d('swiftshader', {}, { subgroupSize: 0 }));
