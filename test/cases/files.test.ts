// Reported situations of safetensors files and PyTorch checkpoints.
import { readPth, readSafetensors, writeSafetensors } from 'lloyd/io';
import { describe, expect, test } from 'vitest';
import { dataParallel, notRowMajor, numpyScalar } from './pth-files.ts';

function safetensors(header: string, body: Uint8Array, padding = 0): Uint8Array {
  const text = new TextEncoder().encode(header + ' '.repeat(padding));
  const bytes = new Uint8Array(8 + text.length + body.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(body, 8 + text.length);
  return bytes;
}

// tracel-ai/burn#5383: tensors that are not contiguous (channels-last) loaded scrambled.
test('a .pth of channels-last, transposed, expanded and sliced tensors', () => {
  const tensors = readPth(notRowMajor());
  const values = (name: string) => [...(tensors.get(name)!.data as Float32Array)];
  expect([tensors.get('cl')!.dims, values('cl')]).toEqual([
    [2, 3, 2, 2],
    Array.from({ length: 24 }, (_, i) => i),
  ]);
  expect(values('t')).toEqual([0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
  expect(values('e')).toEqual([1, 1, 1, 1, 1]);
  expect(values('s')).toEqual([5, 6, 9, 10]);
});

// deepmodeling/deepmd-kit#4147, open_clip#1078: a training checkpoint that also holds a numpy scalar.
test('a .pth with a numpy scalar is read', () => {
  expect([...(readPth(numpyScalar()).get('w')!.data as Float32Array)]).toEqual([1.5, -2]);
});

// pytorch/pytorch#3805, #9176: names with the module. of DataParallel.
test('a .pth of DataParallel is read, with or without its prefix', () => {
  const names = [...readPth(dataParallel()).keys()].map((name) => name.replace(/^module\./, ''));
  expect(names).toEqual(['0.weight', '0.bias']);
});

// safetensors/safetensors#231, #607, llama.cpp PR 18291: data then begins at odd addresses.
describe('a header of any length, a file at any address', () => {
  const parts = [
    Float64Array.of(Math.PI),
    BigInt64Array.of(-7n),
    Float32Array.of(1, 2),
    Uint8Array.of(0x80, 0x3f, 9),
  ];
  const body = Uint8Array.from(parts.flatMap(({ buffer }) => [...new Uint8Array(buffer)]));
  const header = JSON.stringify({
    d: { dtype: 'F64', shape: [], data_offsets: [0, 8] },
    i: { dtype: 'I64', shape: [1], data_offsets: [8, 16] },
    f: { dtype: 'F32', shape: [2], data_offsets: [16, 24] },
    b: { dtype: 'BF16', shape: [1], data_offsets: [24, 26] },
    u: { dtype: 'U8', shape: [1], data_offsets: [26, 27] },
    e: { dtype: 'F32', shape: [0, 3], data_offsets: [27, 27] },
  });
  test.each([0, 1, 2, 3, 4, 5, 6, 7, 8])('padded by %i', (padding) => {
    const made = safetensors(header, body, padding);
    for (let shift = 0; shift < 8; shift++) {
      const moved = new Uint8Array(made.length + shift);
      moved.set(made, shift);
      const { tensors } = readSafetensors(moved.subarray(shift));
      expect([...tensors.values()].map(({ data }) => [...(data as Float32Array)])).toEqual([
        [Math.PI],
        [-7n],
        [1, 2],
        [0x3f80],
        [9],
        [],
      ]);
    }
  });
});

// safetensors/safetensors#401: a header that names a tensor twice gave a misleading error.
test('a name twice is said to be twice', () => {
  const entry = (at: number) => `"a":{"dtype":"F32","shape":[1],"data_offsets":[${at},${at + 4}]}`;
  const bytes = safetensors(`{${entry(0)},${entry(4)}}`, new Uint8Array(8));
  expect(() => readSafetensors(bytes)).toThrow(/each key once.*"a"/);
});

// numbas/Numbas#1161, lydell/js-tokens#42: a string of 2^23 characters overflowed the regular expression that scanned it.
test.each([1e5, 4e6, 9e6, 4e7])('metadata of %i characters', (length) => {
  const x = { dtype: 'float32' as const, dims: [1], data: Float32Array.of(3) };
  const { metadata } = readSafetensors(writeSafetensors(new Map([['x', x]]), { notes: 'a'.repeat(length) }));
  expect(metadata.notes.length).toBe(length);
});
