import { bytes, field, float32, integer, join, text, varint } from './onnx-model.ts';

/** Parts of ONNX files field by field, for files that no writer makes. */

export type Part = Uint8Array;

/** A NodeProto in a GraphProto. */
export const node = (
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  ...rest: Part[]
): Part =>
  bytes(1, [
    ...inputs.map((name) => text(1, name)),
    ...outputs.map((name) => text(2, name)),
    text(4, op),
    ...rest,
  ]);
export const named = (name: string): Part => text(3, name);
export const inDomain = (domain: string): Part => text(7, domain);
/** An AttributeProto in a NodeProto. */
export const attribute = (name: string, type: number, ...parts: Part[]): Part =>
  bytes(5, [text(1, name), ...parts, integer(20, type)]);
export const intAttribute = (name: string, value: number): Part => attribute(name, 2, integer(3, value));
export const floatAttribute = (name: string, value: number): Part => attribute(name, 1, float32(2, value));

/** A TensorProto's fields. */
export const tensor = (name: string, type: number, dims: readonly number[], ...data: Part[]): Part[] => [
  ...dims.map((size) => integer(1, size)),
  integer(2, type),
  text(8, name),
  ...data,
];
export const initializer = (...args: Parameters<typeof tensor>): Part => bytes(5, tensor(...args));
export const raw = (data: ArrayBufferView): Part =>
  field(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
export const packedVarints = (of: number, values: readonly (number | bigint)[]): Part =>
  field(of, Uint8Array.from(values.flatMap((value) => varint(value))));
/** Where a tensor's data lies in another file. */
export const external = (entries: Readonly<Record<string, string>>): Part =>
  join([
    ...Object.entries(entries).map(([key, value]) => bytes(13, [text(1, key), text(2, value)])),
    integer(14, 1),
  ]);

/** A ValueInfoProto's type: float32 unless given; null for a size that is left open. */
const tensorType = (shape: readonly (number | string | null)[] | undefined, type = 1): Part =>
  bytes(2, [
    bytes(1, [
      integer(1, type),
      ...(shape
        ? [
            bytes(
              2,
              shape.map((dim) =>
                bytes(1, dim === null ? [] : [typeof dim === 'number' ? integer(1, dim) : text(2, dim)]),
              ),
            ),
          ]
        : []),
    ]),
  ]);
export const input = (name: string, shape?: readonly (number | string | null)[], type?: number): Part =>
  bytes(11, [text(1, name), tensorType(shape, type)]);
export const output = (name: string): Part => bytes(12, [text(1, name)]);

/** A FunctionProto in a ModelProto. */
export const localFunction = (
  domain: string,
  name: string,
  inputs: readonly string[],
  outputs: readonly string[],
  nodes: readonly Part[],
  ...rest: Part[]
): Part =>
  bytes(25, [
    text(1, name),
    ...inputs.map((each) => text(4, each)),
    ...outputs.map((each) => text(5, each)),
    // A node is field 7 here, and field 1 in a graph.
    ...nodes.map((each) => join([Uint8Array.from(varint((7 << 3) | 2)), each.subarray(1)])),
    text(10, domain),
    ...rest,
  ]);

export const opsetImport = (version: number, domain = ''): Part =>
  bytes(8, [text(1, domain), integer(2, version)]);

/** A ModelProto around the parts of a graph. */
export const model = (graph: readonly Part[], ...rest: Part[]): Uint8Array =>
  join([integer(1, 8), ...(rest.length > 0 ? rest : [opsetImport(17)]), bytes(7, [text(2, 'g'), ...graph])]);
