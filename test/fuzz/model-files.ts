// Inputs for the readers of networks: sound files whose header, metadata or data were changed, and raw damage.
import { check } from '../../src/gpu/errors.ts';
import { type CodebookFile, readCodebookFile } from '../../src/io/codebook-file.ts';
import { fuseGraph, hasWeights } from '../../src/lower/fuse.ts';
import type { Model } from '../../src/model/graph.ts';
import type { QuantizedModel } from '../../src/model/quantized-model.ts';
import { readModelFile } from '../../src/run/file.ts';
import { type CheckpointKind, restoreCheckpoint } from '../../src/train/checkpoint.ts';
import { smallFiles } from '../support/small-files.ts';
import { concat, damaged, damagedJson, type Random } from './random.ts';
import type { Target } from './target.ts';
import { safetensors } from './tensor-files.ts';

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}
type Header = Record<string, Entry> & { __metadata__?: Record<string, string> };

function split(bytes: Uint8Array): { header: Header; body: Uint8Array } {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  return {
    header: JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))),
    body: bytes.subarray(8 + length),
  };
}

const VALUES = [
  '',
  '0',
  '1',
  '9',
  'NaN',
  'null',
  '-1',
  '1e9',
  'lloyd-linear',
  'lloyd-codebook',
  'x',
  'lab',
  '{}',
  '[]',
];

/** A sound file with one thing changed in it. */
function changed(random: Random, bytes: Uint8Array): Uint8Array {
  if (random.chance(0.2)) return damaged(random, bytes);
  const { header, body } = split(bytes);
  const { __metadata__: metadata = {}, ...tensors } = header;
  const names = Object.keys(tensors);
  const name = random.pick(names);
  const entry = tensors[name];
  const [begin, end] = entry.data_offsets;
  let data = body;
  switch (random.int(8)) {
    case 0:
    case 1: {
      const keys = Object.keys(metadata).filter((key) => /^[{[]/.test(metadata[key]));
      if (keys.length > 0) {
        const key = random.pick(keys);
        metadata[key] = damagedJson(random, metadata[key]);
      }
      break;
    }
    case 2:
      for (const key of random.shuffled(Object.keys(metadata)).slice(0, 1)) {
        if (random.chance(0.3)) delete metadata[key];
        else metadata[key] = random.pick(VALUES);
      }
      break;
    case 3:
      delete tensors[name];
      break;
    case 4:
      entry.dtype = random.pick(entry.dtype === 'U8' ? ['I8', 'BOOL'] : ['I32', 'U32']);
      break;
    case 5:
      entry.shape = random.pick([[1, ...entry.shape], [...entry.shape, 1], entry.shape.toReversed()]);
      break;
    case 6: {
      data = body.slice();
      const view = new DataView(data.buffer);
      const value = random.pick([Number.NaN, Infinity, -Infinity, 0, -1, 1e38, 1e-45]);
      if (entry.dtype === 'F32' && end - begin >= 4)
        view.setFloat32(begin + 4 * random.int((end - begin) / 4), value, true);
      else if (end > begin) data[begin + random.int(end - begin)] = random.int(256);
      break;
    }
    default: {
      // One tensor longer or shorter, and all after it moved: a sound safetensors file of another network.
      const width = entry.dtype === 'U8' ? 1 : 4;
      const cut = Math.max(begin, end + width * random.pick([-1, 1, 2, -2, 4, -8]));
      const delta = cut - end;
      data =
        delta < 0
          ? concat(body.subarray(0, cut), body.subarray(end))
          : concat(body.subarray(0, end), new Uint8Array(delta), body.subarray(end));
      for (const other of Object.values(tensors)) {
        if (other !== entry && other.data_offsets[0] >= end)
          other.data_offsets = [other.data_offsets[0] + delta, other.data_offsets[1] + delta];
      }
      entry.data_offsets = [begin, cut];
      entry.shape = [(cut - begin) / width];
    }
  }
  return safetensors(JSON.stringify({ __metadata__: metadata, ...tensors }), data);
}

let files: ReturnType<typeof smallFiles>;
const open = async () => {
  files ??= smallFiles();
};

function codebooksBroken({ tensors }: CodebookFile): string | undefined {
  for (const { dims, bits, codes, codebook, groups = 1, groupStride } of tensors.values()) {
    const count = dims.reduce((a, b) => a * b, 1);
    if (!Number.isInteger(bits) || bits < 1 || bits > 8) return 'bits out of range';
    if (codes.length !== count) return 'codes not one an element';
    if (codebook.some((value) => !Number.isFinite(value))) return 'a centroid that is not finite';
    if (groups > 1 && !(Number.isInteger(groupStride) && groupStride! > 0)) return 'groups without a stride';
    if (codes.some((code) => code >= codebook.length / groups)) return 'a code past its codebook';
  }
  return undefined;
}

function modelBroken(read: Model | QuantizedModel): string | undefined {
  if (!('layers' in read)) return undefined;
  const { model, method, bits, layers, activations } = read;
  const fused = fuseGraph(model).layers;
  const weighted = new Map(fused.filter(hasWeights).map((layer) => [layer.name, layer]));
  if (!Number.isInteger(bits) || bits < 1 || bits > 8) return `${method}: bits of ${bits}`;
  for (const [name, layer] of layers) {
    const own = weighted.get(name);
    if (!own) return `${method}: a layer that the network lacks`;
    if (layer.codes.length !== own.weight.length) return `${method}: codes not one a weight`;
    const values = layer.method === 'linear' ? layer.scale : layer.codebook;
    if (values.some((value) => !Number.isFinite(value)))
      return `${method}: a scale or centroid that is not finite`;
    if (layer.method === 'linear' && layer.scale.length !== own.outputShape.channels)
      return 'linear: scales not one a channel';
    if (layer.method === 'linear' && layer.scale.some((value) => value <= 0))
      return 'linear: a scale that is not positive';
  }
  if (method === 'kmeans') return undefined;
  for (const { name, input } of weighted.values()) {
    if (layers.has(name) && !activations.has(input)) return 'linear: an activation missing';
  }
  for (const { scale, zeroPoint } of activations.values()) {
    if (!(scale > 0 && scale < Infinity)) return 'linear: an activation without a positive scale';
    if (!Number.isInteger(zeroPoint) || zeroPoint < -128 || zeroPoint > 127)
      return 'linear: a zero point out of range';
  }
  return undefined;
}

// A network of one layer, as training has it: buffers that only have a size, codes that are only kept.
const KIND: CheckpointKind = { architecture: '{"graph":"g","quantized":[]}', settings: '{"steps":9}' };
const CLUSTERS = 4;

function makeCheckpoint(): Uint8Array {
  const tensor = (dtype: string, count: number, begin: number, end: number): Entry => ({
    dtype,
    shape: [count],
    data_offsets: [begin, end],
  });
  const header = {
    __metadata__: { format: 'lloyd-checkpoint', version: '1', step: '3', ...KIND },
    weight: tensor('F32', 4, 0, 16),
    bias: tensor('F32', 2, 16, 24),
    'layer.codes': tensor('U8', 4, 24, 28),
  };
  return safetensors(
    JSON.stringify(header),
    Uint8Array.from({ length: 28 }, (_, i) => (i < 24 ? 0 : i % CLUSTERS)),
  );
}

function restore(bytes: Uint8Array) {
  const written: ArrayBufferView[] = [];
  let codes: Uint8Array | undefined;
  const runtime = { write: (_: unknown, data: ArrayBufferView) => written.push(data) };
  const network = {
    state: new Map([
      ['weight', { size: 16 }],
      ['bias', { size: 8 }],
    ]),
    weights: new Map([
      [
        'layer',
        {
          // As src/train/codebook-weights.ts has it.
          setCodes: (restored: Uint8Array) => {
            const fit = restored.length === 4 && restored.every((code) => code < CLUSTERS);
            check(fit, `codes must be four below ${CLUSTERS}`, restored);
            codes = restored;
          },
        },
      ],
    ]),
  };
  const step = restoreCheckpoint(runtime as never, network as never, bytes, KIND);
  return { step, written, codes };
}

export const modelFiles: Target<Uint8Array>[] = [
  {
    name: 'codebook',
    kind: 'reader',
    share: 0.3,
    open,
    make: (random) => changed(random, files.kmeans),
    run: readCodebookFile,
    verify: codebooksBroken,
  },
  {
    name: 'model',
    kind: 'reader',
    share: 0.1,
    open,
    make: (random) => changed(random, random.pick([files.fp32, files.kmeans])),
    run: (bytes) => readModelFile(bytes),
    verify: modelBroken,
  },
  {
    name: 'linear',
    kind: 'reader',
    share: 0.05,
    open,
    make: (random) => changed(random, files.linear),
    run: (bytes) => readModelFile(bytes),
    verify: modelBroken,
  },
  {
    name: 'checkpoint',
    kind: 'reader',
    make: (random) => changed(random, makeCheckpoint()),
    run: restore,
    verify: ({ step, written, codes }: ReturnType<typeof restore>) => {
      if (!Number.isInteger(step) || step < 0 || step > 9) return `a step of ${step}`;
      if (written.length !== 2) return 'a state that was not restored';
      return codes?.length === 4 ? undefined : 'codes that were not restored';
    },
  },
];
