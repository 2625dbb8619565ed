import type { RequantizeRule } from '../conv/requantize.ts';
import type { Kernel } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { averagePool2dKernel } from '../kernels/average-pool2d.ts';
import { averagePool2dInt8Kernel } from '../kernels/average-pool2d-int8.ts';
import { maxPool2dKernel } from '../kernels/max-pool2d.ts';
import { maxPool2dInt8Kernel } from '../kernels/max-pool2d-int8.ts';
import type { ActivationQparams } from '../model/quantized-model.ts';
import type { PlainLayer } from './fuse.ts';
import { type Operand, type Step, vectors } from './lower.ts';
import { type MergeLayer, mergeInt8Steps, mergeSteps } from './lower-merge.ts';

/** Lowers an f32 layer without weights. */
export function plainSteps(layer: PlainLayer, inputs: readonly Operand[], output: Operand): Step[] {
  if (isMerge(layer)) return mergeSteps(layer, inputs, output);
  const average = layer.kind === 'averagePool';
  return [
    {
      name: layer.name,
      kernel: (average ? averagePool2dKernel : maxPool2dKernel) as unknown as Kernel,
      specialization: {},
      operands: { input: inputs[0], output },
      params: {
        ...poolGeometry(layer, 'channelVectors'),
        ...(average ? { includePad: Number(layer.includePad) } : {}),
      },
      macs: 0,
      shape: layer.outputShape,
    },
  ];
}

/** Lowers an int8 layer without weights; pooling passes scale and zero point through. */
export async function plainInt8Steps(
  runtime: Runtime,
  layer: PlainLayer,
  inputs: readonly Operand[],
  output: Operand,
  qparams: (name: string) => ActivationQparams,
  requantize: RequantizeRule,
): Promise<Step[]> {
  if (isMerge(layer)) return mergeInt8Steps(runtime, layer, inputs, output, qparams, requantize);
  const average = layer.kind === 'averagePool';
  const { zeroPoint } = qparams(layer.inputs[0]);
  return [
    {
      name: layer.name,
      kernel: (average ? averagePool2dInt8Kernel : maxPool2dInt8Kernel) as unknown as Kernel,
      specialization: average ? { ROUNDING: requantize === 'lab' ? 1 : 0 } : {},
      operands: { input: inputs[0], output },
      params: {
        ...poolGeometry(layer, 'channelWords'),
        ...(average ? { includePad: Number(layer.includePad), zeroPoint } : {}),
      },
      macs: 0,
      shape: layer.outputShape,
    },
  ];
}

const isMerge = (layer: PlainLayer): layer is MergeLayer => layer.kind === 'add' || layer.kind === 'concat';

function poolGeometry(layer: PlainLayer, channels: 'channelVectors' | 'channelWords') {
  const [input] = layer.inputShapes;
  const [top, left, bottom, right] = layer.pads;
  const common = {
    batch: layer.batch,
    height: input.height,
    width: input.width,
    [channels]: vectors(input),
    outputHeight: layer.outputShape.height,
    outputWidth: layer.outputShape.width,
    kernelHeight: layer.kernel[0],
    kernelWidth: layer.kernel[1],
    strideHeight: layer.strides[0],
    strideWidth: layer.strides[1],
    dilationHeight: layer.dilations[0],
    dilationWidth: layer.dilations[1],
    padTop: top,
    padLeft: left,
  };
  return layer.kind === 'averagePool' ? { ...common, padBottom: bottom, padRight: right } : common;
}
