import type { RequantizeRule } from '../conv/requantize.ts';
import type { Kernel } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { add } from '../kernels/add.ts';
import { addInt8 } from '../kernels/add-int8.ts';
import { concat } from '../kernels/concat.ts';
import { concatInt8 } from '../kernels/concat-int8.ts';
import type { ActivationQparams } from '../model/quantized-model.ts';
import { prepareAdd } from '../quantize/add.ts';
import { prepareConcat } from '../quantize/concat.ts';
import type { PlainLayer } from './fuse.ts';
import { codeBounds, type Operand, pixels, type Step, vectors } from './lower.ts';

/** A layer that joins branches. */
export type MergeLayer = PlainLayer & { kind: 'add' | 'concat' };

/** What int8 kernels read an int8 byte with: the bit to flip, and how far that moves its zero point. */
const FLIP = 128;

/** Lowers an f32 addition or concatenation. */
export function mergeSteps(layer: MergeLayer, inputs: readonly Operand[], output: Operand): Step[] {
  const { outputShape } = layer;
  const pixelCount = layer.batch * pixels(outputShape);
  const bounds = { low: layer.low, high: layer.high };
  const common = { name: layer.name, specialization: {}, macs: 0, shape: outputShape };
  if (layer.kind === 'add') {
    const [a, b] = inputs;
    const count = pixelCount * vectors(outputShape);
    return [
      {
        ...common,
        kernel: add as unknown as Kernel,
        operands: { a, b, output },
        params: { count, ...bounds },
      },
    ];
  }
  const outputStride = vectors(outputShape) * 4;
  return places(layer).map(({ at, start, channels, inputStride, last }) => ({
    ...common,
    kernel: concat as unknown as Kernel,
    operands: { input: inputs[at], output },
    params: {
      pixels: pixelCount,
      channels,
      width: last ? outputStride - start : channels,
      start,
      inputStride,
      outputStride,
      ...bounds,
    },
  }));
}

/** Lowers an int8 addition or concatenation, each input requantized to the output's scale by `rule`. */
export async function mergeInt8Steps(
  runtime: Runtime,
  layer: MergeLayer,
  inputs: readonly Operand[],
  output: Operand,
  qparams: (name: string) => ActivationQparams,
  rule: RequantizeRule,
): Promise<Step[]> {
  const { outputShape } = layer;
  const pixelCount = layer.batch * pixels(outputShape);
  const y = qparams(layer.output);
  const bounds = { zeroPoint: y.zeroPoint, ...codeBounds(layer, y) };
  const common = { name: layer.name, macs: 0, shape: outputShape };
  if (layer.kind === 'add') {
    const [a, b] = inputs;
    const [p, q] = layer.inputs.map(qparams);
    const count = pixelCount * vectors(outputShape) * 4;
    const { ADD, words } = prepareAdd(
      rule,
      [p.scale, q.scale, y.scale],
      [p.zeroPoint, q.zeroPoint, y.zeroPoint],
    );
    return [
      {
        ...common,
        kernel: addInt8 as unknown as Kernel,
        specialization: { ADD, REQUANTIZE: rule === 'tflite-single' ? '4u' : '3u' },
        operands: { a, b, output },
        params: {
          count,
          aCount: count,
          bCount: count,
          aFlip: FLIP,
          bFlip: FLIP,
          aShift: FLIP,
          bShift: FLIP,
          aZero: p.zeroPoint + FLIP,
          bZero: q.zeroPoint + FLIP,
          ...bounds,
          ...words,
        },
      },
    ];
  }
  return Promise.all(
    places(layer).map(async ({ at, start, channels, inputStride }) => {
      const own = qparams(layer.inputs[at]);
      const place = { start, length: channels };
      const { specialization, params } = await prepareConcat(runtime, rule, own.scale, y.scale, place);
      return {
        ...common,
        kernel: concatInt8 as unknown as Kernel,
        specialization,
        operands: { input: inputs[at], output },
        params: {
          rows: pixelCount,
          inputStride,
          outputWords: vectors(outputShape),
          flip: FLIP,
          zero: own.zeroPoint + FLIP,
          ...bounds,
          ...params,
        },
      };
    }),
  );
}

/** Where each input of a concatenation begins among the output's channels. */
function places(layer: MergeLayer) {
  let start = 0;
  return layer.inputs.map((_, i) => {
    const { channels } = layer.inputShapes[i];
    const place = { at: i, start, channels, inputStride: vectors(layer.inputShapes[i]) * 4 };
    start += channels;
    return { ...place, last: i === layer.inputs.length - 1 };
  });
}
