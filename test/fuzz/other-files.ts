// Inputs for the readers of CIFAR-10 batches, numpy's arrays and tar archives.
import { type Cifar10Images, parseCifar10 } from '../../src/io/cifar10.ts';
import { readNpy, readNpz } from '../../src/io/npy.ts';
import { DTYPE_ARRAYS, type Tensor } from '../../src/io/tensor.ts';
import { readTar, type TarFile } from '../../src/node/tar.ts';
import { npyFile } from '../io/npy-writer.ts';
import { zip } from '../io/zip-writer.ts';
import { tar } from '../node/tar-writer.ts';
import { damaged, type Random } from './random.ts';
import type { Target } from './target.ts';

const RECORD = 3073;

function makeBatch(random: Random): Uint8Array {
  const bytes = Uint8Array.from({ length: RECORD * random.int(4) }, (_, i) =>
    i % RECORD === 0 ? random.int(10) : (i * 7) & 255,
  );
  return random.chance(0.6) ? damaged(random, bytes) : bytes;
}

function makeTar(random: Random): Uint8Array {
  const names = ['a/one', 'b', 'x'.repeat(99), 'dir/', '../out', '\u001b[2J', '__proto__'];
  const entries = random.list(random.int(4), (): [string, string, string] => [
    random.pick(names),
    'y'.repeat(random.pick([0, 1, 511, 512, 513, 1500])),
    random.pick(['0', '0', '0', '5', '2', 'x']),
  ]);
  const bytes = Buffer.from(tar(entries));
  if (random.chance(0.4) && bytes.length > 1024) {
    // A field of a header with its checksum made right again.
    const field = random.pick([
      [124, 12],
      [100, 8],
      [0, 100],
      [257, 6],
      [345, 155],
    ]);
    const value = random.pick(['77777777777', '-1', '0x1', '9', '1e3', '\u0080\u0001', '', '00000001000']);
    bytes.fill(0, field[0], field[0] + field[1]).write(value, field[0], field[1], 'latin1');
    bytes.fill(0x20, 148, 156);
    const sum = bytes.subarray(0, 512).reduce((total, byte) => total + byte, 0);
    bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  }
  return random.chance(0.4) ? damaged(random, bytes) : bytes;
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 700) yield Buffer.from(bytes.subarray(at, at + 700));
}

const LETTERS = ['<f4', '<f8', '<f2', '|u1', '|i1', '<i4', '<i8', '|b1', '<u2'];
const WIDTHS = [4, 8, 2, 1, 1, 4, 8, 1, 2];

function makeNpy(random: Random): Uint8Array {
  const letter = random.int(LETTERS.length);
  const dims = random.list(random.int(5), () => random.int(4));
  const count = dims.reduce((a, b) => a * b, 1);
  const shape = `(${dims.join(', ')}${dims.length === 1 || random.chance(0.1) ? ',' : ''})`;
  const entries = random.shuffled([
    `'descr': '${random.chance(0.95) ? LETTERS[letter] : random.pick(['>f4', '|O', '<c8', '__proto__', ''])}'`,
    `'fortran_order': ${random.pick(['True', 'False', 'False', random.chance(0.05) ? 'None' : 'True'])}`,
    `'shape': ${random.chance(0.95) ? shape : random.pick(['(-1,)', '(1e3,)', '(,)', '(99999999999, 99999999)', '3'])}`,
  ]);
  if (random.chance(0.03)) entries.push(random.pick(["'x': 'y'", "'descr': '<f4'", '1: 2', '']));
  const data = Uint8Array.from({ length: count * WIDTHS[letter] }, (_, i) =>
    LETTERS[letter] === '|b1' ? i & 1 : i * 7,
  );
  const bytes = npyFile(`{${entries.join(', ')}, }`, data, random.pick([1, 1, 2, 3, random.int(256)]));
  return random.chance(0.4) ? damaged(random, bytes) : bytes;
}

function makeNpz(random: Random): Uint8Array {
  const names = ['a.npy', 'b/c.npy', '.npy', 'x.txt', '__proto__.npy', '../d.npy'];
  const entries = random.shuffled(names).slice(0, random.int(4));
  const bytes = zip(entries.map((name) => ({ name, data: makeNpy(random) })));
  return random.chance(0.4) ? damaged(random, bytes) : bytes;
}

/** What a tensor must be, whatever the file said. */
function tensorBroken({ dtype, dims, data }: Tensor, bytes: Uint8Array): string | undefined {
  if (!(data instanceof DTYPE_ARRAYS[dtype])) return 'an array of another dtype';
  if (data.length !== dims.reduce((a, b) => a * b, 1)) return 'another number of elements than its dims say';
  return data.byteLength > bytes.length * 20 ? 'more bytes than the file is worth' : undefined;
}

export const otherFiles: Target<Uint8Array>[] = [
  {
    name: 'cifar10',
    kind: 'reader',
    make: makeBatch,
    run: parseCifar10,
    verify: ({ images, labels, count }: Cifar10Images, bytes) => {
      if (count * RECORD !== bytes.length || images.length !== count * 3072)
        return 'another number of images';
      return labels.some((label) => label > 9) ? 'a label past 9' : undefined;
    },
  },
  { name: 'npy', kind: 'reader', make: makeNpy, run: readNpy, verify: tensorBroken },
  {
    name: 'npz',
    kind: 'reader',
    make: makeNpz,
    run: readNpz,
    verify: (tensors: Map<string, Tensor>, bytes) => {
      for (const tensor of tensors.values()) {
        const broken = tensorBroken(tensor, bytes);
        if (broken) return broken;
      }
      return undefined;
    },
  },
  {
    name: 'tar',
    kind: 'reader',
    make: makeTar,
    run: async (bytes) => {
      const files: TarFile[] = [];
      for await (const file of readTar(pieces(bytes))) files.push(file);
      return files;
    },
    verify: (files: TarFile[], bytes) => {
      const total = files.reduce((sum, file) => sum + file.bytes.length, 0);
      if (total > bytes.length) return 'more bytes than the archive has';
      return files.some(({ mode }) => !Number.isInteger(mode)) ? 'a mode that is no number' : undefined;
    },
  },
];
