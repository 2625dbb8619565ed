import { describe, expect, test } from 'vitest';
import { dynamicQuantizeParams } from '../../src/kernels/dynamic-quantize-params.ts';
import { dynamicQuantizeParamsReference } from '../../src/reference/dynamic-quantize-params.ts';
import { dispatch } from '../support/dispatch.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

async function chosen(values: Float32Array, workgroup = 256) {
  const outputs = { scale: 4, zeroPoint: 4 };
  const params = { count: values.length };
  const { scale, zeroPoint } = await dispatch(
    gpu.runtime,
    dynamicQuantizeParams,
    { input: values },
    outputs,
    params,
    {
      WORKGROUP_SIZE: workgroup,
    },
  );
  return { scale: new Float32Array(scale)[0], zeroPoint: new Int32Array(zeroPoint)[0] };
}

describe('dynamic-quantize-params', () => {
  for (const count of [1, 2, 31, 32, 33, 255, 256, 257, 100_000]) {
    test(`range(count=${count})`, async () => {
      for (const offset of [0, 3, -3, 300]) {
        const values = seeded(count + offset)
          .floats(count)
          .map((value) => value + offset);
        expect(await chosen(values)).toEqual(dynamicQuantizeParamsReference(values));
        expect(await chosen(values, 32)).toEqual(dynamicQuantizeParamsReference(values));
      }
    });
  }

  test('a range that is infinite or underflows', async () => {
    for (const list of [
      [-Infinity, 0, 1],
      [1.4e-45, 0],
      [1, Infinity, -1],
      [-Infinity, Infinity],
      [-1.4e-45, 0],
      [3e38, -3e38],
    ]) {
      const values = Float32Array.from(list);
      expect(await chosen(values)).toEqual(dynamicQuantizeParamsReference(values));
    }
    expect((await chosen(Float32Array.of(-Infinity, 0, 1))).zeroPoint).toBe(255);
  });

  test('all zeros, negative zero, NaN and one outlier', async () => {
    for (const list of [[0, 0], [-0, 0], [-0], [Number.NaN, 1, -2], [1e38, -1e38, 5], [0, 0, 0, -7]]) {
      const values = Float32Array.from(list);
      expect(await chosen(values)).toEqual(dynamicQuantizeParamsReference(values));
    }
  });
});
