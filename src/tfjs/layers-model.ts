import { check } from '../gpu/errors.ts';
import type { GraphModel } from '../graph/graph.ts';
import { Names } from '../graph/names.ts';
import type { OnnxTensor } from '../graph/ops/tensors.ts';
import { GraphBuilder, type Value } from './graph-builder.ts';
import { LAYER_REASONS, LAYERS } from './layer-kinds.ts';
import { Refusals } from './refusals.ts';
import { dtypeOf, type ReadOptions, tensorOf } from './tensorflow.ts';

type LayersModel = import('@tensorflow/tfjs').LayersModel;
type Layer = LayersModel['layers'][number];

/** A layer's output for one of its uses, as tfjs keeps it (tfjs-layers 4.22). */
interface Symbolic {
  id: number;
  dtype: string;
  shape: (number | null)[];
  sourceLayer: Layer;
  nodeIndex: number;
}

/** A model, by itself or as another's layer. */
interface Container {
  name: string;
  layers: readonly (Layer | (Layer & Container))[];
  inputs: readonly Symbolic[];
  outputs: readonly Symbolic[];
}

interface Use {
  inputTensors: Symbolic[];
  outputTensors: Symbolic[];
}

/**
 * A tfjs layers model as our graph with its parameters: any number of inputs and outputs, called as their layers are, in
 * tfjs's layouts. Sizes that the model leaves open are symbols: `batch` for the first, `<input>:<axis>` for others.
 *
 * Models that are layers are taken apart, their layers named `model/layer`; a layer used again is there again, as
 * `layer#2`, with the same weights. Dropout and noise are left out.
 *
 * @param options `logits` leaves out a softmax that an output ends in
 * @throws LloydError naming every layer that has no counterpart, with its class and the reason
 * @example
 * const model = await fromLayersModel(await tf.loadLayersModel('https://example.org/model.json'));
 * model.graph.outputs; // ['predictions']
 */
export async function fromLayersModel(model: LayersModel, options: ReadOptions = {}): Promise<GraphModel> {
  const container = model as unknown as Container;
  check(
    isContainer(container),
    'fromLayersModel takes a tfjs LayersModel',
    model,
    'fromGraphModel takes what tf.loadGraphModel loads',
  );
  const { name, inputs, outputs } = container;
  const b = new GraphBuilder(name);
  const refusals = new Refusals(name, 'layer', 'make a model that ends before them, or replace them');
  const given = inputs.map(({ sourceLayer, shape, dtype }) =>
    b.input(sourceLayer.name, dtypeOf(sourceLayer.name, dtype), shape),
  );
  const reader = new LayerReader(b, refusals);
  const made = await reader.readModel(container, given, '');
  refusals.check(reader.count);
  const named = new Set<string>();
  const ends = outputs.map(({ sourceLayer }, i) => {
    let own = sourceLayer.name;
    for (let use = 2; named.has(own); use++) own = `${sourceLayer.name}#${use}`;
    named.add(own);
    return { name: own, value: made[i]! };
  });
  return b.model(ends, options);
}

const isContainer = (layer: unknown): layer is Container => {
  const { layers, inputs, outputs } = (layer ?? {}) as Partial<Container>;
  return [layers, inputs, outputs].every(Array.isArray);
};

/** Reads models and layers; what is refused has no value. */
class LayerReader {
  count = 0;
  /** A layer may be used more than once. */
  private readonly names = new Names();
  private readonly weights = new Map<Layer, Value[]>();

  constructor(
    private readonly b: GraphBuilder,
    private readonly refusals: Refusals,
  ) {}

  /** Adds what a model's outputs depend on, each after its inputs; a layer once for every use. */
  async readModel(
    { name, inputs, outputs }: Container,
    given: readonly (Value | null)[],
    prefix: string,
  ): Promise<(Value | null)[]> {
    const values = new Map(inputs.map(({ id }, i) => [id, given[i]]));
    const stack = [...outputs];
    while (stack.length > 0) {
      const { id, sourceLayer: layer, nodeIndex } = stack.at(-1)!;
      if (values.has(id)) {
        stack.pop();
        continue;
      }
      const uses = (layer as unknown as { inboundNodes: Use[] }).inboundNodes;
      const { inputTensors, outputTensors } = uses[nodeIndex];
      check(
        inputTensors.length > 0,
        `${name}: all that a model computes must come from its inputs`,
        layer.name,
      );
      const open = inputTensors.filter((tensor) => !values.has(tensor.id));
      if (open.length > 0) {
        stack.push(...open.reverse());
        continue;
      }
      stack.pop();
      const made = await this.readLayer(
        layer,
        `${prefix}${layer.name}`,
        inputTensors.map((tensor) => values.get(tensor.id)!),
      );
      for (const [i, tensor] of outputTensors.entries()) values.set(tensor.id, made[i] ?? null);
    }
    return outputs.map(({ id }) => values.get(id)!);
  }

  private async readLayer(layer: Layer, path: string, inputs: (Value | null)[]): Promise<(Value | null)[]> {
    if (isContainer(layer)) return this.readModel(layer, inputs, `${path}/`);
    const kind = layer.getClassName();
    const name = this.names.unique(path);
    this.count++;
    const named = { name, op: kind };
    const ready = inputs.every((value) => value !== null);
    if (kind === 'TimeDistributed') {
      return ready ? this.readEachStep(layer, name, inputs as Value[]) : [null];
    }
    const write = Object.hasOwn(LAYERS, kind) ? LAYERS[kind] : null;
    if (!write) {
      const reason = LAYER_REASONS.find(([pattern]) => pattern.test(kind))?.[1];
      this.refusals.add(named, reason ?? 'there is no such layer here');
      return [null];
    }
    if (!ready) return [null];
    let made: Value | null = null;
    await this.refusals.collectAsync(named, async () => {
      const { b } = this;
      const weights = await this.weightsOf(layer, name);
      const config = layer.getConfig() as Record<string, unknown>;
      made = write({ b, name, config, inputs: inputs as Value[], weights });
      b.title(made, name);
    });
    return [made];
  }

  /** A layer on every step of a sequence: steps are more batches. */
  private async readEachStep(layer: Layer, name: string, [x]: readonly Value[]): Promise<(Value | null)[]> {
    const { b } = this;
    const inner = (layer as unknown as { layer: Layer }).layer;
    const sizes = (key: string, value: Value, from: number) =>
      Array.from({ length: b.rank(value) - from }, (_, i) =>
        b.size(`${name}/${key}/${i + from}`, value, i + from),
      );
    const steps = b.list(`${name}/steps`, [-1, ...sizes('in', x, 2)]);
    const flat = b.add('Reshape', `${name}/flat`, [x, steps]);
    const [made] = await this.readLayer(inner, `${name}/${inner.name}`, [flat]);
    if (made === null) return [null];
    const shape = b.list(`${name}/shape`, [...sizes('in', x, 0).slice(0, 2), ...sizes('out', made, 1)]);
    return [b.add('Reshape', name, [made, shape])];
  }

  private async weightsOf(layer: Layer, name: string): Promise<Value[]> {
    const known = this.weights.get(layer);
    if (known) return known;
    const tensors: OnnxTensor[] = [];
    for (const tensor of layer.getWeights()) tensors.push(await tensorOf(name, tensor));
    const made = tensors.map((tensor, i) => {
      const own = layer.weights[i].originalName.split('/').at(-1)!;
      // A convolution's kernel is not yet in our order.
      const isOurs = own !== 'kernel' || layer.getClassName() === 'Dense';
      return this.b.constant(`${name}.${(isOurs && PARAMETERS[own]) || own}`, tensor);
    });
    this.weights.set(layer, made);
    return made;
  }
}

/** Keras's names of weights as ours. */
const PARAMETERS: Readonly<Record<string, string>> = {
  ...{ kernel: 'weight', gamma: 'weight', beta: 'bias', alpha: 'slope', embeddings: 'weight' },
  ...{ moving_mean: 'running_mean', moving_variance: 'running_var' },
};
