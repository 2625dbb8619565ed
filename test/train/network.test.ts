import { describe, expect, test } from 'vitest';
import { buildNetwork } from '../../src/train/network.ts';
import { seeded, useRuntime } from '../support/runtime.ts';
import { depthwiseModel, residualModel, smallModel } from '../support/small-model.ts';

const gpu = useRuntime();

describe('a training step', () => {
  test.each([
    ['a chain', smallModel],
    ['a residual network', residualModel],
    ['depthwise convolutions', depthwiseModel],
  ])('of %s moves every parameter against the slope of the loss, by finite differences', async (_, build) => {
    const { runtime } = gpu;
    const batch = 16;
    const network = await buildNetwork(runtime, build(), {
      batch,
      momentum: 0,
      nesterov: false,
      weightDecay: 0,
      labelSmoothing: 0.1,
      average: false,
      keepStatistics: false,
      training: { centroids: 'gradient', learnedStep: false, observe: 0 },
    });
    const random = seeded(8);
    const { queue } = runtime.device;
    const bytes = Uint8Array.from({ length: batch * 192 }, () => random.integer(0, 255));
    queue.writeBuffer(network.buffers.images, 0, bytes);
    queue.writeBuffer(network.buffers.placements, 0, new Uint32Array(batch).fill(128 | (128 << 8)));
    queue.writeBuffer(
      network.buffers.labels,
      0,
      Uint32Array.from({ length: batch }, () => random.integer(0, 4)),
    );
    const loss = async (rate = 0) => {
      queue.writeBuffer(network.buffers.schedule, 0, new Float32Array([rate]));
      runtime.submit(network.step);
      const pairs = new Float32Array(await runtime.read(network.buffers.results));
      return pairs.reduce((sum, v, i) => sum + (i % 2 ? 0 : v / batch), 0);
    };
    await loss();
    // A step's velocity without momentum is the gradient.
    for (const [name, buffer] of network.state) {
      if (name.startsWith('velocity.') || name.endsWith('.running')) continue;
      await loss();
      const slope = new Float32Array(await runtime.read(network.state.get(`velocity.${name}`)!));
      const values = new Float32Array(await runtime.read(buffer));
      const norm = Math.hypot(...slope);
      expect(norm, name).toBeGreaterThan(1e-4);
      // Along the gradient the loss rises by its norm: all elements at once.
      const step = 1e-2;
      const probe = async (sign: number) => {
        queue.writeBuffer(
          buffer,
          0,
          values.map((v, i) => v + (sign * step * slope[i]) / norm),
        );
        return loss();
      };
      const rise = ((await probe(1)) - (await probe(-1))) / (2 * step);
      queue.writeBuffer(buffer, 0, values);
      expect(Math.abs(rise / norm - 1), `${name}: ${rise} for ${norm}`).toBeLessThan(0.05);
    }
    network.destroy();
  });
});
