// Preprocessing on the GPU as an app calls it: the same bits as from files, one recording for many frames, one line for
// whatever does not fit.
import { expect, test, vi } from 'vitest';
import { recordCalls } from '../../src/gpu/call.ts';
import { LloydError } from '../../src/gpu/errors.ts';
import type { GpuTensor } from '../../src/gpu/gpu-tensor.ts';
import type { GraphModel } from '../../src/graph/graph.ts';
import { preprocessImageTextureKernel } from '../../src/kernels/preprocess-image-texture.ts';
import { pixelsOf } from '../../src/reference/preprocess-image.ts';
import { pictureTensor } from '../../src/run/picture-input.ts';
import {
  type PreprocessImageOptions,
  preparePreprocessImage,
  preprocessImage,
} from '../../src/run/preprocess-image.ts';
import { compile } from '../../src/run/session.ts';
import { expected, noise, textureOf } from '../support/preprocess-image.ts';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

const source = { width: 31, height: 21 };
const size = { width: 8, height: 12 };
const NORMED = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

const tensorOf = (buffer: GPUBuffer): GpuTensor<'uint8'> => ({
  dtype: 'uint8',
  dims: [source.height, source.width, 4],
  buffer,
});

const floatsOf = async ({ buffer }: { buffer: GPUBuffer }) => {
  const floats = new Float32Array(await gpu.runtime.read(buffer));
  buffer.destroy();
  return floats;
};

test.each([
  ['nchw', 3, 'rgb', 'bilinear'],
  ['nhwc', 3, 'bgr', 'bicubic'],
  ['nchw', 1, 'bgr', 'bilinear'],
  ['nhwc', 4, 'bgr', 'bilinear'],
] as const)(
  'a picture on the GPU is the tensor that the command line makes of its file: %s, %i channels, %s, %s',
  async (layout, channels, order, interpolation) => {
    const { runtime } = gpu;
    const { mean, std } = channels === 3 ? NORMED : { mean: [0.4], std: [0.3] };
    const bytes = noise(source);
    const input = {
      name: 'image',
      dtype: 'float32',
      layout,
      channels,
      mean,
      std,
      order,
      interpolation,
    } as const;
    const pixels = pixelsOf(bytes, source.width, source.height, channels);
    const want = pictureTensor([pixels], { ...input, ...size }, 1);
    const options = { size, mean, std, layout, channels, order, interpolation };
    const texture = textureOf(runtime.device, source, bytes);
    const buffer = runtime.upload(bytes);
    for (const given of [texture, tensorOf(buffer)]) {
      const made = await preprocessImage(runtime, given, options);
      expect([made.dtype, made.dims]).toEqual(['float32', want.dims]);
      expect(await floatsOf(made)).toEqual(want.data);
    }
    texture.destroy();
    buffer.destroy();
  },
);

test('one recording serves every frame, a batch of them, on into a session, and what is left out is the default', async () => {
  const { runtime } = gpu;
  const { device } = runtime;
  const model: GraphModel = {
    graph: {
      name: 'mean',
      opset: 17,
      inputs: [{ name: 'image', dtype: 'float32', shape: [2, 3, 12, 8] }],
      outputs: ['scores'],
      nodes: [
        { op: 'GlobalAveragePool', name: 'pool', inputs: ['image'], outputs: ['scores'], attributes: {} },
      ],
    },
    parameters: new Map(),
  };
  const session = await compile(runtime, model);
  const preprocessing = await preparePreprocessImage(device, { source, size, batch: 2 });
  expect(preprocessing.source).toEqual({ ...source, byteLength: 31 * 21 * 4 });
  expect(preprocessing.output).toEqual({ dtype: 'float32', dims: [2, 3, 12, 8], byteLength: 2 * 3 * 96 * 4 });
  const image = runtime.empty(preprocessing.output.byteLength);
  const scores = runtime.empty(2 * 3 * 4);
  const [left, right] = [noise(source, 1), noise(source, 2)];
  const texture = textureOf(device, source, left);
  const pixels = runtime.upload(right);
  const calls = [
    preprocessing.bind({ source: texture, output: image }),
    preprocessing.bind({ source: pixels, output: image }, 1),
  ];
  preprocessing.bind({ source: { buffer: pixels, offset: 0 }, output: image }, 1).destroy();
  for (const [first, second] of [
    [left, right],
    [noise(source, 3), noise(source, 4)],
  ]) {
    device.queue.writeTexture({ texture }, first as never, { bytesPerRow: 31 * 4 }, [31, 21]);
    device.queue.writeBuffer(pixels, 0, second as never);
    const encoder = device.createCommandEncoder();
    const made = (['createBuffer', 'createBindGroup', 'createTexture'] as const).map((name) =>
      vi.spyOn(device, name),
    );
    recordCalls(encoder, calls);
    for (const spy of made) {
      expect(spy).not.toHaveBeenCalled();
      spy.mockRestore();
    }
    session.encode(encoder, { image }, { scores });
    device.queue.submit([encoder.finish()]);
    const want = [first, second].flatMap((bytes) => [...expected(bytes, { source, size })]);
    expect([...new Float32Array(await runtime.read(image))]).toEqual(want);
    const got = new Float32Array(await runtime.read(scores));
    for (let c = 0; c < 6; c++) {
      const mean = want.slice(c * 96, (c + 1) * 96).reduce((a, b) => a + b) / 96;
      expect(got[c]).toBeCloseTo(mean, 5);
    }
  }
  preprocessing.destroy();
  expect(() => preprocessing.bind({ source: texture, output: image })).toThrow(
    'must not have been destroyed; received "one that was"; prepare it again',
  );
  for (const each of [...calls, image, scores, texture, pixels, session]) each.destroy();
});

const inside =
  /^crop must be 'center', or \{ x, y, width, height \} inside the picture of 31 x 21, and not empty; rec/;
const sized = (name: string) =>
  new RegExp(`^${name} must be { width, height }, at least 1 each, of at most 67108864 pixels; received`);
test.each<[Record<string, unknown>, RegExp]>([
  [{ size: undefined }, sized('size')],
  [{ size: { width: 0, height: 3 } }, sized('size')],
  [{ size: { width: 2.5, height: 3 } }, sized('size')],
  [{ size: [8, 12] }, sized('size')],
  [{ size: { width: 2 ** 20, height: 2 ** 20 } }, sized('size')],
  [{ source: null }, sized('source')],
  [{ source: { width: 31 } }, sized('source')],
  [{ crop: 'middle' }, inside],
  [{ crop: null }, inside],
  [{ crop: { x: 0, y: 0, width: 32, height: 21 } }, inside],
  [{ crop: { x: 1, y: 0, width: 30.5, height: 21 } }, inside],
  [{ crop: { x: 0, y: -1, width: 3, height: 3 } }, inside],
  [{ crop: { x: 0, y: 0, width: 0, height: 3 } }, inside],
  [{ crop: { x: 0, y: 0, width: 5, height: Number.NaN } }, inside],
  [{ crop: { x: 0, y: 0, width: 5 } }, inside],
  [{ mean: Number.NaN }, /^mean must be finite; received \[NaN\]$/],
  [{ mean: [0, 0, Infinity] }, /^mean must be finite; received \[0, 0, Infinity\]$/],
  [{ mean: [0, 0] }, /^mean must have a value for all channels, or one a channel; received 2$/],
  [{ mean: [0, 0, 0, 0] }, /^mean must have one value, or 3; received 4$/],
  [{ std: 0 }, /^std must not be 0; received \[0\]$/],
  [{ std: [1, -0, 1] }, /^std must not be 0/],
  [{ std: 'one' }, /^std must have a value for all channels, or one a channel; received "one"$/],
  [{ std: [1, 1, 1], channels: 1 }, /^std must have one value, or 1; received 3$/],
  [{ channels: 2 }, /^channels must be 1 or 3 or 4; received 2$/],
  [{ layout: 'hwc' }, /^layout must be nchw or nhwc; received "hwc"$/],
  [{ order: 'rbg' }, /^order must be rgb or bgr; received "rbg"$/],
  [{ interpolation: 'lanczos' }, /^interpolation must be bilinear or bicubic; received "lanczos"$/],
  [{ batch: 0 }, /^batch must be a positive integer; received 0$/],
])('refused, and nothing left: %j', async (wrong, message) => {
  const refused = preparePreprocessImage(gpu.runtime, { source, size, ...wrong } as never);
  await expect(refused).rejects.toThrow(LloydError);
  await expect(refused).rejects.toThrow(message);
});

test('sources and outputs of another size, format or usage are refused when they are bound', async () => {
  const { runtime } = gpu;
  const { device } = runtime;
  const preprocessing = await preparePreprocessImage(runtime, { source, size, batch: 2 });
  const image = runtime.empty(preprocessing.output.byteLength);
  const pixels = runtime.upload(noise(source));
  const { TEXTURE_BINDING, COPY_DST, RENDER_ATTACHMENT } = GPUTextureUsage;
  const texture = (own: Partial<GPUTextureDescriptor>) =>
    device.createTexture({ size: [31, 21], format: 'rgba8unorm', usage: TEXTURE_BINDING | COPY_DST, ...own });
  const attempts: [unknown, RegExp][] = [
    [undefined, /^output must be a GPUBuffer, or a slice \{ buffer, offset, size \} of one$/],
    [{ output: image }, /^source must be a GPUBuffer, or a slice/],
    [
      { source: runtime.empty(31 * 21 * 3), output: image },
      /^source must have 2604 bytes: 31 x 21 pixels of four bytes; received "1956 of a buffer of 1956"/,
    ],
    [
      { source: pixels, output: runtime.empty(image.size / 2) },
      /^output must have 2304 bytes: float32, 2 x 3 x 12 x 8; received "1152 of a buffer of 1152"; bind a slice/,
    ],
    [
      { source: device.createBuffer({ size: 2604, usage: GPUBufferUsage.COPY_DST }), output: image },
      /^source must have the usage STORAGE; received "none of STORAGE"/,
    ],
    [
      { source: texture({ format: 'rgba16float' }), output: image },
      /^source must be a texture of rgba8unorm or bgra8unorm; received "rgba16float"$/,
    ],
    [
      { source: texture({ format: 'rgba8unorm-srgb' }), output: image },
      /received "rgba8unorm-srgb"; networks take encoded colours: make it without -srgb$/,
    ],
    [
      { source: texture({ size: [21, 31] }), output: image },
      /^source must be one picture of 31 x 21; received "21 x 31 x 1, 2d, 1 samples"; prepare it for another size$/,
    ],
    [{ source: texture({ size: [31, 21, 2] }), output: image }, /received "31 x 21 x 2, 2d, 1 samples"/],
    [
      { source: texture({ sampleCount: 4, usage: TEXTURE_BINDING | RENDER_ATTACHMENT }), output: image },
      /received "31 x 21 x 1, 2d, 4 samples"/,
    ],
    [
      { source: texture({ usage: COPY_DST }), output: image },
      /^source must have the usage TEXTURE_BINDING; received "a texture of usage 2"$/,
    ],
  ];
  for (const [buffers, message] of attempts) {
    expect(() => preprocessing.bind(buffers as never)).toThrow(message);
    expect(() => preprocessing.bind(buffers as never)).toThrow(LloydError);
  }
  for (const position of [2, -1, 0.5]) {
    expect(() => preprocessing.bind({ source: pixels, output: image }, position)).toThrow(
      `position must be one in the batch, 0 to 1; received ${position}`,
    );
  }
  preprocessing.destroy();
});

test.each<[unknown, RegExp]>([
  [undefined, /^source must be a texture, or a tensor \{ dtype, dims, buffer \} on the GPU; received "none"/],
  [new Uint8Array(4), /^source must be a texture, or a tensor/],
  [{ dtype: 'float32', dims: [21, 31, 4] }, /^source must be uint8 on the GPU; received "float32"/],
  [{ dtype: 'uint8', dims: [21, 31, 3] }, /^source must have 1956 bytes: uint8, 21 x 31 x 3/],
  [{ dtype: 'uint8', dims: [2604] }, /^source must have the dims \[H, W, 4\]; received \[2604\]/],
  [{ dtype: 'uint8', dims: [0, 31, 4] }, /^source must have dims, positive integers/],
])('a source that is no picture: %j', async (given, message) => {
  const buffer = gpu.runtime.upload(noise(source));
  const tensor = given && !ArrayBuffer.isView(given) ? { ...given, buffer } : given;
  await expect(preprocessImage(gpu.runtime, tensor as never, { size })).rejects.toThrow(message);
  buffer.destroy();
});

test('a runtime must be one, and a kernel takes what its binding is declared as', async () => {
  const options: PreprocessImageOptions = { size };
  await expect(preprocessImage(gpu.runtime.device as never, {} as never, options)).rejects.toThrow(
    /^the first argument must be a runtime; received "a GPUDevice"/,
  );
  const buffer = gpu.runtime.empty(1024);
  const kernel = await preprocessImageTextureKernel.create(gpu.runtime.device);
  const params = {
    ...{ width: 1, height: 1, sourceWidth: 1, channels: 1, reversed: 0, taps: 1, offset: 0 },
    ...{ pixelStride: 1, channelStride: 1 },
  };
  const tables = { spans: buffer, weights: buffer, values: buffer, output: buffer };
  expect(() => kernel.bind({ source: buffer as never, ...tables }, params)).toThrow(
    'preprocess-image-texture: source must be a texture; received "a buffer"',
  );
  buffer.destroy();
});
