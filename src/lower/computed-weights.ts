import { pruned } from '../graph/concrete.ts';
import type { OnnxTensor } from '../graph/ops/tensors.ts';
import { isImageModel, type Model } from '../model/graph.ts';
import { type FusedGraph, hasWeights } from './fuse.ts';

/**
 * A model whose layers' weights are parameters, by the names that they had. A file may compute them, of 8-bit integers
 * and a scale for one; codes that stand for them need a constant to stand for.
 */
export function keepWeights<M extends Model>(model: M, fused: FusedGraph): M {
  if (isImageModel(model)) return model;
  const { graph, parameters } = model;
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  const computed = new Map<string, OnnxTensor>();
  for (const { name } of fused.layers.filter(hasWeights)) {
    const weight = nodes.get(name)?.inputs[1];
    const value = weight ? fused.graph.values.get(weight) : undefined;
    if (weight && value?.data && !parameters.has(weight)) computed.set(weight, value as OnnxTensor);
  }
  if (computed.size === 0) return model;
  const left = graph.nodes.map((node) => ({
    ...node,
    // What a node makes besides is made still.
    outputs: node.outputs.map((output) => (computed.has(output) ? `${output}/computed` : output)),
  }));
  const kept = pruned({
    graph: { ...graph, nodes: left },
    parameters: new Map([...parameters, ...computed]),
  });
  return { ...model, ...kept };
}
