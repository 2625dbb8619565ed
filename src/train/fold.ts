import type { Tensor } from '../gpu/tensor.ts';
import { type ConvLayer, fuseGraph } from '../lower/fuse.ts';
import type { ImageModel, ImageNode } from '../model/graph.ts';
import { requiredParameter } from '../model/parameters.ts';
import { foldedWeights } from '../run/precision.ts';

/** A model without the batch norms that fold into what is before them, and the way back. */
export interface Folded {
  model: ImageModel;
  /** What an activation is called without the batch norm that it ended in, by its name with it. */
  names: ReadonlyMap<string, string>;
  /** Trained parameters of the folded model, for the graph that has all its batch norms. */
  unfold(trained: ImageModel): ImageModel;
}

/** Folds batch norms as the integer model does; one by itself stays, with its own statistics, scale and shift. */
export function foldModel(original: ImageModel): Folded {
  const { graph } = original;
  const layers = fuseGraph(original).layers.filter((layer): layer is ConvLayer => layer.kind === 'conv2d');
  const parameters = new Map<string, Tensor>();
  const kept = new Map<string, string>();
  for (const layer of layers) {
    for (const norm of foldedNorms(layer)) kept.set(norm, layer.name);
    const own = layer.affine ? composedNorm(original, layer) : foldedConv(original, layer);
    for (const [name, tensor] of own) parameters.set(name, tensor);
  }
  const rename = (name: string) => kept.get(name) ?? name;
  const nodes = graph.nodes
    .filter(({ name }) => !kept.has(name))
    .map((node) => ({ ...node, inputs: node.inputs.map(rename) }) as ImageNode);
  return {
    model: { graph: { ...graph, nodes, output: rename(graph.output) }, parameters },
    names: new Map(layers.map(({ output }) => [output, rename(output)])),
    unfold: (trained) => unfold(original, layers, trained),
  };
}

/** The batch norms that are no more once a layer is folded: all but the one that a layer begins with. */
const foldedNorms = ({ name, norms }: ConvLayer) => norms.filter((norm) => norm !== name);

const floats = (data: Float32Array, dims: readonly number[] = [data.length]): Tensor => ({
  dtype: 'float32',
  dims,
  data,
});

function foldedConv(model: ImageModel, conv: ConvLayer): [string, Tensor][] {
  const { dims } = model.parameters.get(`${conv.name}.weight`)!;
  return [
    [`${conv.name}.weight`, floats(foldedWeights(conv), dims)],
    [`${conv.name}.bias`, floats(conv.shift)],
  ];
}

/** A batch norm that stays, with those after it folded into its scale and shift; its statistics are its own. */
function composedNorm(model: ImageModel, layer: ConvLayer): [string, Tensor][] {
  const { name, scale, shift } = layer;
  const own = (field: string) => requiredParameter(model, `${name}.${field}`);
  const [mean, variance] = [own('running_mean'), own('running_var')];
  const alone = layer.norms.length === 1;
  const epsilon = epsilonOf(model, name);
  const gamma = scale.map((factor, c) => factor * Math.sqrt(variance[c] + epsilon));
  return [
    [`${name}.weight`, floats(alone ? own('weight') : gamma)],
    [`${name}.bias`, floats(alone ? own('bias') : shift.map((s, c) => s + mean[c] * scale[c]))],
    [`${name}.running_mean`, floats(mean)],
    [`${name}.running_var`, floats(variance)],
  ];
}

/** Each folded batch norm becomes the bias that it stands for, or nothing where one before it already is. */
function unfold(original: ImageModel, layers: readonly ConvLayer[], trained: ImageModel): ImageModel {
  const parameters = new Map(trained.parameters);
  for (const layer of layers) {
    const bias = parameters.get(`${layer.name}.bias`)!.data as Float32Array;
    for (const [i, norm] of foldedNorms(layer).entries()) {
      const carries = i === 0 && !layer.affine;
      if (carries) parameters.delete(`${layer.name}.bias`);
      const epsilon = epsilonOf(original, norm);
      const variance = Math.fround(Math.max(0, 1 - epsilon));
      const constant = (value: number) => floats(new Float32Array(bias.length).fill(value));
      parameters.set(`${norm}.weight`, constant(Math.sqrt(variance + epsilon)));
      parameters.set(`${norm}.bias`, carries ? floats(bias) : constant(0));
      parameters.set(`${norm}.running_mean`, constant(0));
      parameters.set(`${norm}.running_var`, constant(variance));
    }
  }
  return { graph: original.graph, parameters };
}

function epsilonOf({ graph }: ImageModel, norm: string): number {
  const node = graph.nodes.find(({ name }) => name === norm);
  return (node?.op === 'batchNorm' ? node.epsilon : undefined) ?? 1e-5;
}
