import { expect, test } from 'vitest';
import { denseGroups, tileLayout, tileWeights, untileWeights } from '../../src/quantize/weight-layout.ts';
import { type ConvGeometry, conv2dAccumulators } from '../../src/reference/conv2d-int8.ts';
import { seeded } from '../support/runtime.ts';

test.each([
  [2, 3, 5],
  [3, 2, 1],
  [6, 1, 1],
  [4, 4, 3],
])('%i groups of %i to %i channels are a dense convolution with zeros between', (groups, own, outs) => {
  const random = seeded(groups);
  const geometry: ConvGeometry = {
    batch: 2,
    height: 4,
    width: 5,
    inChannels: groups * own,
    outChannels: groups * outs,
    kernel: [2, 3],
    strides: [1, 1],
    dilations: [1, 1],
    pads: [1, 0, 0, 1],
    groups,
  };
  const input = random.int8s(2 * 4 * 5 * groups * own);
  const weights = random.int8s(groups * outs * own * 6);
  const bias = new Int32Array(groups * outs);
  const shape = { outChannels: groups * outs, inChannels: own, kernelHeight: 2, kernelWidth: 3, groups };
  const dense = denseGroups(weights, shape);
  expect(dense.shape).toEqual({ ...shape, inChannels: groups * own, groups: 1 });
  const want = conv2dAccumulators(input, weights, bias, 3, geometry);
  expect(conv2dAccumulators(input, dense.codes, bias, 3, { ...geometry, groups: 1 })).toEqual(want);
});

test('tiles hold every weight once, and give them back', () => {
  const shape = { outChannels: 11, inChannels: 5, kernelHeight: 2, kernelWidth: 3, groups: 1 };
  const weights = Float32Array.from({ length: 11 * 5 * 6 }, (_, i) => i + 1);
  for (const tileVectors of [1, 2, 4]) {
    const layout = tileLayout(shape, tileVectors);
    const tiled = tileWeights(weights, layout);
    expect(tiled.length).toBe(layout.length);
    expect([...tiled].filter((value) => value !== 0).sort((a, b) => a - b)).toEqual([...weights]);
    expect(untileWeights(tiled, layout)).toEqual(weights);
  }
});
