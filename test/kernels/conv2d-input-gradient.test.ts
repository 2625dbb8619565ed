import { describe, expect, test } from 'vitest';
import { conv2dInputGradientKernel } from '../../src/kernels/conv2d-input-gradient.ts';
import { conv2dInputGradient } from '../../src/reference/conv2d-input-gradient.ts';
import { testInputGradient } from '../support/conv2d-gradients.ts';
import * as g from '../support/gradients.ts';
import { seeded } from '../support/runtime.ts';

describe('conv2d-input-gradient', () => {
  testInputGradient(conv2dInputGradientKernel, (random) => ({
    TILE_PIXELS: random.pick(['4u', '8u', '16u']),
    WORKGROUP_SIZE: random.pick([8, 32]),
  }));

  test('the twin is within 1e-7 of central differences', () => {
    for (const geometry of g.randomConvs(seeded(22), 6, 3)) {
      const random = seeded(geometry.height);
      const { batch, height, width, inChannels, outChannels, kernel } = geometry;
      const x = random.floats(batch * height * width * inChannels);
      const w = random.floats(outChannels * inChannels * kernel[0] * kernel[1]);
      const dy = random.floats(g.conv64(x, w, geometry).length);
      const numeric = g.centralDifferences((at) => g.dot(g.conv64(at, w, geometry), dy), x, 1e-2);
      expect(g.relativeL2(conv2dInputGradient(dy, w, geometry), numeric)).toBeLessThan(1e-7);
    }
  });
});
