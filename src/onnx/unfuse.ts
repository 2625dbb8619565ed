import { check } from '../gpu/errors.ts';
import type { Node } from '../graph/graph.ts';
import type { Attributes, OnnxTensor } from '../graph/ops/tensors.ts';

/** An activation that ONNX Runtime's optimizer put into a node, with the names of its parameters. */
const ACTIVATIONS: Readonly<Record<string, readonly string[]>> = {
  ...{
    Relu: [],
    Tanh: [],
    Sigmoid: [],
    LeakyRelu: ['alpha'],
    HardSigmoid: ['alpha', 'beta'],
    Clip: ['min', 'max'],
  },
};

const isFused = ({ op, domain }: Node) =>
  domain === 'com.microsoft' && (op === 'FusedConv' || op === 'FusedGemm');

/**
 * A convolution or product with what ONNX Runtime's optimizer fused into it (`FusedConv`, `FusedGemm`,
 * https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md) as ONNX's operators again, so that it is
 * quantized and fused as every other one is; any other node as it is.
 *
 * @param keep keeps a constant under a name of its own
 * @throws LloydError for an activation that is unknown
 */
export function unfused(
  node: Node,
  opset: number,
  keep: (name: string, tensor: OnnxTensor) => string,
): Node[] {
  if (!isFused(node)) return [node];
  const { name, inputs, outputs, attributes } = node;
  const isConv = node.op === 'FusedConv';
  const prefix = 'activation';
  const own = (key: string) => !key.startsWith(prefix);
  const plain: Attributes = Object.fromEntries(Object.entries(attributes).filter(([key]) => own(key)));
  const activation = attributes[prefix];
  const known = typeof activation === 'string' && Object.hasOwn(ACTIVATIONS, activation);
  check(
    activation === undefined || known,
    `${name} (${node.op}): activation must be one of ${Object.keys(ACTIVATIONS).join(', ')}`,
    activation,
  );
  const listed = Array.from((attributes.activation_params as ArrayLike<number> | undefined) ?? [], Number);
  const parameters = (known ? ACTIVATIONS[activation] : []).map((key, i): [string, number | undefined] => [
    key,
    isConv ? listed[i] : (attributes[`activation_${key}`] as number),
  ]);
  const made: Node[] = [];
  let value = `${name}/plain`;
  const addend = isConv ? (inputs[3] ?? null) : null;
  made.push({
    op: isConv ? 'Conv' : 'Gemm',
    name,
    inputs: inputs.slice(0, 3),
    outputs: [value],
    attributes: plain,
  });
  if (addend !== null) {
    made.push({
      op: 'Add',
      name: `${name}/add`,
      inputs: [value, addend],
      outputs: [`${name}/sum`],
      attributes: {},
    });
    value = `${name}/sum`;
  }
  if (known) {
    const bounds = activation === 'Clip' && opset >= 11;
    const scalars = bounds
      ? parameters.map(([key, bound]) =>
          bound === undefined
            ? null
            : keep(`${name}/${key}`, { dtype: 'float32', dims: [], data: Float32Array.of(bound) }),
        )
      : [];
    const given = Object.fromEntries(parameters.filter(([, number]) => number !== undefined));
    made.push({
      ...{ op: activation, name: `${name}/${activation}`, inputs: [value, ...scalars] },
      ...{ outputs: [`${name}/active`], attributes: bounds ? {} : given },
    });
  }
  const last = made.at(-1)!;
  made[made.length - 1] = { ...last, outputs };
  return made;
}
