import { check } from '../gpu/errors.ts';
import type { Kernel, Specialization } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { loadImageKernel } from '../kernels/load-image.ts';
import { checkAccumulator, foldZeroPoint } from '../quantize/accumulator.ts';
import {
  chooseInt8,
  type Int8Buffer,
  int8Dispatches,
  packWeights,
  partialBytes,
  prepareKernels,
} from '../quantize/kernel-choice.ts';
import { prepareMultipliers, requantizeConstant } from '../quantize/requantize.ts';
import { containerBits } from '../quantize/weight-layout.ts';
import { roundHalfToEven } from '../reference/round.ts';
import { type ConvLayer, fuseGraph } from './fuse.ts';
import type { ImageShape } from './graph.ts';
import { affineCodes, fitCodes } from './layer-codes.ts';
import {
  codeBounds,
  floatBoundWords,
  type LoweredModel,
  type LowerOptions,
  type Operand,
  pixels,
  type Step,
  vectors,
} from './lower.ts';
import { convGeometry, convMacs, layoutFor, padded, weightShape } from './lower-conv.ts';
import { plainInt8Steps } from './lower-plain.ts';
import type { ActivationQparams, LinearLayer, QuantizedModel } from './precision.ts';

/** Lowers a linearly quantized model to integer-only dispatches. */
export async function lowerInt8(
  runtime: Runtime,
  quantized: QuantizedModel,
  batch: number,
  options: LowerOptions = {},
): Promise<LoweredModel> {
  const { model, requantize } = quantized;
  const { only } = options;
  const layers = fuseGraph(model);
  const { input } = model.graph;
  const shapes = new Map<string, ImageShape>([[input.name, input]]);
  for (const layer of layers) shapes.set(layer.output, layer.outputShape);
  const bytes = (shape: ImageShape) => batch * pixels(shape) * vectors(shape) * 4;
  const tensor = (name: string): Operand => ({ tensor: name, byteLength: bytes(shapes.get(name)!) });
  const qparams = (name: string): ActivationQparams => {
    const found = quantized.activations.get(name);
    check(found, `${model.graph.name}: every activation needs its scale and zero point`, `none for ${name}`);
    return found;
  };
  await prepareKernels(runtime, options.kernels);
  const rule = await requantizeConstant(runtime, requantize);
  const last = layers.at(-1)!;
  const steps: Step[] = [];
  for (const layer of layers) {
    if (only !== undefined && layer.name !== only) continue;
    if (layer.kind === 'conv2d') {
      // The classifier's accumulators become float logits: int8 ones tie in argmax. The lab keeps them int8.
      const float = layer === last && requantize !== 'lab';
      steps.push(...convSteps(runtime, quantized, layer, float, rule, qparams, tensor, batch, options));
    } else {
      steps.push(...(await plainInt8Steps(runtime, layer, tensor, qparams, requantize, batch)));
    }
  }
  const float = last.kind === 'conv2d' && requantize !== 'lab';
  const out = float ? { scale: 1, zeroPoint: 0 } : qparams(last.output);
  return {
    batch,
    inputs: {
      uint8: {
        name: input.name,
        kernel: loadImageKernel as unknown as Kernel,
        specialization: { FORMAT: '0u' },
        operands: {
          input: { tensor: 'images', byteLength: batch * pixels(input) * input.channels },
          output: tensor(input.name),
        },
        params: { pixelCount: batch * pixels(input), channels: input.channels, vectors: vectors(input) },
        macs: 0,
        shape: input,
      },
      float32: null,
      qparams: qparams(input.name),
    },
    steps,
    logits: {
      tensor: last.output,
      pixels: pixels(last.outputShape),
      channels: last.outputShape.channels,
      stride: float ? last.outputShape.channels : vectors(last.outputShape) * 4,
      dtype: float ? 'float32' : 'int8',
      ...out,
    },
  };
}

/** One dispatch, or two where the sum is split among workgroups. */
function convSteps(
  runtime: Runtime,
  quantized: QuantizedModel,
  layer: ConvLayer,
  float: boolean,
  rule: string,
  qparams: (name: string) => ActivationQparams,
  tensor: (name: string) => Operand,
  batch: number,
  { kernels, choose }: LowerOptions,
): Step[] {
  const coded = layer.affine ? affineCodes(layer) : quantized.layers.get(layer.name);
  check(
    coded?.method === 'linear',
    `${layer.name}: an integer-only model has linear weights in every layer`,
    coded?.method,
  );
  const input = qparams(layer.input);
  const weights = fitCodes(coded, layer, input);
  const geometry = convGeometry(layer, batch);
  const choice =
    choose?.int8(layer) ??
    chooseInt8(runtime, geometry.pixelCount, weightShape(layer), kernels, { plane: geometry });
  const { codes, layout } = layoutFor(layer, weights.codes, choice.tileVectors);
  const bits = containerBits(weights.bits);
  const output = float ? { scale: 1, zeroPoint: 0 } : qparams(layer.output);
  const bias = integerBias(layer, weights, input);
  const zeroByte = input.zeroPoint & 255;
  const specialization: Specialization = {
    POOL: layer.pool ? '1u' : '0u',
    OUTPUT: float ? '2u' : '0u',
    WEIGHT_BITS: `${bits}u`,
    // Floats are not requantized: one pipeline serves every rule.
    REQUANTIZE: float ? '0u' : rule,
  };
  const channels = layout.tileCount * layout.tileChannels;
  const operands: Record<Int8Buffer, Operand> = {
    input: tensor(layer.input),
    weights: {
      constant: packWeights(choice, codes as Int8Array, layout, bits),
      label: `${layer.name}.weight`,
    },
    bias: { constant: padded(bias, layout), label: `${layer.name}.bias` },
    multipliers: {
      constant: float
        ? logitScales(weights.scale, input.scale, channels)
        : multipliers(quantized, weights, input.scale, output.scale, channels),
      label: `${layer.name}.multipliers`,
    },
    output: float
      ? {
          tensor: layer.output,
          byteLength: batch * pixels(layer.outputShape) * layer.outputShape.channels * 4,
        }
      : tensor(layer.output),
    partial: {
      tensor: `${layer.name}.partial`,
      byteLength: partialBytes(choice, geometry.pixelCount, layout.tileCount),
    },
  };
  const dispatches = int8Dispatches(choice, specialization, {
    ...geometry,
    inputWords: vectors(layer.inputShape),
    outputWords: float ? layer.outputShape.channels : vectors(layer.outputShape),
    groupWords: layout.paddedChannels / 4,
    groupTiles: layout.groupTiles,
    tileCount: layout.tileCount,
    padWord: (zeroByte * 0x01010101) >>> 0,
    zeroPoint: output.zeroPoint,
    ...(float ? floatBoundWords(layer) : codeBounds(layer, output)),
  });
  return dispatches.map(({ buffers, ...dispatch }, index) => ({
    ...dispatch,
    name: layer.name,
    operands: Object.fromEntries(Object.entries(buffers).map(([binding, role]) => [binding, operands[role]])),
    macs: index === 0 ? convMacs(layer, batch) : 0,
    shape: layer.outputShape,
  }));
}

/** round(shift / (inputScale * weightScale)) with the input's zero point folded in; checked to fit int32. */
function integerBias(
  layer: ConvLayer,
  { codes, scale, bits }: LinearLayer,
  input: ActivationQparams,
): Int32Array {
  const bias = Array.from(layer.shift, (shift, channel) =>
    roundHalfToEven(shift / Math.fround(Math.fround(input.scale) * scale[channel])),
  );
  checkAccumulator(layer.name, {
    weights: codes,
    channels: bias.length,
    inputRange: [-128, 127],
    inputZeroPoint: input.zeroPoint,
    bias,
    spread: 2 ** (8 - containerBits(bits)),
  });
  return foldZeroPoint(codes, bias, input.zeroPoint);
}

function multipliers(
  quantized: QuantizedModel,
  weights: LinearLayer,
  inputScale: number,
  outputScale: number,
  length: number,
): Uint32Array {
  const words = new Uint32Array(length * 2);
  words.set(prepareMultipliers(quantized.requantize, inputScale, weights.scale, outputScale));
  return words;
}

function logitScales(weightScales: Float32Array, inputScale: number, length: number): Uint32Array {
  const words = new Uint32Array(length * 2);
  const floats = new Float32Array(words.buffer);
  for (const [c, scale] of weightScales.entries())
    floats[c * 2] = Math.fround(Math.fround(inputScale) * scale);
  return words;
}
