import { describe, expect, test } from 'vitest';
import { gridSample } from '../../src/kernels/grid-sample.ts';
import { gridSampleReference } from '../../src/reference/grid-sample.ts';
import { dispatch } from '../support/dispatch.ts';
import { firstApart } from '../support/planned.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

interface Shape {
  batch: number;
  channels: number;
  size: [depth: number, height: number, width: number];
  places: number;
}

/** A grid that reaches a good way outside. */
async function apart(
  { batch, channels, size: [depth, height, width], places }: Shape,
  { wrong = {}, ...made }: Record<string, number | object> = {},
) {
  const random = seeded(places + width);
  const specialization = { RANK: 2, ...made } as Record<string, number>;
  const input = random.floats(batch * channels * depth * height * width, 1);
  const grid = random.floats(batch * places * specialization.RANK, 1.2);
  const count = batch * channels * places;
  const params = { count, channels, depth, height, width, places };
  const { output } = await dispatch(
    gpu.runtime,
    gridSample,
    { input, grid },
    { output: count * 4 },
    params,
    specialization,
  );
  const twin = new Float64Array(count);
  const doubles = { input: Float64Array.from(input), grid: Float64Array.from(grid), output: twin };
  gridSampleReference(doubles, params, { ...specialization, ...(wrong as object) });
  return firstApart(new Float32Array(output), twin, 2e-5);
}

const image: Shape = { batch: 2, channels: 3, size: [1, 5, 7], places: 33 };

describe('grid-sample', () => {
  test('every mode and padding, edges and middles', async () => {
    for (const MODE of [0, 1, 2]) {
      for (const PADDING of [0, 1, 2]) {
        for (const ALIGN of [0, 1])
          expect(await apart(image, { MODE, PADDING, ALIGN }), `${MODE} ${PADDING} ${ALIGN}`).toBe(-1);
      }
    }
  });

  test('volumes, an input of one element, a folded dispatch', async () => {
    for (const MODE of [0, 1]) {
      const volume: Shape = { batch: 2, channels: 2, size: [3, 4, 5], places: 20 };
      for (const PADDING of [0, 1, 2]) expect(await apart(volume, { MODE, PADDING, RANK: 3 })).toBe(-1);
    }
    for (const PADDING of [0, 1, 2])
      expect(await apart({ ...image, size: [1, 1, 1] }, { PADDING, ALIGN: 1 })).toBe(-1);
    expect(await apart({ ...image, places: 65_536 * 6 }, { WORKGROUP_SIZE: 32 })).toBe(-1);
  });

  test('known-wrong samplings are told apart', async () => {
    expect(await apart(image, { wrong: { ALIGN: 1 } })).not.toBe(-1);
    expect(await apart(image, { PADDING: 2, wrong: { PADDING: 1 } })).not.toBe(-1);
    expect(await apart(image, { MODE: 2, wrong: { MODE: 0 } })).not.toBe(-1);
  });
});
