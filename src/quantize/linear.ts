import { check, LloydError } from '../gpu/errors.ts';
import { checkRuntime, type Runtime, type Scope } from '../gpu/runtime.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { dequantizeLinearKernel } from '../kernels/dequantize-linear.ts';
import { quantizeLinearKernel } from '../kernels/quantize-linear.ts';
import { reduceMinMaxKernel } from '../kernels/reduce-min-max.ts';
import {
  type Granularity,
  type GranularityOptions,
  gatherGroups,
  resolveGranularity,
  scatterGroups,
} from './granularity.ts';
import {
  type CodeOptions,
  checkQparams,
  chooseQparams,
  codeRange,
  type Qparams,
  type Scheme,
} from './qparams.ts';

/** Options of {@link linearQuantize}. */
export interface LinearQuantizeOptions extends CodeOptions, GranularityOptions {
  /** Scales to use instead of choosing them from the values: one, or one a segment. */
  scale?: number | ArrayLike<number>;
  /** Zero points that go with `scale`; 0 unless given. */
  zeroPoint?: number | ArrayLike<number>;
}

/** Codes with the scales and zero points that give them a value: `(code - zeroPoint) * scale`. */
export interface LinearQuantized {
  /** One code an element, in the input's order; `pack` makes them small. */
  codes: Int8Array | Uint8Array;
  /** One a segment: 1 (per tensor), an index of `axis`, or a group (with `axis`, in the order of ONNX's blocked scales). */
  scale: Float32Array;
  zeroPoint: Int32Array;
  bits: number;
  shape: readonly number[];
  axis: number | null;
  groupSize: number | null;
  scheme: Scheme;
  signed: boolean;
}

/**
 * Quantizes values linearly: `code = clamp(rne(f32(x / scale)) + zeroPoint)`, ONNX's QuantizeLinear.
 *
 * Scales are chosen from each segment's range unless given (`choose-qparams`), down to the smallest normal
 * float32; an all-zero segment gets the scale 1. The result is the same, bit for bit, on every adapter.
 *
 * @param weights values, row-major, all finite; a float32 Tensor brings its shape
 * @param options width, scheme and granularity; `bits` is from 2 to 8
 * @throws LloydError for a NaN or infinity (with its index), no elements, a shape that does not fit, an axis out of
 *   range, a group size or width that is not allowed, or a scale or zero point that cannot be used.
 * @example
 * const q = await linearQuantize(runtime, weights, { bits: 8, shape: [512, 256, 3, 3], axis: 0, scheme: 'symmetric' });
 * q.codes.length; // 512 * 256 * 3 * 3
 * q.scale.length; // 512
 */
export async function linearQuantize(
  runtime: Runtime,
  weights: Float32Array | Tensor,
  options: LinearQuantizeOptions,
): Promise<LinearQuantized> {
  checkRuntime(runtime);
  const { values, shape } = floats(weights, options.shape);
  const { bits, signed = true, scheme = 'symmetric', scale, zeroPoint } = options;
  const range = codeRange(options);
  const granularity = resolveGranularity(values.length, { ...options, shape });
  checkFinite(values);
  check(
    scale !== undefined || zeroPoint === undefined,
    'zeroPoint is used together with scale',
    'zeroPoint without scale',
  );
  const given = scale === undefined ? null : checkQparams(granularity.axisSize, range, scale, zeroPoint ?? 0);
  const input = granularity.gathered ? gatherGroups(granularity, values) : values;

  return runtime.scope(async (scope) => {
    const inputBuffer = scope.upload(input, 'values');
    let qparams: Qparams;
    if (given) qparams = given;
    else {
      const { minimum, maximum } = await ranges(runtime, scope, inputBuffer, input.length, granularity);
      qparams = chooseQparams(minimum, maximum, range);
    }
    const kernel = await quantizeLinearKernel.create(runtime.device, {
      QUANT_MIN: range.quantMin,
      QUANT_MAX: range.quantMax,
    });
    const output = scope.empty(input.length, 'codes');
    const buffers = { input: inputBuffer, ...uploadQparams(scope, qparams), output };
    const { axisSize, axisStride } = granularity;
    runtime.submit([scope.keep(kernel.bind(buffers, { count: input.length, axisSize, axisStride }))]);
    const bytes = await runtime.read(output, input.length);
    const codes = signed ? new Int8Array(bytes) : new Uint8Array(bytes);
    return {
      codes: granularity.gathered ? scatterGroups(granularity, codes) : codes,
      ...qparams,
      bits,
      shape: granularity.shape,
      axis: granularity.axis,
      groupSize: granularity.groupSize,
      scheme,
      signed,
    };
  });
}

/**
 * Turns codes back into values: `f32(code - zeroPoint) * scale`, rounded once; the same bits on every adapter.
 *
 * @param quantized what {@link linearQuantize} returned, or the same fields from elsewhere
 * @returns f32 values in the codes' order
 * @throws LloydError where shape, axis, group size, scales or zero points do not fit the codes.
 * @example
 * const restored = await linearDequantize(runtime, await linearQuantize(runtime, weights, { bits: 8 }));
 */
export async function linearDequantize(
  runtime: Runtime,
  quantized: Omit<LinearQuantized, 'scheme' | 'signed'>,
): Promise<Float32Array> {
  checkRuntime(runtime);
  const { codes, shape, axis, groupSize, scale, zeroPoint } = quantized;
  check(
    codes instanceof Int8Array || codes instanceof Uint8Array,
    'codes must be an Int8Array or a Uint8Array',
    codes,
  );
  const granularity = resolveGranularity(codes.length, {
    shape,
    axis: axis ?? undefined,
    groupSize: groupSize ?? undefined,
  });
  const { axisSize, axisStride } = granularity;
  const signed = codes instanceof Int8Array;
  const widest = signed ? { quantMin: -128, quantMax: 127 } : { quantMin: 0, quantMax: 255 };
  const qparams = checkQparams(axisSize, widest, scale, zeroPoint);
  const input = granularity.gathered ? gatherGroups(granularity, codes) : codes;

  return runtime.scope(async (scope) => {
    const kernel = await dequantizeLinearKernel.create(runtime.device, { SIGNED: signed ? 1 : 0 });
    const output = scope.empty(input.length * 4, 'values');
    const buffers = { input: scope.upload(input, 'codes'), ...uploadQparams(scope, qparams), output };
    runtime.submit([scope.keep(kernel.bind(buffers, { count: input.length, axisSize, axisStride }))]);
    const values = new Float32Array(await runtime.read(output, input.length * 4));
    return granularity.gathered ? scatterGroups(granularity, values) : values;
  });
}

/**
 * Quantizes and dequantizes: the values that a quantized network would see.
 *
 * @param weights values, row-major, all finite
 * @param options as for {@link linearQuantize}
 * @throws LloydError as {@link linearQuantize} does.
 * @example
 * const rounded = await fakeQuantize(runtime, weights, { bits: 4, groupSize: 32 });
 */
export async function fakeQuantize(
  runtime: Runtime,
  weights: Float32Array | Tensor,
  options: LinearQuantizeOptions,
): Promise<Float32Array> {
  return linearDequantize(runtime, await linearQuantize(runtime, weights, options));
}

/** Smallest and largest value of every segment of `input`, in one pass or, where segments are few and long, two. */
async function ranges(
  runtime: Runtime,
  scope: Scope,
  input: GPUBuffer,
  count: number,
  granularity: Granularity,
) {
  const { axisSize, axisStride } = granularity;
  const length = count / axisSize;
  // A CPU adapter pays for barriers (32 threads were twice as fast as 256 on lavapipe) and has few cores to fill.
  const cpu = runtime.adapter.profile === 'cpu';
  const WORKGROUP_SIZE = cpu ? 32 : length <= 64 ? 64 : 256;
  const enough = Math.ceil((cpu ? 64 : 1024) / axisSize);
  // Below eight elements a thread a second pass costs more than it saves.
  const slices = Math.max(1, Math.min(enough, Math.floor(length / (8 * WORKGROUP_SIZE))));
  const kernel = await reduceMinMaxKernel.create(runtime.device, { WORKGROUP_SIZE });
  const reduce = (source: GPUBuffer, params: Parameters<typeof kernel.bind>[1]) => {
    const byteLength = params.axisSize * params.slices * 4;
    const minimum = scope.empty(byteLength, 'minimum');
    const maximum = scope.empty(byteLength, 'maximum');
    return { minimum, maximum, call: scope.keep(kernel.bind({ input: source, minimum, maximum }, params)) };
  };
  const first = reduce(input, { count, axisSize, axisStride, slices });
  let { minimum, maximum } = first;
  const calls = [first.call];
  if (slices > 1) {
    const params = { count: axisSize * slices, axisSize, axisStride: slices, slices: 1 };
    const smallest = reduce(first.minimum, params);
    const largest = reduce(first.maximum, params);
    calls.push(smallest.call, largest.call);
    minimum = smallest.minimum;
    maximum = largest.maximum;
  }
  runtime.submit(calls);
  const [low, high] = await Promise.all([minimum, maximum].map((b) => runtime.read(b, axisSize * 4)));
  return { minimum: new Float32Array(low), maximum: new Float32Array(high) };
}

function uploadQparams(scope: Scope, { scale, zeroPoint }: Qparams) {
  return { scale: scope.upload(scale, 'scale'), zeroPoint: scope.upload(zeroPoint, 'zeroPoint') };
}

function floats(weights: Float32Array | Tensor, shape: readonly number[] | undefined) {
  if (weights instanceof Float32Array) return { values: weights, shape };
  const data = weights?.data;
  check(
    weights?.dtype === 'float32' && data instanceof Float32Array,
    'weights must be a Float32Array or a float32 Tensor',
    weights?.dtype ?? weights,
  );
  return { values: data, shape: shape ?? weights.dims };
}

function checkFinite(values: Float32Array): void {
  for (let i = 0; i < values.length; i++) {
    // A difference with itself is 0 for every finite number and NaN for the rest.
    if (values[i] - values[i] !== 0) {
      throw new LloydError(
        'weights must be finite',
        `${values[i]} at index ${i}`,
        'replace it before quantizing',
      );
    }
  }
}
