import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** A piece of a message: large ones are the caller's own arrays, copied once, when the file is put together. */
export type Chunk = Uint8Array;

export const textField = (field: number, value: string): Chunk =>
  new BinaryWriter().tag(field, WireType.LengthDelimited).string(value).finish();

export const integerField = (field: number, value: number | bigint): Chunk =>
  new BinaryWriter().tag(field, WireType.Varint).int64(value).finish();

/** A message, or bytes, as a field. */
export function bytesField(field: number, chunks: readonly Chunk[]): Chunk[] {
  const head = new BinaryWriter().tag(field, WireType.LengthDelimited).uint32(lengthOf(chunks)).finish();
  return [head, ...chunks];
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
