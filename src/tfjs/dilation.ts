import type { Node } from './graph-node.ts';

/** A convolution between SpaceToBatchND and BatchToSpaceND, which together dilate it. */
export interface Dilated {
  /** What SpaceToBatchND pads less what BatchToSpaceND crops, in ONNX's order. */
  pads: number[];
  block: number[];
}

const CONVOLUTIONS = ['Conv2D', '_FusedConv2D', 'DepthwiseConv2dNative', 'FusedDepthwiseConv2dNative'];
/** What is done to each element may be done before blocks of batches become pixels again. */
const PASSING = 'BiasAdd Add AddV2 Sub Mul Relu Relu6 Elu LeakyRelu Sigmoid Tanh Identity'.split(' ');

/** Constants of a graph, by the node that reads them. */
export interface Constants {
  numbers(node: Node | undefined): number[] | null;
  dims(node: Node | undefined): readonly number[] | null;
}

/**
 * Finds convolutions that frameworks dilate by making batches of space.
 *
 * @param outputs nodes that must be there as they are
 * @returns the convolutions, and the nodes round them that then change nothing
 */
export function findDilated(
  nodes: readonly Node[],
  outputs: ReadonlySet<Node>,
  constants: Constants,
): { convolutions: Map<Node, Dilated>; idle: Set<Node> } {
  const needed = new Set(nodes);
  const reader = (node: Node): Node | null => {
    const readers = node.children.filter((child) => needed.has(child));
    return readers.length === 1 && !outputs.has(node) ? readers[0] : null;
  };
  const convolutions = new Map<Node, Dilated>();
  const idle = new Set<Node>();
  for (const start of nodes) {
    if (start.op !== 'SpaceToBatchND') continue;
    const convolution = reader(start);
    if (!convolution || !isPlain(convolution) || convolution.inputs[0] !== start) continue;
    let end = reader(convolution);
    while (end && passes(end, constants)) end = reader(end);
    if (end?.op !== 'BatchToSpaceND') continue;
    const [block, padded] = [1, 2].map((index) => constants.numbers(start.inputs[index]));
    const [other, cropped] = [1, 2].map((index) => constants.numbers(end.inputs[index]));
    if (!block || !padded || !cropped || block.length !== 2 || `${block}` !== `${other}`) continue;
    const pads = [0, 2, 1, 3].map((at) => padded[at] - cropped[at]);
    if (pads.some((pad) => pad < 0)) continue;
    convolutions.set(convolution, { pads, block });
    idle.add(start).add(end);
  }
  return { convolutions, idle };
}

/** Of stride 1, not padded, not dilated, channels last. */
function isPlain({ op, attrParams }: Node): boolean {
  const ones = ['strides', 'dilations'].flatMap((key) => (attrParams[key]?.value ?? []) as number[]);
  const format = attrParams.dataFormat?.value as string | undefined;
  return (
    CONVOLUTIONS.includes(op) &&
    attrParams.pad?.value === 'valid' &&
    ones.every((step) => step === 1) &&
    !/^nc/i.test(format ?? '')
  );
}

/** Whether a node treats every pixel alike. */
function passes({ op, inputs }: Node, constants: Constants): boolean {
  const computed = inputs.filter((input) => !constants.dims(input));
  const alike = inputs.every((input) =>
    (constants.dims(input) ?? []).slice(0, -1).every((size) => size === 1),
  );
  return PASSING.includes(op) && computed.length === 1 && alike;
}
