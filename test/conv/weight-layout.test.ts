import { expect, test } from 'vitest';
import {
  denseGroups,
  packTiles,
  tileLayout,
  tileWeights,
  untileWeights,
} from '../../src/conv/weight-layout.ts';
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

test.each([8, 4, 2] as const)('packed tiles of %i bits hold each code where their order says', (bits) => {
  const shape = { outChannels: 11, inChannels: 6, kernelHeight: 2, kernelWidth: 3, groups: 1 };
  const limit = 2 ** (bits - 1);
  const codes = seeded(bits).int8s(11 * 6 * 6, -limit, limit - 1);
  const layout = tileLayout(shape, 2);
  const packed = packTiles(codes, layout, bits);
  const found: number[] = [];
  // The next four channels of every output of a tile, tap after tap: read in the order of the buffer.
  let bit = 0;
  const read = () => {
    const value = (packed[bit >> 5] >>> (bit & 31)) & (2 ** bits - 1);
    bit += bits;
    return value >= limit ? value - 2 * limit : value;
  };
  const want: number[] = [];
  for (let tile = 0; tile < layout.tileCount; tile++) {
    for (let tap = 0; tap < 6; tap++) {
      for (let word = 0; word < 2; word++) {
        for (let n = 0; n < 8; n++) {
          for (let lane = 0; lane < 4; lane++) {
            const [o, c] = [tile * 8 + n, word * 4 + lane];
            want.push(o < 11 && c < 6 ? codes[(o * 6 + c) * 6 + tap] : 0);
            found.push(read());
          }
        }
      }
    }
  }
  expect(found).toEqual(want);
  expect(bit).toBe(packed.length * 32);
});
