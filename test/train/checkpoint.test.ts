// Damaged checkpoints: each is one LloydError that says what is wrong, none is gone on from.
import { beforeAll, describe, expect, test } from 'vitest';
import { LloydError } from '../../src/gpu/errors.ts';
import { readSafetensors, type SafetensorsFile, writeSafetensors } from '../../src/io/safetensors.ts';
import type { Tensor } from '../../src/io/tensor.ts';
import { type QuantizedModel } from '../../src/model/quantized-model.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { finetune } from '../../src/train/finetune.ts';
import { seeded, useRuntime } from '../support/runtime.ts';
import { smallModel, stripes } from '../support/small-model.ts';

const gpu = useRuntime();
const data = stripes(40);
const options = { steps: 4, batch: 20, seed: 3, checkpointEvery: 2 };
let quantized: QuantizedModel;
let saved: Uint8Array;
let whole: Uint8Array;
beforeAll(async () => {
  quantized = await quantizeModel(gpu.runtime, smallModel(), { method: 'kmeans', bits: 2 });
  const onCheckpoint = (checkpoint: Uint8Array) => {
    saved = checkpoint;
  };
  whole = (await finetune(gpu.runtime, quantized, data, { ...options, onCheckpoint })).checkpoint;
});

const resumed = (checkpoint: Uint8Array) =>
  finetune(gpu.runtime, quantized, data, { ...options, resume: checkpoint });

/** The saved checkpoint with a change. */
function changed(change: (file: SafetensorsFile) => void): Uint8Array {
  const { tensors, metadata } = readSafetensors(saved.slice());
  const file = { tensors: new Map(tensors), metadata: { ...metadata } };
  change(file);
  return writeSafetensors(file.tensors, file.metadata);
}
const told = (key: string, value: string | undefined) =>
  changed(({ metadata }) => {
    if (value === undefined) delete metadata[key];
    else metadata[key] = value;
  });
const put = (name: string, tensor: Partial<Tensor> | undefined) =>
  changed(({ tensors }) => {
    const before = tensors.get(name);
    if (tensor) tensors.set(name, { ...before, ...tensor } as Tensor);
    else tensors.delete(name);
  });
const codes = () => readSafetensors(saved.slice()).tensors.get('c1.codes')!.data as Uint8Array;
const centroids = (value: number) => new Float32Array([0, value, 1, 2]);

describe('a checkpoint', () => {
  test('as it was saved gives the uninterrupted run', async () => {
    expect((await resumed(changed(() => {}))).checkpoint).toEqual(whole);
    // One of the last step has nothing left to do.
    expect((await resumed(whole)).log).toEqual([]);
  });

  const damage: [string, () => Uint8Array, RegExp][] = [
    ['step x', () => told('step', 'x'), /a checkpoint's step must be an integer from 0 to 4; received "x"/],
    ['no step', () => told('step', undefined), /step must be an integer/],
    ['an empty step', () => told('step', ''), /step must be an integer/],
    ['step -1', () => told('step', '-1'), /step must be an integer/],
    ['step 1.5', () => told('step', '1.5'), /step must be an integer/],
    ['step 1e0', () => told('step', '1e0'), /step must be an integer/],
    ['step Infinity', () => told('step', 'Infinity'), /step must be an integer/],
    ['a step past the run', () => told('step', '5'), /from 0 to 4; received "5"/],
    ['another version', () => told('version', '2'), /a checkpoint's version must be 1; received "2"/],
    ['no version', () => told('version', undefined), /a checkpoint's version must be 1/],
    ['another format', () => told('format', 'lloyd-linear'), /must be one that training wrote/],
    ['other settings', () => told('settings', '{}'), /goes on with the settings it began with/],
    ['architecture that is no JSON', () => told('architecture', '{'), /of the same network and precision/],
    ['no codes', () => put('c1.codes', undefined), /the checkpoint must hold c1\.codes/],
    [
      'codes of another dtype',
      () => put('c1.codes', { dtype: 'int8', data: Int8Array.from(codes()) }),
      /must be uint8/,
    ],
    [
      'one code too few',
      () => put('c1.codes', { dims: [codes().length - 1], data: codes().slice(1) }),
      /codes below 4/,
    ],
    ['a code past the codebook', () => put('c1.codes', { data: codes().fill(4, 7, 8) }), /up to 4/],
    ['no centroids', () => put('c1.codebook', undefined), /must hold c1\.codebook/],
    [
      'a centroid NaN',
      () => put('c1.codebook', { data: centroids(Number.NaN) }),
      /c1\.codebook must be finite; received NaN/,
    ],
    [
      'an infinite centroid',
      () => put('c1.codebook', { data: centroids(-1 / 0) }),
      /must be finite; received -Infinity/,
    ],
    [
      'three centroids',
      () => put('c1.codebook', { dims: [3], data: new Float32Array(3) }),
      /must have 4 values/,
    ],
    ['no velocity', () => put('velocity.c1.weight', undefined), /must hold velocity\.c1\.weight/],
    [
      'centroids of another dtype',
      () => put('c1.codebook', { dtype: 'int32', data: new Int32Array(4) }),
      /c1\.codebook must be float32/,
    ],
    [
      'a tensor more',
      () => put('extra', { dtype: 'float32', dims: [1], data: new Float32Array(1) }),
      /must hold nothing but its network; received "extra"/,
    ],
    [
      'codes of a layer that has none',
      () => put('b0.codes', { dtype: 'uint8', dims: [1], data: new Uint8Array(1) }),
      /must hold nothing but its network; received "b0\.codes"/,
    ],
    ['nothing', () => new Uint8Array(0), /at least 8 bytes/],
    ['half of it', () => saved.slice(0, saved.length >> 1), /./],
  ];
  test.each(damage)('with %s is refused', async (_, make, rule) => {
    const refused = await resumed(make()).catch((error) => error);
    expect(refused).toBeInstanceOf(LloydError);
    expect(refused.message).toMatch(rule);
  });

  test('cut or flipped anywhere is refused, or is finite and of the network', {
    timeout: 240_000,
  }, async () => {
    const random = seeded(11);
    for (let trial = 0; trial < 12; trial++) {
      const bytes = saved.slice(0, trial % 3 === 0 ? random.integer(0, saved.length - 1) : undefined);
      for (let flips = 0; flips < 3 && bytes.length > 0; flips++)
        bytes[random.integer(0, bytes.length - 1)] ^= 1 << random.integer(0, 7);
      const outcome = await resumed(bytes).catch((error) => error);
      if (outcome instanceof Error) expect(outcome).toBeInstanceOf(LloydError);
      else
        for (const layer of outcome.model.layers.values())
          expect(layer.codes.every((c: number) => c < 4)).toBe(true);
    }
  });
});
