import type { Lanes } from '../conv/tile.ts';
import type { Specialization } from '../gpu/kernel.ts';
import { resizeChannelsKernel } from '../kernels/resize-channels.ts';
import { sumSplitsKernel } from '../kernels/sum-splits.ts';
import { tileWeightsKernel } from '../kernels/tile-weights.ts';
import {
  type ConvGeometry,
  convChoices,
  filterSplits,
  LARGEST,
  planConv,
  planFilterGradient,
  planInputGradient,
  vectorsOf,
  weightLayout,
} from '../train/geometry.ts';
import type { Recorder, TensorInfo } from './recorder.ts';
import type { Tfjs } from './share-device.ts';

/** Every variant that the functions below ask a recorder of so many lanes for. */
export const convVariants = (lanes: Lanes) => [
  ...Object.values(convChoices(lanes)).flatMap(({ kernel, specializations }) =>
    specializations.map((own: Specialization) => [kernel, own] as const),
  ),
  [resizeChannelsKernel] as const,
  [sumSplitsKernel] as const,
  [tileWeightsKernel] as const,
  [tileWeightsKernel, { BACK: '1u' }] as const,
];

/** The attributes of tfjs' convolution kernels. */
export interface ConvAttributes {
  strides: number | [number, number];
  pad: 'same' | 'valid' | number;
  dataFormat?: 'NHWC' | 'NCHW';
  dilations?: number | [number, number];
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

type Shape4D = [number, number, number, number];

/** A convolution as tfjs describes it, or null where ours has no counterpart: tfjs then runs its own. */
export function geometryOf(
  tf: Tfjs,
  inputShape: readonly number[],
  filterShape: readonly number[],
  { strides, pad, dataFormat = 'NHWC', dilations = 1, dimRoundingMode }: ConvAttributes,
): { batch: number; conv: ConvGeometry } | null {
  if (dataFormat !== 'NHWC') return null;
  const info = tf.backend_util.computeConv2DInfo(
    inputShape as Shape4D,
    filterShape as Shape4D,
    strides,
    dilations,
    pad,
    dimRoundingMode,
  );
  const { top, left, bottom, right } = info.padInfo;
  if (info.outHeight < 1 || info.outWidth < 1 || info.batchSize < 1) return null;
  return {
    batch: info.batchSize,
    conv: {
      input: { height: info.inHeight, width: info.inWidth, channels: info.inChannels },
      shape: { height: info.outHeight, width: info.outWidth, channels: info.outChannels },
      kernel: [info.filterHeight, info.filterWidth],
      strides: [info.strideHeight, info.strideWidth],
      dilations: [info.dilationHeight, info.dilationWidth],
      pads: [top, left, bottom, right],
    },
  };
}

/** `x` (NHWC) by `filter` (HWIO), with a bias of output channels and a clamp. */
export function convolve(
  recorder: Recorder,
  { batch, conv }: { batch: number; conv: ConvGeometry },
  x: TensorInfo,
  filter: TensorInfo,
  { bias, low = -LARGEST, high = LARGEST }: { bias?: TensorInfo; low?: number; high?: number } = {},
): TensorInfo {
  const { height, width, channels } = conv.shape;
  const channels4 = vectorsOf(conv.shape) * 4;
  const plan = planConv(conv, batch, recorder.lanes, low, high);
  const constant = (value: number) => recorder.scratch(channels4, new Float32Array(channels4).fill(value));
  const scale = constant(1);
  const shift = bias ? padded(recorder, bias) : constant(0);
  const sums = outputOf(recorder, [batch, height, width, channels], (output) => {
    const operands = { input: padded(recorder, x), weights: tiled(recorder, filter, conv), scale, shift };
    recorder.run(plan.kernel, { ...operands, output }, plan.params, plan.specialization);
  });
  recorder.release();
  return sums;
}

/** The gradient of a convolution by its input. */
export function inputGradient(
  recorder: Recorder,
  { batch, conv }: { batch: number; conv: ConvGeometry },
  dy: TensorInfo,
  filter: TensorInfo,
): TensorInfo {
  const { height, width, channels } = conv.input;
  const plan = planInputGradient(conv, batch, recorder.lanes);
  const result = outputOf(recorder, [batch, height, width, channels], (output) => {
    const operands = { gradient: padded(recorder, dy), weights: tiled(recorder, filter, conv) };
    recorder.run(plan.kernel, { ...operands, inputGradient: output }, plan.params, plan.specialization);
  });
  recorder.release();
  return result;
}

/** The gradient of a convolution by its filter, HWIO. */
export function filterGradient(
  recorder: Recorder,
  { batch, conv }: { batch: number; conv: ConvGeometry },
  x: TensorInfo,
  dy: TensorInfo,
): TensorInfo {
  const { kernel, params, specialization } = planFilterGradient(conv, batch, recorder.lanes);
  const { splits, length } = filterSplits(conv, batch);
  const partial = recorder.scratch(splits * length);
  const operands = { input: padded(recorder, x), gradient: padded(recorder, dy), partial };
  recorder.run(kernel, operands, params, specialization);
  const sums = recorder.scratch(length);
  recorder.run(sumSplitsKernel, { partial, output: sums }, { count: length, splits });
  const [height, width] = conv.kernel;
  const result = recorder.output([height, width, conv.input.channels, conv.shape.channels]);
  recorder.run(tileWeightsKernel, { input: sums, output: result }, filterParams(conv), { BACK: '1u' });
  recorder.release();
  return result;
}

/** A tensor's channels padded to a multiple of 4; the tensor itself where they are one. */
export function padded(recorder: Recorder, tensor: TensorInfo): TensorInfo {
  const channels = tensor.shape.at(-1)!;
  if (channels % 4 === 0) return tensor;
  const rows = tensor.shape.reduce((a, b) => a * b, 1) / channels;
  const outputChannels = vectorsOf({ channels }) * 4;
  const output = recorder.scratch(rows * outputChannels);
  recorder.run(
    resizeChannelsKernel,
    { input: tensor, output },
    { rows, inputChannels: channels, outputChannels },
  );
  return output;
}

/** A tensor that `fill` writes with padded channels. */
export function outputOf(
  recorder: Recorder,
  shape: readonly number[],
  fill: (output: TensorInfo) => void,
): TensorInfo {
  const result = recorder.output(shape);
  const channels = shape.at(-1)!;
  if (channels % 4 === 0) {
    fill(result);
    return result;
  }
  const rows = shape.reduce((a, b) => a * b, 1) / channels;
  const inputChannels = vectorsOf({ channels }) * 4;
  const whole = recorder.scratch(rows * inputChannels);
  fill(whole);
  recorder.run(
    resizeChannelsKernel,
    { input: whole, output: result },
    { rows, inputChannels, outputChannels: channels },
  );
  return result;
}

function tiled(recorder: Recorder, filter: TensorInfo, conv: ConvGeometry): TensorInfo {
  const output = recorder.scratch(weightLayout(conv).length);
  recorder.run(tileWeightsKernel, { input: filter, output }, filterParams(conv));
  return output;
}

const filterParams = ({ kernel, input, shape }: ConvGeometry) => ({
  taps: kernel[0] * kernel[1],
  inputChannels: input.channels,
  outputChannels: shape.channels,
});
