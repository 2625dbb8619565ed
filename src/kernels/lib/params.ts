// What kernels of a family have in common on the host's side, as shaders/lib/ has it on the shaders'.
import { merged } from '../../gpu/declaration.ts';

/**
 * Several params of type u32, in the order of the shader's struct. Marked pure where it is called, as `merged` is.
 *
 * @example
 * const params = merged(u32s('inputHeight', 'inputWidth'), WINDOW, { low: 'f32', high: 'f32' });
 */
export function u32s<const N extends string>(...names: readonly N[]): Readonly<Record<N, 'u32'>> {
  return Object.fromEntries(names.map((name) => [name, 'u32'])) as Record<N, 'u32'>;
}

/** The window of a pool's gradient, in the order of its struct. */
export const UNDILATED_WINDOW = /* @__PURE__ */ u32s(
  'kernelHeight',
  'kernelWidth',
  'strideHeight',
  'strideWidth',
  'padTop',
  'padLeft',
);

/** The window of a convolution or a pool over an image, in the order of their structs. */
export const WINDOW = /* @__PURE__ */ u32s(
  'kernelHeight',
  'kernelWidth',
  'strideHeight',
  'strideWidth',
  'dilationHeight',
  'dilationWidth',
  'padTop',
  'padLeft',
);

/**
 * Params of type u32 along each axis of space, depth first: `kernelDepth`, `kernelHeight`, `kernelWidth`.
 *
 * @example
 * const params = merged(u32s('count'), spatial('input', 'output', 'kernel'));
 */
export function spatial<const N extends string>(
  ...names: readonly N[]
): Readonly<Record<`${N}${'Depth' | 'Height' | 'Width'}`, 'u32'>> {
  const axes = ['Depth', 'Height', 'Width'] as const;
  return u32s(...names.flatMap((name) => axes.map((axis) => `${name}${axis}` as const)));
}

/** Sizes of an input and an output. */
const INPUT = /* @__PURE__ */ u32s('inputHeight', 'inputWidth');
const OUTPUT = /* @__PURE__ */ u32s('outputHeight', 'outputWidth');

/** What a float convolution reads and writes. */
export const conv2dBindings = {
  input: { access: 'read', type: 'vec4f' },
  weights: { access: 'read', type: 'vec4f' },
  scale: { access: 'read', type: 'vec4f' },
  shift: { access: 'read', type: 'vec4f' },
  output: { access: 'write', type: 'vec4f' },
} as const;

/** The struct of a float convolution. */
export const conv2dParams = /* @__PURE__ */ merged(
  INPUT,
  { inputVectors: 'u32' },
  OUTPUT,
  { outputVectors: 'u32' },
  WINDOW,
  {
    groupVectors: 'u32',
    groupTiles: 'u32',
    pixelCount: 'u32',
    tileCount: 'u32',
    pool: 'u32',
    low: 'f32',
    high: 'f32',
  },
);

/** What an int8 convolution reads and writes. */
export const conv2dInt8Bindings = {
  input: { access: 'read', type: 'u32' },
  weights: { access: 'read', type: 'u32' },
  bias: { access: 'read', type: 'vec4i' },
  multipliers: { access: 'read', type: 'vec2u' },
  output: { access: 'write', type: 'u32' },
} as const;

/** The struct of an int8 convolution. */
export const conv2dInt8Params = /* @__PURE__ */ merged(
  INPUT,
  { inputWords: 'u32' },
  OUTPUT,
  { outputWords: 'u32' },
  WINDOW,
  {
    groupWords: 'u32',
    groupTiles: 'u32',
    pixelCount: 'u32',
    tileCount: 'u32',
    pool: 'u32',
    padWord: 'u32',
    zeroPoint: 'i32',
    low: 'i32',
    high: 'i32',
  },
);

/** What a gradient by a convolution’s weights reads and writes. */
export const conv2dFilterGradientBindings = {
  input: { access: 'read', type: 'vec4f' },
  gradient: { access: 'read', type: 'vec4f' },
  partial: { access: 'write', type: 'vec4f' },
} as const;

/** The struct of a gradient by a convolution’s weights. */
export const conv2dFilterGradientParams = /* @__PURE__ */ merged(
  INPUT,
  { inputVectors: 'u32' },
  OUTPUT,
  { outputVectors: 'u32' },
  WINDOW,
  {
    pixelCount: 'u32',
    chunk: 'u32',
  },
);

/** What a gradient by a convolution’s input reads and writes. */
export const conv2dInputGradientBindings = {
  gradient: { access: 'read', type: 'vec4f' },
  weights: { access: 'read', type: 'vec4f' },
  inputGradient: { access: 'write', type: 'vec4f' },
} as const;

/** The struct of a gradient by a convolution’s input. */
export const conv2dInputGradientParams = /* @__PURE__ */ merged(
  INPUT,
  { inputChannels: 'u32' },
  OUTPUT,
  { outputVectors: 'u32' },
  WINDOW,
  {
    pixelCount: 'u32',
  },
);

/** What a pool of floats reads and writes. */
export const maxPool2dBindings = {
  input: { access: 'read', type: 'vec4f' },
  output: { access: 'write', type: 'vec4f' },
} as const;

/** The struct of a pool of floats. */
export const maxPool2dParams = /* @__PURE__ */ merged(
  /* @__PURE__ */ u32s('batch', 'height', 'width', 'channelVectors'),
  OUTPUT,
  WINDOW,
);

/** What a pool of floats may be told before it is compiled. */
export const maxPool2dOverrides = {
  WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] },
} as const;

/** What a pool of int8 codes reads and writes. */
export const maxPool2dInt8Bindings = {
  input: { access: 'read', type: 'u32' },
  output: { access: 'write', type: 'u32' },
} as const;

/** The struct of a pool of int8 codes. */
export const maxPool2dInt8Params = /* @__PURE__ */ merged(
  /* @__PURE__ */ u32s('batch', 'height', 'width', 'channelWords'),
  OUTPUT,
  WINDOW,
);

/** What a pool of int8 codes may be told before it is compiled. */
export const maxPool2dInt8Overrides = {
  WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] },
  SIGNED: { default: 1, allowed: [0, 1] },
} as const;

/** The struct of a pool’s gradient. */
export const averagePool2dGradientParams = /* @__PURE__ */ merged(
  /* @__PURE__ */ u32s('batch', 'height', 'width', 'channelVectors'),
  OUTPUT,
  UNDILATED_WINDOW,
);

/** What preprocess-image and preprocess-image-texture bind besides their source. */
export const preprocessImageTables = {
  spans: { access: 'read', type: 'vec2u' },
  weights: { access: 'read', type: 'i32' },
  values: { access: 'read', type: 'f32' },
  output: { access: 'write', type: 'f32' },
} as const;

export const preprocessImageParams = /* @__PURE__ */ u32s(
  'width',
  'height',
  'sourceWidth',
  'channels',
  'reversed',
  'taps',
  'offset',
  'pixelStride',
  'channelStride',
);
