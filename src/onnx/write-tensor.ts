import type { OnnxTensor } from '../graph/ops/tensors.ts';
import { bitsOf, checkTensor, DTYPE_NUMBERS, type OnnxDType } from '../graph/ops/value.ts';
import { bytesField, type Chunk, integerField, textField } from './proto/write.ts';

/** TensorProto.DataType by dtype. */
export const TYPE_NUMBERS = Object.fromEntries(
  Object.entries(DTYPE_NUMBERS).map(([type, dtype]) => [dtype, Number(type)]),
) as Readonly<Record<OnnxDType, number>>;

/** A TensorProto with its data as raw_data. */
export function tensorChunks(label: string, name: string, tensor: OnnxTensor): Chunk[] {
  checkTensor(label, tensor);
  return [
    ...tensor.dims.map((size) => integerField(1, size)),
    integerField(2, TYPE_NUMBERS[tensor.dtype]),
    ...(name === '' ? [] : [textField(8, name)]),
    ...bytesField(9, [rawBytes(tensor)]),
  ];
}

/** The bytes of raw_data: elements of fewer than 8 bits packed, the first in a byte's low bits. */
function rawBytes({ dtype, data }: OnnxTensor): Uint8Array {
  const bits = dtype === 'bool' ? 8 : bitsOf(dtype);
  if (bits >= 8) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const perByte = 8 / bits;
  const bytes = new Uint8Array(Math.ceil(data.length / perByte));
  const mask = (1 << bits) - 1;
  for (let i = 0; i < data.length; i++) {
    bytes[Math.floor(i / perByte)] |= (Number(data[i]) & mask) << (bits * (i % perByte));
  }
  return bytes;
}
