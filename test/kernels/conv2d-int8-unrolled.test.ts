import { describe } from 'vitest';
import type { Kernel } from '../../src/gpu/kernel.ts';
import { conv2dInt8UnrolledKernel } from '../../src/kernels/conv2d-int8-unrolled.ts';
import { testConv2dInt8 } from '../support/conv2d-int8.ts';

describe('conv2d-int8-unrolled', () =>
  testConv2dInt8(
    'swiftshader',
    conv2dInt8UnrolledKernel as unknown as Kernel,
    [8, 64].map((size) => ({ tileVectors: 2, specialization: { WORKGROUP_SIZE: size } })),
  ));
