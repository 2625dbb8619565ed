// Inputs for readOnnx: models by onnx.proto's grammar with wrong parts among them, and damaged ones.
import type { GraphModel } from '../../src/graph/graph.ts';
import { readOnnx } from '../../src/onnx/read-onnx.ts';
import { supportedNodes } from '../../src/onnx/supported-nodes.ts';
import { writeOnnx } from '../../src/onnx/write-onnx.ts';
import { bytes, field, float32, integer, join, text, varint } from '../support/onnx-model.ts';
import {
  attribute,
  external,
  inDomain,
  input,
  localFunction,
  model,
  named,
  node,
  opsetImport,
  output,
  type Part,
  packedVarints,
  tensor,
} from '../support/onnx-protos.ts';
import { damaged, KEYS, type Random } from './random.ts';
import type { Target } from './target.ts';

/** Sizes, counts and codes that readers get wrong. */
const NASTY: readonly (number | bigint)[] = [
  ...[0, 1, -1, 2, 127, 128, 65536, 2 ** 31 - 1, 2 ** 31, 2 ** 32, -(2 ** 31), 2 ** 53, 300],
  ...[2n ** 63n - 1n, -(2n ** 63n), 2n ** 62n],
];
const OPERATORS = [
  ...[
    'Relu',
    'Add',
    'Concat',
    'Conv',
    'Constant',
    'If',
    'Reshape',
    'Shape',
    'F',
    'G',
    'Softmax',
    'Mystery',
    '',
  ],
];
const EXTERNAL = new Uint8Array(64).map((_, i) => i);

/** A name of a value: mostly one that there is. */
const value = (random: Random) =>
  random.chance(0.95) ? `v${random.int(6)}` : random.pick(['', 'w0', 'nothing', ...KEYS, 'x'.repeat(200)]);

function anyTensor(random: Random, name: string): Part[] {
  const dims = random.list(random.int(4), () => 1 + random.int(3));
  const type = random.chance(0.97) ? random.pick([1, 1, 7, 3, 10, 21]) : random.int(28);
  const count = dims.reduce((a, b) => a * b, 1);
  const bits: Record<number, number> = {
    1: 32,
    3: 8,
    7: 64,
    10: 16,
    21: 4,
    22: 4,
    6: 32,
    2: 8,
    9: 8,
    11: 64,
    25: 2,
  };
  const byteLength =
    Math.ceil((count * (bits[type] ?? 32)) / 8) + (random.chance(0.03) ? random.int(5) - 2 : 0);
  if (random.chance(0.03)) dims.push(Number(random.pick(NASTY)));
  const data = random.chance(0.93)
    ? field(9, random.bytes(Math.max(0, byteLength)))
    : random.pick([
        () => field(4, random.bytes(4 * count)),
        () => join(random.list(count, () => float32(4, random.next()))),
        () =>
          packedVarints(
            5,
            random.list(count, () => random.int(100)),
          ),
        () =>
          packedVarints(
            7,
            random.list(count, () => random.pick(NASTY)),
          ),
        () =>
          packedVarints(
            11,
            random.list(count, () => random.int(100)),
          ),
        () => field(10, random.bytes(8 * count)),
        () => bytes(3, [integer(1, 0)]),
        () =>
          external({
            location: random.pick(['file', 'file', './file', '../file', '/file', '', 'other']),
            offset: random.pick(['0', '4', '-1', '64', '9'.repeat(30), 'x']),
            ...(random.chance(0.5) && { length: String(byteLength) }),
          }),
      ])();
  return tensor(name, type, dims, data);
}

function anyAttribute(random: Random): Part {
  const name = random.pick(['axis', 'alpha', 'value', 'value_ints', 'kernel_shape', 'then_branch', ...KEYS]);
  const type = random.chance(0.98) ? undefined : random.int(16);
  const kinds: [number, () => Part][] = [
    [1, () => float32(2, random.next())],
    [2, () => integer(3, random.chance(0.5) ? 1 : random.pick(NASTY))],
    [3, () => field(4, random.bytes(random.int(5)))],
    [4, () => bytes(5, anyTensor(random, ''))],
    [5, () => bytes(6, [node('Relu', ['v0'], ['q'])])],
    [6, () => field(7, random.bytes(random.pick([4, 8, 5])))],
    [
      7,
      () =>
        packedVarints(
          8,
          random.list(random.int(4), () => random.pick(NASTY)),
        ),
    ],
    [8, () => text(9, 'a')],
    [14, () => bytes(15, [integer(1, 1)])],
  ];
  const [kind, make] = random.pick(kinds);
  const refers = random.chance(0.02) ? text(21, 'alpha') : new Uint8Array();
  return attribute(name, type ?? kind, make(), refers);
}

function anyNode(random: Random, at: number): Part {
  const parts: Part[] = random.list(random.int(2), () => anyAttribute(random));
  if (random.chance(0.3)) parts.push(named(random.pick(['a', 'b', `Relu_${at}`])));
  const op = random.pick(OPERATORS);
  if (op === 'F' || op === 'G') parts.push(inDomain('my'));
  else if (random.chance(0.05)) parts.push(inDomain(random.pick(['ai.onnx', 'com.microsoft', 'x.y'])));
  const reads = random.chance(0.9)
    ? random.list(1 + random.int(2), () => `v${random.int(at + 1)}`)
    : [value(random)];
  return node(op, reads, random.chance(0.98) ? [`v${at + 1}`] : [value(random), value(random)], ...parts);
}

/** Field numbers with wire types and lengths of any kind. */
const anyField = (random: Random): Part => {
  const of = random.pick([1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 13, 14, 15, 20, 25, 99, 2 ** 28]);
  const head = varint(of * 8 + random.int(8));
  return Uint8Array.from([...head, ...varint(random.pick(NASTY)), ...random.bytes(random.int(6))]);
};

export function makeOnnx(random: Random): Uint8Array {
  const count = 1 + random.int(5);
  const dims = () => random.pick<number | string | null>([1, 2, 3, 'n', null, '', -1]);
  const parts: Part[] = [
    ...random.list(count, (i) => anyNode(random, i)),
    ...random.list(random.int(3), (i) => bytes(5, anyTensor(random, `w${i}`))),
    input('v0', random.list(random.int(4), dims), random.chance(0.97) ? 1 : random.int(28)),
    output(random.chance(0.97) ? `v${count}` : value(random)),
  ];
  if (random.chance(0.1)) parts.push(random.pick(parts));
  if (random.chance(0.1)) parts.push(anyField(random));
  if (random.chance(0.05)) parts.push(bytes(15, [integer(1, 1)]));
  const rest: Part[] = [
    opsetImport(random.chance(0.95) ? 9 + random.int(15) : Number(random.pick([0, 8, 24, -1]))),
  ];
  if (random.chance(0.5)) {
    for (const name of ['F', 'G']) {
      const nodes = [
        node(
          random.pick(['Relu', 'G', 'F']),
          ['p'],
          ['q'],
          inDomain(random.pick(['', 'my'])),
          anyAttribute(random),
        ),
      ];
      rest.push(localFunction('my', name, ['p'], [random.chance(0.9) ? 'q' : 'p'], nodes));
    }
  }
  if (random.chance(0.1)) rest.push(anyField(random));
  const file = model(random.chance(0.1) ? random.shuffled(parts) : parts, ...rest);
  return random.chance(0.3) ? damaged(random, file) : file;
}

/** What a graph promises, looked at without the reader. */
function broken({ graph, parameters }: GraphModel, file: Uint8Array): string | undefined {
  const made = new Set([...graph.inputs.map(({ name }) => name), ...parameters.keys()]);
  if (made.size !== graph.inputs.length + parameters.size) return 'a name of an input and a constant';
  let byteLength = 0;
  for (const { dims, data } of parameters.values()) {
    if (data.length !== dims.reduce((a, b) => a * b, 1)) return 'dims that are not the data’s';
    byteLength += data.byteLength;
  }
  if (byteLength > 16 * file.length + 64 * parameters.size)
    return 'more bytes of constants than the file is worth';
  for (const { op, inputs, outputs } of graph.nodes) {
    if (op === '') return 'a node without an operator';
    if (inputs.some((name) => name !== null && !made.has(name))) return 'a node before what it reads';
    for (const name of outputs) {
      if (name !== '' && made.has(name)) return 'a value that is made twice';
      made.add(name);
    }
  }
  if (graph.outputs.some((name) => !made.has(name))) return 'an output that nothing makes';
  if (new Set(graph.nodes.map(({ name }) => name)).size !== graph.nodes.length)
    return 'two nodes of one name';
  return undefined;
}

export const onnxFiles: Target<Uint8Array>[] = [
  {
    name: 'onnx',
    kind: 'reader',
    make: makeOnnx,
    run: (file) => readOnnx(file, { externalData: { file: EXTERNAL } }),
    verify: (read: GraphModel, file) => {
      const wrong = broken(read, file);
      if (wrong) return wrong;
      supportedNodes(read);
      const again = readOnnx(writeOnnx(read));
      return spelled(again) === spelled(read) ? undefined : 'a model that its own file changes';
    },
  },
];

/** A model as text: bits of floats, 64-bit integers, order of attributes. */
const spelled = ({ graph, parameters }: GraphModel) =>
  JSON.stringify([graph, [...parameters]], (_, item) => {
    if (typeof item === 'bigint') return String(item);
    if (!ArrayBuffer.isView(item)) return Object.is(item, -0) ? '-0' : Number.isNaN(item) ? 'NaN' : item;
    return `${item.constructor.name} ${[...new Uint8Array(item.buffer, item.byteOffset, item.byteLength)]}`;
  });
