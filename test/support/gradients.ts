import { expect } from 'vitest';
import type { Call } from '../../src/gpu/call.ts';
import type { Specialization } from '../../src/gpu/kernel.ts';
import type { Runtime } from '../../src/gpu/runtime.ts';
import { forEachProduct } from '../../src/reference/conv2d-input-gradient.ts';
import { type ConvGeometry, convOutput } from '../../src/reference/conv2d-int8.ts';
import type { seeded } from './runtime.ts';

/** |actual - expected| / |expected| over all elements. */
export function relativeL2(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  let [error, norm] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    error += (actual[i] - expected[i]) ** 2;
    norm += expected[i] ** 2;
  }
  return norm === 0 ? Math.sqrt(error) : Math.sqrt(error / norm);
}

/** Rows of channels padded with zeros to a multiple of 4. */
export function padChannels(values: ArrayLike<number>, channels: number): Float32Array {
  const padded = Math.ceil(channels / 4) * 4;
  const result = new Float32Array((values.length / channels) * padded);
  for (let i = 0; i < values.length; i++) {
    result[Math.floor(i / channels) * padded + (i % channels)] = values[i];
  }
  return result;
}

/** The inverse of `padChannels`; a padded lane that is not zero fails. */
export function stripChannels(values: ArrayLike<number>, channels: number): Float32Array {
  const padded = Math.ceil(channels / 4) * 4;
  const result = new Float32Array((values.length / padded) * channels);
  for (let i = 0; i < values.length; i++) {
    const c = i % padded;
    if (c < channels) result[Math.floor(i / padded) * channels + c] = values[i];
    else if (values[i] !== 0)
      throw new Error(`padded lane ${c} of row ${Math.floor(i / padded)} is ${values[i]}`);
  }
  return result;
}

/** df/dx[i] by central differences in float64. */
export function centralDifferences(
  f: (x: Float64Array) => number,
  at: ArrayLike<number>,
  step = 1e-5,
): Float64Array {
  const x = Float64Array.from(at);
  return Float64Array.from(x, (value, i) => {
    x[i] = value + step;
    const up = f(x);
    x[i] = value - step;
    const down = f(x);
    x[i] = value;
    return (up - down) / (2 * step);
  });
}

/** Sum of products. */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** A convolution in float64. */
export function conv64(x: ArrayLike<number>, w: ArrayLike<number>, geometry: ConvGeometry): Float64Array {
  const [height, width] = convOutput(geometry);
  const result = new Float64Array(geometry.batch * height * width * geometry.outChannels);
  forEachProduct(geometry, (input, weight, output) => {
    result[output] += x[input] * w[weight];
  });
  return result;
}

/** Convolutions of random shapes, strides, dilations and uneven padding, whose window fits. */
export function randomConvs(
  random: ReturnType<typeof seeded>,
  count: number,
  channels: number,
): ConvGeometry[] {
  const found: ConvGeometry[] = [];
  while (found.length < count) {
    const geometry: ConvGeometry = {
      batch: random.integer(1, 4),
      height: random.integer(3, 11),
      width: random.integer(3, 11),
      inChannels: random.integer(1, channels),
      outChannels: random.integer(1, channels),
      kernel: [random.integer(1, 4), random.integer(1, 4)],
      strides: [random.integer(1, 3), random.integer(1, 3)],
      dilations: [random.integer(1, 2), random.integer(1, 2)],
      pads: [random.integer(0, 2), random.integer(0, 2), random.integer(0, 2), random.integer(0, 2)],
      groups: 1,
    };
    if (convOutput(geometry).every((n) => n >= 1)) found.push(geometry);
  }
  return found;
}

/** The params both convolution gradients take. */
export function convParams(geometry: ConvGeometry) {
  const [outputHeight, outputWidth] = convOutput(geometry);
  const { height, width, kernel, strides, dilations, pads } = geometry;
  return {
    inputHeight: height,
    inputWidth: width,
    outputHeight,
    outputWidth,
    outputVectors: Math.ceil(geometry.outChannels / 4),
    kernelHeight: kernel[0],
    kernelWidth: kernel[1],
    strideHeight: strides[0],
    strideWidth: strides[1],
    dilationHeight: dilations[0],
    dilationWidth: dilations[1],
    padTop: pads[0],
    padLeft: pads[1],
  };
}

interface AnyKernel {
  create(
    device: GPUDevice,
    specialization?: Specialization,
  ): Promise<{ bind(buffers: never, params: never): Call }>;
}

/** One dispatch over uploaded arrays, for kernels that change buffers in place; every buffer's floats after it. */
export async function runInPlace(
  runtime: Runtime,
  kernel: AnyKernel,
  arrays: Record<string, Float32Array>,
  params: Record<string, number>,
): Promise<Record<string, Float32Array>> {
  return runtime.scope(async ({ upload, keep }) => {
    const entries = Object.entries(arrays).map(([name, data]) => [name, upload(data, name)] as const);
    const compiled = await kernel.create(runtime.device);
    runtime.submit([keep(compiled.bind(Object.fromEntries(entries) as never, params as never))]);
    const results: Record<string, Float32Array> = {};
    for (const [name, buffer] of entries) results[name] = new Float32Array(await runtime.read(buffer));
    return results;
  });
}
