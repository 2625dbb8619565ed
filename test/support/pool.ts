import type { AveragePoolShape, PoolShape } from '../../src/reference/pool-windows.ts';
import { seeded } from './runtime.ts';

const base = { batch: 2, channels: 8, dilationHeight: 1, dilationWidth: 1, padTop: 0, padLeft: 0 };

/** Pooling shapes: overlap, padding, dilation, uneven sizes, one cell, one workgroup less, exact and more. */
export const POOL_SHAPES: Record<string, Required<PoolShape>> = {
  '2x2 stride 2': {
    ...base,
    height: 8,
    width: 8,
    kernelHeight: 2,
    kernelWidth: 2,
    strideHeight: 2,
    strideWidth: 2,
    outputHeight: 4,
    outputWidth: 4,
  },
  '3x3 stride 2 padded': {
    ...base,
    height: 7,
    width: 9,
    kernelHeight: 3,
    kernelWidth: 3,
    strideHeight: 2,
    strideWidth: 2,
    padTop: 1,
    padLeft: 1,
    outputHeight: 4,
    outputWidth: 5,
  },
  '3x2 stride 1x3': {
    ...base,
    channels: 12,
    height: 6,
    width: 11,
    kernelHeight: 3,
    kernelWidth: 2,
    strideHeight: 1,
    strideWidth: 3,
    outputHeight: 4,
    outputWidth: 4,
  },
  '3x3 dilated': {
    ...base,
    batch: 1,
    height: 9,
    width: 9,
    kernelHeight: 3,
    kernelWidth: 3,
    strideHeight: 1,
    strideWidth: 1,
    dilationHeight: 2,
    dilationWidth: 3,
    padTop: 2,
    padLeft: 3,
    outputHeight: 9,
    outputWidth: 9,
  },
  'ceil mode': {
    ...base,
    height: 6,
    width: 6,
    kernelHeight: 3,
    kernelWidth: 3,
    strideHeight: 2,
    strideWidth: 2,
    outputHeight: 3,
    outputWidth: 3,
  },
  'windows outside the image': {
    ...base,
    height: 2,
    width: 2,
    kernelHeight: 1,
    kernelWidth: 1,
    strideHeight: 2,
    strideWidth: 2,
    padTop: 2,
    padLeft: 2,
    outputHeight: 3,
    outputWidth: 3,
  },
  '5x5 global': {
    ...base,
    batch: 3,
    channels: 36,
    height: 5,
    width: 5,
    kernelHeight: 5,
    kernelWidth: 5,
    strideHeight: 1,
    strideWidth: 1,
    outputHeight: 1,
    outputWidth: 1,
  },
  '1x1, 63 words': {
    ...base,
    batch: 1,
    channels: 252,
    height: 1,
    width: 1,
    kernelHeight: 1,
    kernelWidth: 1,
    strideHeight: 1,
    strideWidth: 1,
    outputHeight: 1,
    outputWidth: 1,
  },
  '1x1, 64 words': {
    ...base,
    batch: 1,
    channels: 256,
    height: 1,
    width: 1,
    kernelHeight: 1,
    kernelWidth: 1,
    strideHeight: 1,
    strideWidth: 1,
    outputHeight: 1,
    outputWidth: 1,
  },
  '1x1, 65 words': {
    ...base,
    batch: 1,
    channels: 260,
    height: 1,
    width: 1,
    kernelHeight: 1,
    kernelWidth: 1,
    strideHeight: 1,
    strideWidth: 1,
    outputHeight: 1,
    outputWidth: 1,
  },
};

/** More than 65,535 workgroups of 32 threads. */
export const HUGE_POOL: PoolShape = {
  ...base,
  batch: 1,
  channels: 4,
  height: 1025,
  width: 2048,
  kernelHeight: 1,
  kernelWidth: 1,
  strideHeight: 1,
  strideWidth: 1,
  outputHeight: 1025,
  outputWidth: 2048,
};

/** The same shape with padding that ends where the last window does, or one cell before it. */
export function withPadding(shape: PoolShape, includePad: boolean): AveragePoolShape {
  const reach = (outputs: number, stride: number, kernel: number, dilation: number) =>
    (outputs - 1) * stride + (kernel - 1) * dilation + 1;
  const { padTop, padLeft, height, width } = shape;
  const bottom =
    reach(shape.outputHeight, shape.strideHeight, shape.kernelHeight, shape.dilationHeight) - padTop - height;
  const right =
    reach(shape.outputWidth, shape.strideWidth, shape.kernelWidth, shape.dilationWidth) - padLeft - width;
  return { ...shape, includePad, padBottom: Math.max(0, bottom - 1), padRight: Math.max(0, right) };
}

export const inputLength = ({ batch, height, width, channels }: PoolShape) =>
  batch * height * width * channels;
export const outputLength = ({ batch, outputHeight, outputWidth, channels }: PoolShape) =>
  batch * outputHeight * outputWidth * channels;

/** A seeded shape with windows of 1 to 3, overlapping or apart, padded by less than a window. */
export function randomPoolShape(seed: number, channels: number): PoolShape {
  const random = seeded(seed);
  const [kernelHeight, kernelWidth] = [random.integer(1, 3), random.integer(1, 3)];
  const [strideHeight, strideWidth] = [random.integer(1, 3), random.integer(1, 3)];
  const [height, width] = [random.integer(3, 9), random.integer(3, 9)];
  const [padTop, padLeft] = [random.integer(0, kernelHeight - 1), random.integer(0, kernelWidth - 1)];
  return {
    batch: random.integer(1, 3),
    height,
    width,
    channels,
    outputHeight: Math.floor((height + 2 * padTop - kernelHeight) / strideHeight) + 1,
    outputWidth: Math.floor((width + 2 * padLeft - kernelWidth) / strideWidth) + 1,
    kernelHeight,
    kernelWidth,
    strideHeight,
    strideWidth,
    dilationHeight: 1,
    dilationWidth: 1,
    padTop,
    padLeft,
  };
}
