import { describe, expect, test } from 'vitest';
import { conv2dFilterGradientKernel } from '../../src/kernels/conv2d-filter-gradient.ts';
import { conv2dFilterGradient } from '../../src/reference/conv2d-filter-gradient.ts';
import { testFilterGradient } from '../support/conv2d-gradients.ts';
import * as g from '../support/gradients.ts';
import { seeded } from '../support/runtime.ts';

describe('conv2d-filter-gradient', () => {
  testFilterGradient(conv2dFilterGradientKernel, (random) => ({ WORKGROUP_SIZE: random.pick([8, 32, 64]) }));

  test('the twin is within 1e-7 of central differences', () => {
    for (const geometry of g.randomConvs(seeded(32), 6, 3)) {
      const random = seeded(geometry.height);
      const { batch, height, width, inChannels, outChannels, kernel } = geometry;
      const x = random.floats(batch * height * width * inChannels);
      const w = random.floats(outChannels * inChannels * kernel[0] * kernel[1]);
      const dy = random.floats(g.conv64(x, w, geometry).length);
      const numeric = g.centralDifferences((at) => g.dot(g.conv64(x, at, geometry), dy), w, 1e-2);
      expect(g.relativeL2(conv2dFilterGradient(x, dy, geometry), numeric)).toBeLessThan(1e-7);
    }
  });
});
