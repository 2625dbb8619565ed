import { describe } from 'vitest';
import { conv2dFilterGradientBroadcastKernel } from '../../src/kernels/conv2d-filter-gradient-broadcast.ts';
import { anyBroadcast, testFilterGradient } from '../support/conv2d-gradients.ts';

describe('conv2d-filter-gradient-broadcast', () =>
  testFilterGradient(conv2dFilterGradientBroadcastKernel, anyBroadcast));
