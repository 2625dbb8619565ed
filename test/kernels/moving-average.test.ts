import { describe, expect, test } from 'vitest';
import { movingAverageKernel } from '../../src/kernels/moving-average.ts';
import { movingAverage } from '../../src/reference/moving-average.ts';
import { relativeL2, runInPlace } from '../support/gradients.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

describe('moving-average', () => {
  test.each([1, 65, 1000])('%i elements by the schedule’s second entry', async (count) => {
    const random = seeded(count);
    const [values, average] = [random.floats(count), random.floats(count)];
    const schedule = new Float32Array([0.5, 0.1]);
    const params = { count: Math.max(1, count - 1), entry: 1 };
    const got = await runInPlace(gpu.runtime, movingAverageKernel, { schedule, values, average }, params);
    const want = movingAverage(average, values, schedule[1]);
    // The element past the count stays.
    if (count > 1) want[count - 1] = average[count - 1];
    expect(relativeL2(got.average, want)).toBeLessThan(1e-6);
    expect(relativeL2(got.average, movingAverage(average, values, schedule[0]))).toBeGreaterThan(1e-3);
    expect(got.values).toEqual(values);
  });
});
