import type { Node } from '../graph/graph.ts';
import { numbersOf } from '../graph/ops/value.ts';
import { imageOf } from '../model/images.ts';
import { type ConvFrame, imageWindows } from './conv-layers.ts';
import type { PlainLayer } from './fuse.ts';

/** A pool over one or two dimensions of floats; null of other nodes. */
export function poolLayer(frame: ConvFrame, node: Node): PlainLayer | null {
  const { graph, root } = frame;
  const { op, inputs, outputs, attributes, name } = node;
  const source = inputs[0];
  const input = source === null || source === undefined ? undefined : graph.values.get(source);
  if (input?.dtype !== 'float32' || input.data || outputs.length !== 1) return null;
  const { dims } = input;
  const outputDims = graph.values.get(outputs[0])!.dims;
  if (dims.includes(0) || outputDims.includes(0)) return null;
  if (dims.length !== 4 && (dims.length !== 3 || op.startsWith('Reduce'))) return null;
  const inputShape = imageOf(dims, 1);
  const outputShape = imageOf(outputDims, 1);
  const base = {
    name,
    inputs: [root(source!)],
    sources: [source!],
    output: outputs[0],
    batch: outputShape.batch,
    axis: 1,
    inputShapes: [inputShape],
    outputShape,
    low: -Infinity,
    high: Infinity,
  };
  if (op === 'MaxPool' || op === 'AveragePool') {
    const kernel = Array.from(attributes.kernel_shape as number[]);
    const windows = imageWindows(frame, node, kernel, Boolean(attributes.ceil_mode));
    const kind = op === 'MaxPool' ? 'maxPool' : 'averagePool';
    return { kind, ...base, ...windows, includePad: Boolean(attributes.count_include_pad) };
  }
  const kind = GLOBAL[op];
  if (!kind || (op.startsWith('Reduce') && !reducesPixels(frame, node))) return null;
  const window = [inputShape.height, inputShape.width] as const;
  const whole = { kernel: window, strides: window, dilations: [1, 1], pads: [0, 0, 0, 0] } as const;
  return { kind, ...base, ...whole, includePad: false };
}

const GLOBAL: Record<string, 'maxPool' | 'averagePool' | undefined> = {
  GlobalAveragePool: 'averagePool',
  GlobalMaxPool: 'maxPool',
  ReduceMean: 'averagePool',
  ReduceMax: 'maxPool',
};

/** A reduction over height and width of N x C x H x W that keeps them. */
function reducesPixels({ graph, axes }: ConvFrame, { inputs, attributes }: Node): boolean {
  if (attributes.keepdims === 0 || axes.get(inputs[0]!) !== 1) return false;
  const value = inputs[1] ? graph.values.get(inputs[1]) : undefined;
  const list = value?.data ? numbersOf(value) : Array.from((attributes.axes as number[] | undefined) ?? []);
  return `${list.map((axis) => (axis < 0 ? axis + 4 : axis)).sort()}` === '2,3';
}
