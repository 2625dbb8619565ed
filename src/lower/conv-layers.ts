import type { ConcreteGraph } from '../graph/concrete.ts';
import type { Node } from '../graph/graph.ts';
import { openNode } from '../graph/ops/node.ts';
import { type Value } from '../graph/ops/value.ts';
import { WINDOW_ATTRIBUTES, windowAttributes, windowsOf } from '../graph/ops/windows.ts';
import { imageOf } from '../model/images.ts';
import type { ConvLayer, WeightPlace } from './fuse.ts';
import { floatData, perChannel } from './patterns.ts';

/** What layers are made from. */
export interface ConvFrame {
  graph: ConcreteGraph;
  /** The graph's values, and those that lie between the layers of one node. */
  values: Map<string, Value>;
  axes: ReadonlyMap<string, number>;
  root(value: string): string;
  makers: ReadonlyMap<string, Node>;
}

const OPEN = { low: -Infinity, high: Infinity };
const POINT = { kernel: [1, 1], strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0] } as const;

/** The windows of a node over one or two spatial dimensions, as those of an image. */
export function imageWindows({ graph }: ConvFrame, node: Node, kernel: readonly number[], ceil = false) {
  const { dims } = graph.values.get(node.inputs[0]!)!;
  const inputs = node.inputs.map((name) => (name === null ? null : graph.values.get(name)!));
  const opened = openNode(
    { operator: node.op, opset: graph.opset, inputs, attributes: node.attributes },
    ['X', 'W', 'B'],
    [...WINDOW_ATTRIBUTES, 'dilations', 'group', 'ceil_mode', 'count_include_pad', 'storage_order'],
  );
  const { dilations, before, after, kernel: size } = windowsOf(opened, dims.slice(2), kernel, ceil);
  const { strides: asked } = windowAttributes(opened, kernel);
  const pair = (values: readonly number[], fill: number) =>
    (values.length === 1 ? [fill, ...values] : values) as readonly [number, number];
  return {
    kernel: pair(size, 1),
    // A stride that is never taken may be of any length: as long as its input is enough.
    strides: pair(
      asked.map((stride, i) => Math.min(stride, dims[i + 2] + before[i] + after[i])),
      1,
    ),
    dilations: pair(dilations, 1),
    pads: [...pair(before, 0), ...pair(after, 0)] as unknown as readonly [number, number, number, number],
  };
}

/** A Conv over one or two dimensions with constant weights, or a batch norm by itself; null of other nodes. */
export function convolutionLayer(frame: ConvFrame, node: Node): ConvLayer | null {
  const { graph, root } = frame;
  const [source, ...constants] = node.inputs;
  const input = graph.values.get(source ?? '');
  if (!input || input.data || !['float32', 'float16'].includes(input.dtype)) return null;
  const { dims } = input;
  const [output] = node.outputs;
  const outputDims = graph.values.get(output)!.dims;
  const outputShape = imageOf(outputDims, 1);
  if (dims.includes(0) || outputDims.includes(0)) return null;
  const base = {
    kind: 'conv2d',
    name: node.name,
    input: root(source!),
    source: source!,
    sourceAxis: 1,
    output,
    axis: 1,
    batch: outputShape.batch,
    inputShape: imageOf(dims, 1),
    convShape: outputShape,
    outputShape,
    norms: [] as string[],
    folded: [] as string[],
    place: null,
    ...OPEN,
    pool: false,
  } as const;
  if (node.op === 'Conv' && (dims.length === 3 || dims.length === 4)) {
    const weight = floatData(graph, constants[0]);
    const bias = constants[1] ? floatData(graph, constants[1]) : null;
    if (!weight || (constants[1] && !bias)) return null;
    const channels = outputShape.channels;
    const kernel = graph.values.get(constants[0]!)!.dims.slice(2);
    return {
      ...base,
      ...imageWindows(frame, node, kernel),
      groups: (node.attributes.group as number | undefined) ?? 1,
      weight,
      place: { parameter: constants[0]!, inputMajor: false, pixelMajor: null },
      scale: new Float32Array(channels).fill(1),
      shift: bias ? bias.slice() : new Float32Array(channels),
    };
  }
  if (node.op !== 'BatchNormalization' || node.outputs.length !== 1 || dims.length < 2 || dims.length > 4)
    return null;
  const fields = constants.map((name) => floatData(graph, name));
  if (fields.some((data) => !data)) return null;
  const [gamma, beta, mean, variance] = fields as Float32Array[];
  const { channels } = base.inputShape;
  const epsilon = (node.attributes.epsilon as number | undefined) ?? 1e-5;
  const factors = Float64Array.from(gamma, (value, c) => value / Math.sqrt(variance[c] + epsilon));
  return {
    ...base,
    ...POINT,
    groups: channels,
    weight: new Float32Array(channels).fill(1),
    scale: Float32Array.from(factors),
    shift: Float32Array.from(beta, (value, c) => value + (0 - mean[c]) * factors[c]),
    norms: [node.name],
    folded: [node.name],
    affine: true,
  };
}

/** A product of rows with a constant matrix, as the convolution that it is; null of other nodes. */
export function productLayer(frame: ConvFrame, node: Node): ConvLayer | null {
  const { graph, root, makers } = frame;
  const { op, inputs, attributes, outputs } = node;
  if (op !== 'Gemm' && op !== 'MatMul') return null;
  const [source, matrix, addend] = inputs;
  const value = graph.values.get(source!)!;
  const weights = floatData(graph, matrix);
  const matrixDims = graph.values.get(matrix!)!.dims;
  const outputDims = graph.values.get(outputs[0])!.dims;
  if (value.data || !weights || matrixDims.length !== 2 || value.dims.length < 2) return null;
  if (attributes.transA || value.dims.includes(0) || outputDims.includes(0)) return null;
  const [alpha, beta] = [attributes.alpha ?? 1, attributes.beta ?? 1] as number[];
  const axis = outputDims.length - 1;
  const units = outputDims[axis];
  let shift = new Float32Array(units);
  if (addend) {
    const constant = graph.values.get(addend)!;
    const row = constant.data ? perChannel(constant, outputDims, axis) : null;
    if (!row) return null;
    shift = Float32Array.from(row, (x) => x * beta);
  }
  const transposed = Boolean(attributes.transB);
  const rows = rowsOfImage(frame, makers.get(source!), source!);
  const at = rows?.source ?? source!;
  const inputShape = imageOf(graph.values.get(at)!.dims, rows ? 1 : value.dims.length - 1);
  const outputShape = imageOf(outputDims, axis);
  return {
    kind: 'conv2d',
    name: node.name,
    input: root(at),
    source: at,
    sourceAxis: rows ? 1 : value.dims.length - 1,
    output: outputs[0],
    axis,
    batch: outputShape.batch,
    inputShape,
    convShape: outputShape,
    outputShape,
    ...POINT,
    kernel: rows ? [inputShape.height, inputShape.width] : [1, 1],
    groups: 1,
    weight: outMajor(weights, units, transposed, rows?.pixelMajor ? inputShape : null),
    scale: new Float32Array(units).fill(alpha),
    shift,
    norms: [],
    folded: [],
    place: { parameter: matrix!, inputMajor: !transposed, pixelMajor: rows?.pixelMajor ? inputShape : null },
    ...OPEN,
    pool: false,
  };
}

/** Where rows are an image put in a row, that image: a product reads it by one window, as large as it is. */
function rowsOfImage({ graph, makers }: ConvFrame, view: Node | undefined, name: string) {
  const { dims } = graph.values.get(name)!;
  if (!view || !['Flatten', 'Reshape'].includes(view.op) || dims.length !== 2) return null;
  let source = view.inputs[0]!;
  let from = graph.values.get(source)!;
  const whole = from.dims.length === 4 && from.dims[0] === dims[0] && !from.data;
  if (!whole) return null;
  // N x H x W x C: its pixels follow one another, channel by channel.
  const before = makers.get(source);
  const perm = before?.op === 'Transpose' ? Array.from(before.attributes.perm as number[]) : [];
  const pixelMajor = `${perm}` === '0,2,3,1';
  if (pixelMajor) {
    source = before!.inputs[0]!;
    from = graph.values.get(source)!;
  }
  const [, , height, width] = from.dims;
  return height * width > 1 ? { source, pixelMajor } : null;
}

const reordered = new WeakMap<Float32Array, Map<string, Float32Array>>();

/** A matrix as one row an output: inputs in their own order, or from pixels of channels to channels of pixels. */
function outMajor(
  data: Float32Array,
  units: number,
  transposed: boolean,
  image: { height: number; width: number; channels: number } | null,
): Float32Array {
  if (transposed && !image) return data;
  const key = `${units} ${transposed} ${image?.channels}`;
  const known = reordered.get(data) ?? new Map<string, Float32Array>();
  reordered.set(data, known);
  const before = known.get(key);
  if (before) return before;
  const inputs = data.length / units;
  const made = new Float32Array(data.length);
  const area = image ? image.height * image.width : 1;
  const channels = image ? image.channels : inputs;
  for (let o = 0; o < units; o++) {
    for (let i = 0; i < inputs; i++) {
      const to = (i % channels) * area + Math.floor(i / channels);
      made[o * inputs + to] = transposed ? data[o * inputs + i] : data[i * units + o];
    }
  }
  known.set(key, made);
  return made;
}

/** Weights of a layer, one row an output, in the order of the constant that they are kept in: the way back. */
export function inPlaceOrder<T extends Float32Array | Int8Array | Uint8Array>(
  data: T,
  outputs: number,
  { inputMajor, pixelMajor }: WeightPlace,
): T {
  if (!inputMajor && !pixelMajor) return data;
  const inputs = data.length / outputs;
  const made = data.slice() as T;
  const area = pixelMajor ? pixelMajor.height * pixelMajor.width : 1;
  const channels = pixelMajor ? pixelMajor.channels : inputs;
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) {
      const from = (i % channels) * area + Math.floor(i / channels);
      made[inputMajor ? i * outputs + o : o * inputs + i] = data[o * inputs + from];
    }
  }
  return made;
}
