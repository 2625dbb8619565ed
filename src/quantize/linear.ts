import { check, LloydError } from '../gpu/errors.ts';
import {
  checkGpuTensor,
  checkSlice,
  type GpuTensor,
  gpuBytes,
  isGpuTensor,
  scopeThatLeaves,
} from '../gpu/gpu-tensor.ts';
import type { BufferSlice } from '../gpu/kernel.ts';
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

/**
 * Codes with the scales and zero points that give them a value: `(code - zeroPoint) * scale`. Of values on the GPU the
 * codes stay there, one a byte, in a buffer that is the caller's to destroy.
 */
export interface LinearQuantized<Codes = Int8Array | Uint8Array> {
  /** One code an element, in the input's order; `pack` makes them small. */
  codes: Codes;
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
 * Of values on the GPU only the ranges come back to the host, and not even those where scales are given: such values
 * are finite on the caller's word.
 *
 * @param weights values, row-major, all finite; a float32 Tensor, or one on the GPU, brings its shape
 * @param options width, scheme and granularity; `bits` is from 2 to 8
 * @throws LloydError for a NaN or infinity (with its index), no elements, a shape that does not fit, an axis out of
 *   range, a group size or width that is not allowed, a scale or zero point that cannot be used, or groups along an
 *   axis of values on the GPU that do not lie together there.
 * @example
 * const q = await linearQuantize(runtime, weights, { bits: 8, shape: [512, 256, 3, 3], axis: 0, scheme: 'symmetric' });
 * q.codes.length; // 512 * 256 * 3 * 3
 * q.scale.length; // 512
 */
export async function linearQuantize(
  runtime: Runtime,
  weights: Float32Array | Tensor,
  options: LinearQuantizeOptions,
): Promise<LinearQuantized>;
export async function linearQuantize(
  runtime: Runtime,
  weights: GpuTensor,
  options: LinearQuantizeOptions,
): Promise<LinearQuantized<GPUBuffer>>;
export async function linearQuantize(
  runtime: Runtime,
  weights: Float32Array | Tensor | GpuTensor,
  options: LinearQuantizeOptions,
): Promise<LinearQuantized | LinearQuantized<GPUBuffer>> {
  checkRuntime(runtime);
  const onGpu = isGpuTensor(weights);
  const host = onGpu ? null : floats(weights, options.shape);
  const count = host ? host.values.length : checkGpuTensor('weights', weights as GpuTensor, 'float32');
  const shape = host ? host.shape : (options.shape ?? (weights as GpuTensor).dims);
  const { bits, signed = true, scheme = 'symmetric', scale, zeroPoint } = options;
  const range = codeRange(options);
  const granularity = resolveGranularity(count, { ...options, shape });
  if (host) checkFinite(host.values);
  else checkTogether(granularity);
  check(
    scale !== undefined || zeroPoint === undefined,
    'zeroPoint is used together with scale',
    'zeroPoint without scale',
  );
  const given = scale === undefined ? null : checkQparams(granularity.axisSize, range, scale, zeroPoint ?? 0);

  return scopeThatLeaves(runtime, async (scope) => {
    const input = host && (granularity.gathered ? gatherGroups(granularity, host.values) : host.values);
    const length = input?.length ?? count;
    const values = input ? scope.upload(input, 'values') : (weights as GpuTensor).buffer;
    let qparams: Qparams;
    if (given) qparams = given;
    else {
      const { minimum, maximum } = await ranges(runtime, scope, values, length, granularity);
      if (onGpu) checkRanges(minimum, maximum);
      qparams = chooseQparams(minimum, maximum, range);
    }
    const kernel = await quantizeLinearKernel.create(runtime.device, {
      QUANT_MIN: range.quantMin,
      QUANT_MAX: range.quantMax,
    });
    const output = onGpu ? scope.leave(gpuBytes('int8', count), 'codes') : scope.empty(length, 'codes');
    const buffers = { input: values, ...uploadQparams(scope, qparams), output };
    const { axisSize, axisStride } = granularity;
    runtime.submit([scope.keep(kernel.bind(buffers, { count: length, axisSize, axisStride }))]);
    const { axis, groupSize } = granularity;
    const described = { ...qparams, bits, shape: granularity.shape, axis, groupSize, scheme, signed };
    if (onGpu) return { codes: output, ...described };
    const bytes = await runtime.read(output, length);
    const codes = signed ? new Int8Array(bytes) : new Uint8Array(bytes);
    return { codes: granularity.gathered ? scatterGroups(granularity, codes) : codes, ...described };
  });
}

/**
 * Turns codes back into values: `f32(code - zeroPoint) * scale`, rounded once; the same bits on every adapter.
 *
 * @param quantized what {@link linearQuantize} returned, or the same fields from elsewhere; codes on the GPU say whether
 *   they are `signed`
 * @returns f32 values in the codes' order; of codes on the GPU a buffer of them, which is the caller's to destroy
 * @throws LloydError where shape, axis, group size, scales or zero points do not fit the codes.
 * @example
 * const restored = await linearDequantize(runtime, await linearQuantize(runtime, weights, { bits: 8 }));
 */
export async function linearDequantize(
  runtime: Runtime,
  quantized: Omit<LinearQuantized, 'scheme' | 'signed'>,
): Promise<Float32Array>;
export async function linearDequantize(
  runtime: Runtime,
  quantized: Omit<LinearQuantized<BufferSlice>, 'scheme'>,
): Promise<GPUBuffer>;
export async function linearDequantize(
  runtime: Runtime,
  quantized: Omit<LinearQuantized, 'scheme' | 'signed'> | Omit<LinearQuantized<BufferSlice>, 'scheme'>,
): Promise<Float32Array | GPUBuffer> {
  checkRuntime(runtime);
  const { codes, shape, axis, groupSize, scale, zeroPoint } = quantized;
  const host = codes instanceof Int8Array || codes instanceof Uint8Array ? codes : null;
  const count = host ? host.length : product(shape ?? []);
  if (!host) {
    check(
      typeof codes === 'object' && codes !== null && ('usage' in codes || 'buffer' in codes),
      'codes must be an Int8Array or a Uint8Array, or a buffer of them on the GPU',
      codes,
    );
    checkSlice('codes', codes as BufferSlice, gpuBytes('int8', count), `one a byte, ${shape?.join(' x ')}`);
    check('signed' in quantized, 'codes on the GPU must say whether they are signed', 'no signed');
  }
  const granularity = resolveGranularity(count, {
    shape,
    axis: axis ?? undefined,
    groupSize: groupSize ?? undefined,
  });
  if (!host) checkTogether(granularity);
  const { axisSize, axisStride } = granularity;
  const signed = host ? host instanceof Int8Array : (quantized as LinearQuantized<BufferSlice>).signed;
  const widest = signed ? { quantMin: -128, quantMax: 127 } : { quantMin: 0, quantMax: 255 };
  const qparams = checkQparams(axisSize, widest, scale, zeroPoint);

  return scopeThatLeaves(runtime, async (scope) => {
    const gathered = host && (granularity.gathered ? gatherGroups(granularity, host) : host);
    const length = gathered?.length ?? count;
    const input = gathered ? scope.upload(gathered, 'codes') : (codes as BufferSlice);
    const kernel = await dequantizeLinearKernel.create(runtime.device, { SIGNED: signed ? 1 : 0 });
    const output = host ? scope.empty(length * 4, 'values') : scope.leave(length * 4, 'values');
    const buffers = { input, ...uploadQparams(scope, qparams), output };
    runtime.submit([scope.keep(kernel.bind(buffers, { count: length, axisSize, axisStride }))]);
    if (!host) return output;
    const values = new Float32Array(await runtime.read(output, length * 4));
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

/** Groups that the host would gather for the kernels. */
function checkTogether({ gathered, axis, groupSize, shape }: Granularity): void {
  check(
    !gathered,
    'groups of values on the GPU must lie together: along the last axis, in whole groups',
    `groupSize ${groupSize} along axis ${axis} of ${shape.join(' x ')}`,
    'pass the values on the host, or move the axis to the end',
  );
}

/** A NaN or an infinity among the values is one of a range's ends. */
function checkRanges(minimum: Float32Array, maximum: Float32Array): void {
  const segment = minimum.findIndex((low, i) => !Number.isFinite(low) || !Number.isFinite(maximum[i]));
  check(
    segment < 0,
    'weights must be finite',
    `from ${minimum[segment]} to ${maximum[segment]} in segment ${segment}`,
    'replace them before quantizing',
  );
}

/** Smallest and largest value of every segment of `input`, in one pass or, where segments are few and long, two. */
async function ranges(
  runtime: Runtime,
  scope: Scope,
  input: BufferSlice,
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
  const reduce = (source: BufferSlice, params: Parameters<typeof kernel.bind>[1]) => {
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

const product = (sizes: readonly number[]) => sizes.reduce((total, size) => total * size, 1);
