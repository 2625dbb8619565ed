import { tensorCores } from '../../src/conv/tensor-cores.ts';
import type { Tensor } from '../../src/gpu/tensor.ts';
import { decodeCodebook } from '../../src/lower/layer-codes.ts';
import type { LowerOptions } from '../../src/lower/lower.ts';
import { lowerModel } from '../../src/lower/lower-model.ts';
import type { ImageModel, ImageNode, Model } from '../../src/model/graph.ts';
import type { CodebookLayer, QuantizedModel } from '../../src/model/quantized-model.ts';
import { conv2d } from '../../src/reference/conv2d.ts';
import { type ConvGeometry, conv2dAccumulators } from '../../src/reference/conv2d-int8.ts';
import { requantizeReference } from '../../src/reference/requantize.ts';
import { buildExecutor } from '../../src/run/executor.ts';
import { PIXELS } from '../../src/run/image-values.ts';
import { tuneKernels } from '../../src/run/tune.ts';
import { seeded } from '../random.ts';
import type { BenchCase, BenchContext, ConvCase, Opened } from '../types.ts';
import { Unavailable } from '../unavailable.ts';
import { timedCalls } from './timed.ts';
import { TUNED } from './vgg.ts';

/** One convolution (`same` padding, stride 1) or linear layer over a batch of N images of H x H x C. */
export interface LayerCase extends ConvCase {
  kind: 'conv2d' | 'linear';
  name: string;
}

type LayerPrecision = 'fp32' | 'kmeans-4' | 'int8' | 'int4';

/** Pixels enter as their own codes; scales are chosen so that seeded weights use most of the output's. */
const INPUT = PIXELS;
const WEIGHT_SCALE = 1 / 64;
const LAYER = 'layer';

/** A layer as a model's session runs it: lowered, tiled and bound by the same code. */
export function layerCase(
  layer: LayerCase,
  precisions: readonly LayerPrecision[],
  lower: LowerOptions = {},
): BenchCase {
  return {
    name: layer.name,
    subjects: precisions.map((precision) => ({
      implementation: 'lloyd',
      precision,
      batch: layer.N,
      open: (context) => openLayer(context, layer, precision, lower),
    })),
  };
}

async function openLayer(
  { runtime, tune }: BenchContext,
  layer: LayerCase,
  precision: LayerPrecision,
  lower: LowerOptions,
): Promise<Opened> {
  const { N, H, C, O, K } = layer;
  if (lower.kernels === 'tensor') {
    const { reason } = await tensorCores(runtime);
    if (reason !== null) throw new Unavailable(`there are no tensor cores: ${reason}`);
  }
  if (lower.float16 && !runtime.device.features.has('shader-f16')) {
    throw new Unavailable('there is no f16: the device lacks shader-f16');
  }
  const pixels = seeded(N + H + C).bytes(N * H * H * C);
  const { model, quantized } = layerModel(layer, precision);
  const integer = quantized !== null;
  const choose = tune && (await tuneKernels(runtime, quantized ?? model, N, tune, lower.kernels));
  const lowered = await lowerModel(runtime, quantized ?? withCodebook(layer, precision, model), N, {
    choose,
    ...lower,
  });
  const step = lowered.steps.findLast(({ name }) => name === LAYER)!;
  const { output } = step.operands;
  if (!('tensor' in output)) throw new Error(`${layer.name}: its output is not an activation`);
  // Without its input kept, the tail's output would take its place before the timed runs read it.
  const keep = new Set(['input', output.tensor, lowered.outputs[0].operand!.tensor]);
  const executor = await buildExecutor(runtime, lowered, keep);
  const { call, data } = executor.enter(0, pixels);
  executor.write(0, data);
  runtime.submit([call!, ...executor.calls]);
  await runtime.idle();
  const own = executor.calls.filter((_, index) => lowered.steps[index].name === LAYER);
  const { stop, ...timed } = await timedCalls(runtime, own);
  const operations = 2 * N * H * H * K * K * C * O;
  const { buffer } = executor.arena.buffer(output);
  return {
    ...timed,
    ...(tune && { note: TUNED }),
    work: { amount: operations, unit: integer ? 'GOP/s' : 'GFLOP/s' },
    bound: { ceiling: integer ? 'int8Gops' : 'f32GFlops', amount: operations },
    ...(integer
      ? {
          output: () => runtime.read(buffer, output.byteLength),
          expected: () => expectedCodes(layer, quantized, pixels),
        }
      : {
          floats: async () => ({
            actual: new Float32Array(await runtime.read(buffer, output.byteLength)),
            expected: expectedFloats(layer, precision, model, pixels),
          }),
        }),
    close() {
      stop();
      executor.destroy();
    },
  };
}

function layerModel(
  layer: LayerCase,
  precision: LayerPrecision,
): { model: ImageModel; quantized: QuantizedModel | null } {
  const { kind, N, H, C, O, K } = layer;
  const before = (K - 1) >> 1;
  const node: ImageNode =
    kind === 'linear'
      ? { op: 'linear', name: LAYER, inputs: ['input'], outFeatures: O }
      : {
          op: 'conv2d',
          name: LAYER,
          inputs: ['input'],
          kernel: [K, K],
          outChannels: O,
          pads: [before, before, K - 1 - before, K - 1 - before],
        };
  // The last layer's int32 sums become float logits; with a (1x1, untimed) pool after it the layer requantizes, as
  // every convolution but the classifier does.
  const tail: ImageNode = {
    op: 'maxPool',
    name: 'tail',
    inputs: [LAYER],
    kernel: [1, 1],
    strides: [1, 1],
  };
  const count = O * C * K * K;
  const random = seeded(O + C + K + N);
  const dims = kind === 'linear' ? [O, C] : [O, C, K, K];
  const integer = precision === 'int8' || precision === 'int4';
  const weight: Tensor = {
    dtype: 'float32',
    dims,
    data: integer ? new Float32Array(count) : random.floats(count, 0.1),
  };
  const model: ImageModel = {
    graph: {
      name: layer.name,
      input: { name: 'input', height: H, width: H, channels: C },
      nodes: integer ? [node, tail] : [node],
      output: integer ? 'tail' : LAYER,
    },
    parameters: new Map([
      [`${LAYER}.weight`, weight],
      [`${LAYER}.bias`, { dtype: 'float32', dims: [O], data: new Float32Array(O) }],
    ]),
  };
  if (!integer) return { model, quantized: null };
  const bits = precision === 'int8' ? 8 : 4;
  const codes = random.int8s(count).map((code) => code >> (8 - bits));
  const scale = new Float32Array(O).fill(WEIGHT_SCALE * 2 ** (8 - bits));
  const outputScale = Math.fround(Math.sqrt(C * K * K) * INPUT.scale * 4.5);
  const quantized: QuantizedModel = {
    model,
    method: 'linear',
    bits,
    requantize: 'ort-f32',
    layers: new Map([[LAYER, { method: 'linear', bits, codes, scale }]]),
    activations: new Map([
      ['input', INPUT],
      [LAYER, { scale: outputScale, zeroPoint: -5 }],
      ['tail', { scale: outputScale, zeroPoint: -5 }],
    ]),
  };
  return { model, quantized };
}

function codebookOf({ O, C, K, N }: LayerCase, precision: LayerPrecision): Map<string, CodebookLayer> {
  if (precision !== 'kmeans-4') return new Map();
  const random = seeded(O + C + K + N);
  const codebook = random.floats(16, 0.1).sort();
  const codes = random.bytes(O * C * K * K).map((byte) => byte >> 4);
  return new Map([[LAYER, { method: 'kmeans', bits: 4, codes, codebook }]]);
}

function withCodebook(
  layer: LayerCase,
  precision: LayerPrecision,
  model: ImageModel,
): Model | QuantizedModel {
  const layers = codebookOf(layer, precision);
  if (layers.size === 0) return model;
  return { model, method: 'kmeans', bits: 4, requantize: 'ort-f32', layers, activations: new Map() };
}

/** The CPU twin's bytes: NHWC codes, channels padded to whole words with what their zero bias gives. */
function expectedCodes(layer: LayerCase, quantized: QuantizedModel, pixels: Uint8Array): Int8Array {
  const weights = quantized.layers.get(LAYER)!;
  const { scale: outputScale, zeroPoint } = quantized.activations.get(LAYER)!;
  // A pixel enters as its code, shifted to int8.
  const input = Int8Array.from(pixels, (pixel) => pixel - 128);
  const accumulators = conv2dAccumulators(
    input,
    weights.codes as Int8Array,
    new Int32Array(layer.O),
    INPUT.zeroPoint,
    geometryOf(layer),
  );
  const weightScale = WEIGHT_SCALE * 2 ** (8 - quantized.bits);
  const settings = { inputScale: INPUT.scale, weightScale, outputScale, zeroPoint, low: -128, high: 127 };
  return Int8Array.from(accumulators, (sum) => requantizeReference('ort-f32', sum, settings));
}

/** The CPU twin's values: pixels enter as floats from 0 to 1. */
function expectedFloats(
  layer: LayerCase,
  precision: LayerPrecision,
  model: ImageModel,
  pixels: Uint8Array,
): Float32Array {
  const clustered = codebookOf(layer, precision).get(LAYER);
  const weights = clustered
    ? decodeCodebook(clustered)
    : (model.parameters.get(`${LAYER}.weight`)!.data as Float32Array);
  return conv2d(
    Float32Array.from(pixels, (pixel) => pixel / 255),
    weights,
    new Float32Array(layer.O).fill(1),
    new Float32Array(layer.O),
    [-Infinity, Infinity],
    geometryOf(layer),
  );
}

function geometryOf({ kind, N, H, C, O, K }: LayerCase): ConvGeometry {
  const before = kind === 'linear' ? 0 : (K - 1) >> 1;
  const after = kind === 'linear' ? 0 : K - 1 - before;
  return {
    batch: N,
    height: H,
    width: H,
    inChannels: C,
    outChannels: O,
    kernel: [K, K],
    strides: [1, 1],
    dilations: [1, 1],
    pads: [before, before, after, after],
    groups: 1,
  };
}
