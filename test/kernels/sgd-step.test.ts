import { describe, expect, test } from 'vitest';
import { sgdStepKernel } from '../../src/kernels/sgd-step.ts';
import { sgdStep } from '../../src/reference/sgd-step.ts';
import { relativeL2, runInPlace } from '../support/gradients.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

describe('sgd-step', () => {
  for (const nesterov of [false, true]) {
    for (const count of [1, 65, 1000]) {
      test(`${count} elements${nesterov ? ", Nesterov's" : ''}`, async () => {
        const random = seeded(count);
        const [weights, gradient, velocity] = [0, 0, 0].map(() => random.floats(count));
        const [rate, momentum, weightDecay] = [0.05, 0.9, 5e-4].map(Math.fround);
        const got = await runInPlace(
          gpu.runtime,
          sgdStepKernel,
          { gradient, schedule: new Float32Array([rate]), weights, velocity },
          { first: 0, count, nesterov: nesterov ? 1 : 0, momentum, weightDecay },
        );
        const want = sgdStep(weights, gradient, velocity, { rate, momentum, weightDecay, nesterov });
        expect(relativeL2(got.weights, want.weights)).toBeLessThan(1e-6);
        expect(relativeL2(got.velocity, want.velocity)).toBeLessThan(1e-6);
      });
    }
  }

  test('from an element on moves that and those after it, by their own weights and gradients', async () => {
    const random = seeded(3);
    const [count, first] = [150, 70];
    const [weights, gradient, velocity] = [0, 0, 0].map(() => random.floats(count));
    // A decay of the size of the gradient, so that another element's weight shows.
    const [rate, momentum, weightDecay] = [0.05, 0.9, 0.5].map(Math.fround);
    const got = await runInPlace(
      gpu.runtime,
      sgdStepKernel,
      { gradient, schedule: new Float32Array([rate]), weights, velocity },
      { first, count: count - first, nesterov: 1, momentum, weightDecay },
    );
    expect(got.weights.subarray(0, first)).toEqual(weights.subarray(0, first));
    expect(got.velocity.subarray(0, first)).toEqual(velocity.subarray(0, first));
    const rest = (values: Float32Array) => values.subarray(first);
    const options = { rate, momentum, weightDecay, nesterov: true };
    const want = sgdStep(rest(weights), rest(gradient), rest(velocity), options);
    expect(relativeL2(rest(got.weights), want.weights)).toBeLessThan(1e-6);
    expect(relativeL2(rest(got.velocity), want.velocity)).toBeLessThan(1e-6);
  });
});
