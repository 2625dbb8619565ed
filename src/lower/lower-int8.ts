import { checkAccumulator, foldZeroPoint } from '../conv/accumulator.ts';
import {
  chooseInt8,
  type Int8Buffer,
  int8Dispatches,
  packWeights,
  partialBytes,
} from '../conv/kernel-choice.ts';
import { prepareMultipliers, type RequantizeRule } from '../conv/requantize.ts';
import { containerBits } from '../conv/weight-layout.ts';
import type { Specialization } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';
import type { ActivationQparams, LinearLayer } from '../model/quantized-model.ts';
import { roundHalfToEven } from '../reference/round.ts';
import { type ConvLayer } from './fuse.ts';
import { fitCodes } from './layer-codes.ts';
import { codeBounds, floatBoundWords, type LowerOptions, type Operand, type Step, vectors } from './lower.ts';
import { convGeometry, convMacs, layoutFor, padded, weightShape } from './lower-conv.ts';

/** Where a convolution of integers reads and writes, and in which steps. */
export interface IntegerPlaces {
  input: Operand;
  output: Operand;
  inputQparams: ActivationQparams;
  /** null of an output that is left in floats, rows of as many as there are channels. */
  outputQparams: ActivationQparams | null;
}

/** Lowers a convolution of integers: one dispatch, or two where the sum is split among workgroups. */
export function int8ConvSteps(
  runtime: Runtime,
  layer: ConvLayer,
  coded: LinearLayer,
  { requantize, rule }: { requantize: RequantizeRule; rule: string },
  places: IntegerPlaces,
  { kernels, choose }: LowerOptions,
): Step[] {
  const { inputQparams: input, outputQparams } = places;
  const float = outputQparams === null;
  const weights = fitCodes(coded, layer, input);
  const geometry = convGeometry(layer);
  const choice =
    choose?.int8(layer) ??
    chooseInt8(runtime, geometry.pixelCount, weightShape(layer), kernels, { plane: geometry });
  const { codes, layout } = layoutFor(layer, weights.codes, choice.tileVectors);
  const bits = containerBits(weights.bits);
  const output = outputQparams ?? { scale: 1, zeroPoint: 0 };
  const bias = integerBias(layer, weights, input);
  const zeroByte = input.zeroPoint & 255;
  const specialization: Specialization = {
    OUTPUT: float ? '2u' : '0u',
    WEIGHT_BITS: `${bits}u`,
    // Floats are not requantized: one pipeline serves every rule.
    REQUANTIZE: float ? '0u' : rule,
  };
  const channels = layout.tileCount * layout.tileChannels;
  const operands: Record<Int8Buffer, Operand> = {
    input: places.input,
    weights: {
      constant: packWeights(choice, codes as Int8Array, layout, bits),
      label: `${layer.name}.weight`,
    },
    bias: { constant: padded(bias, layout), label: `${layer.name}.bias` },
    multipliers: {
      constant: float
        ? logitScales(weights.scale, input.scale, channels)
        : multipliers(requantize, weights, input.scale, output.scale, channels),
      label: `${layer.name}.multipliers`,
    },
    output: places.output,
    partial: {
      tensor: `${layer.name}.partial`,
      byteLength: partialBytes(choice, geometry.pixelCount, layout.tileCount),
    },
  };
  const dispatches = int8Dispatches(choice, specialization, {
    ...geometry,
    inputWords: vectors(layer.inputShape),
    outputWords: float ? layer.outputShape.channels : vectors(layer.outputShape),
    groupWords: Math.ceil(layout.paddedChannels / 4),
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
    macs: index === 0 ? convMacs(layer) : 0,
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
  requantize: RequantizeRule,
  weights: LinearLayer,
  inputScale: number,
  outputScale: number,
  length: number,
): Uint32Array {
  const words = new Uint32Array(length * 2);
  words.set(prepareMultipliers(requantize, inputScale, weights.scale, outputScale));
  return words;
}

function logitScales(weightScales: Float32Array, inputScale: number, length: number): Uint32Array {
  const words = new Uint32Array(length * 2);
  const floats = new Float32Array(words.buffer);
  for (const [c, scale] of weightScales.entries())
    floats[c * 2] = Math.fround(Math.fround(inputScale) * scale);
  return words;
}
