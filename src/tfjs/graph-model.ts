import { check } from '../gpu/errors.ts';
import type { GraphModel as Model } from '../graph/graph.ts';
import { type OnnxTensor, sizeOf } from '../graph/ops/tensors.ts';
import { numbersOf } from '../graph/ops/value.ts';
import { type Dilated, findDilated } from './dilation.ts';
import { arithmeticNodes } from './graph-arithmetic.ts';
import { GraphBuilder, type Value } from './graph-builder.ts';
import { imageNodes, writeConvolution } from './graph-convolution.ts';
import { moveNodes } from './graph-moves.ts';
import { type Node, openReading, type Write } from './graph-node.ts';
import { reduceNodes } from './graph-reduce.ts';
import { Refusals } from './refusals.ts';
import { dtypeOf, type GraphReadOptions, type TfjsTensor, tensorOf } from './tensorflow.ts';

type GraphModel = import('@tensorflow/tfjs').GraphModel;

const WRITERS: Readonly<Record<string, Write>> = {
  ...arithmeticNodes,
  ...imageNodes,
  ...moveNodes,
  ...reduceNodes,
};

/** Why operations have no counterpart; others are unknown. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [
    /^(Stateless)?(If|While)$|^(Switch|Merge|Enter|Exit|NextIteration|LoopCond)$/,
    'control flow depends on what the network is given',
  ],
  [/^(TensorArray|TensorList|EmptyTensorList)/, 'a list of tensors grows while the network runs'],
  [/HashTable|LookupTable|InitializeTable/, 'tables are looked up on the CPU'],
  [/String|Regex/, 'there are no strings on a GPU'],
  [/^Ragged|^Sparse/, 'ragged and sparse tensors have sizes that depend on what they hold'],
  [
    /^NonMaxSuppression|^Where$|^Unique|^ListDiff$/,
    'how many elements it has depends on what the network is given',
  ],
  [/^Random|^Truncated|^Multinomial/, 'a network must compute the same each time'],
  [/FFT|^Complex|^Real$|^Imag$/, 'there are no complex numbers here'],
];

/** Tensors by the names that a file's signature has for them. */
type Signature = Record<string, { name?: unknown } | null>;

interface Executor {
  graph: { outputs: Node[]; inputs: Node[]; placeholders: Node[]; nodes: Record<string, Node> };
  _signature?: { outputs?: Signature; inputs?: Signature };
}

/**
 * A TensorFlow graph model (`tf.loadGraphModel`) as our graph with its parameters: any number of inputs and outputs, by
 * tfjs's names and in its layouts. Sizes that the model leaves open are symbols: `batch` for a first dimension,
 * `<input>:<axis>` for others.
 *
 * Nodes keep their names; convolutions, pools and norms of images stand between Transposes, since ONNX's have channels
 * first.
 *
 * @param options `logits` leaves out a softmax that an output ends in; `outputs` names tensors to end in instead of the
 *   model's, so that what comes after them (a loop, a suppression) need have no counterpart
 * @throws LloydError naming every node that has no counterpart, with its operation and the reason
 * @example
 * const model = await fromGraphModel(await tf.loadGraphModel('https://example.org/model.json'));
 * model.graph.inputs; // [{ name: 'image', dtype: 'float32', shape: ['batch', 224, 224, 3] }]
 */
export async function fromGraphModel(model: GraphModel, options: GraphReadOptions = {}): Promise<Model> {
  const { executor } = (model ?? {}) as unknown as { executor?: Executor };
  check(
    executor?.graph,
    'fromGraphModel takes what tf.loadGraphModel loads',
    model,
    'fromLayersModel takes a LayersModel',
  );
  const outputs = options.outputs ? chosen(executor, options.outputs) : outputsOf(executor);
  const declared = new Set(signed(executor._signature?.inputs).map(nameOf));
  const isInput = ({ op, name }: Node) =>
    op === 'Placeholder' || (op === 'PlaceholderWithDefault' && declared.has(name));
  const weight = (node: Node): TfjsTensor | undefined => model.weights[node.name]?.[0];
  const order = inOrder(
    outputs.map(({ node }) => node),
    (node) => isInput(node) || weight(node) !== undefined,
  );
  const unnamed = order.find(({ name, op }) => typeof name !== 'string' || typeof op !== 'string');
  check(!unnamed, 'every node must have a name and an operation', unnamed && [unnamed.name, unnamed.op]);
  const refusals = new Refusals(
    'graph-model',
    'node',
    'name tensors before them as outputs, or replace them',
  );
  const constants = new Map<Node, OnnxTensor>();
  for (const node of order) {
    const tensor = weight(node);
    if (tensor)
      await refusals.collectAsync(
        node,
        async () => void constants.set(node, await tensorOf(node.name, tensor)),
      );
  }
  return read(order, {
    outputs,
    isInput,
    constants,
    refusals,
    placeholders: executor.graph.placeholders,
    options,
  });
}

interface Found {
  outputs: { name: string; reference: string; node: Node }[];
  placeholders: Node[];
  isInput(node: Node): boolean;
  constants: ReadonlyMap<Node, OnnxTensor>;
  refusals: Refusals;
  options: GraphReadOptions;
}

function read(order: readonly Node[], found: Found): Model {
  const { outputs, isInput, constants, refusals, placeholders } = found;
  const b = new GraphBuilder('graph-model');
  const values = new Map<string, Value[]>();
  const reached = new Set(order);
  // In tfjs's order, whichever is read first.
  for (const node of placeholders.filter((own) => isInput(own) && reached.has(own))) {
    refusals.collect(node, () => values.set(node.name, [inputOf(b, node)]));
  }
  const lookup = (reference: string, node: Node): Value => {
    const [name, index] = [nameOf(reference), indexOf(reference)];
    const tensor = constants.get(node);
    if (tensor && !values.has(name)) values.set(name, [b.constant(name, tensor)]);
    const value = values.get(name)?.[index];
    check(value, `it must have an input ${reference}`, `${values.get(name)?.length ?? 0} outputs of ${name}`);
    return value;
  };
  const isRead = (node: Node) => values.has(node.name) || constants.has(node);
  const idle = dilatedOf(order, found);
  for (const node of order) {
    if (isInput(node) || constants.has(node)) continue;
    const writer = Object.hasOwn(WRITERS, node.op) ? WRITERS[node.op] : null;
    if (!writer) {
      refusals.add(
        node,
        REASONS.find(([pattern]) => pattern.test(node.op))?.[1] ?? 'there is no such operation here',
      );
      continue;
    }
    // In a loop a node's inputs may come after it.
    if (node.inputs.some((input) => refusals.has(input) || (reached.has(input) && !isRead(input)))) {
      refusals.skip(node);
      continue;
    }
    refusals.collect(node, () => {
      const reading = openReading(b, node, lookup);
      const dilated = idle.convolutions.get(node);
      const made = idle.idle.has(node)
        ? reading.input(0)
        : dilated
          ? writeConvolution(reading, dilated)
          : writer(reading);
      const list = Array.isArray(made) ? made : [made];
      for (const [i, value] of list.entries()) b.title(value, i === 0 ? node.name : `${node.name}:${i}`);
      values.set(node.name, list);
    });
  }
  refusals.check(order.length - constants.size);
  const ends = outputs.map(({ name, reference, node }) => ({ name, value: lookup(reference, node) }));
  return b.model(ends, found.options);
}

function dilatedOf(
  order: readonly Node[],
  { outputs, constants }: Found,
): { convolutions: Map<Node, Dilated>; idle: Set<Node> } {
  const constant = (node: Node | undefined): OnnxTensor | null => {
    if (!node) return null;
    return constants.get(node) ?? (node.op === 'Identity' ? constant(node.inputs[0]) : null);
  };
  return findDilated(order, new Set(outputs.map(({ node }) => node)), {
    numbers: (node) => {
      const tensor = constant(node);
      return tensor && sizeOf(tensor.dims) <= 64 ? numbersOf(tensor) : null;
    },
    dims: (node) => constant(node)?.dims ?? null,
  });
}

function inputOf(b: GraphBuilder, { name, attrParams }: Node): Value {
  const shape = attrParams.shape?.value as number[] | undefined;
  check(Array.isArray(shape), 'how many dimensions it has must be given', 'a shape of unknown rank');
  const sizes = shape.map((size) => (size >= 0 ? size : null));
  return b.input(name, dtypeOf(name, attrParams.dtype?.value), sizes);
}

const signed = (signature: Signature = {}): string[] =>
  Object.values(signature ?? {}).flatMap((entry) => (typeof entry?.name === 'string' ? [entry.name] : []));

const nameOf = (reference: string) => reference.split(':')[0];
const indexOf = (reference: string) => (reference.includes(':') ? Number(reference.split(':').at(-1)) : 0);

/** A signature says which outputs of which nodes are the network's; without one it's the nodes that nobody reads. */
function outputsOf({ graph, _signature }: Executor): Found['outputs'] {
  const named = signed(_signature?.outputs).flatMap((reference) => {
    const node = graph.nodes[nameOf(reference)];
    return node ? [{ name: reference.replace(/:0$/, ''), reference, node }] : [];
  });
  if (named.length > 0) return named;
  return graph.outputs.map((node) => ({ name: node.name, reference: node.name, node }));
}

/** Tensors of the network that somebody asks for. */
function chosen({ graph }: Executor, references: readonly string[]): Found['outputs'] {
  check(
    Array.isArray(references) && references.length > 0 && references.every((own) => typeof own === 'string'),
    'outputs must be names of tensors: node or node:1',
    references,
  );
  return references.map((reference) => {
    const node = Object.hasOwn(graph.nodes, nameOf(reference)) ? graph.nodes[nameOf(reference)] : undefined;
    check(node, 'an output must be a node of the model', reference);
    return { name: reference, reference, node };
  });
}

/** The nodes that outputs depend on, each after its inputs. */
function inOrder(outputs: readonly Node[], isLeaf: (node: Node) => boolean): Node[] {
  const order: Node[] = [];
  const seen = new Set<Node>();
  for (const output of outputs) {
    if (seen.has(output)) continue;
    seen.add(output);
    const stack: { node: Node; next: number }[] = [{ node: output, next: 0 }];
    while (stack.length > 0) {
      const top = stack.at(-1)!;
      const input = isLeaf(top.node) ? undefined : top.node.inputs[top.next++];
      if (!input) {
        stack.pop();
        order.push(top.node);
      } else if (!seen.has(input) && input.op !== 'NoOp') {
        seen.add(input);
        stack.push({ node: input, next: 0 });
      }
    }
  }
  return order;
}
