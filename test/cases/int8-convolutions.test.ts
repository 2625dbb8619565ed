// Reported situations of int8 convolutions, against int32 by definition.
import { conv2dInt8 } from 'lloyd';
import { describe, expect, test } from 'vitest';
import { useRuntime } from '../support/runtime.ts';
import { uniform } from './networks.ts';

const gpu = useRuntime();
const random = uniform(11);
const product = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);
const bytes = (dims: readonly number[]) =>
  Int8Array.from({ length: product(dims) }, () => Math.floor(random() * 256) - 128);

type Quad = [number, number, number, number];
interface Window {
  strides?: [number, number];
  dilations?: [number, number];
  pads?: Quad;
  groups?: number;
  zero?: number;
}

/** int32 sums: a padded tap is the zero point, so adds nothing. */
function sums(
  x: Int8Array,
  [N, H, W, C]: Quad,
  w: Int8Array,
  [O, I, KH, KW]: Quad,
  bias: Int32Array,
  window: Window,
) {
  const {
    strides: [sy, sx] = [1, 1],
    dilations: [dy, dx] = [1, 1],
    pads = [0, 0, 0, 0],
    groups = 1,
    zero = -5,
  } = window;
  const [top, left, bottom, right] = pads;
  const height = Math.floor((H + top + bottom - (KH - 1) * dy - 1) / sy) + 1;
  const width = Math.floor((W + left + right - (KW - 1) * dx - 1) / sx) + 1;
  const out: number[] = [];
  for (let at = 0; at < N * height * width * O; at++) {
    const o = at % O;
    const q = Math.floor(at / O) % width;
    const y = Math.floor(at / O / width) % height;
    const n = Math.floor(at / O / width / height);
    const first = Math.floor(o / (O / groups)) * I;
    let sum = bias[o];
    for (let tap = 0; tap < I * KH * KW; tap++) {
      const kx = tap % KW;
      const ky = Math.floor(tap / KW) % KH;
      const i = Math.floor(tap / KW / KH);
      const iy = y * sy - top + ky * dy;
      const ix = q * sx - left + kx * dx;
      if (iy < 0 || ix < 0 || iy >= H || ix >= W) continue;
      sum += (x[((n * H + iy) * W + ix) * C + first + i] - zero) * w[((o * I + i) * KH + ky) * KW + kx];
    }
    out.push(sum);
  }
  return out;
}

async function expectEqual(imageDims: Quad, weightDims: Quad, window: Window) {
  const { zero = -5, ...options } = window;
  const x = bytes(imageDims);
  const w = bytes(weightDims);
  const bias = Int32Array.from({ length: weightDims[0] }, () => Math.floor(random() * 4000) - 2000);
  const got = await conv2dInt8(
    gpu.runtime,
    { dtype: 'int8', dims: imageDims, data: x },
    { dtype: 'int8', dims: weightDims, data: w },
    { ...options, inputZeroPoint: zero, bias },
  );
  expect([...got.data]).toEqual(sums(x, imageDims, w, weightDims, bias, window));
}

// espressif/esp-nn#31: padding only below and right (TF's SAME at stride 2) was dropped.
describe('padding on one side', () => {
  test.each<[Quad, Quad, Window]>([
    [[1, 8, 6, 3], [4, 3, 3, 3], { pads: [0, 0, 1, 1], strides: [2, 2] }],
    [[2, 13, 17, 3], [5, 3, 3, 3], { pads: [1, 1, 1, 2], strides: [3, 4] }],
    [[1, 7, 11, 32], [33, 32, 3, 3], { pads: [1, 0, 1, 0], zero: -128 }],
  ])('image %j, weights %j, %j', expectEqual);
});

// Tencent/ncnn#1304: grouped but not depthwise gave wrong results.
describe('dilations and groups', () => {
  test.each<[Quad, Quad, Window]>([
    [[1, 6, 6, 9], [6, 3, 3, 3], { pads: [1, 1, 1, 1], groups: 3 }],
    [[1, 11, 12, 5], [6, 5, 3, 3], { pads: [2, 3, 2, 3], dilations: [2, 3] }],
    [[1, 6, 6, 4], [8, 1, 3, 3], { pads: [2, 2, 2, 2], groups: 4, dilations: [2, 2] }],
  ])('image %j, weights %j, %j', expectEqual);
});
