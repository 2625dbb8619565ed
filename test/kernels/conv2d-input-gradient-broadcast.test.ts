import { describe } from 'vitest';
import { conv2dInputGradientBroadcastKernel } from '../../src/kernels/conv2d-input-gradient-broadcast.ts';
import { anyBroadcast, testInputGradient } from '../support/conv2d-gradients.ts';

describe('conv2d-input-gradient-broadcast', () =>
  testInputGradient(conv2dInputGradientBroadcastKernel, anyBroadcast));
