import { describe, expect, test } from 'vitest';
import { LloydError } from '../../src/gpu/errors.ts';
import { writeCodebookFile } from '../../src/io/codebook-file.ts';
import type { Tensor } from '../../src/io/tensor.ts';
import { readModelFile } from '../../src/run/file.ts';
import { edited, smallFiles } from '../support/small-files.ts';

const files = smallFiles();
type Metadata = Record<string, string>;
type Edit = (tensors: Map<string, Tensor>, metadata: Metadata) => unknown;

/** Edits an object that the metadata hold as JSON. */
const json =
  (key: string, change: (value: Record<string, Record<string, unknown>>) => unknown): Edit =>
  (_, metadata) => {
    const value = JSON.parse(metadata[key]);
    change(value);
    metadata[key] = JSON.stringify(value);
  };
const first = (value: Record<string, Record<string, unknown>>) => Object.values(value)[1];
const set =
  (name: string, value: number): Edit =>
  (tensors) => {
    (tensors.get(name)!.data as Float32Array)[0] = value;
  };
const put =
  (name: string, tensor: Tensor): Edit =>
  (tensors) =>
    void tensors.set(name, tensor);
const scales = (count: number): Tensor => ({
  dtype: 'float32',
  dims: [count],
  data: new Float32Array(count).fill(1),
});

describe('a damaged linear file is one clear error', () => {
  const scale = 'backbone.conv1.weight.scale';
  const cases: [string, Edit, RegExp][] = [
    [
      'another version',
      (_, metadata) => Object.assign(metadata, { version: '2' }),
      /version must be 1; received "2"/,
    ],
    ['no version', (_, metadata) => void delete metadata.version, /version must be 1/],
    ['bits of 9', (_, metadata) => Object.assign(metadata, { bits: '9' }), /from 2 to 8; received "9"/],
    [
      'bits in words',
      (_, metadata) => Object.assign(metadata, { bits: 'four' }),
      /from 2 to 8; received "four"/,
    ],
    [
      'a rule of Object.prototype',
      (_, metadata) => Object.assign(metadata, { requantize: '__proto__' }),
      /requantize/,
    ],
    ['no layers', (_, metadata) => void delete metadata.layers, /list its tensors/],
    ['layers null', (_, metadata) => Object.assign(metadata, { layers: 'null' }), /must be JSON/],
    [
      'a layer null',
      json('layers', (value) => Object.assign(value, { 'backbone.conv1': null })),
      /"backbone.conv1" must have dims/,
    ],
    [
      'dims of a number',
      json('layers', (value) => Object.assign(first(value), { dims: 7 })),
      /must have dims/,
    ],
    [
      'a negative dimension',
      json('layers', (value) => Object.assign(first(value), { dims: [-1, 3] })),
      /must have dims/,
    ],
    [
      'bits of a layer 0',
      json('layers', (value) => Object.assign(first(value), { bits: 0 })),
      /bits above 0; received 0/,
    ],
    [
      'bits of a layer 1',
      json('layers', (value) => Object.assign(first(value), { bits: 1 })),
      /from 2 to 8; received 1/,
    ],
    [
      'a layer less',
      json('layers', (value) => void delete value['backbone.conv1']),
      /backbone\.conv1\.weight/,
    ],
    [
      'a layer more',
      json('layers', (value) => Object.assign(value, { extra: first(value) })),
      /a file without them/,
    ],
    [
      'a layer twice',
      (_, metadata) =>
        Object.assign(metadata, {
          layers: metadata.layers.replace('{', '{"backbone.conv1":{"dims":[1],"bits":8},'),
        }),
      /each key once; received "backbone.conv1"/,
    ],
    [
      'no activations',
      (_, metadata) => Object.assign(metadata, { activations: '{}' }),
      /must hold the scale of "input"/,
    ],
    ['activations null', (_, metadata) => Object.assign(metadata, { activations: 'null' }), /must be JSON/],
    [
      'an activation less',
      json('activations', (value) => void delete value['backbone.pool1']),
      /must hold the scale of "backbone.pool1"/,
    ],
    [
      'an activation null',
      json('activations', (value) => Object.assign(value, { input: null })),
      /"input" must have a positive scale/,
    ],
    [
      'a scale of 0',
      json('activations', (value) => Object.assign(first(value), { scale: 0 })),
      /positive scale; received 0/,
    ],
    [
      'a scale in words',
      json('activations', (value) => Object.assign(first(value), { scale: 'x' })),
      /positive scale/,
    ],
    [
      'an infinite scale',
      (_, metadata) =>
        Object.assign(metadata, {
          activations: metadata.activations.replace(/"scale":[^,]+/, '"scale":1e400'),
        }),
      /positive scale/,
    ],
    [
      'a scale below float32',
      json('activations', (value) => Object.assign(first(value), { scale: 1e-60 })),
      /positive scale/,
    ],
    [
      'a zero point of 300',
      json('activations', (value) => Object.assign(first(value), { zeroPoint: 300 })),
      /from -128 to 127; received 300/,
    ],
    [
      'a zero point of a half',
      json('activations', (value) => Object.assign(first(value), { zeroPoint: 0.5 })),
      /from -128 to 127/,
    ],
    ['a weight scale of NaN', set(scale, Number.NaN), /positive, finite scales.*received NaN/],
    ['an infinite weight scale', set(scale, Number.POSITIVE_INFINITY), /positive, finite scales/],
    ['a negative weight scale', set(scale, -1), /positive, finite scales.*received -1/],
    ['a scale too few', put(scale, scales(1)), /scales, one an output channel; received 1/],
    ['a scale too many', put(scale, scales(3)), /scales, one an output channel; received 3/],
    [
      'integers as scales',
      put(scale, { dtype: 'int32', dims: [2], data: new Int32Array(2) }),
      /scales float32/,
    ],
    ['no scales', (tensors) => void tensors.delete(scale), /codes and scales/],
    [
      'codes too few',
      put('backbone.conv1.weight.codes', { dtype: 'uint8', dims: [1], data: new Uint8Array(1) }),
      /must take \d+ bytes/,
    ],
  ];
  test('as it is, it is read', () => {
    expect(readModelFile(edited(files.linear, () => {}))).toMatchObject({ method: 'linear', bits: 4 });
  });
  test.each(cases)('%s', (_, edit, reason) => {
    const bytes = edited(files.linear, edit);
    expect(() => readModelFile(bytes)).toThrow(LloydError);
    expect(() => readModelFile(bytes)).toThrow(reason);
  });
});

describe('a damaged codebook file is one clear error', () => {
  const name = 'backbone.conv1.weight';
  const grouped = (groups: number, groupStride: number) =>
    json('tensors', (value) => Object.assign(value[name], { groups, groupStride }));
  const cases: [string, Edit, RegExp][] = [
    ['a centroid NaN', set(`${name}.codebook`, Number.NaN), /finite centroids; received NaN/],
    [
      'an infinite centroid',
      set(`${name}.codebook`, Number.NEGATIVE_INFINITY),
      /finite centroids; received -Infinity/,
    ],
    ['a codebook that no element uses', grouped(2, 1_000_000), /must use each of its 2 codebooks/],
    ['codebooks of unequal length', grouped(3, 1), /codebooks of equal length/],
    [
      'groups without a stride',
      json('tensors', (value) => Object.assign(value[name], { groups: 2 })),
      /must have a groupStride/,
    ],
    ['bits of a half', json('tensors', (value) => Object.assign(value[name], { bits: 2.5 })), /bits above 0/],
    ['no tensors', (_, metadata) => Object.assign(metadata, { tensors: '{}' }), /needs the parameter/],
    [
      'a tensor of no network',
      json('tensors', (value) => Object.assign(value, { w: { ...value[name] } })),
      /must hold "w.codes"/,
    ],
    [
      'codes in two dimensions',
      (tensors) => void tensors.get(`${name}.codes`)!.dims.unshift(1),
      /one dimension/,
    ],
  ];
  test('as it is, it is read', () => {
    expect(readModelFile(edited(files.kmeans, () => {}))).toMatchObject({ method: 'kmeans', bits: 2 });
  });
  test.each(cases)('%s', (_, edit, reason) => {
    const bytes = edited(files.kmeans, edit);
    expect(() => readModelFile(bytes)).toThrow(LloydError);
    expect(() => readModelFile(bytes)).toThrow(reason);
  });

  test('bits set past the last code', () => {
    const make = () => {
      const tensors = new Map([
        ['w', { dims: [3], bits: 2, codes: new Uint8Array(3), codebook: new Float32Array(4) }],
      ]);
      return writeCodebookFile({ tensors, parameters: new Map(), metadata: {} });
    };
    const bytes = edited(make(), (tensors) => void (tensors.get('w.codes')!.data as Uint8Array).fill(0x40));
    expect(() => readModelFile(bytes)).toThrow(/2 bits past the last code must be 0; received 64/);
  });

  test('130,000 layers are too many for no one', () => {
    const tensors = new Map(
      Array.from({ length: 130_000 }, (_, i) => [
        `l${i}.weight`,
        { dims: [1], bits: 1, codes: new Uint8Array(1), codebook: new Float32Array(1) },
      ]),
    );
    const bytes = writeCodebookFile({ tensors, parameters: new Map(), metadata: {} });
    expect(() => readModelFile(bytes)).toThrow(/backbone.conv0.weight/);
  });
});

test('a first convolution of 48 channels is no VGG', () => {
  const bytes = edited(files.fp32, (tensors) => {
    tensors.set('backbone.conv0.weight', { dtype: 'float32', dims: [48], data: new Float32Array(48) });
  });
  expect(() => readModelFile(bytes)).toThrow(/backbone\.conv0.weight must have the shape/);
});
