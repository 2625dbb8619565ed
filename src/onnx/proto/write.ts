/** A piece of a message: large ones are the caller's own arrays, copied once, when the file is put together. */
export type Chunk = Uint8Array;

/** Wire types: what follows a field's number. */
const VARINT = 0;
const LENGTH = 2;
const WORD = 5;

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return bytes;
}

const tag = (field: number, type: number) => varint(BigInt(8 * field + type));
const utf8 = new TextEncoder();

export const textField = (field: number, value: string): Chunk =>
  joined(bytesField(field, [utf8.encode(value)]));

export const integerField = (field: number, value: number | bigint): Chunk =>
  Uint8Array.from([...tag(field, VARINT), ...varint(BigInt(value))]);

/** Floats, one field each, bit by bit: one that signals would be another as a number. */
export function floatFields(field: number, values: Float32Array): Chunk[] {
  const bits = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return Array.from(values, (_, i) =>
    Uint8Array.from([...tag(field, WORD), ...bits.subarray(4 * i, 4 * i + 4)]),
  );
}

/** A message, or bytes, as a field. */
export function bytesField(field: number, chunks: readonly Chunk[]): Chunk[] {
  return [Uint8Array.from([...tag(field, LENGTH), ...varint(BigInt(lengthOf(chunks)))]), ...chunks];
}

export const lengthOf = (chunks: readonly Chunk[]) => chunks.reduce((sum, { length }) => sum + length, 0);

export function joined(chunks: readonly Chunk[]): Uint8Array {
  const bytes = new Uint8Array(lengthOf(chunks));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
