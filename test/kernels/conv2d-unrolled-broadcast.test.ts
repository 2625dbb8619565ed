import { describe } from 'vitest';
import { testConv2d } from '../support/conv2d.ts';

// Convolutions of 8 or fewer channels a group take conv2d-unrolled.
describe('conv2d-unrolled-broadcast', () => testConv2d('swiftshader', {}, { sample: 24 }));
