import { NOTHING, Packed, type Wire, type WireFile, WireType } from './wire.ts';

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
  /** Where the data lies in another file; null where it lies here. */
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

export function readModel(file: WireFile, bytes: Uint8Array): ModelProto {
  const made: ModelProto = { functions: [], opsets: [], graph: null };
  return file.read(bytes, 'an ONNX file', made, (model, field, wire) => {
    if (field === 7) model.graph = readGraph(file, wire.bytes(), model.graph);
    else if (field === 8) model.opsets.push(readOpset(file, wire.bytes()));
    else if (field === 25) model.functions.push(readFunction(file, wire.bytes()));
    else wire.skip();
  });
}

/** @param before the same message's earlier part: protobuf lets one come in pieces */
function readGraph(file: WireFile, bytes: Uint8Array, before: GraphProto | null): GraphProto {
  const made = before ?? {
    ...{ name: '', nodes: [], initializers: [], sparseInitializers: 0, inputs: [], outputs: [] },
  };
  return file.read(bytes, 'a graph', made, (graph, field, wire) => {
    if (field === 1) graph.nodes.push(readNode(file, wire.bytes()));
    else if (field === 2) graph.name = wire.text();
    else if (field === 5) graph.initializers.push(readTensorProto(file, wire.bytes()));
    else if (field === 11) graph.inputs.push(readValueInfo(file, wire.bytes()));
    else if (field === 12) graph.outputs.push(readValueInfo(file, wire.bytes()).name);
    else if (field === 15) {
      graph.sparseInitializers++;
      wire.skip();
    } else wire.skip();
  });
}

function readNode(file: WireFile, bytes: Uint8Array): NodeProto {
  const made: NodeProto = {
    ...{ name: '', op: '', domain: '', overload: '', inputs: [], outputs: [], attributes: [] },
  };
  return file.read(bytes, 'a node', made, (node, field, wire) => {
    if (field === 1) node.inputs.push(wire.text());
    else if (field === 2) node.outputs.push(wire.text());
    else if (field === 3) node.name = wire.text();
    else if (field === 4) node.op = wire.text();
    else if (field === 5) node.attributes.push(readAttribute(file, wire.bytes()));
    else if (field === 7) node.domain = wire.text();
    else if (field === 8) node.overload = wire.text();
    else wire.skip();
  });
}

function readAttribute(file: WireFile, bytes: Uint8Array): AttributeProto {
  const made: AttributeProto = {
    ...{ name: '', refersTo: '', type: ATTRIBUTE.UNDEFINED, float: 0, integer: 0n, string: NOTHING },
    ...{ tensor: null, floats: new Packed(), integers: new Packed(), strings: [], bytes },
  };
  // Files of before 2017 leave the type out: it follows from the field then.
  let implied: number = ATTRIBUTE.UNDEFINED;
  file.read(bytes, 'an attribute', made, (attribute, field, wire) => {
    implied = IMPLIED[field] ?? implied;
    if (field === 1) attribute.name = wire.text();
    else if (field === 2) attribute.float = wire.float();
    else if (field === 3) attribute.integer = wire.integer();
    else if (field === 4) attribute.string = wire.bytes();
    else if (field === 5) attribute.tensor = readTensorProto(file, wire.bytes());
    else if (field === 7) wire.packed(attribute.floats, WireType.Bit32);
    else if (field === 8) wire.packed(attribute.integers, WireType.Varint);
    else if (field === 9) attribute.strings.push(wire.bytes());
    else if (field === 20) attribute.type = wire.small();
    else if (field === 21) attribute.refersTo = wire.text();
    else wire.skip();
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

export function readTensorProto(file: WireFile, bytes: Uint8Array): TensorProto {
  const made: TensorProto = {
    ...{ name: '', dims: new Packed(), type: 0, segmented: false, raw: null, external: null },
    ...{ floats: new Packed(), ints32: new Packed(), ints64: new Packed() },
    ...{ doubles: new Packed(), uints64: new Packed() },
  };
  const external = new Map<string, string>();
  let elsewhere = false;
  file.read(bytes, 'a tensor', made, (tensor, field, wire) => {
    if (field === 1) wire.packed(tensor.dims, WireType.Varint);
    else if (field === 2) tensor.type = wire.small();
    else if (field === 3) {
      tensor.segmented = true;
      wire.skip();
    } else if (field === 4) wire.packed(tensor.floats, WireType.Bit32);
    else if (field === 5) wire.packed(tensor.ints32, WireType.Varint);
    else if (field === 7) wire.packed(tensor.ints64, WireType.Varint);
    else if (field === 8) tensor.name = wire.text();
    else if (field === 9) tensor.raw = wire.bytes();
    else if (field === 10) wire.packed(tensor.doubles, WireType.Bit64);
    else if (field === 11) wire.packed(tensor.uints64, WireType.Varint);
    else if (field === 13) {
      const [key, value] = readEntry(file, wire.bytes());
      external.set(key, value);
    } else if (field === 14) elsewhere = wire.small() === 1;
    else wire.skip();
  });
  if (elsewhere) made.external = external;
  return made;
}

/** A StringStringEntryProto. */
const readEntry = (file: WireFile, bytes: Uint8Array): [string, string] =>
  file.read<[string, string]>(bytes, 'an entry', ['', ''], (entry, field, wire) => {
    if (field === 1) entry[0] = wire.text();
    else if (field === 2) entry[1] = wire.text();
    else wire.skip();
  });

function readValueInfo(file: WireFile, bytes: Uint8Array): ValueInfoProto {
  const made: ValueInfoProto = { name: '', type: 0, shape: null };
  return file.read(bytes, 'a value’s type', made, (info, field, wire) => {
    if (field === 1) info.name = wire.text();
    else if (field === 2) readType(file, wire.bytes(), info);
    else wire.skip();
  });
}

/** A TypeProto: a tensor's dtype and shape, or something else. */
const readType = (file: WireFile, bytes: Uint8Array, into: ValueInfoProto): ValueInfoProto =>
  file.read(bytes, 'a type', into, (info, field, wire) => {
    if (field === 1) readTensorType(file, wire.bytes(), info);
    else {
      if (field !== 6) info.type = -1;
      wire.skip();
    }
  });

const readTensorType = (file: WireFile, bytes: Uint8Array, into: ValueInfoProto): ValueInfoProto =>
  file.read(bytes, 'a tensor’s type', into, (info, field, wire) => {
    if (field === 1) info.type = wire.small();
    else if (field === 2) {
      const dims = info.shape ?? [];
      info.shape = file.read(wire.bytes(), 'a shape', dims, (shape, of, inner) => {
        if (of === 1) shape.push(readDim(file, inner.bytes()));
        else inner.skip();
      });
    } else wire.skip();
  });

const readDim = (file: WireFile, bytes: Uint8Array): bigint | string | null =>
  file.read<{ dim: bigint | string | null }>(bytes, 'a dimension', { dim: null }, (made, field, wire) => {
    if (field === 1) made.dim = wire.integer();
    else if (field === 2) made.dim = wire.text();
    else wire.skip();
  }).dim;

const readOpset = (file: WireFile, bytes: Uint8Array): OpsetImport =>
  file.read(bytes, 'an opset import', { domain: '', version: 0 }, (made, field, wire) => {
    if (field === 1) made.domain = wire.text();
    else if (field === 2) made.version = Number(wire.integer());
    else wire.skip();
  });

function readFunction(file: WireFile, bytes: Uint8Array): FunctionProto {
  const made: FunctionProto = {
    ...{ name: '', domain: '', overload: '', inputs: [], outputs: [], defaults: [], nodes: [], opsets: [] },
  };
  return file.read(bytes, 'a function', made, (body, field, wire: Wire) => {
    if (field === 1) body.name = wire.text();
    else if (field === 4) body.inputs.push(wire.text());
    else if (field === 5) body.outputs.push(wire.text());
    else if (field === 7) body.nodes.push(readNode(file, wire.bytes()));
    else if (field === 9) body.opsets.push(readOpset(file, wire.bytes()));
    else if (field === 10) body.domain = wire.text();
    else if (field === 11) body.defaults.push(readAttribute(file, wire.bytes()));
    else if (field === 13) body.overload = wire.text();
    else wire.skip();
  });
}
