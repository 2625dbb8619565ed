import { check } from '../gpu/errors.ts';

export type TfjsTensor = import('@tensorflow/tfjs').Tensor;
export type Pair = readonly [number, number];
/** Top, left, bottom, right. */
export type Pads = readonly [number, number, number, number];

/** A convolution as TensorFlow has it: the filter is HWIO, or H x W x I x multiplier of a depthwise one. */
export interface TensorflowConv {
  filter: TfjsTensor;
  bias?: TfjsTensor;
  strides: Pair;
  dilations: Pair;
  /** `same`, `valid`, or what is padded on each side. */
  padding: string | Pads;
  depthwise: boolean;
}

/** TensorFlow's batch norm, along the last axis. */
export interface TensorflowNorm {
  gamma?: TfjsTensor;
  beta?: TfjsTensor;
  mean: TfjsTensor;
  variance: TfjsTensor;
  epsilon: number;
}

/** value * scale + shift, each with an entry a feature. */
export interface FlatAffine {
  scale: Float64Array;
  shift: Float64Array;
}

/** A filter from HWIO to OIHW, or from H x W x I x multiplier to that of as many groups. */
export function filterWeights(
  hwio: Float32Array,
  shape: readonly number[],
  depthwise: boolean,
): Float32Array {
  const [height, width, inner, outer] = shape;
  const perGroup = depthwise ? 1 : inner;
  const weight = new Float32Array(hwio.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let i = 0; i < inner; i++) {
        for (let o = 0; o < outer; o++) {
          const [row, column] = depthwise ? [i * outer + o, 0] : [o, i];
          weight[((row * perGroup + column) * height + y) * width + x] =
            hwio[((y * width + x) * inner + i) * outer + o];
        }
      }
    }
  }
  return weight;
}

/**
 * A dense kernel from (pixels x channels) x units to units x (channels x pixels), with the factors and summands of its
 * inputs multiplied in.
 */
export function denseWeights(
  rows: Float32Array,
  bias: Float32Array,
  { area, channels, units }: { area: number; channels: number; units: number },
  affine?: FlatAffine,
): { weight: Float32Array; bias: Float32Array } {
  const weight = new Float32Array(rows.length);
  const offsets = Float64Array.from(bias);
  for (let o = 0; o < units; o++) {
    for (let p = 0; p < area; p++) {
      for (let c = 0; c < channels; c++) {
        const input = p * channels + c;
        const own = rows[input * units + o];
        weight[(o * channels + c) * area + p] = affine ? own * affine.scale[input] : own;
        if (affine) offsets[o] += own * affine.shift[input];
      }
    }
  }
  return { weight, bias: Float32Array.from(offsets) };
}

/** 1x1 weights that put channels after `before` channels of zeros; without any, one a group. */
export function selection(channels: number, before: number, after: number): Float32Array {
  if (before === 0 && after === 0) return new Float32Array(channels).fill(1);
  const weight = new Float32Array((before + channels + after) * channels);
  for (let c = 0; c < channels; c++) weight[(before + c) * channels + c] = 1;
  return weight;
}

/** TensorFlow's padding of an image of `size`: `same` puts the odd pixel after. */
export function padsOf(
  size: Pair,
  kernel: Pair,
  strides: Pair,
  dilations: Pair,
  padding: string | Pads,
  name: string,
): Pads {
  if (typeof padding !== 'string') return padding;
  if (padding === 'valid') return [0, 0, 0, 0];
  check(padding === 'same', `${name}: padding must be 'same' or 'valid'`, padding);
  const [[top, bottom], [left, right]] = size.map((pixels, axis) => {
    const span = (kernel[axis] - 1) * dilations[axis] + 1;
    const total = Math.max((Math.ceil(pixels / strides[axis]) - 1) * strides[axis] + span - pixels, 0);
    return [Math.floor(total / 2), Math.ceil(total / 2)];
  });
  return [top, left, bottom, right];
}

/** A tensor's values as floats, whatever it holds. */
export async function valuesOf(tensor: TfjsTensor): Promise<Float32Array> {
  const data = await tensor.data();
  return data instanceof Float32Array ? data : Float32Array.from(data as Int32Array);
}
