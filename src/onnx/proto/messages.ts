import { NOTHING, Packed, type Wire, WireType } from './wire.ts';

// The messages of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3) as far as a graph needs them.
// Subgraphs, types and sparse tensors in attributes stay bytes, so that nothing nests deeper than these functions.

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
  ...{ TENSORS: 9, GRAPHS: 10, SPARSE_TENSOR: 11, SPARSE_TENSORS: 12, TYPE_PROTO: 13, TYPE_PROTOS: 14 },
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

export function readModel(wire: Wire): ModelProto {
  const made: ModelProto = { functions: [], opsets: [], graph: null };
  return wire.outermost('an ONNX file', made, (model, field) => {
    if (field === 7) model.graph = readGraph(wire, model.graph);
    else if (field === 8) model.opsets.push(readOpset(wire));
    else if (field === 25) model.functions.push(readFunction(wire));
    else wire.skip();
  });
}

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
  return wire.message('a graph', made, (graph, field) => {
    if (field === 1) graph.nodes.push(readNode(wire));
    else if (field === 2) graph.name = wire.text();
    else if (field === 5) graph.initializers.push(readTensorProto(wire));
    else if (field === 11) graph.inputs.push(readValueInfo(wire));
    else if (field === 12) graph.outputs.push(readValueInfo(wire).name);
    else {
      if (field === 15) graph.sparseInitializers++;
      wire.skip();
    }
  });
}

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
  return wire.message('a node', made, (node, field) => {
    if (field === 1) node.inputs.push(wire.text());
    else if (field === 2) node.outputs.push(wire.text());
    else if (field === 3) node.name = wire.text();
    else if (field === 4) node.op = wire.text();
    else if (field === 5) node.attributes.push(readAttribute(wire));
    else if (field === 7) node.domain = wire.text();
    else if (field === 8) node.overload = wire.text();
    else wire.skip();
  });
}

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
    bytes: NOTHING,
  };
  // Files of before 2017 leave the type out: it follows from the field then.
  let implied: number = ATTRIBUTE.UNDEFINED;
  wire.message('an attribute', made, (attribute, field) => {
    implied = IMPLIED[field] ?? implied;
    if (field === 1) attribute.name = wire.text();
    else if (field === 2) attribute.float = wire.float();
    else if (field === 3) attribute.integer = wire.integer();
    else if (field === 4) attribute.string = wire.bytes();
    else if (field === 5) attribute.tensor = readTensorProto(wire);
    else if (field === 7) attribute.floats = wire.packed(attribute.floats, WireType.Bit32);
    else if (field === 8) attribute.integers = wire.packed(attribute.integers, WireType.Varint);
    else if (field === 9) attribute.strings.push(wire.bytes());
    else if (field === 21) attribute.refersTo = wire.text();
    else {
      // A subgraph, a type, ...: or the field that says that there is one.
      attribute.bytes = wire.whole();
      if (field === 20) attribute.type = wire.small();
      else wire.skip();
    }
  });
  if (made.type === ATTRIBUTE.UNDEFINED) made.type = implied;
  return made;
}

/** AttributeType by the field that holds its value. */
const IMPLIED: Readonly<Record<number, number>> = {
  ...{ 2: ATTRIBUTE.FLOAT, 3: ATTRIBUTE.INT, 4: ATTRIBUTE.STRING, 5: ATTRIBUTE.TENSOR, 6: ATTRIBUTE.GRAPH },
  ...{ 7: ATTRIBUTE.FLOATS, 8: ATTRIBUTE.INTS, 9: ATTRIBUTE.STRINGS, 10: ATTRIBUTE.TENSORS },
  ...{ 11: ATTRIBUTE.GRAPHS, 14: ATTRIBUTE.TYPE_PROTO, 15: ATTRIBUTE.TYPE_PROTOS },
  ...{ 22: ATTRIBUTE.SPARSE_TENSOR, 23: ATTRIBUTE.SPARSE_TENSORS },
};

function readTensorProto(wire: Wire): TensorProto {
  const made: TensorProto = emptyTensor();
  wire.message('a tensor', made, (tensor, field) => readTensorField(wire, tensor, field));
  return made;
}

const emptyTensor = (): TensorProto => ({
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
});

function readTensorField(wire: Wire, tensor: TensorProto, field: number): void {
  if (field === 1) tensor.dims = wire.packed(tensor.dims, WireType.Varint);
  else if (field === 2) tensor.type = wire.small();
  else if (field === 4) tensor.floats = wire.packed(tensor.floats, WireType.Bit32);
  else if (field === 5) tensor.ints32 = wire.packed(tensor.ints32, WireType.Varint);
  else if (field === 7) tensor.ints64 = wire.packed(tensor.ints64, WireType.Varint);
  else if (field === 8) tensor.name = wire.text();
  else if (field === 9) tensor.raw = wire.bytes();
  else if (field === 10) tensor.doubles = wire.packed(tensor.doubles, WireType.Bit64);
  else if (field === 11) tensor.uints64 = wire.packed(tensor.uints64, WireType.Varint);
  else if (field === 13) {
    tensor.external ??= new Map();
    tensor.external.set(...readEntry(wire));
  } else if (field === 14) tensor.elsewhere = wire.small() === 1;
  else {
    if (field === 3) tensor.segmented = true;
    wire.skip();
  }
}

/** A StringStringEntryProto. */
const readEntry = (wire: Wire): [string, string] =>
  wire.message<[string, string]>('an entry', ['', ''], (entry, field) => {
    if (field === 1) entry[0] = wire.text();
    else if (field === 2) entry[1] = wire.text();
    else wire.skip();
  });

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

const readOpset = (wire: Wire): OpsetImport =>
  wire.message('an opset import', { domain: '', version: 0 }, (made, field) => {
    if (field === 1) made.domain = wire.text();
    else if (field === 2) made.version = Number(wire.integer());
    else wire.skip();
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
  return wire.message('a function', made, (body, field) => {
    if (field === 1) body.name = wire.text();
    else if (field === 4) body.inputs.push(wire.text());
    else if (field === 5) body.outputs.push(wire.text());
    else if (field === 7) body.nodes.push(readNode(wire));
    else if (field === 9) body.opsets.push(readOpset(wire));
    else if (field === 10) body.domain = wire.text();
    else if (field === 11) body.defaults.push(readAttribute(wire));
    else if (field === 13) body.overload = wire.text();
    else wire.skip();
  });
}
