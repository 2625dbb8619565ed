// lloyd convert: the same integers in QDQ, operators on codes and safetensors, there and back.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GraphModel, Node } from '../../src/graph/graph.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { importQdq } from '../../src/lower/import-qdq.ts';
import type { QuantizedModel } from '../../src/model/quantized-model.ts';
import { qdqOfOperators } from '../../src/onnx/qoperator-import.ts';
import { readOnnx } from '../../src/onnx/read-onnx.ts';
import { writeOnnx } from '../../src/onnx/write-onnx.ts';
import { readModelFile } from '../../src/run/file.ts';
import { lloyd } from '../support/command-line.ts';
import { imageClassifier, png } from '../support/image-classifier.ts';
import { bytes } from '../support/onnx-model.ts';
import {
  attribute,
  input,
  intAttribute,
  model,
  node,
  output as protoOutput,
} from '../support/onnx-protos.ts';
import { seeded } from '../support/runtime.ts';

let folder = '';
const at = (...names: string[]) => join(folder, ...names);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lloyd-convert-'));
  await writeFile(at('model.onnx'), writeOnnx(imageClassifier()));
  await mkdir(at('photos'));
  for (let i = 0; i < 6; i++) await writeFile(at('photos', `${i}.png`), png(8, 8, 50 + i));
  for (const [out, ...more] of [
    ['qdq.onnx', '--format', 'qdq'],
    ['qoperator.onnx', '--format', 'qoperator'],
    ['int8.safetensors'],
  ]) {
    const argv = ['--method', 'linear', '--bits', '8', '--calibration', at('photos'), ...more];
    expect((await lloyd('quantize', at('model.onnx'), '-o', at(out), ...argv)).code).toBe(0);
  }
  expect((await lloyd('quantize', at('model.onnx'), '--bits', '3', '-o', at('k3.safetensors'))).code).toBe(0);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function convert(from: string, out: string, ...argv: string[]) {
  const { code, err } = await lloyd('convert', at(from), '-o', at(out), ...argv);
  expect([code, err]).toEqual([0, expect.stringContaining(`wrote ${at(out)}`)]);
  return readFile(at(out));
}
const graphOf = (bytes: Uint8Array) => readOnnx(bytes) as GraphModel;
const operators = (bytes: Uint8Array) => graphOf(bytes).graph.nodes.map(({ op }) => op);
const asQuantized = (bytes: Uint8Array) => importQdq(qdqOfOperators(graphOf(bytes))) as QuantizedModel;

function sameIntegers(bytes: Uint8Array, want: QuantizedModel) {
  const { layers, activations } = asQuantized(bytes);
  expect([...layers.keys()]).toEqual([...want.layers.keys()]);
  for (const [name, { codes }] of layers) expect(codes, name).toEqual(want.layers.get(name)!.codes);
  const grids = [...activations.values()].map(({ scale, zeroPoint }) => `${scale} ${zeroPoint}`);
  expect(grids.sort()).toEqual(
    expect.arrayContaining(
      [...asQuantized(writeOnnx(want)).activations.values()].map((q) => `${q.scale} ${q.zeroPoint}`),
    ),
  );
}

test('QDQ, operators on codes and safetensors hold the same integers, there and back', async () => {
  const own = readModelFile(await readFile(at('int8.safetensors'))) as QuantizedModel;
  const forward = await convert('qdq.onnx', 'forward.onnx', '--format', 'qoperator');
  expect(operators(forward)).toEqual(operators(await readFile(at('qoperator.onnx'))));
  expect(operators(forward)).toEqual(expect.arrayContaining(['QLinearConv', 'QGemm']));
  sameIntegers(forward, own);
  const back = await convert('forward.onnx', 'back.onnx', '--format', 'qdq');
  // A Relu may be in the range of the codes that follow it.
  const [made, had] = [back, await readFile(at('qdq.onnx'))].map((bytes) =>
    operators(bytes).filter((op) => op !== 'Relu'),
  );
  expect(made).toEqual(had);
  sameIntegers(back, own);
  sameIntegers(await convert('int8.safetensors', 'written.onnx'), own);
  await convert('qoperator.onnx', 'again.safetensors');
  const again = readModelFile(await readFile(at('again.safetensors'))) as QuantizedModel;
  for (const [name, { codes }] of again.layers) expect(codes, name).toEqual(own.layers.get(name)!.codes);
  expect(operators(await convert('int8.safetensors', 'float.onnx', '--format', 'float'))).toEqual(
    operators(await readFile(at('model.onnx'))),
  );
  expect(operators(await convert('k3.safetensors', 'k3.onnx'))).toContain('Gather');
});

test('either type of codes holds the same integers, from quantize and from convert', async () => {
  const own = readModelFile(await readFile(at('int8.safetensors'))) as QuantizedModel;
  const unsigned = ['--activation-type', 'uint8', '--weight-type', 'uint8'];
  const dtypes = (bytes: Uint8Array) =>
    new Set([...graphOf(bytes).parameters.values()].map(({ dtype }) => dtype));
  for (const format of ['qdq', 'qoperator']) {
    const made = await convert('int8.safetensors', 'uint8.onnx', '--format', format, ...unsigned);
    expect([dtypes(made).has('uint8'), dtypes(made).has('int8')]).toEqual([true, false]);
    sameIntegers(made, own);
    const argv = ['--method', 'linear', '--bits', '8', '--calibration', at('photos'), '--format', format];
    const json = ['--json', at('types.json')];
    const { code } = await lloyd(
      ...['quantize', at('model.onnx'), '-o', at('direct.onnx')],
      ...[...argv, ...unsigned, ...json],
    );
    expect(code).toBe(0);
    expect(graphOf(await readFile(at('direct.onnx'))).parameters).toEqual(graphOf(made).parameters);
    const report = JSON.parse(await readFile(at('types.json'), 'utf8'));
    expect(report).toMatchObject({ format, activationType: 'uint8', weightType: 'uint8' });
    const back = await convert('uint8.onnx', 'signed.onnx', '--format', format);
    expect([dtypes(back).has('uint8'), dtypes(back).has('int8')]).toEqual([false, true]);
    sameIntegers(back, own);
  }
});

test('ONNX Runtime computes the same with each', async () => {
  const random = seeded(4);
  const image = Float32Array.from({ length: 4 * 192 }, () => random.integer(0, 255) / 255);
  const scores = async (name: string) => {
    const session = await ort.InferenceSession.create(at(name), {
      executionProviders: ['cpu'],
      graphOptimizationLevel: 'disabled',
      logSeverityLevel: 4,
    });
    const { 'scores out': made } = await session.run({ image: new ort.Tensor(image, [4, 3, 8, 8]) });
    await session.release();
    return made.data as Float32Array;
  };
  const want = await scores('qoperator.onnx');
  const largest = Math.max(...want.map(Math.abs));
  for (const name of ['forward.onnx', 'back.onnx', 'qdq.onnx']) {
    const made = await scores(name);
    // A product that lies on a tie may be rounded either way where floats are computed between the quantizers.
    for (const [i, value] of made.entries())
      expect(Math.abs(value - want[i]) / largest, name).toBeLessThan(0.02);
  }
});

test('check runs operators on codes as what they stand for, and finds a fault in them', async () => {
  const argv = ['--calibration', at('photos'), '--min-sqnr', '20', '--json', at('report.json')];
  const sound = await lloyd('check', at('model.onnx'), '--against', at('qoperator.onnx'), ...argv);
  expect([sound.code, sound.err]).toEqual([0, expect.not.stringContaining('error')]);
  const model = graphOf(await readFile(at('qoperator.onnx')));
  const parameters = new Map(model.parameters);
  const scale = parameters.get('second/weight/scale')!;
  const data = (scale.data as Float32Array).map((value) => value * 2);
  parameters.set('second/weight/scale', { ...scale, data } as OnnxTensor);
  await writeFile(at('faulty.onnx'), writeOnnx({ ...model, parameters }));
  const { code } = await lloyd('check', at('model.onnx'), '--against', at('faulty.onnx'), ...argv);
  const { worst } = JSON.parse(await readFile(at('report.json'), 'utf8'));
  expect([code, worst.layer]).toEqual([1, 'second']);
});

describe('refusals', () => {
  const dynamic = (): GraphModel => {
    const model = imageClassifier();
    const node = (op: string, name: string, inputs: string[], outputs: string[]): Node => {
      return { op, name, inputs, outputs, attributes: {} };
    };
    const nodes = [
      node('DynamicQuantizeLinear', 'ranges', ['image'], ['codes', 'scale', 'zero']),
      node('ConvInteger', 'sums', ['codes', 'w', 'zero'], ['out']),
    ];
    const w: OnnxTensor = {
      dtype: 'uint8',
      dims: [4, 3, 1, 1],
      data: Uint8Array.from({ length: 12 }, (_, i) => i),
    };
    return { graph: { ...model.graph, nodes, outputs: ['out'] }, parameters: new Map([['w', w]]) };
  };

  test.each([
    [
      'model.onnx',
      ['--format', 'qdq'],
      /a network that is not quantized is written as float; received "qdq"/,
    ],
    [
      'k3.safetensors',
      ['--format', 'qdq'],
      /quantized by kmeans is written as float, codebook; received "qdq"/,
    ],
    ['qdq.onnx', ['--format', 'codebook'], /quantized by linear is written as float, qdq, qoperator/],
    [
      'dynamic.onnx',
      ['--format', 'qdq'],
      /must have a form between .*"ranges \(DynamicQ.*, sums \(ConvInteger\)"/,
    ],
    ['none.onnx', [], /the input must be a readable file/],
    ['damaged.onnx', [], /damaged.onnx: /],
    ['model.onnx', ['--format', 'int8'], /--format must be one of qdq, qoperator, codebook, float/],
  ])('%s %j', async (from, argv, message) => {
    await writeFile(at('dynamic.onnx'), writeOnnx(dynamic()));
    await writeFile(at('damaged.onnx'), (await readFile(at('qdq.onnx'))).subarray(0, 500));
    const before = await readdir(folder);
    const { code, err } = await lloyd('convert', at(from), '-o', at('refused.onnx'), ...argv);
    expect([code, err]).toEqual([1, expect.stringMatching(message)]);
    expect(err.trim().split('\n')).toHaveLength(1);
    expect(await readdir(folder)).toEqual(before);
  });

  test('over its input, to no file, and a format of another kind of file', async () => {
    const said = async (...argv: string[]) => (await lloyd('convert', at('qdq.onnx'), ...argv)).err;
    expect(await said()).toMatch(/convert needs a file to write; received "no --out"/);
    expect(await said('-o', at('qdq.onnx'))).toMatch(/--out must be another file than the input/);
    expect(await said('-o', at('x.safetensors'), '--format', 'qdq')).toMatch(/--format is of an ONNX file/);
    const unsigned = ['--weight-type', 'uint8'];
    const notTyped =
      /--weight-type is of ONNX files in the formats qdq and qoperator; received "(\w+)"; leave/;
    expect(await said('-o', at('x.safetensors'), ...unsigned)).toMatch(notTyped);
    expect(await said('-o', at('x.onnx'), '--format', 'float', ...unsigned)).toMatch(notTyped);
    const codebooks = await lloyd('convert', at('k3.safetensors'), '-o', at('x.onnx'), ...unsigned);
    expect(notTyped.exec(codebooks.err)?.[1]).toBe('codebook');
    expect(await said('-o', at('x.onnx'), '--activation-type', 'int4')).toMatch(
      /--activation-type must be one of int8, uint8; received "int4"/,
    );
  });
});

describe('--constant', () => {
  const file = () => {
    const branch = (name: string, op: string) =>
      attribute(name, 5, bytes(6, [node(op, ['x'], ['v']), protoOutput('v')]));
    return model([
      node('Cast', ['rate'], ['fast'], intAttribute('to', 9)),
      node('If', ['fast'], ['y'], branch('then_branch', 'Abs'), branch('else_branch', 'Neg')),
      ...[input('rate', [1], 7), input('x', [2]), protoOutput('y')],
    ]);
  };

  test('gives an input its value, and an If its branch', async () => {
    await writeFile(at('if.onnx'), file());
    for (const [rate, branch] of [
      [16000, 'Abs'],
      [0, 'Neg'],
    ]) {
      const written = await convert('if.onnx', 'branch.onnx', '--constant', `rate=${rate}`);
      expect(operators(written)).toEqual(['Cast', branch]);
      expect(graphOf(written).graph.inputs.map(({ name }) => name)).toEqual(['x']);
    }
    const check = await lloyd('check', at('if.onnx'), '--constant', 'rate=16000');
    expect(check.out).toMatch(/2 of 2 nodes/);
  });

  test.each([
    ['if.onnx', 'rat=1', /constants may name inputs; received "rat"; they are rate, x/],
    ['if.onnx', 'rate', /--constant must be a list of input=number; received "rate"/],
    ['if.onnx', 'rate=1,rate=2', /--constant may name an input once/],
    ['int8.safetensors', 'rate=1', /--constant is of an ONNX network; received "rate"; leave it out/],
  ])('%s refuses %s', async (from, constant, message) => {
    await writeFile(at('if.onnx'), file());
    const { code, err } = await lloyd('convert', at(from), '-o', at('no.onnx'), '--constant', constant);
    expect([code, err]).toEqual([1, expect.stringMatching(message)]);
  });
});
