import { describe } from 'vitest';
import { testConv2d } from '../support/conv2d.ts';

// The subgroups of the adapter at hand decide on the lanes: 8 on lavapipe, 4 on SwiftShader.
describe('conv2d-broadcast', () => testConv2d('lavapipe', { kernels: 'registers' }, { sample: 24 }));
