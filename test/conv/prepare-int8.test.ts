// int8 convolutions and products on a person's own buffers, through public names alone, against JavaScript by definition.
import {
  type Conv2dInt8Options,
  type Int8Operation,
  type Int8Options,
  type KernelFamily,
  LloydError,
  prepareConv2dInt8,
  prepareMatmulInt8,
  recordCalls,
  type Tensor,
} from 'lloyd';
import { afterAll, describe, expect, test } from 'vitest';
import { sampled, seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const ran = new Map<string, number>();
afterAll(() => console.log('prepare-int8: cases by the family that ran them', Object.fromEntries(ran)));

const product = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);
const random = seeded(2026);
const tensor = (dims: readonly number[]): Tensor & { data: Int8Array } => ({
  dtype: 'int8',
  dims,
  data: random.int8s(product(dims), -128, 127),
});

/** Scales, an odd zero point on both sides, and a bias for every channel. */
function quantization(channels: number, terms: number): Int8Options & { bias: Int32Array } {
  return {
    bias: Int32Array.from({ length: channels }, () => (random.next() * 4000 - 2000) | 0),
    inputZeroPoint: -37,
    inputScale: 0.021,
    weightScale: Float32Array.from({ length: channels }, (_, c) => 0.003 * (1 + (c % 7))),
    outputScale: 0.021 * 0.003 * Math.sqrt(terms) * 170,
    outputZeroPoint: 19,
    low: -120,
    high: 113,
  };
}

/** One convolution's sums, [N, OH, OW, O]: a padded tap is the zero point, and adds nothing. */
function convolve(
  x: Tensor,
  w: Tensor,
  { bias, inputZeroPoint: zero = 0, ...options }: Conv2dInt8Options,
): { dims: number[]; sums: Int32Array } {
  const [N, H, W, C] = x.dims;
  const [O, I, KH, KW] = w.dims;
  const { strides = [1, 1], dilations = [1, 1], pads = [0, 0, 0, 0], groups = 1 } = options;
  const height = Math.floor((H + pads[0] + pads[2] - (KH - 1) * dilations[0] - 1) / strides[0]) + 1;
  const width = Math.floor((W + pads[1] + pads[3] - (KW - 1) * dilations[1] - 1) / strides[1]) + 1;
  const sums = new Int32Array(N * height * width * O);
  for (let at = 0; at < sums.length; at++) {
    const o = at % O;
    const column = Math.floor(at / O) % width;
    const row = Math.floor(at / O / width) % height;
    const n = Math.floor(at / O / width / height);
    const first = Math.floor(o / (O / groups)) * I;
    let sum = bias?.[o] ?? 0;
    for (let ky = 0; ky < KH; ky++) {
      for (let kx = 0; kx < KW; kx++) {
        const [iy, ix] = [
          row * strides[0] - pads[0] + ky * dilations[0],
          column * strides[1] - pads[1] + kx * dilations[1],
        ];
        if (iy < 0 || ix < 0 || iy >= H || ix >= W) continue;
        for (let i = 0; i < I; i++)
          sum +=
            (x.data[((n * H + iy) * W + ix) * C + first + i] - zero) *
            w.data[((o * I + i) * KH + ky) * KW + kx];
      }
    }
    sums[at] = sum;
  }
  return { dims: [N, height, width, O], sums };
}

/** The largest of each 2x2 window. */
function pooled({ dims: [N, H, W, C], sums }: { dims: number[]; sums: Int32Array }) {
  const [height, width] = [H >> 1, W >> 1];
  return Int32Array.from({ length: N * height * width * C }, (_, at) => {
    const c = at % C;
    const column = Math.floor(at / C) % width;
    const row = Math.floor(at / C / width) % height;
    const n = Math.floor(at / C / width / height);
    const corner = (dy: number, dx: number) => sums[((n * H + row * 2 + dy) * W + column * 2 + dx) * C + c];
    return Math.max(corner(0, 0), corner(0, 1), corner(1, 0), corner(1, 1));
  });
}

/** ONNX Runtime's rule, in float32: round to even, then shift, then clamp. */
function requantized(sums: Int32Array, channels: number, options: Int8Options): Int8Array {
  const { inputScale = 1, outputScale = 1, outputZeroPoint = 0, low = -128, high = 127 } = options;
  const weightScale = options.weightScale as Float32Array;
  return Int8Array.from(sums, (sum, i) => {
    const scale = Math.fround(Math.fround(inputScale) * weightScale[i % channels]);
    const multiplier = Math.fround(scale / Math.fround(outputScale));
    const value = Math.fround(Math.fround(sum) * multiplier);
    const floor = Math.floor(value);
    const rounded = value - floor === 0.5 ? floor + (floor & 1) : Math.round(value);
    return Math.min(Math.max(rounded + outputZeroPoint, low), high);
  });
}

/** What an app does: its own buffers, its own encoder; codes come in and go out without padding. */
async function onOwnBuffers(operation: Int8Operation, codes: Int8Array): Promise<Int8Array | Int32Array> {
  const { device } = gpu.runtime;
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const words = (bytes: number) => Math.ceil(bytes / 4) * 4;
  const buffer = (size: number) => device.createBuffer({ size, usage });
  const { input, output } = operation;
  const count = product(output.dims);
  const dense = buffer(words(codes.length));
  const padded = new Int8Array(words(codes.length));
  padded.set(codes);
  device.queue.writeBuffer(dense, 0, padded);
  // What lies in the padding, and around the output, is nobody's business.
  const inputBuffer = buffer(input.byteLength);
  const outputBuffer = buffer(output.byteLength + 512);
  device.queue.writeBuffer(inputBuffer, 0, new Uint8Array(input.byteLength).fill(0x5b));
  device.queue.writeBuffer(outputBuffer, 0, new Uint8Array(output.byteLength + 512).fill(0x77));
  const own = { buffer: outputBuffer, offset: 256, size: output.byteLength };
  const calls = [
    await operation.packInput({ codes: dense, input: inputBuffer }),
    ...operation.bind({ input: inputBuffer, output: own }),
  ];
  const isCodes = output.dtype === 'int8';
  const target = isCodes ? buffer(words(count)) : outputBuffer;
  if (isCodes) calls.push(await operation.unpackOutput({ output: own, codes: target }));
  const encoder = device.createCommandEncoder();
  recordCalls(encoder, calls);
  device.queue.submit([encoder.finish()]);
  const around = new Uint8Array(await gpu.runtime.read(outputBuffer));
  for (const at of [0, 255, 256 + output.byteLength, 511 + output.byteLength]) expect(around[at]).toBe(0x77);
  const bytes = isCodes
    ? await gpu.runtime.read(target, count)
    : await gpu.runtime.read(target, count * 4, 256);
  for (const each of [...calls, dense, inputBuffer, outputBuffer, target]) each.destroy();
  return isCodes ? new Int8Array(bytes) : new Int32Array(bytes);
}

async function expectEqual(operation: Int8Operation, codes: Int8Array, want: Int8Array | Int32Array) {
  ran.set(operation.family, (ran.get(operation.family) ?? 0) + 1);
  try {
    const got = await onOwnBuffers(operation, codes);
    const wrong = got.findIndex((value, i) => value !== want[i]);
    const at = wrong < 0 ? '' : `element ${wrong} is ${got[wrong]} instead of ${want[wrong]}`;
    expect(`${got.length} elements ${at}`).toBe(`${want.length} elements `);
  } finally {
    operation.destroy();
  }
}

type Quad = readonly [number, number, number, number];
const CONVOLUTIONS: readonly [string, Quad, Quad, Conv2dInt8Options][] = [
  ['ragged', [1, 7, 9, 3], [5, 3, 3, 3], { pads: [1, 1, 1, 1] }],
  ['one sided, strides', [2, 13, 11, 5], [9, 5, 3, 2], { pads: [0, 1, 2, 0], strides: [2, 3] }],
  ['dilations', [1, 11, 12, 6], [7, 6, 3, 3], { pads: [2, 3, 2, 3], dilations: [2, 3] }],
  ['whole vectors, 3 x 3', [2, 6, 16, 16], [33, 16, 3, 3], { pads: [1, 1, 1, 1] }],
  ['pool', [1, 9, 11, 8], [18, 8, 3, 3], { pads: [1, 1, 1, 1], pool: true }],
  ['groups of no word', [1, 6, 6, 9], [6, 3, 3, 3], { pads: [1, 1, 1, 1], groups: 3 }],
  ['groups of whole tiles', [1, 5, 7, 32], [128, 16, 1, 1], { groups: 2 }],
  ['depthwise', [1, 7, 6, 10], [20, 1, 3, 3], { pads: [1, 1, 1, 1], groups: 10 }],
  ['one pixel', [1, 1, 1, 2050], [41, 2050, 1, 1], {}],
];
const PRODUCTS = [
  [1, 2051, 33],
  [37, 7, 5],
  [64, 64, 64],
  [130, 129, 19],
] as const;

interface Case {
  name: string;
  run: (kernels: KernelFamily) => Promise<void>;
}

/** Each convolution and product as codes and as sums, on a runtime and on a device. */
const cases: Case[] = [
  ...CONVOLUTIONS.flatMap(([name, input, weightDims, options]) =>
    [true, false].map((codes) => ({
      name: `conv2d, ${name}, ${codes ? 'codes' : 'sums'}: ${input} by ${weightDims}`,
      async run(kernels: KernelFamily) {
        const [x, w] = [tensor(input), tensor(weightDims)];
        const { outputScale, ...plain } = quantization(weightDims[0], product(weightDims.slice(1)));
        const all = { ...options, ...plain, ...(codes && { outputScale }), kernels, input };
        const convolved = convolve(x, w, all);
        const sums = options.pool ? pooled(convolved) : convolved.sums;
        const want = codes ? requantized(sums, weightDims[0], all) : sums;
        const target = codes ? gpu.runtime : gpu.runtime.device;
        await expectEqual(await prepareConv2dInt8(target, w, all), x.data, want);
      },
    })),
  ),
  ...PRODUCTS.flatMap(([M, K, N]) =>
    [true, false].map((codes) => ({
      name: `matmul, ${codes ? 'codes' : 'sums'}: ${M} x ${K} by ${N} columns`,
      async run(kernels: KernelFamily) {
        const [a, b] = [tensor([M, K]), tensor([K, N])];
        const { outputScale, ...plain } = quantization(N, K);
        const all = { ...plain, ...(codes && { outputScale }), kernels, rows: M };
        const sums = new Int32Array(M * N);
        for (let at = 0; at < M * N; at++) {
          const [m, n] = [Math.floor(at / N), at % N];
          sums[at] = all.bias[n];
          for (let k = 0; k < K; k++)
            sums[at] += (a.data[m * K + k] - (all.inputZeroPoint ?? 0)) * b.data[k * N + n];
        }
        const target = codes ? gpu.runtime.device : gpu.runtime;
        const want = codes ? requantized(sums, N, all) : sums;
        await expectEqual(await prepareMatmulInt8(target, b, all), a.data, want);
      },
    })),
  ),
];

// A software adapter takes a second and more to compile a tile of workgroup memory.
const CASES: readonly [KernelFamily, Case[]][] = [
  ['registers', cases],
  ['tiled', sampled('prepare-int8, tiled', cases, 9)],
  ['tensor', sampled('prepare-int8, tensor', cases, 9)],
];
describe.each(CASES)('kernels: %s', (kernels, own) => {
  test.each(own)('$name', ({ run }) => run(kernels));
});

describe('one operation', () => {
  test('serves many buffers, and its layouts say what they hold', async () => {
    const [w, first, second] = [tensor([6, 3, 3, 3]), tensor([1, 5, 6, 3]), tensor([1, 5, 6, 3])];
    const conv = await prepareConv2dInt8(gpu.runtime, w, { input: [1, 5, 6, 3], inputZeroPoint: 3 });
    expect(conv.input).toEqual({ dtype: 'int8', dims: [1, 5, 6, 3], rowBytes: 4, byteLength: 120 });
    expect(conv.output).toEqual({ dtype: 'int32', dims: [1, 3, 4, 6], rowBytes: 24, byteLength: 288 });
    for (const x of [first, second, first])
      expect(await onOwnBuffers(conv, x.data)).toEqual(convolve(x, w, { inputZeroPoint: 3 }).sums);
    expect(convolve(first, w, { inputZeroPoint: 3 }).sums).not.toEqual(
      convolve(first, w, { inputZeroPoint: 4 }).sums,
    );
    conv.destroy();
  });

  test('refuses buffers laid out for anything else', async () => {
    const { runtime } = gpu;
    const quantized = { inputScale: 1, weightScale: 1, outputScale: 99 };
    const conv = await prepareConv2dInt8(runtime, tensor([6, 3, 3, 3]), {
      input: [1, 5, 6, 3],
      ...quantized,
    });
    const [input, output] = [runtime.empty(120), runtime.empty(96)];
    const { device } = runtime;
    const uniform = device.createBuffer({ size: 120, usage: GPUBufferUsage.UNIFORM });
    const refusals: [unknown, RegExp][] = [
      [{ input: runtime.empty(92), output }, /input must have 120 bytes: int8, 1 x 5 x 6 x 3, 4 bytes a row/],
      [{ input: runtime.empty(124), output }, /input must have 120 bytes.*received "124 of a buffer of 124"/],
      [{ input, output: runtime.empty(72) }, /output must have 96 bytes: int8, 1 x 3 x 4 x 6, 8 bytes a row/],
      [{ input, output: { buffer: output, offset: 4, size: 96 } }, /output must have 96 bytes/],
      [{ input: uniform, output }, /input must have the usage STORAGE/],
      [{ input, output: { buffer: input, size: 96 } }, /must be two buffers/],
      [{ output }, /input must be a GPUBuffer/],
      [{ input: new Int8Array(120), output }, /input must be a GPUBuffer/],
      [undefined, /input must be a GPUBuffer/],
    ];
    for (const [buffers, message] of refusals) {
      expect(() => conv.bind(buffers as never)).toThrow(LloydError);
      expect(() => conv.bind(buffers as never)).toThrow(message);
    }
    await expect(conv.packInput({ codes: input, input })).rejects.toThrow(/codes must have 92 bytes/);
    await expect(conv.packInput(undefined as never)).rejects.toThrow(/packInput: codes must be a GPUBuffer/);
    await expect(conv.unpackOutput({} as never)).rejects.toThrow(/unpackOutput: codes must be a GPUBuffer/);
    await expect(conv.unpackOutput({ output, codes: output })).rejects.toThrow(/codes must have 72 bytes/);
    conv.destroy();
    expect(() => conv.bind({ input, output })).toThrow(/must not have been destroyed/);
    for (const each of [input, output, uniform]) each.destroy();
  });

  const w = tensor([4, 2, 3, 3]);
  const input = [1, 5, 5, 2];
  const b = tensor([4, 3]);
  const conv = (weight: unknown, options: unknown) => () =>
    prepareConv2dInt8(gpu.runtime, weight as Tensor, options as never);
  const matmul = (weight: unknown, options: unknown) => () =>
    prepareMatmulInt8(gpu.runtime, weight as Tensor, options as never);
  test.each<[string, () => Promise<unknown>, RegExp]>([
    ['no runtime', () => prepareConv2dInt8({} as never, w, { input }), /first argument must be a runtime/],
    ['no options', conv(w, undefined), /input must be the 4 dimensions N x H x W x C/],
    ['a flat input', conv(w, { input: [25, 2] }), /input must be the 4 dimensions/],
    ['half a pixel', conv(w, { input: [1, 5.5, 5, 2] }), /input must be the 4 dimensions/],
    ['floats', conv({ ...w, dtype: 'float32' }, { input }), /weight must be an int8 tensor/],
    ['too few codes', conv({ ...w, data: new Int8Array(7) }, { input }), /weight must hold 72 values/],
    ['other channels', conv(w, { input: [1, 5, 5, 3] }), /weight must have C\/groups = 3/],
    ['groups of a half', conv(w, { input, groups: 0.5 }), /groups must be an integer/],
    ['two pads', conv(w, { input, pads: [1, 1] }), /pads must be 4 integers/],
    ['a stride of 0', conv(w, { input, strides: [0, 1] }), /strides must be 2 integers of at least 1/],
    ['a window too large', conv(w, { input: [1, 2, 5, 2] }), /window must fit/],
    [
      'a zero point beyond int8',
      conv(w, { input, inputZeroPoint: 128 }),
      /inputZeroPoint must be an int8 code/,
    ],
    [
      'a bias of another length',
      conv(w, { input, bias: new Int32Array(3) }),
      /bias must be an Int32Array of 4/,
    ],
    ['a scale of 0', conv(w, { input, outputScale: 0 }), /outputScale must be a positive/],
    [
      'two of four scales',
      conv(w, { input, weightScale: new Float32Array(2) }),
      /weightScale must be one number or 4/,
    ],
    [
      'an unknown rule',
      conv(w, { input, outputScale: 1, requantize: 'nearest' }),
      /requantize must be one of/,
    ],
    ['an unknown family', conv(w, { input, kernels: 'fast' }), /kernels must be one of/],
    ['bounds the wrong way', conv(w, { input, low: 5, high: 4 }), /low must not exceed high/],
    [
      'sums beyond int32',
      conv(w, { input, bias: new Int32Array(4).fill(2 ** 31 - 1) }),
      /\|accumulator\| must stay within int32/,
    ],
    ['no rows', matmul(b, {}), /rows must be an integer of at least 1/],
    ['rows of nothing', matmul(b, { rows: 0 }), /rows must be an integer of at least 1/],
    [
      'a b of three dimensions',
      matmul({ ...b, dims: [2, 2, 3] }, { rows: 1 }),
      /b must have the 2 dimensions/,
    ],
  ])('refuses %s', async (_, prepare, message) => {
    const error = await prepare().then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(LloydError);
    expect((error as Error).message).toMatch(message);
  });
});
