import { augmentImagesKernel } from '../../src/kernels/augment-images.ts';
import { codebookGatherKernel } from '../../src/kernels/codebook-gather.ts';
import { codebookGradientKernel } from '../../src/kernels/codebook-gradient.ts';
import { distillationLossKernel } from '../../src/kernels/distillation-loss.ts';
import { fakeQuantizeKernel } from '../../src/kernels/fake-quantize.ts';
import { fakeQuantizeGradientKernel } from '../../src/kernels/fake-quantize-gradient.ts';
import { movingAverageKernel } from '../../src/kernels/moving-average.ts';
import { observeRangeKernel } from '../../src/kernels/observe-range.ts';
import { sgdStepKernel } from '../../src/kernels/sgd-step.ts';
import { softmaxCrossEntropyKernel } from '../../src/kernels/softmax-cross-entropy.ts';
import { stepSizeGradientKernel } from '../../src/kernels/step-size-gradient.ts';
import { sumSplitsKernel } from '../../src/kernels/sum-splits.ts';
import { sumSplitsWideKernel } from '../../src/kernels/sum-splits-wide.ts';
import { augmentImages } from '../../src/reference/augment-images.ts';
import { codebookGather } from '../../src/reference/codebook-gather.ts';
import { codebookGradient } from '../../src/reference/codebook-gradient.ts';
import { distillationLoss } from '../../src/reference/distillation-loss.ts';
import { fakeQuantize } from '../../src/reference/fake-quantize.ts';
import { fakeQuantizeGradient } from '../../src/reference/fake-quantize-gradient.ts';
import { movingAverage } from '../../src/reference/moving-average.ts';
import { observeRange } from '../../src/reference/observe-range.ts';
import { sgdStep } from '../../src/reference/sgd-step.ts';
import { softmaxCrossEntropy } from '../../src/reference/softmax-cross-entropy.ts';
import { stepSizeGradient } from '../../src/reference/step-size-gradient.ts';
import { sumSplits } from '../../src/reference/sum-splits.ts';
import { seeded } from '../random.ts';
import type { BenchCase, Size } from '../types.ts';
import { type Dispatch, kernelCase, repeated } from './kernel-case.ts';

interface Sizes {
  /** Weights as channels x elements of one; a layer of the VGG has 512 x 4608. */
  weights: readonly [channels: number, row: number];
  images: number;
}

const SIZES: Record<Size, Sizes> = {
  tiny: { weights: [12, 36], images: 5 },
  quick: { weights: [128, 1152], images: 64 },
  standard: { weights: [512, 4608], images: 256 },
  gpu: { weights: [4096, 4608], images: 4096 },
};

const SMOOTHING = Math.fround(0.1);
const CLASSES = 10;
const CLUSTERS = 16;

/** What a training step does beside its convolutions and batch norms. */
export function trainingCases(size: Size): BenchCase[] {
  const { weights, images } = SIZES[size];
  const [channels, row] = weights;
  const arguments_ = `(channels=${channels},row=${row})`;
  const count = channels * row;
  return [
    kernelCase(`fake-quantize${arguments_}`, 'fp32', 1, () => rounding(weights)),
    kernelCase(`fake-quantize-gradient${arguments_}`, 'fp32', 1, () => straightThrough(weights)),
    kernelCase(`step-size-gradient${arguments_}`, 'fp32', 1, () => stepSizes(weights)),
    kernelCase(`codebook-gather(count=${count},k=${CLUSTERS})`, 'fp32', 1, () => lookups(count)),
    kernelCase(`codebook-gradient(count=${count},k=${CLUSTERS})`, 'fp32', 1, () => centroids(count)),
    kernelCase(`sum-splits(count=${count},splits=4)`, 'fp32', 1, () => splitSum(count, 4)),
    kernelCase('sum-splits-wide(count=512,splits=1000)', 'fp32', 1, () => ({
      ...splitSum(512, 1000),
      kernel: sumSplitsWideKernel,
    })),
    kernelCase(`sgd-step(count=${count})`, 'fp32', 1, () => descent(count)),
    kernelCase(`moving-average(count=${count})`, 'fp32', 1, () => averaging(count)),
    kernelCase('observe-range', 'fp32', 1, observing),
    kernelCase(`softmax-cross-entropy(N=${images})`, 'fp32', images, () => loss(images)),
    kernelCase(`distillation-loss(N=${images})`, 'fp32', images, () => distillation(images)),
    kernelCase(`augment-images(N=${images})`, 'fp32', images, () => augmentation(images)),
  ];
}

const floats = (seed: number, count: number, scale = 1) =>
  repeated((n) => seeded(seed).floats(n, scale), count);

/** 4-bit weights, a power of two a channel: a division that rounds nowhere, so that no code hangs on its last bit. */
function rounded([channels, row]: Sizes['weights']) {
  const layout = { block: row, lanes: 1, quantMin: -8, quantMax: 7 };
  const qparams = Float32Array.from({ length: channels * 2 }, (_, i) => (i % 2 ? 0 : 2 ** -(1 + (i % 3))));
  return {
    layout,
    input: floats(60, channels * row),
    gradient: floats(61, channels * row),
    qparams,
    params: { count: channels * row, ...layout },
  };
}

function rounding(weights: Sizes['weights']): Dispatch {
  const { input, qparams, params, layout } = rounded(weights);
  return {
    kernel: fakeQuantizeKernel,
    buffers: { input, qparams, output: input.byteLength },
    params,
    of: 'output',
    near: () => fakeQuantize(input, qparams, layout),
  };
}

function straightThrough(weights: Sizes['weights']): Dispatch {
  const { input, gradient, qparams, params, layout } = rounded(weights);
  return {
    kernel: fakeQuantizeGradientKernel,
    buffers: { input, gradient, qparams, output: input.byteLength },
    params,
    of: 'output',
    near: () => fakeQuantizeGradient(input, gradient, qparams, layout),
  };
}

function stepSizes(weights: Sizes['weights']): Dispatch {
  const [channels, row] = weights;
  const { input, gradient, qparams, params, layout } = rounded(weights);
  const chunk = Math.min(256, row);
  const splits = Math.ceil(row / chunk);
  return {
    kernel: stepSizeGradientKernel,
    buffers: { input, gradient, qparams, partial: splits * channels * 8 },
    params: { ...params, chunk, gradientScale: 0.25 },
    of: 'partial',
    view: (partial) => sumSplits(partial, splits).filter((_, i) => i % 2 === 0),
    near: () => stepSizeGradient(input, gradient, qparams, layout, 0.25),
  };
}

/** Members by entry, as training sorts them: each entry's are scattered over the whole layer. */
function centroids(count: number): Dispatch {
  const codes = repeated((n) => seeded(62).bytes(n), count).map((byte) => byte % CLUSTERS);
  const values = floats(63, count);
  const offsets = new Uint32Array(CLUSTERS + 1);
  for (const code of codes) offsets[code + 1]++;
  for (let k = 0; k < CLUSTERS; k++) offsets[k + 1] += offsets[k];
  const next = offsets.slice();
  const members = new Uint32Array(count);
  for (const [i, code] of codes.entries()) members[next[code]++] = i;
  const splits = Math.max(1, Math.min(256, Math.ceil(count / CLUSTERS / 64)));
  return {
    kernel: codebookGradientKernel,
    buffers: { members, offsets, values, partial: splits * CLUSTERS * 4 },
    params: { segments: CLUSTERS, splits, mean: 0 },
    of: 'partial',
    view: (partial) => sumSplits(partial, splits),
    near: () => codebookGradient(codes, values, CLUSTERS),
  };
}

function lookups(count: number): Dispatch {
  const entries = Uint32Array.from(
    repeated((n) => seeded(74).bytes(n), count),
    (byte) => byte % CLUSTERS,
  );
  const codebook = floats(75, CLUSTERS);
  return {
    kernel: codebookGatherKernel,
    buffers: { entries, codebook, output: count * 4 },
    params: { count },
    of: 'output',
    near: () => codebookGather(entries, codebook),
  };
}

function splitSum(count: number, splits: number): Dispatch {
  const partial = floats(64, count * splits);
  return {
    kernel: sumSplitsKernel,
    buffers: { partial, output: count * 4 },
    params: { count, splits },
    of: 'output',
    near: () => sumSplits(partial, splits),
  };
}

function descent(count: number): Dispatch {
  const [weights, gradient, velocity] = [65, 66, 67].map((seed) => floats(seed, count));
  const [rate, momentum, weightDecay] = [0.05, 0.9, 5e-4].map(Math.fround);
  return {
    kernel: sgdStepKernel,
    buffers: { gradient, schedule: Float32Array.of(rate), weights, velocity },
    params: { first: 0, count, nesterov: 1, momentum, weightDecay },
    of: 'weights',
    near: () => sgdStep(weights, gradient, velocity, { rate, momentum, weightDecay, nesterov: true }).weights,
  };
}

function averaging(count: number): Dispatch {
  const [values, average] = [72, 73].map((seed) => floats(seed, count));
  const rate = Math.fround(0.1);
  return {
    kernel: movingAverageKernel,
    buffers: { schedule: Float32Array.of(rate), values, average },
    params: { count, entry: 0 },
    of: 'average',
    near: () => movingAverage(average, values, rate),
  };
}

/** One thread: what it costs is what a dispatch costs. */
function observing(): Dispatch {
  const momentum = 0.25;
  const grid = { quantMin: -128, quantMax: 127 };
  return {
    kernel: observeRangeKernel,
    buffers: {
      minimum: Float32Array.of(-1),
      maximum: Float32Array.of(7),
      range: Float32Array.of(0, 4),
      qparams: 8,
    },
    params: { momentum, ...grid },
    of: 'qparams',
    near: () => {
      const { scale, zeroPoint } = observeRange([0, 4], [-1, 7], { momentum, ...grid });
      return [scale, zeroPoint];
    },
  };
}

function loss(images: number): Dispatch {
  const stride = Math.ceil(CLASSES / 4) * 4;
  const logits = floats(68, images * stride, 3);
  const labels = Uint32Array.from(seeded(69).bytes(images), (byte) => byte % CLASSES);
  const rows = <T>(values: ArrayLike<T>) => Array.from(values).filter((_, i) => i % stride < CLASSES);
  return {
    kernel: softmaxCrossEntropyKernel,
    buffers: { logits, labels, gradient: logits.byteLength, results: images * 8 },
    params: { batch: images, classes: CLASSES, stride, smoothing: SMOOTHING },
    of: 'gradient',
    view: rows,
    near: () => softmaxCrossEntropy(rows(logits), labels, SMOOTHING).gradient,
  };
}

/** All of the loss from the teacher: what the kernel does to a gradient then does not depend on how often it ran. */
function distillation(images: number): Dispatch {
  const stride = Math.ceil(CLASSES / 4) * 4;
  const logits = floats(72, images * stride, 3);
  const teacher = floats(73, images * stride, 3);
  const rows = <T>(values: ArrayLike<T>) => Array.from(values).filter((_, i) => i % stride < CLASSES);
  return {
    kernel: distillationLossKernel,
    buffers: { logits, teacher, gradient: logits.byteLength, results: images * 8 },
    params: { batch: images, classes: CLASSES, stride, share: 1, temperature: 4 },
    of: 'gradient',
    view: rows,
    near: () => distillationLoss(rows(logits), rows(teacher), images, 4).gradient,
  };
}

/** CIFAR-10's images, cropped and mirrored by the published recipe: up to four pixels each way. */
function augmentation(images: number): Dispatch {
  const [height, width, channels] = [32, 32, 3];
  const input = repeated((n) => seeded(70).bytes(n), images * height * width * channels);
  const draws = seeded(71).bytes(images * 2);
  const placements = Array.from({ length: images }, (_, n) => ({
    down: (draws[n * 2] % 9) - 4,
    right: (draws[n * 2 + 1] % 9) - 4,
    flip: draws[n * 2] > 127,
  }));
  const words = placements.map((p) => (p.down + 128) | ((p.right + 128) << 8) | (p.flip ? 1 << 16 : 0));
  return {
    kernel: augmentImagesKernel,
    buffers: { input, placements: Uint32Array.from(words), output: images * height * width * 16 },
    params: { batch: images, height, width, channels },
    of: 'output',
    view: (output) => output.filter((_, i) => i % 4 < channels),
    near: () => augmentImages(input, placements, { height, width, channels }),
  };
}
