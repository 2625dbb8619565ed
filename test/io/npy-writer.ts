import type { DType, Tensor } from '../../src/io/tensor.ts';

const LETTERS: Partial<Record<DType, string>> = {
  ...{ float16: '<f2', float32: '<f4', float64: '<f8', bool: '|b1' },
  ...{ int8: '|i1', int16: '<i2', int32: '<i4', int64: '<i8' },
  ...{ uint8: '|u1', uint16: '<u2', uint32: '<u4', uint64: '<u8' },
};

/** A header as numpy writes it, padded to a multiple of 64 bytes. */
export function npyFile(header: string, data: Uint8Array, version = 1): Uint8Array {
  const prefix = version === 1 ? 10 : 12;
  const text = new TextEncoder().encode(header);
  const length = Math.ceil((prefix + text.length + 1) / 64) * 64 - prefix;
  const bytes = new Uint8Array(prefix + length + data.length).fill(0x20, prefix, prefix + length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0]);
  if (version === 1) view.setUint16(8, length, true);
  else view.setUint32(8, length, true);
  bytes.set(text, prefix);
  bytes[prefix + length - 1] = 0x0a;
  bytes.set(data, prefix + length);
  return bytes;
}

/** A tensor as `numpy.save` writes it. */
export function npy({ dtype, dims, data }: Tensor, fortran = false, version = 1): Uint8Array {
  const shape = `(${dims.join(', ')}${dims.length === 1 ? ',' : ''})`;
  const order = fortran ? 'True' : 'False';
  const header = `{'descr': '${LETTERS[dtype]}', 'fortran_order': ${order}, 'shape': ${shape}, }`;
  return npyFile(header, new Uint8Array(data.buffer, data.byteOffset, data.byteLength), version);
}
