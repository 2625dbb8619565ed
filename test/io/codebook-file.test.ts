import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { packCodes, readCodebookFile, unpackCodes, writeCodebookFile } from '../../src/io/codebook-file.ts';
import { readSafetensors, writeSafetensors } from '../../src/io/safetensors.ts';
import { elementCount } from '../../src/io/tensor.ts';

const codesOf = (bits: number) =>
  fc
    .array(fc.nat(2 ** bits - 1), { maxLength: 70 })
    .map((codes) => ({ bits, codes: Uint8Array.from(codes) }));
const anyCodes = fc.integer({ min: 1, max: 8 }).chain(codesOf);

describe('packCodes', () => {
  test('is undone by unpackCodes, and puts bit b of element i at bit i * bits + b', () => {
    fc.assert(
      fc.property(anyCodes, ({ bits, codes }) => {
        const packed = packCodes(codes, bits);
        expect(packed.length).toBe(Math.ceil((codes.length * bits) / 8));
        expect(unpackCodes(packed, bits, codes.length)).toEqual(codes);
        for (let bit = 0; bit < packed.length * 8; bit++) {
          const code = codes[Math.floor(bit / bits)] ?? 0;
          expect((packed[bit >> 3] >> (bit & 7)) & 1).toBe((code >> (bit % bits)) & 1);
        }
      }),
      { seed: 4 },
    );
  });

  test('refuses codes that do not fit, widths that are none, lengths that do not match', () => {
    expect(() => packCodes(new Uint8Array([0, 4]), 2)).toThrow(/below 4; received "4 at element 1"/);
    expect(() => packCodes(new Uint8Array(1), 9)).toThrow(/integer from 1 to 8; received 9/);
    expect(() => unpackCodes(new Uint8Array(2), 3, 3)).not.toThrow();
    expect(() => unpackCodes(new Uint8Array(3), 3, 3)).toThrow(
      /3 codes of 3 bits must take 2 bytes; received 3/,
    );
  });
});

describe('codebook files', () => {
  const file = () => ({
    tensors: new Map([
      [
        'w',
        {
          dims: [3, 3],
          bits: 3,
          codes: new Uint8Array([0, 1, 2, 3, 4, 3, 2, 1, 0]),
          codebook: new Float32Array([-2, -1, 0, 1, 2]),
        },
      ],
    ]),
    parameters: new Map([['b', { dtype: 'float32' as const, dims: [3], data: new Float32Array([1, 2, 3]) }]]),
    metadata: { license: 'Apache-2.0' },
  });

  test('round trip', () => {
    expect(readCodebookFile(writeCodebookFile(file()))).toEqual(file());
  });

  test('refuse what does not hang together', () => {
    const change = (edit: (parts: ReturnType<typeof file>) => unknown) => () => {
      const parts = file();
      edit(parts);
      return writeCodebookFile(parts);
    };
    expect(change((f) => Object.assign(f.tensors.get('w')!, { dims: [9, 2] }))).toThrow(
      /must have 18 codes; received 9/,
    );
    expect(change((f) => f.tensors.get('w')!.codes.set([5]))).toThrow(/5 centroids.*received 5/);
    expect(change((f) => Object.assign(f.tensors.get('w')!, { bits: 2 }))).toThrow(
      /at most 4 centroids; received 5/,
    );
    expect(change((f) => f.parameters.set('w.codes', f.parameters.get('b')!))).toThrow(/received "w.codes"/);
  });

  test('reading says which part is wrong', () => {
    const reread = (edit: (safetensors: ReturnType<typeof readSafetensors>) => unknown) => () => {
      const parts = readSafetensors(writeCodebookFile(file()));
      edit(parts);
      return readCodebookFile(writeSafetensors(parts.tensors, parts.metadata));
    };
    expect(reread(({ metadata }) => Object.assign(metadata, { format: 'pt' }))).toThrow(
      /received "pt"; use readSafetensors/,
    );
    expect(reread(({ metadata }) => Object.assign(metadata, { version: '2' }))).toThrow(
      /version must be 1; received "2"/,
    );
    expect(reread(({ metadata }) => delete metadata.tensors)).toThrow(/list its tensors as JSON/);
    expect(reread(({ metadata }) => Object.assign(metadata, { tensors: '{"w":{}}' }))).toThrow(
      /"w" must have dims/,
    );
    expect(reread(({ metadata }) => Object.assign(metadata, { tensors: '{"w":null}' }))).toThrow(
      /"w" must have dims/,
    );
    expect(reread(({ tensors }) => tensors.delete('w.codebook'))).toThrow(/must hold "w.codebook"/);
  });
});

describe('the committed weights', () => {
  const read = (name: string) => readFileSync(new URL(`../../weights/${name}`, import.meta.url));
  test.each([2, 4])('%i bit: every tensor of the float network, of its shape', (bits) => {
    const float = readSafetensors(read('vgg-cifar10.safetensors')).tensors;
    const { tensors, parameters } = readCodebookFile(read(`vgg-cifar10-kmeans${bits}-qat.safetensors`));
    expect(tensors.size).toBe(9);
    expect([...tensors.keys(), ...parameters.keys()].sort()).toEqual([...float.keys()].sort());
    for (const [name, { dims, codes, codebook }] of tensors) {
      expect([name, dims, codes.length]).toEqual([name, float.get(name)!.dims, elementCount(dims)]);
      expect(codebook.length).toBe(2 ** bits);
      expect(new Set(codes).size).toBe(2 ** bits);
    }
  });

  test('several codebooks a tensor come back, and must divide evenly', () => {
    const grouped = {
      dims: [2, 3],
      bits: 1,
      codes: new Uint8Array([0, 1, 1, 1, 0, 0]),
      codebook: new Float32Array([-1, 1, -8, 8]),
      groups: 2,
      groupStride: 3,
    };
    const write = (tensor: typeof grouped) =>
      writeCodebookFile({ tensors: new Map([['w', tensor]]), parameters: new Map(), metadata: {} });
    expect(readCodebookFile(write(grouped)).tensors.get('w')).toEqual(grouped);
    expect(() => write({ ...grouped, groups: 3 })).toThrow(/codebooks of equal length; received "3 groups"/);
    expect(() => write({ ...grouped, groupStride: 0 })).toThrow(/groupStride; received 0/);
    expect(() => write({ ...grouped, codebook: new Float32Array(6) })).toThrow(
      /at most 2 centroids; received 3/,
    );
  });
});
