// lloyd check: what runs here, what quantization costs each layer, and faults found by name.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GraphModel } from '../../src/graph/graph.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import type { LinearLayer, QuantizedModel } from '../../src/model/quantized-model.ts';
import { readOnnx } from '../../src/onnx/read-onnx.ts';
import { writeOnnx } from '../../src/onnx/write-onnx.ts';
import { readModelFile, writeModelFile } from '../../src/run/file.ts';
import { lloyd } from '../support/command-line.ts';
import { imageClassifier, png } from '../support/image-classifier.ts';

let folder = '';
const at = (...names: string[]) => join(folder, ...names);
const LAYERS = ['first', 'second', 'scores'];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lloyd-check-'));
  await writeFile(at('model.onnx'), writeOnnx(imageClassifier()));
  await mkdir(at('photos'));
  for (let i = 0; i < 6; i++) await writeFile(at('photos', `${i}.png`), png(8, 8, 50 + i));
  for (const out of ['int8.onnx', 'int8.safetensors']) {
    const { code } = await lloyd(
      ...['quantize', at('model.onnx'), '--method', 'linear', '--bits', '8', '-o', at(out)],
      ...['--calibration', at('photos')],
    );
    expect(code).toBe(0);
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function checked(...argv: string[]) {
  const json = at('report.json');
  await rm(json, { force: true });
  const said = await lloyd('check', at('model.onnx'), ...argv, '--json', json);
  const written = await readFile(json, 'utf8').catch(() => expect.fail(said.err));
  return { ...said, report: JSON.parse(written) };
}

const SAMPLES = ['--calibration', '--min-sqnr'] as const;
const against = (file: string, least = 20) => {
  return ['--against', at(file), SAMPLES[0], at('photos'), SAMPLES[1], String(least)];
};

test.each(['int8.onnx', 'int8.safetensors'])('a sound network passes: %s', async (file) => {
  const { code, err, out, report } = await checked(...against(file));
  expect([code, err]).toEqual([0, expect.not.stringContaining('error')]);
  expect(out).toMatch(/model.onnx: 6 of 6 nodes run on the GPU/);
  expect(report.passed).toBe(true);
  expect(report.nodes).toEqual({ total: 6, supported: 6, refused: [] });
  expect(
    report.layers.map(({ layer, dtype, bits }: Record<string, unknown>) => [layer, dtype, bits]),
  ).toEqual(LAYERS.map((name) => [name, 'int8', 8]));
  for (const layer of report.layers) {
    expect(layer.ownSqnrDb).toBeGreaterThan(30);
    expect(layer.ownCosine).toBeGreaterThan(0.999);
    // What a layer leaves in the network has the errors of those before it too.
    expect(layer.sqnrDb).toBeLessThan(layer.ownSqnrDb + 3);
  }
  expect(report.outputs).toHaveLength(1);
  expect(report.outputs[0].sqnrDb).toBeGreaterThan(25);
  const sizes = await Promise.all(
    ['model.onnx', file].map(async (name) => (await readFile(at(name))).byteLength),
  );
  expect(report.sizeBytes).toEqual({ before: sizes[0], after: sizes[1] });
});

describe('one layer’s scale doubled is found by name', () => {
  test.each(LAYERS)('%s, in an ONNX file', async (name) => {
    const model = readOnnx(await readFile(at('int8.onnx')));
    const parameters = new Map(model.parameters);
    const scale = parameters.get(`${name}/weight/scale`)!;
    parameters.set(`${name}/weight/scale`, {
      ...scale,
      data: (scale.data as Float32Array).map((value) => value * 2),
    } as OnnxTensor);
    await writeFile(at('faulty.onnx'), writeOnnx({ ...model, parameters }));
    const { code, err, report } = await checked(...against('faulty.onnx'));
    expect(code).toBe(1);
    expect(err).toMatch(
      new RegExp(`must have an SQNR of at least 20 dB; .*${name}: .*the worst layer is ${name}:`),
    );
    expect(report.worst.layer).toBe(name);
    expect(report.passed).toBe(false);
    for (const { layer, ownSqnrDb } of report.layers)
      if (layer !== name) expect(ownSqnrDb).toBeGreaterThan(30);
  });

  test.each(['second'])('%s, in a safetensors file', async (name) => {
    const network = readModelFile(await readFile(at('int8.safetensors'))) as QuantizedModel;
    const layers = new Map(network.layers);
    const layer = layers.get(name) as LinearLayer;
    layers.set(name, { ...layer, scale: layer.scale.map((value) => value * 2) });
    await writeFile(at('faulty.safetensors'), writeModelFile({ ...network, layers }));
    const { code, report } = await checked(...against('faulty.safetensors'));
    expect([code, report.worst.layer]).toEqual([1, name]);
  });

  test('an activation’s range cut off is found at the layers that leave and read it', async () => {
    const network = readModelFile(await readFile(at('int8.safetensors'))) as QuantizedModel;
    const activations = new Map(network.activations);
    const { scale, zeroPoint } = activations.get('first relu out')!;
    activations.set('first relu out', { scale: scale / 8, zeroPoint });
    await writeFile(at('faulty.safetensors'), writeModelFile({ ...network, activations }));
    const { code, report } = await checked(...against('faulty.safetensors'));
    const below = report.layers.filter(({ ownSqnrDb }: { ownSqnrDb: number }) => ownSqnrDb < 20);
    expect([code, below.map(({ layer }: { layer: string }) => layer)]).toEqual([1, ['first', 'second']]);
  });
});

test('without a quantized network it quantizes, and a threshold that nothing reaches fails', async () => {
  const { code, err, out, report } = await checked('--calibration', at('photos'), '--min-sqnr', '90');
  expect([code, err]).toEqual([1, expect.stringContaining('at least 90 dB; received "output scores out: ')]);
  expect(out).toContain('worst layer by itself: ');
  expect(report.against).toBeNull();
  expect(report.layers).toHaveLength(3);
  expect((await checked('--calibration', at('photos'), '--min-sqnr', '20')).code).toBe(0);
});

test('k-means in safetensors and gathered codebooks', async () => {
  for (const out of ['k3.onnx', 'k3.safetensors']) {
    expect((await lloyd('quantize', at('model.onnx'), '--bits', '3', '-o', at(out))).code).toBe(0);
  }
  const reports = [];
  for (const out of ['k3.onnx', 'k3.safetensors']) reports.push((await checked(...against(out, 5))).report);
  for (const { layers } of reports) {
    expect(layers.map(({ layer, dtype }: Record<string, unknown>) => [layer, dtype])).toEqual(
      LAYERS.map((name) => [name, 'float32']),
    );
    for (const { ownSqnrDb } of layers) expect(ownSqnrDb).toBeLessThan(30);
  }
  for (const [i, { ownSqnrDb }] of reports[0].layers.entries())
    expect(ownSqnrDb).toBeCloseTo(reports[1].layers[i].ownSqnrDb, 3);
});

test('what does not run here is listed, all of it, and fails', async () => {
  const model = imageClassifier();
  const nodes = [
    ...model.graph.nodes,
    ...['one', 'two'].map((name) => ({
      ...{ op: 'Det', name, inputs: ['scores out'], outputs: [name], attributes: {} },
    })),
  ];
  const wild: GraphModel = { ...model, graph: { ...model.graph, nodes, outputs: ['one', 'two'] } };
  await writeFile(at('wild.onnx'), writeOnnx(wild));
  const { code, out, err } = await lloyd('check', at('wild.onnx'));
  expect(out).toMatch(/6 of 8 nodes run/);
  for (const name of ['one', 'two']) expect(out).toContain(`  ${name} (Det): there is no such operator here`);
  expect([code, err]).toEqual([
    1,
    expect.stringContaining('every node must run here; received "2 that don\'t"'),
  ]);
});

test('what is no comparison', async () => {
  const { code, out, report } = await checked();
  expect([code, out]).toEqual([0, expect.stringContaining('3 layers in float32')]);
  expect(report.layers).toHaveLength(3);
  const swapped = await lloyd(
    'check',
    at('int8.onnx'),
    '--against',
    at('model.onnx'),
    '--calibration',
    at('photos'),
  );
  expect(swapped.err).toMatch(
    /the first network must be the float one; received ".*int8.onnx, quantized already"/,
  );
  for (const [argv, message] of [
    [['--min-sqnr', 'high'], /--min-sqnr must be a number of decibels/],
    [['--min-sqnr', '20'], /--min-sqnr needs a comparison/],
    [['--against', at('none.onnx')], /the input must be a readable file/],
  ] as const) {
    const { code, err } = await lloyd('check', at('model.onnx'), ...argv);
    expect([code, err]).toEqual([1, expect.stringMatching(message)]);
  }
  const other: GraphModel = imageClassifier();
  const inputs = other.graph.inputs.map((input) => ({ ...input, name: 'photo' }));
  const nodes = other.graph.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map((name) => (name === 'image' ? 'photo' : name)),
  }));
  await writeFile(at('other.onnx'), writeOnnx({ ...other, graph: { ...other.graph, inputs, nodes } }));
  expect((await lloyd('check', at('model.onnx'), ...against('other.onnx'))).err).toMatch(
    /both networks must have the same inputs: image: float32; received "photo: float32"/,
  );
});
