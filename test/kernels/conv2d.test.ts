import { describe } from 'vitest';
import { testConv2d } from '../support/conv2d.ts';

describe('conv2d', () => testConv2d(null, { kernels: 'registers' }));
