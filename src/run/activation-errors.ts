import { check } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import type { GraphModel } from '../graph/graph.ts';
import type { OnnxTensor } from '../graph/ops/tensors.ts';
import { numbersOf } from '../graph/ops/value.ts';
import { type FusedGraph, fuseGraph, type Layer } from '../lower/fuse.ts';
import { int8Values, integerLayers } from '../lower/lower-model.ts';
import { type ActivationQparams, isQuantized, type QuantizedModel } from '../model/quantized-model.ts';
import { roundHalfToEven } from '../reference/round.ts';
import { decibelsOf } from './metrics.ts';
import { compile } from './session.ts';

/** A network whose activations are held against another's: a graph, or a quantized one. */
export type GraphNetwork = GraphModel | QuantizedModel<GraphModel>;

/** Inputs by name. */
export type Feed = Readonly<Record<string, OnnxTensor>>;

/** How far values are from those they stand for. */
export interface ValueError {
  /** Signal to quantization noise, dB; infinite where nothing differs. */
  sqnrDb: number;
  /** Cosine of the angle between both, over all samples. */
  cosine: number;
}

/** A layer of the quantized network beside its counterpart. */
export interface LayerActivations {
  layer: string;
  /** ONNX's operator. */
  op: string;
  /** What it computes in: int8, or its output's dtype. */
  dtype: string;
  /** Bits of its weights, where they are codes. */
  bits?: number;
  /** Of what it leaves in the network, with the errors of all layers before it; null where it has no counterpart. */
  total: ValueError | null;
  /**
   * By itself: fed with the float network's activations. How a value is rounded counts for the layer that leaves it and
   * for those that read it.
   */
  own: ValueError | null;
}

/** An output of both networks. */
export interface OutputActivations extends ValueError {
  name: string;
  /** Largest difference of a value. */
  largestError: number;
}

/** What {@link compareActivations} measures. */
export interface ActivationErrors {
  layers: LayerActivations[];
  outputs: OutputActivations[];
}

const modelOf = (network: GraphNetwork) => (isQuantized(network) ? network.model : network);

/** The layers of a network and what they compute in. */
export function layerKinds(network: GraphNetwork, fused: FusedGraph): LayerActivations[] {
  const quantized = isQuantized(network) ? network : null;
  const integers = integerLayers(fused, quantized);
  const operators = new Map(modelOf(network).graph.nodes.map(({ name, op }) => [name, op]));
  return fused.layers.map((layer) => {
    const dtype = integers.has(layer) ? 'int8' : fused.graph.values.get(layer.output)!.dtype;
    const coded = quantized?.layers.get(layer.name);
    return {
      layer: layer.name,
      op: operators.get(layer.name) ?? (layer.kind === 'operator' ? layer.node.op : layer.kind),
      dtype,
      ...(coded && { bits: coded.bits }),
      total: null,
      own: null,
    };
  });
}

/**
 * Holds every layer's activations of a quantized network against the float network's, on the same inputs: as they come
 * out of the whole network, and of each layer by itself, fed with what the float network feeds it. The second tells
 * which layer is at fault where errors run on through all that follow.
 *
 * Layers are counterparts by the value that they leave, else by their name.
 *
 * @throws LloydError for networks of other inputs or outputs, and whatever `compile` and `run` throw
 */
export async function compareActivations(
  runtime: Runtime,
  float: GraphNetwork,
  other: GraphNetwork,
  feeds: readonly Feed[],
  { signal, onProgress }: { signal?: AbortSignal; onProgress?: (done: number) => void } = {},
): Promise<ActivationErrors> {
  const outputs = pairOutputs(modelOf(float), modelOf(other));
  const shapes = Object.fromEntries(Object.entries(feeds[0]).map(([name, { dims }]) => [name, dims]));
  const [first, second] = [float, other].map((network) => fuseGraph(modelOf(network), { shapes }));
  const kinds = layerKinds(other, second);
  const pairs = pairLayers([modelOf(float), first], [modelOf(other), second]);
  const alone = isolated(
    other,
    second,
    [...pairs.values()].map(({ theirs }) => theirs),
  );
  const round = roundingOf(other, second);
  const sessions = [
    await compile(
      runtime,
      withOutputs(
        float,
        [...pairs.values()].map(({ ours }) => ours),
      ),
      { shapes, signal },
    ),
  ];
  try {
    const theirs = [...pairs.values()].map((pair) => pair.theirs);
    sessions.push(await compile(runtime, withOutputs(other, theirs), { shapes, signal }));
    if (pairs.size > 0) sessions.push(await compile(runtime, alone, { shapes: { ...shapes }, signal }));
    const totals = kinds.map(() => new Sums());
    const owns = kinds.map(() => new Sums());
    const ends = outputs.map(() => new Sums());
    for (const [done, feed] of feeds.entries()) {
      onProgress?.(done);
      signal?.throwIfAborted();
      const exact = await sessions[0].run(feed, { signal });
      const made = await sessions[1].run(feed, { signal });
      for (const [i, { ours, theirs }] of outputs.entries()) ends[i].add(exact[ours], made[theirs]);
      if (pairs.size === 0) continue;
      const given: Record<string, OnnxTensor> = { ...feed };
      for (const { ours, theirs } of pairs.values()) given[exactName(theirs)] = exact[ours];
      const single = await sessions[2].run(given, { signal });
      for (const [i, { ours, theirs }] of pairs) {
        totals[i].add(exact[ours], made[theirs]);
        owns[i].add(exact[ours], round(theirs, single[theirs]));
      }
    }
    const layers = kinds.map((kind, i) =>
      pairs.has(i) ? { ...kind, total: totals[i].result(), own: owns[i].result() } : kind,
    );
    return {
      layers,
      outputs: outputs.map(({ ours }, i) => ({
        name: ours,
        ...ends[i].result(),
        largestError: ends[i].largest,
      })),
    };
  } finally {
    for (const session of sessions) session.destroy();
  }
}

/** The same value in both networks. */
interface Pair {
  ours: string;
  theirs: string;
}

function pairOutputs({ graph: ours }: GraphModel, { graph: theirs }: GraphModel): Pair[] {
  const list = (names: readonly string[]) => names.join(', ');
  const inputs = ({ inputs }: typeof ours) =>
    list(inputs.map(({ name, dtype }) => `${name}: ${dtype}`).sort());
  check(
    inputs(ours) === inputs(theirs),
    `both networks must have the same inputs: ${inputs(ours)}`,
    inputs(theirs),
  );
  if (ours.outputs.every((name) => theirs.outputs.includes(name)))
    return ours.outputs.map((name) => ({ ours: name, theirs: name }));
  check(
    ours.outputs.length === theirs.outputs.length,
    `both networks must have the same outputs: ${list(ours.outputs)}`,
    list(theirs.outputs),
  );
  return ours.outputs.map((name, i) => ({ ours: name, theirs: theirs.outputs[i] }));
}

/** Counterparts of the second network's layers, by their index. */
function pairLayers(
  [model, ours]: readonly [GraphModel, FusedGraph],
  [otherModel, theirs]: readonly [GraphModel, FusedGraph],
): Map<number, Pair> {
  /** By the network's own value that a layer leaves, in whatever order of dimensions. */
  const left = ({ graph }: GraphModel, fused: FusedGraph) => {
    const made = new Set(graph.nodes.flatMap(({ outputs }) => outputs));
    return ({ output }: Layer): string | null => {
      const name = fused.origin(output);
      // A sum's parts are no values of the network's.
      return made.has(name) && fused.graph.values.get(name)?.dtype === 'float32' ? name : null;
    };
  };
  const [oursOf, theirsOf] = [left(model, ours), left(otherModel, theirs)];
  const candidates = ours.layers.filter((layer) => oursOf(layer) !== null);
  const byOutput = new Map(candidates.map((layer) => [oursOf(layer)!, layer]));
  const byName = new Map(candidates.map((layer) => [layer.name, layer]));
  const dims = (fused: FusedGraph, name: string) => `${fused.graph.values.get(name)!.dims}`;
  const pairs = new Map<number, Pair>();
  for (const [i, layer] of theirs.layers.entries()) {
    const value = theirsOf(layer);
    const own = value === null ? undefined : (byOutput.get(value) ?? byName.get(layer.name));
    if (!own || dims(ours, oursOf(own)!) !== dims(theirs, value!)) continue;
    pairs.set(i, { ours: oursOf(own)!, theirs: value! });
  }
  return pairs;
}

const exactName = (value: string) => `${value}/exact`;

function withGraph(
  network: GraphNetwork,
  model: GraphModel,
  activations = new Map<string, ActivationQparams>(),
) {
  if (!isQuantized(network)) return model;
  return { ...network, model, activations: new Map([...network.activations, ...activations]) };
}

/** A network with more of its values as outputs. */
function withOutputs(network: GraphNetwork, values: readonly string[]): GraphNetwork {
  const model = modelOf(network);
  const outputs = [...new Set([...model.graph.outputs, ...values])];
  return withGraph(network, { ...model, graph: { ...model.graph, outputs } });
}

/** A network in pieces: wherever one of the values is read, an input of its own is read instead. */
function isolated(network: GraphNetwork, fused: FusedGraph, values: readonly string[]): GraphNetwork {
  const model = modelOf(network);
  const cut = new Set(values);
  const nodes = model.graph.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map((name) => (name !== null && cut.has(name) ? exactName(name) : name)),
  }));
  const inputs = values.map((value) => ({
    name: exactName(value),
    dtype: 'float32' as const,
    shape: fused.graph.values.get(value)!.dims,
  }));
  const activations = new Map<string, ActivationQparams>();
  if (isQuantized(network)) {
    for (const value of values) {
      const qparams = network.activations.get(fused.origin(value));
      if (qparams) activations.set(exactName(value), qparams);
    }
  }
  const graph = { ...model.graph, nodes, inputs: [...model.graph.inputs, ...inputs], outputs: values };
  return withGraph(network, { ...model, graph }, activations);
}

/** What lies in int8 in the whole network is rounded so, where a layer by itself leaves it in floats. */
function roundingOf(
  network: GraphNetwork,
  fused: FusedGraph,
): (value: string, tensor: OnnxTensor) => OnnxTensor {
  if (!isQuantized(network) || network.method !== 'linear') return (_, tensor) => tensor;
  const lying = int8Values(fused, network);
  return (value, tensor) => {
    const qparams = network.activations.get(fused.origin(value));
    if (!qparams || !lying.has(fused.origin(value))) return tensor;
    const { scale, zeroPoint } = qparams;
    const data = (tensor.data as Float32Array).map((x) => {
      const code = roundHalfToEven(x / scale) + zeroPoint;
      return scale * (Math.max(-128, Math.min(127, code)) - zeroPoint);
    });
    return { dtype: 'float32', dims: tensor.dims, data };
  };
}

/** Sums over samples, in float64. */
class Sums {
  largest = 0;
  private signal = 0;
  private noise = 0;
  private product = 0;
  private power = 0;

  add(exact: OnnxTensor, made: OnnxTensor): void {
    check(
      exact.data.length === made.data.length,
      'both networks must leave outputs of the same size',
      `[${exact.dims}] and [${made.dims}]`,
    );
    const [a, b] = [exact, made].map((tensor) =>
      tensor.data instanceof Float32Array ? tensor.data : numbersOf(tensor),
    );
    for (let i = 0; i < a.length; i++) {
      const error = b[i] - a[i];
      this.signal += a[i] * a[i];
      this.noise += error * error;
      this.product += a[i] * b[i];
      this.power += b[i] * b[i];
      this.largest = Math.max(this.largest, Math.abs(error));
    }
  }

  result(): ValueError {
    const { signal, noise, product, power } = this;
    // Two vectors of zeros point the same way.
    const cosine = noise === 0 ? 1 : product / (Math.sqrt(signal * power) || 1);
    return { sqnrDb: decibelsOf(signal, noise), cosine };
  }
}
