// Pads of the lowest number before max-pools: part of the pool, in floats and in integers, here and in ONNX Runtime.
import { describe, expect, test } from 'vitest';
import type { GraphModel } from '../../src/graph/graph.ts';
import { GraphWriter } from '../../src/graph/graph-writer.ts';
import type { Attributes } from '../../src/graph/ops/tensors.ts';
import { writeOnnx } from '../../src/onnx/index.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { float, floats, runOnOrt } from '../support/onnx-models.ts';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

/** A convolution, a Pad, a pool and a convolution. */
function padded(pads: number[], fill: number, pool: Attributes, axes?: number[]): GraphModel {
  const w = new GraphWriter('padded', 18);
  const x = w.input(float('x', 2, 3, 9, 7));
  const conv = w.node('Conv', 'conv', [x, w.constant('w', floats(1, 8, 3, 3, 3))], { pads: [1, 1, 1, 1] });
  const pad = w.node('Pad', 'pad', [
    w.node('Relu', 'relu', [conv]),
    w.integers('pads', pads),
    w.scalar('fill', fill),
    ...(axes ? [w.integers('axes', axes)] : []),
  ]);
  const least = w.node('MaxPool', 'pool', [pad], { kernel_shape: [3, 3], strides: [2, 2], ...pool });
  return w.model([w.node('Conv', 'y', [least, w.constant('v', floats(2, 4, 8, 1, 1))])]);
}

const x = floats(3, 2, 3, 9, 7);
const lowest = -3.4028234663852886e38;
const apart = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  const largest = Array.from(b).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0) / largest;
};
const run = async (model: Parameters<typeof compile>[1]) => {
  const session = await compile(gpu.runtime, model);
  const kernels = session.plan().map(({ kernel }) => kernel);
  const layers = session.plan().map(({ layer }) => layer);
  const { y } = await session.run({ x });
  session.destroy();
  return { y, kernels, layers };
};

describe.each<[string, GraphModel]>([
  ['on one side', padded([0, 0, 0, 0, 0, 0, 1, 2], -Infinity, {})],
  ['as a finite number', padded([0, 0, 1, 1, 0, 0, 0, 1], lowest, { pads: [1, 0, 0, 0] })],
  ['of axes by name', padded([1, 1, 0, 2], -Infinity, { auto_pad: 'VALID' }, [-2, 3])],
])('%s', (_, model) => {
  test('are a pool’s own', async () => {
    const { y, kernels, layers } = await run(model);
    expect(layers).not.toContain('pad');
    expect(kernels).toContain('max-pool2d');
    const want = await runOnOrt(writeOnnx(model), { x });
    expect(y.dims).toEqual(want.y.dims);
    expect(apart(y.data as Float32Array, want.y.data as Float32Array)).toBeLessThan(1e-5);
  });

  test('leave codes codes', async () => {
    const int8 = await quantizeModel(gpu.runtime, model, { method: 'linear', bits: 8, calibration: [{ x }] });
    const { y, kernels } = await run(int8);
    expect(kernels.some((kernel) => /max-pool.*int8/.test(kernel))).toBe(true);
    const floatsOfIt = (await run(model)).y.data as Float32Array;
    expect(apart(y.data as Float32Array, floatsOfIt)).toBeLessThan(0.03);
    for (const format of ['qdq', 'qoperator'] as const) {
      const want = await runOnOrt(writeOnnx(int8, { format }), { x }, false);
      expect(apart(y.data as Float32Array, want.y.data as Float32Array), format).toBeLessThan(0.01);
    }
  });
});

test.each<[string, GraphModel]>([
  ['zeros', padded([0, 0, 1, 1, 0, 0, 1, 1], 0, {})],
  ['as wide as the kernel', padded([0, 0, 3, 0, 0, 0, 0, 0], -Infinity, {})],
  ['before a pool that rounds up', padded([0, 0, 0, 0, 0, 0, 1, 1], -Infinity, { ceil_mode: 1 })],
  ['that crop', padded([0, 0, -1, 0, 0, 0, 1, 0], -Infinity, {})],
])('%s are what they were', async (_, model) => {
  const { y, layers } = await run(model);
  expect(layers).toContain('pad');
  const want = await runOnOrt(writeOnnx(model), { x });
  expect(y.dims).toEqual(want.y.dims);
  const values = Array.from(want.y.data as Float32Array);
  for (const [i, value] of Array.from(y.data as Float32Array).entries()) {
    if (Number.isFinite(values[i])) expect(value).toBeCloseTo(values[i], 3);
  }
});
