// Operations on buffers of the GPU, through public names alone: the same bits as on the host, left where they are.
import {
  conv2dInt8,
  type GpuTensor,
  kmeans,
  LloydError,
  linearDequantize,
  linearQuantize,
  matmulInt8,
  type Tensor,
} from 'lloyd';
import { describe, expect, test } from 'vitest';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const random = seeded(77);
const product = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);

/** A tensor and the same on the GPU, as part of a larger buffer. */
function both(tensor: Tensor): GpuTensor {
  const bytes = new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
  const size = Math.ceil(bytes.length / 4) * 4;
  const around = new Uint8Array(size + 512).fill(0x5a);
  around.set(bytes, 256);
  const buffer = gpu.runtime.upload(around);
  return {
    dtype: tensor.dtype as GpuTensor['dtype'],
    dims: tensor.dims,
    buffer: { buffer, offset: 256, size },
  };
}
const floats = (dims: readonly number[]): Tensor => ({
  dtype: 'float32',
  dims,
  data: random.floats(product(dims)),
});
const codes = (dims: readonly number[]): Tensor => ({
  dtype: 'int8',
  dims,
  data: random.int8s(product(dims), -128, 127),
});
const bufferOf = ({ buffer }: GpuTensor) => (buffer as { buffer: GPUBuffer }).buffer;

describe('linearQuantize and linearDequantize', () => {
  test.each([
    [[37, 5], { bits: 8 }],
    [[6, 35], { bits: 4, axis: 0, scheme: 'asymmetric', signed: false }],
    [[4, 3, 5, 2], { bits: 8, axis: 1, scheme: 'asymmetric' }],
    [[210], { bits: 3, groupSize: 32 }],
    [[4, 64], { bits: 4, axis: 1, groupSize: 16 }],
    [[1001], { bits: 8, scale: 0.013, zeroPoint: -7 }],
  ] as const)('%j, %j', async (dims, options) => {
    const tensor = floats(dims);
    const { runtime } = gpu;
    const onGpu = both(tensor);
    const want = await linearQuantize(runtime, tensor, options);
    const got = await linearQuantize(runtime, onGpu, options);
    const { codes: wantCodes, ...wantRest } = want;
    const { codes: gotCodes, ...gotRest } = got;
    expect(gotRest).toEqual(wantRest);
    const bytes = await runtime.read(gotCodes, wantCodes.length);
    expect(want.signed ? new Int8Array(bytes) : new Uint8Array(bytes)).toEqual(wantCodes);
    expect(new Set(wantCodes).size).toBeGreaterThan(3);
    const values = await linearDequantize(runtime, got);
    expect(new Float32Array(await runtime.read(values, wantCodes.length * 4))).toEqual(
      await linearDequantize(runtime, want),
    );
    for (const each of [bufferOf(onGpu), gotCodes, values]) each.destroy();
  });

  test('refuses what is not finite, of another size, or has to be gathered', async () => {
    const { runtime } = gpu;
    const dims = [6, 5];
    const nan = floats(dims);
    nan.data[17] = Number.NaN;
    const infinite = floats(dims);
    infinite.data[29] = Number.NEGATIVE_INFINITY;
    const good = both(floats(dims));
    const buffer = bufferOf(good);
    const plain = {
      bits: 8,
      shape: dims,
      axis: null,
      groupSize: null,
      scale: Float32Array.of(1),
      zeroPoint: Int32Array.of(0),
    };
    const refusals: [() => Promise<unknown>, RegExp][] = [
      [() => linearQuantize(runtime, both(nan), { bits: 8 }), /weights must be finite/],
      [() => linearQuantize(runtime, both(infinite), { bits: 8, axis: 0 }), /finite.*-Infinity.*segment 5/],
      [
        () => linearQuantize(runtime, { ...good, dims: [6, 6] }, { bits: 8 }),
        /weights must have 144 bytes: float32, 6 x 6/,
      ],
      [
        () => linearQuantize(runtime, { ...good, dtype: 'int8' }, { bits: 8 }),
        /weights must be float32 on the GPU/,
      ],
      [() => linearQuantize(runtime, { ...good, dims: undefined } as never, { bits: 8 }), /must have dims/],
      [() => linearQuantize(runtime, { ...good, buffer: 7 } as never, { bits: 8 }), /must be a GPUBuffer/],
      [() => linearQuantize(runtime, good, { bits: 8, axis: 0, groupSize: 3 }), /must lie together/],
      [() => linearDequantize(runtime, { ...plain, codes: buffer } as never), /codes must have 32 bytes/],
      [
        () => linearDequantize(runtime, { ...plain, codes: { buffer, size: 32 } } as never),
        /must say whether they are signed/,
      ],
      [
        () => linearDequantize(runtime, { ...plain, codes: [1, 2] } as never),
        /codes must be an Int8Array or a Uint8Array/,
      ],
    ];
    for (const [run, message] of refusals) {
      const error = await run().then(
        () => null,
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(LloydError);
      expect((error as Error).message).toMatch(message);
    }
  });
});

describe('kmeans', () => {
  test.each([
    [[1003], { bits: 4 }],
    [[6, 35], { bits: 2, init: 'optimal', granularity: { kind: 'perAxis', axis: 0 } }],
  ] as const)('%j, %j', async (dims, options) => {
    const tensor = floats(dims);
    const { runtime } = gpu;
    const { codes: wantCodes, ...wantRest } = await kmeans(runtime, tensor, options);
    const { codes: gotCodes, ...gotRest } = await kmeans(runtime, both(tensor), options);
    expect(gotRest).toEqual(wantRest);
    expect(new Uint8Array(await runtime.read(gotCodes, wantCodes.length))).toEqual(wantCodes);
    gotCodes.destroy();
  });

  test('refuses what it refuses of the host', async () => {
    const tensor = floats([5]);
    tensor.data[3] = Number.NaN;
    await expect(kmeans(gpu.runtime, both(tensor), { bits: 2 })).rejects.toThrow(/finite.*NaN at index 3/);
    const { buffer } = both(tensor);
    const six = { dtype: 'float32', dims: [6], buffer } as const;
    await expect(kmeans(gpu.runtime, six, { bits: 2 })).rejects.toThrow(/weights must have 24 bytes/);
  });
});

describe('conv2dInt8 and matmulInt8', () => {
  const quantized = {
    inputScale: 0.02,
    weightScale: 0.01,
    outputScale: 0.06,
    inputZeroPoint: -5,
    outputZeroPoint: 3,
  };
  test.each([
    ['padded rows on both sides', [2, 7, 6, 3], [5, 3, 3, 3], quantized],
    ['whole words', [1, 6, 8, 16], [20, 16, 3, 3], { ...quantized, pads: [1, 1, 1, 1] }],
    ['sums', [1, 5, 5, 6], [7, 6, 1, 1], { inputZeroPoint: 9 }],
  ] as const)('a convolution, %s: %j by %j', async (_, dims, weightDims, options) => {
    const { runtime } = gpu;
    const [x, w] = [codes(dims), codes(weightDims)];
    const want = await conv2dInt8(runtime, x, w, options);
    const got = await conv2dInt8(runtime, both(x), w, options);
    await expectSame(got, want);
  });

  test.each([
    [3, 7, 5, quantized],
    [9, 64, 8, {}],
  ] as const)('a product, %i x %i by %i', async (M, K, N, options) => {
    const [a, b] = [codes([M, K]), codes([K, N])];
    await expectSame(
      await matmulInt8(gpu.runtime, both(a), b, options),
      await matmulInt8(gpu.runtime, a, b, options),
    );
  });

  test('one feeds the next without coming back', async () => {
    const { runtime } = gpu;
    const [x, first, second] = [codes([1, 9, 9, 3]), codes([6, 3, 3, 3]), codes([4, 6, 3, 3])];
    const host = await conv2dInt8(runtime, await conv2dInt8(runtime, x, first, quantized), second, quantized);
    const middle = await conv2dInt8(runtime, both(x), first, quantized);
    await expectSame(await conv2dInt8(runtime, middle, second, quantized), host);
  });

  test('refuse floats, other ranks and other sizes', async () => {
    const { runtime } = gpu;
    const w = codes([5, 3, 3, 3]);
    const x = both(codes([1, 5, 5, 3]));
    await expect(conv2dInt8(runtime, { ...x, dtype: 'uint8' }, w)).rejects.toThrow(
      /input must be int8 on the GPU/,
    );
    await expect(conv2dInt8(runtime, { ...x, dims: [25, 3] }, w)).rejects.toThrow(/4 dimensions/);
    await expect(conv2dInt8(runtime, { ...x, dims: [1, 5, 5, 4] }, w)).rejects.toThrow(
      /input must have 100 bytes/,
    );
    await expect(matmulInt8(runtime, x, w)).rejects.toThrow(/a must have the 2 dimensions/);
  });

  async function expectSame(got: GpuTensor, want: Tensor) {
    const { dtype, dims, data } = want;
    expect([got.dtype, got.dims]).toEqual([dtype, dims]);
    const bytes = await gpu.runtime.read(got.buffer as GPUBuffer, data.byteLength);
    expect(dtype === 'int8' ? new Int8Array(bytes) : new Int32Array(bytes)).toEqual(data);
    expect(new Set(data).size).toBeGreaterThan(3);
  }
});
