import { NOTHING, Packed, type Wire, WireType } from './wire.ts';

// The messages of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3) as far as a graph needs them.
// Types and sparse tensors in attributes stay bytes, and so do graphs nested deeper than any exporter nests them.

export interface ModelProto {
  functions: FunctionProto[];
  opsets: OpsetImport[];
  graph: GraphProto | null;
}
export interface OpsetImport {
  domain: string;
  version: number;
}
export interface GraphProto {
  name: string;
  nodes: NodeProto[];
  initializers: TensorProto[];
  sparseInitializers: number;
  inputs: ValueInfoProto[];
  outputs: string[];
}
export interface NodeProto {
  name: string;
  op: string;
  domain: string;
  overload: string;
  inputs: string[];
  outputs: string[];
  attributes: AttributeProto[];
}
/** AttributeProto.AttributeType. */
export const ATTRIBUTE = {
  ...{ UNDEFINED: 0, FLOAT: 1, INT: 2, STRING: 3, TENSOR: 4, GRAPH: 5, FLOATS: 6, INTS: 7, STRINGS: 8 },
  GRAPHS: 10,
} as const;
export interface AttributeProto {
  name: string;
  /** In a function: the attribute of the call that it takes its value from. */
  refersTo: string;
  type: number;
  float: number;
  integer: bigint;
  string: Uint8Array;
  tensor: TensorProto | null;
  floats: Packed;
  integers: Packed;
  strings: Uint8Array[];
  /** A subgraph. */
  graph: GraphProto | null;
  /** The message itself, for kinds that are kept as they are. */
  bytes: Uint8Array;
}
export interface TensorProto {
  name: string;
  dims: Packed;
  type: number;
  segmented: boolean;
  raw: Uint8Array | null;
  floats: Packed;
  ints32: Packed;
  ints64: Packed;
  doubles: Packed;
  uints64: Packed;
  /** Whether the data lies in another file, and where. */
  elsewhere: boolean;
  external: Map<string, string> | null;
}
export interface ValueInfoProto {
  name: string;
  /** TensorProto.DataType, 0 where none is given, -1 for what is no tensor. */
  type: number;
  /** Sizes, names of sizes, null for unknown ones; null where even the rank is unknown. */
  shape: (bigint | string | null)[] | null;
}
export interface FunctionProto {
  name: string;
  domain: string;
  overload: string;
  inputs: string[];
  outputs: string[];
  defaults: AttributeProto[];
  nodes: NodeProto[];
  opsets: OpsetImport[];
}

type Element<T> = T extends readonly (infer E)[] ? E : T;
/**
 * A message's fields by number: where each is kept, and how it is read if it is no text. Of a list every one is kept, of
 * anything else the last, which may add to the one before. Other fields are passed over.
 */
type Fields<T> = Readonly<
  Record<
    number,
    { [K in keyof T]: K | readonly [key: K, read: (wire: Wire, before: T[K]) => Element<T[K]>] }[keyof T]
  >
>;

type Visit<T> = (made: T, field: number, wire: Wire) => void;

/** @param other what reads the message's other fields, or skips them */
function visitor<T extends object>(
  fields: Fields<T>,
  other: Visit<T> = (_, __, wire) => wire.skip(),
): Visit<T> {
  return (made, field, wire) => {
    const entry = fields[field];
    if (entry === undefined) return other(made, field, wire);
    const isText = typeof entry === 'string';
    const key = (isText ? entry : (entry as readonly unknown[])[0]) as keyof T;
    const before = made[key];
    const value = isText ? wire.text() : (entry as readonly [keyof T, Read])[1](wire, before);
    if (Array.isArray(before)) before.push(value);
    else made[key] = value as T[keyof T];
  };
}
type Read = (wire: Wire, before: unknown) => unknown;

const bytes = (wire: Wire): Uint8Array => wire.bytes();
const packed = (type: WireType) => (wire: Wire, before: Packed) => wire.packed(before, type);
const varints = packed(WireType.Varint);
const words = packed(WireType.Bit32);

const visitModel = visitor<ModelProto>({
  7: ['graph', readGraph],
  8: ['opsets', readOpset],
  25: ['functions', readFunction],
});

export function readModel(wire: Wire): ModelProto {
  return wire.outermost('an ONNX file', { functions: [], opsets: [], graph: null }, visitModel);
}

const visitGraph = visitor<GraphProto>(
  {
    1: ['nodes', readNode],
    2: 'name',
    5: ['initializers', readTensorProto],
    11: ['inputs', readValueInfo],
    12: ['outputs', (wire: Wire) => readValueInfo(wire).name],
  },
  (graph, field, wire) => {
    if (field === 15) graph.sparseInitializers++;
    wire.skip();
  },
);

/** @param before the same message's earlier part: protobuf lets one come in pieces */
function readGraph(wire: Wire, before: GraphProto | null): GraphProto {
  const made: GraphProto = before ?? {
    name: '',
    nodes: [],
    initializers: [],
    sparseInitializers: 0,
    inputs: [],
    outputs: [],
  };
  return wire.message('a graph', made, visitGraph);
}

const visitNode = visitor<NodeProto>({
  1: 'inputs',
  2: 'outputs',
  3: 'name',
  4: 'op',
  5: ['attributes', readAttribute],
  7: 'domain',
  8: 'overload',
});

function readNode(wire: Wire): NodeProto {
  const made: NodeProto = {
    name: '',
    op: '',
    domain: '',
    overload: '',
    inputs: [],
    outputs: [],
    attributes: [],
  };
  return wire.message('a node', made, visitNode);
}

const visitAttribute = visitor<AttributeProto>(
  {
    1: 'name',
    2: ['float', (wire: Wire) => wire.float()],
    3: ['integer', (wire: Wire) => wire.integer()],
    4: ['string', bytes],
    5: ['tensor', readTensorProto],
    7: ['floats', words],
    8: ['integers', varints],
    9: ['strings', bytes],
    21: 'refersTo',
  },
  (attribute, field, wire) => {
    // A subgraph, a type, ...: or the field that says that there is one.
    attribute.bytes = wire.whole();
    if (field === 20) attribute.type = wire.small();
    else if (field === 6 && wire.depth < MOST_DEPTH) attribute.graph = readGraph(wire, attribute.graph);
    else wire.skip();
  },
);

function readAttribute(wire: Wire): AttributeProto {
  const made: AttributeProto = {
    name: '',
    refersTo: '',
    type: ATTRIBUTE.UNDEFINED,
    float: 0,
    integer: 0n,
    string: NOTHING,
    tensor: null,
    floats: Packed.none,
    integers: Packed.none,
    strings: [],
    graph: null,
    bytes: NOTHING,
  };
  // Files of before 2017 leave the type out: it follows from the field then.
  let implied: number = ATTRIBUTE.UNDEFINED;
  wire.message('an attribute', made, (attribute, field) => {
    implied = impliedBy(field) ?? implied;
    visitAttribute(attribute, field, wire);
  });
  if (made.type === ATTRIBUTE.UNDEFINED) made.type = implied;
  return made;
}

/** Messages in one another: a graph, a node and an attribute for each graph in a graph. */
const MOST_DEPTH = 3 * 16;

/** The AttributeType that the field of a value implies; null of a field that holds none. */
function impliedBy(field: number): number | null {
  const isValue = (field >= 2 && field <= 11) || field === 14 || field === 15 || field === 22 || field === 23;
  return isValue ? (field < 20 ? field - 1 : field - 11) : null;
}

const visitTensor = visitor<TensorProto>(
  {
    1: ['dims', varints],
    2: ['type', (wire: Wire) => wire.small()],
    4: ['floats', words],
    5: ['ints32', varints],
    7: ['ints64', varints],
    8: 'name',
    9: ['raw', bytes],
    10: ['doubles', packed(WireType.Bit64)],
    11: ['uints64', varints],
    13: [
      'external',
      (wire: Wire, before: TensorProto['external']) => (before ?? new Map()).set(...readEntry(wire)),
    ],
    14: ['elsewhere', (wire: Wire) => wire.small() === 1],
  },
  (tensor, field, wire) => {
    if (field === 3) tensor.segmented = true;
    wire.skip();
  },
);

function readTensorProto(wire: Wire): TensorProto {
  const made: TensorProto = {
    name: '',
    dims: Packed.none,
    type: 0,
    segmented: false,
    raw: null,
    floats: Packed.none,
    ints32: Packed.none,
    ints64: Packed.none,
    doubles: Packed.none,
    uints64: Packed.none,
    external: null,
    elsewhere: false,
  };
  return wire.message('a tensor', made, visitTensor);
}

const visitEntry = visitor<{ key: string; value: string }>({ 1: 'key', 2: 'value' });

/** A StringStringEntryProto. */
function readEntry(wire: Wire): [string, string] {
  const { key, value } = wire.message('an entry', { key: '', value: '' }, visitEntry);
  return [key, value];
}

function readValueInfo(wire: Wire): ValueInfoProto {
  const made: ValueInfoProto = { name: '', type: 0, shape: null };
  return wire.message('a value’s type', made, (info, field) => {
    if (field === 1) info.name = wire.text();
    else if (field === 2) readType(wire, info);
    else wire.skip();
  });
}

/** A TypeProto: a tensor's dtype and shape, or something else. */
const readType = (wire: Wire, into: ValueInfoProto): ValueInfoProto =>
  wire.message('a type', into, (info, field) => {
    if (field === 1) readTensorType(wire, info);
    else {
      if (field !== 6) info.type = -1;
      wire.skip();
    }
  });

const readTensorType = (wire: Wire, into: ValueInfoProto): ValueInfoProto =>
  wire.message('a tensor’s type', into, (info, field) => {
    if (field === 1) info.type = wire.small();
    else if (field === 2) {
      info.shape = wire.message('a shape', info.shape ?? [], (shape, of) => {
        if (of === 1) shape.push(readDim(wire));
        else wire.skip();
      });
    } else wire.skip();
  });

const readDim = (wire: Wire): bigint | string | null =>
  wire.message<{ dim: bigint | string | null }>('a dimension', { dim: null }, (made, field) => {
    if (field === 1) made.dim = wire.integer();
    else if (field === 2) made.dim = wire.text();
    else wire.skip();
  }).dim;

const visitOpset = visitor<OpsetImport>({
  1: 'domain',
  2: ['version', (wire: Wire) => Number(wire.integer())],
});

function readOpset(wire: Wire): OpsetImport {
  return wire.message('an opset import', { domain: '', version: 0 }, visitOpset);
}

const visitFunction = visitor<FunctionProto>({
  1: 'name',
  4: 'inputs',
  5: 'outputs',
  7: ['nodes', readNode],
  9: ['opsets', readOpset],
  10: 'domain',
  11: ['defaults', readAttribute],
  13: 'overload',
});

function readFunction(wire: Wire): FunctionProto {
  const made: FunctionProto = {
    name: '',
    domain: '',
    overload: '',
    inputs: [],
    outputs: [],
    defaults: [],
    nodes: [],
    opsets: [],
  };
  return wire.message('a function', made, visitFunction);
}
