import type { RequantizeRule } from '../conv/requantize.ts';
import { check } from '../gpu/errors.ts';
import { guardOf } from '../gpu/guard.ts';
import { checkRuntime, type Runtime } from '../gpu/runtime.ts';
import type { ShapeOptions } from '../graph/graph.ts';
import { checkFlat, plainModel } from '../graph/passes/control-flow.ts';
import { checkValues } from '../lower/check-values.ts';
import { keepWeights } from '../lower/computed-weights.ts';
import { type ConvLayer, fuseAnyShape, fuseGraph, hasWeights } from '../lower/fuse.ts';
import { isImageModel, type Model } from '../model/graph.ts';
import { checkMap, checkModel } from '../model/parameters.ts';
import type {
  ActivationQparams,
  CodebookLayer,
  LinearLayer,
  QuantizedModel,
} from '../model/quantized-model.ts';
import { fitScales } from '../quantize/bias-scale.ts';
import type { ObserverMethod } from '../quantize/calibration.ts';
import { type KmeansGranularity, type KmeansInit, kmeansBatch } from '../quantize/kmeans.ts';
import { linearQuantize } from '../quantize/linear.ts';
import { chooseQparams, codeRange } from '../quantize/qparams.ts';
import { type Calibration, calibrate, calibratedShapes } from './calibrate.ts';

/** Options of {@link quantizeModel}. */
export interface QuantizeModelOptions {
  method: 'kmeans' | 'linear';
  /** 1 to 8 for k-means, 2 to 8 for linear. */
  bits: number;
  /** Bits per layer name (`backbone.conv0`), overriding `bits`; 32 leaves a layer in fp32. */
  layers?: Readonly<Record<string, number>>;
  /** k-means initialisation; `optimal` (default) is unique, so reproducible. */
  init?: KmeansInit;
  seed?: number;
  maxIterations?: number;
  /**
   * Which weights of a layer share a codebook (k-means, all of them unless given) or a scale (linear: `'perTensor'`, or
   * `{ kind: 'perAxis', axis: 0 }` unless given). Output channels are axis 0.
   */
  granularity?: KmeansGranularity;
  /**
   * What fixes the activations' ranges, the inputs' among them; `linear` needs it, or `activations`. Give images as the
   * network will be run, pixels or floats of its own range, or a list of inputs by name.
   */
  calibration?: Calibration;
  /** What the symbols of the inputs' shapes stand for, while it is calibrated; unless given, what inputs by name say. */
  shapes?: ShapeOptions;
  /** The activations' qparams of an earlier calibration of the same model, instead of images. */
  activations?: ReadonlyMap<string, ActivationQparams>;
  /**
   * How activations' ranges follow from the calibration: `minMax` (default) spans all values, `movingAverage` moves a
   * tenth of the way to each batch's range, `percentile` cuts off outliers, `mse` has the least squared error on the
   * calibration's values, `entropy` the least divergence from them.
   */
  observer?: ObserverMethod;
  /** Of observer `percentile`: how many percent of the values a range keeps; 99.999. */
  percentile?: number;
  /** How int32 becomes int8; `lab` also gives int8 logits and a truncating average pool. */
  requantize?: RequantizeRule;
  /** Ends it before the next layer or batch of images; the promise is rejected with the signal's reason. */
  signal?: AbortSignal;
}

/**
 * Quantizes every convolution and linear layer of a model.
 *
 * `kmeans` (Han et al., Deep Compression, 2016): one codebook a layer or several, biases and batch norm stay float.
 * `linear` (Jacob et al., 2018): batch norm folded, symmetric weights by a scale a channel (or one), int8 activations, int32 biases.
 *
 * @throws LloydError for bits out of range, an unknown layer name, a NaN or an infinity among the parameters or images
 *   (naming the parameter, or the image), a negative variance, missing images, a parameter that is not what the graph
 *   says (by name), or a GPU that fails in any way.
 * @example
 * const int8 = await quantizeModel(runtime, model, { method: 'linear', bits: 8, calibration: images });
 * const palette = await quantizeModel(runtime, model, { method: 'kmeans', bits: 4 });
 */
export async function quantizeModel<M extends Model>(
  runtime: Runtime,
  model: M,
  options: QuantizeModelOptions,
): Promise<QuantizedModel<M>> {
  checkRuntime(runtime);
  return guardOf(runtime.device).operation(() => quantizeLayers(runtime, model, options));
}

async function quantizeLayers<M extends Model>(
  runtime: Runtime,
  given: M,
  options: QuantizeModelOptions,
): Promise<QuantizedModel<M>> {
  const { method, bits, layers: plan = {}, requantize = 'ort-f32' } = options;
  check(method === 'kmeans' || method === 'linear', "method must be 'kmeans' or 'linear'", method);
  checkModel(given);
  const shapes = options.shapes ?? calibratedShapes(given, options.calibration);
  const own = isImageModel(given) ? given : (plainModel(given, { shapes }) as M);
  if (!isImageModel(own)) checkFlat(own.graph);
  // Weights alone don't ask for the sizes that symbols stand for.
  const fuse = method === 'kmeans' ? fuseAnyShape : fuseGraph;
  const fused = fuse(own, { shapes });
  checkValues(own, fused);
  const model = keepWeights(own, fused);
  const convs = fused.layers.filter(hasWeights);
  const names = convs.map((layer) => layer.name);
  for (const name of Object.keys(plan)) {
    check(
      names.includes(name),
      `a precision plan may name only the model's layers: ${names.join(', ')}`,
      name,
    );
  }
  const bitsOf = (name: string) => {
    const own = plan[name] ?? bits;
    const lowest = method === 'linear' ? 2 : 1;
    const full = own === 32 && name in plan;
    check(
      full || (Number.isInteger(own) && own >= lowest && own <= 8),
      `${name}: ${method} bits must be an integer from ${lowest} to 8, or 32 in a plan for fp32`,
      own,
    );
    return own;
  };
  const bitsByName = new Map(names.map((name) => [name, bitsOf(name)]));
  const common = { model, method, bits, requantize };
  if (method === 'kmeans') {
    const quantized = convs.filter(({ name }) => bitsByName.get(name) !== 32);
    const layers = new Map<string, CodebookLayer>();
    for (const width of new Set(quantized.map(({ name }) => bitsByName.get(name)!))) {
      options.signal?.throwIfAborted();
      const group = quantized.filter(({ name }) => bitsByName.get(name) === width);
      const results = await kmeansBatch(
        runtime,
        group.map(({ weight, outputShape: { channels } }) => ({
          weights: weight,
          shape: [channels, weight.length / channels],
        })),
        {
          bits: width,
          init: options.init ?? 'optimal',
          seed: options.seed,
          maxIterations: options.maxIterations,
          granularity: options.granularity,
          signal: options.signal,
        },
      );
      for (const [i, { name }] of group.entries()) {
        const { codes, codebook, groups, groupStride } = results[i];
        const grouping = groups > 1 ? { groups, groupStride } : {};
        layers.set(name, { method, bits: width, codes, codebook, ...grouping });
      }
    }
    return { ...common, layers, activations: new Map() };
  }

  check(
    options.calibration || options.activations,
    'linear quantization needs calibration images to fix the activations’ ranges',
    'no calibration',
    'pass calibration: a Uint8Array of NHWC pixels, 100 training images or more',
  );
  if (options.activations) checkMap(options.activations, 'activations');
  const activations =
    options.activations ?? (await calibrate(runtime, model, options.calibration!, options.observer, options));
  const perTensor = isPerTensor(options.granularity);
  const layers = new Map<string, LinearLayer>();
  for (const layer of convs) {
    options.signal?.throwIfAborted();
    const bits = bitsByName.get(layer.name)!;
    if (bits === 32) continue;
    const read = fused.origin(layer.input);
    const input = activations.get(read);
    check(input, 'every activation needs its scale and zero point', `none for ${read}`);
    layers.set(
      layer.name,
      await quantizeLayer(runtime, layer, { bits, input, perTensor, lab: requantize === 'lab' }),
    );
  }
  return { ...common, layers, activations };
}

/** Whether the weights of a layer share one scale. */
function isPerTensor(granularity: KmeansGranularity = { kind: 'perAxis', axis: 0 }): boolean {
  const kind = typeof granularity === 'string' ? granularity : granularity?.kind;
  const isChannel = kind === 'perAxis' && (granularity as { axis: number }).axis === 0;
  check(
    kind === 'perTensor' || isChannel,
    "linear: granularity must be 'perTensor' or { kind: 'perAxis', axis: 0 }",
    JSON.stringify(granularity),
  );
  return !isChannel;
}

/** A layer's folded weights by scales at which its biases fit; `lab` with its floor of 5e-7 under a channel's range. */
async function quantizeLayer(
  runtime: Runtime,
  layer: ConvLayer,
  {
    bits,
    input,
    perTensor,
    lab,
  }: { bits: number; input: ActivationQparams; perTensor: boolean; lab: boolean },
): Promise<LinearLayer> {
  const folded = foldedWeights(layer);
  const channels = layer.outputShape.channels;
  const options = { bits, shape: [channels, folded.length / channels], axis: 0 } as const;
  const quantize = async (scale?: Float32Array) => {
    const { codes, scale: used } = await linearQuantize(runtime, folded, { ...options, scale });
    return { method: 'linear', bits, codes: codes as Int8Array, scale: used } as const;
  };
  const own = (groups: number) => {
    return lab ? labScales(folded, groups, bits) : groups === 1 ? wholeScale(folded, bits) : undefined;
  };
  const coded = await quantize(perTensor ? new Float32Array(channels).fill(own(1)![0]) : own(channels));
  const fitted = fitScales({
    codes: coded.codes,
    scale: coded.scale,
    bias: layer.shift,
    inputScale: input.scale,
    inputZeroPoint: input.zeroPoint,
    inputRange: [-128, 127],
    keepDead: lab,
  });
  return fitted === coded.scale ? coded : quantize(fitted);
}

/** The scale that all weights of a layer share. */
function wholeScale(weights: Float32Array, bits: number): Float32Array {
  let [low, high] = [0, 0];
  for (const weight of weights) [low, high] = [Math.min(low, weight), Math.max(high, weight)];
  return chooseQparams([low], [high], codeRange({ bits })).scale;
}

/** MIT 6.5940's scales: max(|w|, 5e-7) / quantMax, a channel each. */
function labScales(weights: Float32Array, channels: number, bits: number): Float32Array {
  const row = weights.length / channels;
  return Float32Array.from({ length: channels }, (_, channel) => {
    let largest = Math.fround(5e-7);
    for (let i = channel * row; i < (channel + 1) * row; i++)
      largest = Math.max(largest, Math.abs(weights[i]));
    return largest / (2 ** (bits - 1) - 1);
  });
}

/** A convolution's weights with its folded batch norm multiplied in, OIHW. */
export function foldedWeights({ weight, scale }: ConvLayer): Float32Array {
  const row = weight.length / scale.length;
  const folded = new Float32Array(weight.length);
  for (let o = 0; o < scale.length; o++) {
    for (let i = o * row; i < (o + 1) * row; i++) folded[i] = weight[i] * scale[o];
  }
  return folded;
}
