import { check } from '../../gpu/errors.ts';
import type { GraphModel, Node } from '../graph.ts';
import type { Attributes, OnnxTensor } from '../ops/tensors.ts';

/** Activations that ONNX Runtime's optimizer puts into nodes, with the names of their parameters. */
const ACTIVATIONS = {
  ...{
    Relu: [],
    Tanh: [],
    Sigmoid: [],
    LeakyRelu: ['alpha'],
    HardSigmoid: ['alpha', 'beta'],
    Clip: ['min', 'max'],
  },
} as Readonly<Record<string, readonly string[]>>;
const PLAIN = { FusedConv: 'Conv', FusedGemm: 'Gemm' } as Readonly<Record<string, string>>;

/** Whether ONNX Runtime's optimizer fused something into a node. */
export const isFused = ({ op, domain }: Node) => domain === 'com.microsoft' && op in PLAIN;

/**
 * A model whose `FusedConv` and `FusedGemm` (https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md)
 * are ONNX's operators again, so that they are quantized and fused as every other convolution and product is; the model
 * itself where it has none.
 *
 * @throws LloydError for an activation that is unknown
 */
export function unfusedModel(model: GraphModel): GraphModel {
  const { graph } = model;
  if (!graph.nodes.some(isFused)) return model;
  const parameters = new Map(model.parameters);
  const keep = (name: string, tensor: OnnxTensor) => {
    parameters.set(name, tensor);
    return name;
  };
  const nodes = graph.nodes.flatMap((node) => (isFused(node) ? unfused(node, graph.opset, keep) : [node]));
  return { graph: { ...graph, nodes }, parameters };
}

/** The node by itself, a sum with what it adds, and its activation. */
function unfused(node: Node, opset: number, keep: (name: string, tensor: OnnxTensor) => string): Node[] {
  const { op, name, inputs, outputs } = node;
  const { activation: active, activation_params: list, ...attributes } = node.attributes;
  const made: Node[] = [];
  const add = (next: string, read: Node['inputs'], own: Attributes = {}) => {
    const label = made.length === 0 ? name : `${name}/${next}`;
    made.push({ op: next, name: label, inputs: read, outputs: [`${label}/y`], attributes: own });
  };
  const last = () => made.at(-1)!.outputs[0];
  add(PLAIN[op], inputs.slice(0, 3), attributes);
  if (inputs[3]) add('Add', [last(), inputs[3]]);
  if (active) {
    const names = ACTIVATIONS[active as string];
    check(names, `${name} (${op}): activation must be one of ${Object.keys(ACTIVATIONS).join(', ')}`, active);
    const given = names.map((key, i) => {
      const own = `activation_${key}`;
      const number = (list as number[])?.[i] ?? attributes[own];
      delete attributes[own];
      return [key, number] as const;
    });
    if (active !== 'Clip' || opset < 11) add(active as string, [last()], Object.fromEntries(given));
    else {
      const bounds = given.map(([key, bound]) =>
        keep(`${name}/${key}`, { dtype: 'float32', dims: [], data: Float32Array.of(bound as number) }),
      );
      add('Clip', [last(), ...bounds]);
    }
  }
  return [...made.slice(0, -1), { ...made.at(-1)!, outputs }];
}
