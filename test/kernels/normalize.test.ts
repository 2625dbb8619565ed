import { describe, expect, test } from 'vitest';
import { normalize } from '../../src/kernels/normalize.ts';
import { normalizeReference } from '../../src/reference/normalize.ts';
import { dispatch } from '../support/dispatch.ts';
import { firstApart } from '../support/planned.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

interface Shape {
  groups: number;
  size: number;
  scaleInners: number;
  scaleCount: number;
}

/** Values far from zero: the variance of squares would lose their digits. */
async function apart(
  shape: Shape,
  specialization: Record<string, number> = {},
  wrong: Record<string, number> = {},
) {
  const { groups, size, scaleCount } = shape;
  const random = seeded(groups * 13 + size);
  const params = { ...shape, epsilon: 0.01 };
  const inputs = {
    input: random.floats(groups * size, 1).map((value) => value + 30),
    scale: random.floats(scaleCount),
    bias: random.floats(scaleCount),
    means: random.floats(scaleCount).map((value) => value + 30),
    variances: random.floats(scaleCount).map((value) => 0.3 + Math.abs(value)),
  };
  const { output, statistics } = await dispatch(
    gpu.runtime,
    normalize,
    inputs,
    { output: groups * size * 4, statistics: groups * 8 },
    params,
    specialization,
  );
  const doubles = Object.entries(inputs).map(([name, values]) => [name, Float64Array.from(values)]);
  const twin = { output: new Float64Array(groups * size), statistics: new Float64Array(groups * 2) };
  normalizeReference(
    { ...Object.fromEntries(doubles), ...twin },
    { ...params, ...wrong },
    { ...specialization, ...wrong },
  );
  const at = firstApart(new Float32Array(output), twin.output, 1e-4);
  if (at >= 0 || !specialization.STATISTICS) return at;
  return firstApart(new Float32Array(statistics), twin.statistics, 1e-5);
}

const layers = (groups: number, size: number): Shape => ({ groups, size, scaleInners: 1, scaleCount: size });

describe('normalize', () => {
  test('groups and sizes around a workgroup, by one thread and by many, with statistics', async () => {
    for (const [groups, size] of [
      [1, 1],
      [3, 63],
      [65, 9],
      [5, 64],
      [4, 200],
    ]) {
      for (const LANES of [1, 64])
        expect(
          await apart(layers(groups, size), { LANES, STATISTICS: 1 }),
          `${groups} x ${size} by ${LANES}`,
        ).toBe(-1);
    }
  });

  test('channels inside a group and across groups; no mean, no bias, given statistics', async () => {
    const channels: Shape = { groups: 6, size: 20, scaleInners: 5, scaleCount: 8 };
    for (const specialization of [
      {},
      { LANES: 64 } as Record<string, number>,
      { CENTERED: 0 },
      { HAS_BIAS: 0 },
    ])
      expect(await apart(channels, specialization), JSON.stringify(specialization)).toBe(-1);
    expect(await apart({ groups: 6, size: 5, scaleInners: 5, scaleCount: 3 }, { GIVEN: 1 })).toBe(-1);
  });

  test('a dispatch wider than 65,535 workgroups is folded', async () => {
    expect(await apart(layers(65_537, 3), { LANES: 64 })).toBe(-1);
  });

  test('known-wrong normalizations are told apart', async () => {
    const channels: Shape = { groups: 6, size: 20, scaleInners: 5, scaleCount: 8 };
    expect(await apart(channels, {}, { scaleInners: 4 })).not.toBe(-1);
    expect(await apart(channels, {}, { CENTERED: 0 })).not.toBe(-1);
    expect(await apart(channels, {}, { epsilon: 0.1 })).not.toBe(-1);
  });
});
