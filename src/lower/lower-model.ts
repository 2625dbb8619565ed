import { prepareKernels } from '../conv/kernel-choice.ts';
import { type RequantizeRule, requantizeConstant } from '../conv/requantize.ts';
import { check } from '../gpu/errors.ts';
import type { Kernel } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { type OnnxTensor, sizeOf } from '../graph/ops/tensors.ts';
import type { Value } from '../graph/ops/value.ts';
import { loadImageKernel } from '../kernels/load-image.ts';
import type { Model } from '../model/graph.ts';
import { imageOf } from '../model/images.ts';
import {
  type ActivationQparams,
  type CodebookLayer,
  isQuantized,
  type LinearLayer,
  type QuantizedModel,
} from '../model/quantized-model.ts';
import { inputBridge, outputBridge } from './bridges.ts';
import { type FusedGraph, fuseGraph, type Layer, layerSources, type PlainLayer } from './fuse.ts';
import { affineCodes } from './layer-codes.ts';
import {
  type ImageEntry,
  type LoweredInput,
  type LoweredModel,
  type LoweredOutput,
  type LowerOptions,
  pixels,
  type Step,
  vectors,
} from './lower.ts';
import { floatConvSteps } from './lower-float.ts';
import { int8ConvSteps } from './lower-int8.ts';
import { operatorSteps } from './lower-operator.ts';
import { plainInt8Steps, plainSteps } from './lower-plain.ts';
import { type Form, Placement, plain } from './placement.ts';

/**
 * Lowers a model to dispatches: each layer by its own precision, integers where it has linear codes, else floats, with a
 * codebook or plain; values lie in the form that their readers want, and are brought into another where one wants that.
 *
 * @param batch of the images, where their number is not fixed by the graph
 */
export async function lowerModel(
  runtime: Runtime,
  model: Model | QuantizedModel,
  batch: number,
  options: LowerOptions = {},
): Promise<LoweredModel> {
  const fused = fuseGraph(isQuantized(model) ? model.model : model, { batch, shapes: options.shapes });
  return lowerFused(runtime, fused, isQuantized(model) ? model : null, options);
}

/** What {@link lowerModel} does, of a graph that is fused already. */
export async function lowerFused(
  runtime: Runtime,
  fused: FusedGraph,
  quantized: QuantizedModel | null,
  options: LowerOptions = {},
): Promise<LoweredModel> {
  const { graph, layers, root } = fused;
  const integers = integerLayers(fused, quantized);
  const qparams = qparamsIn(fused, quantized);
  const requantize = quantized?.requantize ?? 'ort-f32';
  let rule = '';
  if (integers.size > 0) {
    await prepareKernels(runtime, options.kernels);
    rule = await requantizeConstant(runtime, requantize);
  }
  const read = readers(fused, integers);
  const placement = new Placement({ values: graph.values, qparams, alone: options.only !== undefined });
  const inputs = graph.inputs.map(({ name }) => lowerInput(fused, name, placement, read, qparams));
  for (const view of fused.views) placement.view(view);
  for (const layer of layers) {
    if (options.only !== undefined && layer.name !== options.only) continue;
    if (layer.kind === 'operator') {
      operatorSteps(layer, graph, placement);
      continue;
    }
    const integer = integers.has(layer);
    const kind = integer ? 'int8' : 'words';
    const sources = layerSources(layer).map((name) =>
      placement.use(name, {
        kind,
        axis: layer.kind === 'conv2d' ? layer.sourceAxis : layer.axis,
        lanes: 4,
      }),
    );
    if (layer.kind !== 'conv2d') {
      const output = placement.define(layer.output, { kind, axis: layer.axis, lanes: 4 });
      placement.steps.push(
        ...(integer
          ? await plainInt8Steps(runtime, layer, sources, output, qparams, requantize)
          : plainSteps(layer, sources, output)),
      );
      continue;
    }
    const [input] = sources;
    if (!integer) {
      const output = placement.define(layer.output, { kind, axis: layer.axis, lanes: 4 });
      const codebook = quantized?.layers.get(layer.name) as CodebookLayer | undefined;
      placement.steps.push(...floatConvSteps(runtime, layer, codebook, { input, output }, options));
      continue;
    }
    const float = !leavesInt8(layer, root, read, requantize);
    const form: Form = float
      ? { kind: 'words', axis: layer.axis, lanes: 1 }
      : { kind: 'int8', axis: layer.axis, lanes: 4 };
    const output = placement.define(layer.output, form);
    const places = {
      input,
      output,
      inputQparams: qparams(layer.input),
      outputQparams: float ? null : qparams(layer.output),
    };
    const coded = layer.affine ? affineCodes(layer) : (quantized!.layers.get(layer.name) as LinearLayer);
    placement.steps.push(...int8ConvSteps(runtime, layer, coded, { requantize, rule }, places, options));
  }
  const outputs =
    options.only !== undefined
      ? []
      : graph.outputs.map((name) => lowerOutput(graph.values, name, placement, qparams));
  const placing = { values: graph.values, qparams };
  const bridges = {
    inputs: inputs.map((input) => inputBridge(placing, input)),
    outputs: outputs.flatMap((output) => outputBridge(placing, output) ?? []),
  };
  return { inputs, steps: placement.steps, outputs, bridges };
}

/** Scale and zero point of a network's activations; a LloydError for one that has none. */
export const qparamsIn =
  ({ graph, origin }: FusedGraph, quantized: QuantizedModel | null) =>
  (name: string): ActivationQparams => {
    const found = quantized?.activations.get(origin(name));
    check(
      found,
      `${graph.name}: every activation needs its scale and zero point`,
      `none for ${origin(name)}`,
    );
    return found;
  };

/** The layers that compute in integers. */
export function integerLayers(
  { layers, root, origin, graph }: FusedGraph,
  quantized: QuantizedModel | null,
): Set<Layer> {
  if (quantized?.method !== 'linear') return new Set();
  const known = (name: string) => quantized.activations.has(origin(name));
  // Pools move codes, or average them: another file's quantizer behind one may have a grid of its own.
  const passes = ({ inputs, output }: PlainLayer) => {
    const [from, to] = [inputs[0], output].map((name) => quantized.activations.get(origin(name)));
    return from?.scale === to?.scale && from?.zeroPoint === to?.zeroPoint;
  };
  const integers = new Set(
    layers.filter((layer) => {
      if (layer.kind === 'operator') return false;
      if (layer.kind === 'conv2d')
        return layer.affine ? known(layer.input) : quantized.layers.has(layer.name);
      const isMerge = layer.kind === 'add' || layer.kind === 'concat';
      return layer.inputs.every(known) && known(layer.output) && (isMerge || passes(layer));
    }),
  );
  if (quantized.requantize === 'lab') return integers;
  // What has no weights gains nothing by codes where floats come in, and a mean or a factor nothing where floats go out.
  const given = graph.inputs.map(({ name }) => name);
  for (let before = Infinity; integers.size < before; ) {
    before = integers.size;
    const coded = new Set([...given, ...[...integers].map(({ output }) => root(output))]);
    const read = new Set([...integers].flatMap((layer) => layerSources(layer).map(root)));
    for (const layer of integers) {
      if (layer.kind === 'operator' || (layer.kind === 'conv2d' && !layer.affine)) continue;
      const fromFloats = !layerSources(layer).some((name) => coded.has(root(name)));
      const toFloats = !read.has(root(layer.output));
      const mean = layer.kind === 'averagePool' || layer.kind === 'conv2d';
      // The largest codes are the codes of the largest: pooled first or last, they are the same.
      const pooled = layer.kind === 'maxPool' && !toFloats;
      if ((mean && toFloats) || (fromFloats && !pooled)) integers.delete(layer);
    }
  }
  return integers;
}

/** The values that lie in int8, by the names that their quantization goes by ({@link FusedGraph.origin}); no inputs. */
export function int8Values(fused: FusedGraph, quantized: QuantizedModel): Set<string> {
  const integers = integerLayers(fused, quantized);
  const read = readers(fused, integers);
  const kept = [...integers].filter((layer) => leavesInt8(layer, fused.root, read, quantized.requantize));
  return new Set(kept.map(({ output }) => fused.origin(output)));
}

/**
 * Whether an integer layer leaves int8. What only floats are made of stays float: an output, whose int8 codes would tie
 * in argmax. The lab keeps it int8.
 */
function leavesInt8(layer: Layer, root: FusedGraph['root'], read: Readers, rule: RequantizeRule): boolean {
  const name = root(layer.output);
  return layer.kind !== 'conv2d' || read.integers.has(name) || (rule === 'lab' && read.outputs.has(name));
}

/** Who reads a value, by the name that its quantization goes by. */
interface Readers {
  integers: ReadonlySet<string>;
  floats: ReadonlySet<string>;
  outputs: ReadonlySet<string>;
}

function readers({ layers, root, graph }: FusedGraph, integers: ReadonlySet<Layer>): Readers {
  const of = (own: readonly Layer[]) => new Set(own.flatMap((layer) => layerSources(layer).map(root)));
  return {
    integers: of(layers.filter((layer) => integers.has(layer))),
    floats: of(layers.filter((layer) => !integers.has(layer))),
    outputs: new Set(graph.outputs.map(root)),
  };
}

function lowerInput(
  { graph, axes, turned }: FusedGraph,
  name: string,
  placement: Placement,
  read: Readers,
  qparams: (name: string) => ActivationQparams,
): LoweredInput {
  const { dtype, dims } = graph.values.get(name)!;
  const axis = axes.get(name) ?? (dims.length === 4 ? 3 : dims.length - 1);
  const isImage =
    dtype === 'float32' &&
    dims.length >= 2 &&
    dims.length <= 4 &&
    axis > 0 &&
    // Channels are first or last of what is handed in; another order is a copy.
    (axis === dims.length - 1 || (dims.length === 4 && axis === 1 && !turned.has(name)));
  if (!isImage || dims.includes(0)) {
    const port = placement.define(name, plain(dims));
    return { name, dtype, dims, port, images: null };
  }
  const shape = imageOf(dims, axis);
  const integer = read.integers.has(name) && !read.floats.has(name) && !read.outputs.has(name);
  const output = placement.define(name, { kind: integer ? 'int8' : 'words', axis, lanes: 4 });
  const count = shape.batch * pixels(shape);
  const port = { tensor: `${name} images`, byteLength: count * shape.channels * (integer ? 1 : 4) };
  const entry = (format: string): Step => ({
    name,
    kernel: loadImageKernel as unknown as Kernel,
    specialization: { FORMAT: format },
    operands: { input: port, output },
    params: { pixelCount: count, channels: shape.channels, vectors: vectors(shape) },
    macs: 0,
    shape,
  });
  const images: ImageEntry = integer
    ? { shape, axis, uint8: entry('0u'), float32: null, qparams: qparams(name) }
    : { shape, axis, uint8: entry('1u'), float32: entry('2u'), qparams: null };
  return { name, dtype, dims, port, images };
}

function lowerOutput(
  values: ReadonlyMap<string, Value>,
  name: string,
  placement: Placement,
  qparams: (name: string) => ActivationQparams,
): LoweredOutput {
  const value = values.get(name)!;
  const { dtype, dims } = value;
  const channels = dims.at(-1) ?? 1;
  const size = sizeOf(dims);
  const rows = size === 0 ? 0 : size / channels;
  const common = { name, dtype, dims, rows, channels };
  if (value.data || size === 0) {
    const constant = (value.data ? value : null) as OnnxTensor | null;
    return { ...common, operand: null, constant, stride: channels, qparams: null };
  }
  const axis = Math.max(0, dims.length - 1);
  const padded = Math.ceil(channels / 4) * 4;
  const fours = placement.find(name, { kind: 'words', axis, lanes: 4 });
  if (fours) return { ...common, operand: fours, constant: null, stride: padded, qparams: null };
  // Codes only of what was never a float: an integer layer may have rounded it for itself.
  const codes = placement.asWords(name) ? null : placement.find(name, { kind: 'int8', axis, lanes: 4 });
  if (codes) return { ...common, operand: codes, constant: null, stride: padded, qparams: qparams(name) };
  const operand = placement.use(name, plain(dims));
  return { ...common, operand, constant: null, stride: channels, qparams: null };
}
