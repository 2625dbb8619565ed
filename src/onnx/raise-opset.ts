import { check } from '../gpu/errors.ts';
import { whyUnknown } from '../graph/concrete.ts';
import type { GraphModel, Node } from '../graph/graph.ts';
import { GraphWriter } from '../graph/graph-writer.ts';
import type { Attributes } from '../graph/ops/tensors.ts';
import { int64Of } from '../graph/ops/value.ts';
import { hasFloat16 } from './float32-graph.ts';

/** A node under a newer definition, and the nodes that it needs beside it. */
type Raised = Partial<Omit<Node, 'name'>> | readonly Node[] | string;

interface Change {
  /** The first opset of the new definition. */
  opset: number;
  /** Whether a number becomes a tensor, whose dtype is taken to be float32. */
  needsFloat32?: boolean;
  raise(node: Node, make: GraphWriter): Raised;
}

const integersOf = (values: unknown) => Array.from(values as number[], int64Of);
const without = (attributes: Attributes, ...names: string[]): Attributes =>
  Object.fromEntries(Object.entries(attributes).filter(([name]) => !names.includes(name)));

/** Makes a constant of an attribute; gives its name. */
type Maker = (make: GraphWriter, label: string, value: unknown) => string;
const integers: Maker = (make, label, value) => make.integers(label, integersOf(value));
const floats: Maker = (make, label, value) => make.floats(label, Float32Array.from(value as number[]));
const scalar: Maker = (make, label, value) => make.scalar(label, value as number);

/** Attributes that became inputs, after those that there were; what is left out stays so. */
const toInputs = (opset: number, makers: Readonly<Record<string, Maker>>): Change => ({
  opset,
  needsFloat32: Object.values(makers).includes(scalar),
  raise: (node, make) => {
    const { inputs, attributes } = node;
    const made = Object.entries(makers).map(([name, maker]) =>
      attributes[name] === undefined ? null : maker(make, `${node.name}/${name}`, attributes[name]),
    );
    while (made.at(-1) === null) made.pop();
    return { inputs: [...inputs, ...made], attributes: without(attributes, ...Object.keys(makers)) };
  },
});

/** Up to 12 all axes from the given one on are one: flattened, taken along the last, and given their shape again. */
const softmax: Change = {
  opset: 13,
  raise: (node, make) => {
    const { axis = 1 } = node.attributes;
    if (axis === -1) return {};
    const [input] = node.inputs;
    const [flat, soft, shape] = ['flat', 'softmax', 'shape'].map((what) =>
      make.unique(`${node.name}/${what}`),
    );
    const own = (op: string, inputs: Node['inputs'], output: string, attributes: Attributes = {}): Node => ({
      op,
      name: output,
      inputs,
      outputs: [output],
      attributes,
    });
    return [
      own('Flatten', [input], flat, { axis }),
      own(node.op, [flat], soft, { axis: -1 }),
      own('Shape', [input], shape),
      { ...node, op: 'Reshape', inputs: [soft, shape], attributes: {} },
    ];
  },
};

/** Up to 10 a Resize has the grid of Upsample. */
const resize: Change = {
  opset: 11,
  raise: (node, make) => ({
    inputs: [node.inputs[0], make.floats(`${node.name}/roi`, Float32Array.of()), node.inputs[1]],
    attributes: { ...node.attributes, coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
  }),
};

const reduce = toInputs(18, { axes: integers });
const lists = toInputs(13, { axes: integers });
/** Changes after which a node as it is would mean something else, or nothing; all others only added. */
const CHANGES: Readonly<Record<string, readonly Change[]>> = {
  Clip: [toInputs(11, { min: scalar, max: scalar })],
  Dropout: [
    { opset: 10, raise: ({ outputs }) => (outputs[1] ? 'its mask has another dtype from there on' : {}) },
    { opset: 12, raise: ({ attributes }) => ({ attributes: without(attributes, 'ratio') }) },
  ],
  Pad: [toInputs(11, { pads: integers, value: scalar })],
  Slice: [toInputs(10, { starts: integers, ends: integers, axes: integers })],
  Split: [
    toInputs(13, { split: integers }),
    {
      opset: 18,
      raise: ({ inputs, outputs, attributes }) =>
        inputs[1] ? {} : { attributes: { ...attributes, num_outputs: outputs.length } },
    },
  ],
  Squeeze: [lists],
  Unsqueeze: [lists],
  ReduceSum: [lists],
  ...Object.fromEntries(
    ['L1', 'L2', 'LogSum', 'LogSumExp', 'Max', 'Mean', 'Min', 'Prod', 'SumSquare'].map((name) => [
      `Reduce${name}`,
      [reduce],
    ]),
  ),
  Softmax: [softmax],
  LogSoftmax: [softmax],
  Upsample: [toInputs(9, { scales: floats }), { opset: 10, raise: () => ({ op: 'Resize' }) }],
  Resize: [resize],
  BatchNormalization: [
    { opset: 9, raise: ({ attributes }) => ({ attributes: without(attributes, 'spatial') }) },
    { opset: 14, raise: ({ outputs }) => (outputs.length > 1 ? 'its outputs for training are no more' : {}) },
  ],
  GroupNormalization: [{ opset: 21, raise: () => 'its scale and bias are a channel each from there on' }],
};

/**
 * A model with its operators as a newer opset defines them: attributes that became inputs are constants, a Softmax over
 * several axes is flattened, an Upsample is a Resize.
 *
 * @throws LloydError for an older opset, nodes whose meaning the newer one cannot say, and operators that it may define
 *   otherwise (all of them, by name)
 */
export function raiseOpset(model: GraphModel, opset: number, isKnown: (node: Node) => boolean): GraphModel {
  const { graph } = model;
  check(
    opset >= graph.opset,
    `${graph.name} follows opset ${graph.opset}, and can be written for it or a newer one`,
    opset,
    'leave opset out',
  );
  if (opset === graph.opset) return model;
  const make = new GraphWriter(graph.name, opset, model);
  const { parameters } = make;
  const hasHalves = hasFloat16(model);
  const refused: string[] = [];
  let nodes = [...graph.nodes];
  for (let next = graph.opset + 1; next <= opset; next++) {
    nodes = nodes.flatMap((node) => {
      const change = node.domain ? undefined : CHANGES[node.op]?.find((each) => each.opset === next);
      if (!change) return [node];
      const isOpen = change.needsFloat32 && hasHalves;
      const raised = isOpen ? 'which dtype its numbers have is not known here' : change.raise(node, make);
      if (typeof raised === 'string') refused.push(`${node.name} (${node.op}): ${raised}`);
      return Array.isArray(raised) ? raised : [{ ...node, ...(raised as Partial<Node>) }];
    });
  }
  for (const node of graph.nodes) {
    if (!node.domain && !isKnown(node))
      refused.push(`${node.name} (${node.op}): what changed of it is not known here`);
  }
  check(
    refused.length === 0,
    `${graph.name}: opset ${opset} must be able to say what every node of opset ${graph.opset} means`,
    refused,
    'leave opset out',
  );
  return { graph: { ...graph, opset, nodes }, parameters };
}

/** A model of this opset or a newer one; see {@link raiseOpset}. */
export function atLeastOpset(model: GraphModel, opset: number): GraphModel {
  const own = model.graph.opset;
  return own >= opset ? model : raiseOpset(model, opset, (node) => whyUnknown(node, own) === null);
}
