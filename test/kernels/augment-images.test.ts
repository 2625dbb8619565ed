import { describe, expect, test } from 'vitest';
import { augmentImagesKernel } from '../../src/kernels/augment-images.ts';
import { augmentImages } from '../../src/reference/augment-images.ts';
import { dispatch } from '../support/dispatch.ts';
import { relativeL2, stripChannels } from '../support/gradients.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

describe('augment-images', () => {
  for (const channels of [1, 3, 4, 5, 6, 8, 9, 12, 17]) {
    test(`shifts and mirrors images of ${channels} channels`, async () => {
      const random = seeded(channels);
      const [batch, height, width] = [5, 7, 8];
      const input = Uint8Array.from({ length: batch * height * width * channels }, () =>
        random.integer(0, 255),
      );
      const placements = Array.from({ length: batch }, () => ({
        down: random.integer(-4, 4),
        right: random.integer(-4, 4),
        flip: random.next() < 0.5,
      }));
      const words = placements.map((p) => (p.down + 128) | ((p.right + 128) << 8) | (p.flip ? 1 << 16 : 0));
      const { output } = await dispatch(
        gpu.runtime,
        augmentImagesKernel,
        { input, placements: Uint32Array.from(words) },
        { output: batch * height * width * Math.ceil(channels / 4) * 16 },
        { batch, height, width, channels },
      );
      const want = augmentImages(input, placements, { height, width, channels });
      // A quotient by 255 may be off by 2.5 units in the last place; a byte of a neighbour is off by thousands.
      const got = stripChannels(new Float32Array(output), channels);
      const bytes = got.map((value) => Math.round(value * 255));
      expect(bytes).toEqual(Float32Array.from(want, (value) => Math.round(value * 255)));
      expect(relativeL2(got, want)).toBeLessThan(1e-6);
    });
  }
});
