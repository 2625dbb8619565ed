// The fuzzer itself: inputs repeat by their seed, sound ones are among them, and what must not be accepted is seen.
import { describe, expect, test } from 'vitest';
import { readSafetensors, writeSafetensors } from '../../src/io/safetensors.ts';
import type { Tensor } from '../../src/io/tensor.ts';
import type { LinearLayer, QuantizedModel } from '../../src/model/quantized-model.ts';
import { readModelFile } from '../../src/run/file.ts';
import { smallFiles } from '../support/small-files.ts';
import { modelFiles } from './model-files.ts';
import { onnxFiles } from './onnx-files.ts';
import { otherFiles } from './other-files.ts';
import { Random } from './random.ts';
import type { Target } from './target.ts';
import { safetensors, tensorFiles } from './tensor-files.ts';

const readers = [...tensorFiles, ...modelFiles, ...otherFiles, ...onnxFiles];
const find = (name: string) => readers.find((target) => target.name === name) as Target<Uint8Array>;
const verify = (name: string, output: unknown, bytes: Uint8Array = new Uint8Array()) =>
  find(name).verify!(output as never, bytes);

describe.each(readers.map(({ name }) => name))('%s', (name) => {
  test('inputs repeat by their seed, and some of them are sound', async () => {
    const target = find(name);
    await target.open?.();
    let accepted = 0;
    for (let seed = 1; seed <= 60; seed++) {
      const bytes = target.make(new Random(seed));
      expect(Buffer.compare(bytes, target.make(new Random(seed)))).toBe(0);
      try {
        await target.run(bytes);
        accepted++;
      } catch (error) {
        expect((error as Error).name).toBe('LloydError');
      }
    }
    expect(accepted).toBeGreaterThan(0);
    expect(accepted).toBeLessThan(60);
  });
});

describe('what must not be accepted is seen', () => {
  const entry = (begin: number, end: number, shape = `[${end - begin}]`) =>
    `{"dtype":"U8","shape":${shape},"data_offsets":[${begin},${end}]}`;
  const tensor = (length: number): Tensor => ({
    dtype: 'uint8',
    dims: [length],
    data: new Uint8Array(length),
  });

  test.each([
    ['a hole', `{"a":${entry(0, 1)},"b":${entry(2, 3)}}`, ['a', 'b'], 3, /hole or an overlap/],
    ['bytes left over', `{"a":${entry(0, 1)}}`, ['a'], 2, /left over/],
    ['a name twice', `{"a":${entry(0, 1)},"a":${entry(1, 2)}}`, ['a'], 2, /hole|left over/],
    ['a size of 1.0', `{"a":${entry(0, 1, '[1.0]')}}`, ['a'], 1, /no integers/],
    ['space before the object', ` {"a":${entry(0, 1)}}`, ['a'], 1, /begin with/],
  ] as const)('safetensors: %s', (_, header, names, bodyBytes, reason) => {
    const tensors = new Map(names.map((name) => [name, tensor(1)]));
    expect(
      verify('safetensors', { tensors, metadata: {} }, safetensors(header, new Uint8Array(bodyBytes))),
    ).toMatch(reason);
  });

  test('safetensors: a sound file is sound, other bytes are not', () => {
    const bytes = writeSafetensors(new Map([['a', tensor(3)]]));
    const file = readSafetensors(bytes);
    expect(verify('safetensors', file, bytes)).toBeUndefined();
    file.tensors.set('a', { ...tensor(3), data: Uint8Array.of(1, 2, 3) });
    expect(verify('safetensors', file, bytes)).toBe('other bytes');
  });

  test('linear files: scales, codes and activations', () => {
    const read = () => readModelFile(smallFiles().linear) as QuantizedModel;
    expect(verify('linear', read())).toBeUndefined();
    const layerOf = (model: QuantizedModel) => [...model.layers.values()][1] as LinearLayer;
    const broken: ((model: QuantizedModel) => unknown)[] = [
      (model) => layerOf(model).scale.fill(Number.NaN),
      (model) => layerOf(model).scale.fill(0),
      (model) => Object.assign(layerOf(model), { codes: new Int8Array(1) }),
      (model) => (model.activations as Map<string, unknown>).delete('input'),
      (model) => Object.assign(model, { bits: 9 }),
    ];
    for (const breaks of broken) {
      const model = read();
      breaks(model);
      expect(verify('linear', model)).toMatch(/linear/);
    }
  });
});
